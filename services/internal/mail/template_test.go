package mail

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write testdata/*.golden instead of comparing with it")

var expires = time.Date(2026, time.March, 9, 23, 30, 0, 0, time.FixedZone("CET", 3600))

func TestRender(t *testing.T) {
	t.Parallel()
	invitation := Invitation{
		Organization: "Müller & Søn",
		Inviter:      "Ada Lovelace",
		Role:         "Viewer",
		Link:         "https://roster.example/invite/tok-en_1?a=1&b=2",
		Expires:      expires,
	}
	fullAccess := invitation
	fullAccess.Role, fullAccess.FullAccess = "Admin", true
	hostile := invitation
	hostile.Organization = "<b>Claim your prize</b> at https://evil.example/now\r\nBcc: everybody@example.com"
	hostile.Inviter = "www.evil.example"

	notice := Notice{Time: expires, Device: "Firefox on Linux", Address: "203.0.113.7", ResetLink: "https://roster.example/forgot"}
	for golden, template := range map[string]Template{
		"verify_email":           VerifyEmail{Link: "https://roster.example/verify/tok-en_1", Expires: expires},
		"account_exists":         AccountExists{SignInLink: "https://roster.example/sign-in"},
		"add_email":              AddEmail{Name: "Ada Lovelace", Link: "https://roster.example/verify/tok-en_1", Expires: expires},
		"email_in_use":           EmailInUse{},
		"email_added":            EmailsChanged{Notice: notice, Added: true, Email: "ada@works.example"},
		"email_removed":          EmailsChanged{Notice: notice, Email: "ada@works.example"},
		"email_removed_here":     EmailsChanged{Notice: notice, Email: "ada@works.example", Here: true},
		"email_replaced":         EmailReplaced{By: "Analytical Engines", Email: "a••@works.example", Link: "https://roster.example/revert-email/tok-en_1", Expires: expires},
		"prove_email":            ProveEmail{Link: "https://roster.example/verify/tok-en_1", Expires: expires},
		"prove_email_by":         ProveEmail{By: "Analytical Engines", Link: "https://roster.example/verify/tok-en_1", Expires: expires},
		"primary_changed":        PrimaryChanged{Notice: notice, Email: "a••@works.example", Link: "https://roster.example/revert-email/tok-en_1", Expires: expires},
		"account_deleting":       AccountDeleted{Notice: notice},
		"account_deleted":        AccountDeleted{Done: true},
		"account_deleting_by":    AccountDeleted{Notice: Notice{Time: expires}, Operator: true},
		"account_kept":           AccountKept{Organizations: []string{"Müller & Søn", "evil.example"}},
		"reset_password":         ResetPassword{Link: "https://roster.example/reset/tok-en_1", Expires: expires},
		"password_changed":       PasswordChanged{notice},
		"temporary_password":     TemporaryPassword{Time: expires.Add(-72 * time.Hour), Expires: expires, ResetLink: "https://roster.example/forgot"},
		"new_device":             NewDevice{notice},
		"new_device_hostile":     NewDevice{Notice{Time: expires, Device: "Call https://evil.example\r\nnow", ResetLink: "https://roster.example/forgot"}},
		"invitation":             invitation,
		"invitation_full_access": fullAccess,
		"invitation_hostile":     hostile,
		"removed":                Removed{Organization: "Müller & Søn", By: "Ada Lovelace"},
		"removed_from_projects":  Removed{Organization: "Müller & Søn", By: "Ada Lovelace", Projects: []string{"Apollo", "evil.example"}},
		"joined":                 Joined{Organization: "Müller & Søn", Name: "Ada Lovelace", Role: "Member", Domain: "works.example"},
		"joined_by_provider":     Joined{Organization: "Müller & Søn", Name: "Ada Lovelace", Role: "Member", Provider: "Works"},
		"added": Added{Organization: "Müller & Søn", Role: "Member", SignInLink: "https://roster.example/sign-in",
			LeaveLink: "https://roster.example/leave/tok-en_1", Expires: expires},
		"transfer_offered": TransferOffered{Organization: "Müller & Søn", By: "Ada Lovelace", Replaces: true,
			SignInLink: "https://roster.example/sign-in", Expires: expires},
		"mfa_added":               MfaChanged{Notice: notice, Added: true, Name: "Phone", Left: 1},
		"passkey_added":           MfaChanged{Notice: notice, Added: true, Passkey: true, Name: "Key ring", Left: 2},
		"mfa_removed":             MfaChanged{Notice: notice, Passkey: true, Name: "Key ring", Left: 1},
		"mfa_off":                 MfaChanged{Notice: notice, Name: "Phone"},
		"provider_linked":         ProviderLinked{Notice: notice, Provider: "Müller & Søn"},
		"provider_unlinked":       ProviderUnlinked{Notice: notice, Provider: "Müller & Søn"},
		"mfa_reset":               MfaReset{Organization: "Müller & Søn", Time: expires},
		"passkey_copied":          PasskeyCopied{Notice: notice, Name: "Key ring"},
		"recovery_code_used":      RecoveryCodeUsed{Notice: notice, Left: 9},
		"last_recovery_code_used": RecoveryCodeUsed{Notice: notice},
		"recovery_codes_replaced": RecoveryCodesReplaced{notice},
		"api_key_created":         ApiKeyCreated{Notice: notice, Name: "Nightly build", Expires: expires},
		"account_exported":        AccountExported{notice},
		"primary_changed_here":    PrimaryChanged{Notice: notice, Email: "a••@works.example"},
		"role_raised":             RoleRaised{Organization: "Müller & Søn", Role: "Admin", By: "Ada Lovelace", Time: expires},
		"role_accepted":           RoleRaised{Organization: "Müller & Søn", Role: "Owner", Time: expires, ResetLink: notice.ResetLink},
		"ownership_taken":         OwnershipTaken{Organization: "Müller & Søn", By: "Ada Lovelace", Role: "Admin", Replaced: true, Time: expires, ResetLink: notice.ResetLink},
		"appointment_taken":       OwnershipTaken{Organization: "Müller & Søn", By: "Ada Lovelace", Role: "Owner", Time: expires, ResetLink: notice.ResetLink},
		"appointment_offered": TransferOffered{Organization: "Müller & Søn", By: "Ada Lovelace",
			SignInLink: "https://roster.example/sign-in", Expires: expires},
	} {
		t.Run(golden, func(t *testing.T) {
			t.Parallel()
			m, err := Render(template)
			if err != nil {
				t.Fatal(err)
			}
			m.ID, m.To = "id", "ada@example.com"
			if err := m.check(); err != nil {
				t.Errorf("the message cannot be sent: %v", err)
			}

			got := "Subject: " + m.Subject + "\n\n" + m.Text + "\n" + m.HTML
			file := filepath.Join("testdata", golden+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v (write it with: go test -update)", err)
			}
			if got != string(want) {
				t.Errorf("differs from %s (accept with: go test -update):\n%s", file, got)
			}
		})
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ rule, in, want string }{
		{"OrdinaryNamesAreUnchanged", "Dr. Jürgen O'Neill-Łukasz Jr. (Acme Inc.)", "Dr. Jürgen O'Neill-Łukasz Jr. (Acme Inc.)"},
		{"OtherScriptsAreUnchanged", "می\u200cخواهم 株式会社 👩‍💻", "می\u200cخواهم 株式会社 👩‍💻"},
		{"HostsAreBroken", "evil.example", "evil.\u200bexample"},
		{"LinksAreBroken", "http://evil.example/a.b", "http:\u200b//evil.\u200bexample/a.\u200bb"},
		{"AddressesAreBroken", "a@evil.example", "a@\u200bevil.\u200bexample"},
		{"DialLinksAreBroken", "tel:0123", "tel:\u200b0123"},
		{"DoubledDotsAreBroken", "evil..example", "evil..\u200bexample"},
		{"ForeignDotsAreBroken", "evil。example", "evil。\u200bexample"},
		{"OneLine", "Acme\r\nBcc: x\u2028y\tz", "Acme Bcc: x y z"},
		{"NoControlCharacters", "A\x00c\x1b[31mme\u202e\u200b\ufeff", "Ac[31mme"},
		{"NothingRemainsOfBlanks", " \u00a0\u3000 ", ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			if got := name(test.in); got != test.want {
				t.Errorf("name(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}

	t.Run("LengthIsLimited", func(t *testing.T) {
		t.Parallel()
		got := name(strings.Repeat("å", 500))
		if utf8.RuneCountInString(got) != nameLimit || !strings.HasSuffix(got, "å…") {
			t.Errorf("a name of 500 characters became %q", got)
		}
	})
}

// FuzzName looks for a name that leaves a host, a link or a second line behind.
func FuzzName(f *testing.F) {
	f.Add("https://evil.example")
	f.Add("a..b.c:d@e")
	host := regexp.MustCompile(`[\pL\pN][.][\pL\pN]|:/|\pL@\pL`)
	f.Fuzz(func(t *testing.T, in string) {
		got := name(in)
		if host.MatchString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("name(%q) = %q", in, got)
		}
	})
}
