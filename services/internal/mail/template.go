package mail

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
)

// Template is the data of one kind of mail; its type chooses the words.
type Template interface {
	// plain names the pair of files under templates/ and returns the data with all that people typed made plain.
	plain() (file string, data Template)
}

// Notice is what a mail about the security of an account says beside what has happened: when, from where, and where to go if it was
// not its person.
type Notice struct {
	Time            time.Time
	Device, Address string // as far as they are known
	ResetLink       string // where to ask for another password
}

func (n Notice) made() Notice {
	n.Device = name(n.Device)
	return n
}

// VerifyEmail asks somebody to prove that an address is theirs.
type VerifyEmail struct {
	Link    string
	Expires time.Time
}

func (t VerifyEmail) plain() (string, Template) { return "verify_email", t }

// AccountExists answers a sign-up with an address that has an account: the page said only "check your mail".
type AccountExists struct{ SignInLink string }

func (t AccountExists) plain() (string, Template) { return "account_exists", t }

// AddEmail asks somebody to prove that an address is theirs, which whoever is signed in to the account of that name wants to add to it.
type AddEmail struct {
	Name, Link string
	Expires    time.Time
}

func (t AddEmail) plain() (string, Template) {
	t.Name = name(t.Name)
	return "add_email", t
}

// EmailInUse answers the wish to add an address that an account has: the page said only "check your mail".
type EmailInUse struct{}

func (t EmailInUse) plain() (string, Template) { return "email_in_use", t }

// EmailsChanged tells somebody that their account has an address more, or one less.
type EmailsChanged struct {
	Notice
	Added bool
	Email string
	Here  bool // the mail goes to the address that was removed
}

func (t EmailsChanged) plain() (string, Template) {
	t.Notice, t.Email = t.Notice.made(), name(t.Email)
	return "emails_changed", t
}

// AccountDeleted tells somebody that their account is being deleted, or is, when there is nothing more to say of that.
type AccountDeleted struct {
	Notice
	Operator bool // wants it
	Done     bool
}

func (t AccountDeleted) plain() (string, Template) {
	t.Notice = t.made()
	return "account_deleted", t
}

// AccountKept tells somebody that their account could not be deleted, because of organizations that have nobody else.
type AccountKept struct{ Organizations []string }

func (t AccountKept) plain() (string, Template) {
	t.Organizations = slices.Clone(t.Organizations)
	for i := range t.Organizations {
		t.Organizations[i] = name(t.Organizations[i])
	}
	return "account_kept", t
}

// ProveEmail asks somebody to prove that an address is theirs, which an organization may have given their account.
type ProveEmail struct {
	By, Link string // empty By: no organization has just done so
	Expires  time.Time
}

func (t ProveEmail) plain() (string, Template) {
	t.By = name(t.By)
	return "prove_email", t
}

// EmailReplaced tells the address that an account had that an organization has given it another one, and lets it take that back.
type EmailReplaced struct {
	By, Email, Link string
	Expires         time.Time
}

func (t EmailReplaced) plain() (string, Template) {
	t.By, t.Email = name(t.By), name(t.Email)
	return "email_replaced", t
}

// PrimaryChanged tells the address that was the primary one that another is, and lets it take that back; without a link, the one that is.
type PrimaryChanged struct {
	Notice
	Email, Link string
	Expires     time.Time
}

func (t PrimaryChanged) plain() (string, Template) {
	t.Notice, t.Email = t.Notice.made(), name(t.Email)
	return "primary_changed", t
}

// ResetPassword lets somebody set another password.
type ResetPassword struct {
	Link    string
	Expires time.Time
}

func (t ResetPassword) plain() (string, Template) { return "reset_password", t }

// PasswordChanged tells somebody that their password is another one now.
type PasswordChanged struct{ Notice }

func (t PasswordChanged) plain() (string, Template) {
	t.Notice = t.Notice.made()
	return "password_changed", t
}

// TemporaryPassword tells somebody that their organization has had their password replaced. It does not tell the password.
type TemporaryPassword struct {
	Time, Expires time.Time
	ResetLink     string // where to ask for another one
}

func (t TemporaryPassword) plain() (string, Template) { return "temporary_password", t }

// NewDevice tells somebody that their account was signed in to from where it was not before.
type NewDevice struct{ Notice }

func (t NewDevice) plain() (string, Template) {
	t.Notice = t.Notice.made()
	return "new_device", t
}

// Invitation asks somebody to join an organization.
type Invitation struct {
	Organization, Inviter, Role string
	Link                        string
	Expires                     time.Time
	FullAccess                  bool // the role can do everything; the invited person should know
}

func (t Invitation) plain() (string, Template) {
	t.Organization, t.Inviter, t.Role = name(t.Organization), name(t.Inviter), name(t.Role)
	return "invitation", t
}

// Removed tells somebody that they are no longer a member, nor one of some projects.
type Removed struct {
	Organization, By string
	Projects         []string
}

func (t Removed) plain() (string, Template) {
	t.Organization, t.By = name(t.Organization), name(t.By)
	projects := make([]string, len(t.Projects))
	for i, project := range t.Projects {
		projects[i] = name(project)
	}
	t.Projects = projects
	return "removed", t
}

// Joined tells an admin that somebody has joined through a domain, or an identity provider.
type Joined struct{ Organization, Name, Role, Domain, Provider string }

func (t Joined) plain() (string, Template) {
	return "joined", Joined{name(t.Organization), name(t.Name), name(t.Role), name(t.Domain), name(t.Provider)}
}

// Added tells somebody that an admin has made them a member of an organization, with the account that they have.
type Added struct {
	Organization, Role, SignInLink string
	LeaveLink                      string // ends that membership, until it expires
	Expires                        time.Time
}

func (t Added) plain() (string, Template) {
	t.Organization, t.Role = name(t.Organization), name(t.Role)
	return "added", t
}

// TransferOffered asks a member to own the organization.
type TransferOffered struct {
	Organization, By string
	Replaces         bool // the owner; otherwise they become one of several
	SignInLink       string
	Expires          time.Time
}

func (t TransferOffered) plain() (string, Template) {
	t.Organization, t.By = name(t.Organization), name(t.By)
	return "transfer_offered", t
}

// RoleRaised tells a member that they may do more than before.
type RoleRaised struct {
	Organization, Role string
	By                 string // who gave it to them; empty: they accepted it themselves
	Time               time.Time
	ResetLink          string
}

func (t RoleRaised) plain() (string, Template) {
	t.Organization, t.Role, t.By = name(t.Organization), name(t.Role), name(t.By)
	return "role_raised", t
}

// OwnershipTaken tells who has offered the ownership that it was accepted.
type OwnershipTaken struct {
	Organization, By string
	Role             string // that they have themselves from now on
	Replaced         bool   // they are no owner any more
	Time             time.Time
	ResetLink        string
}

func (t OwnershipTaken) plain() (string, Template) {
	t.Organization, t.By, t.Role = name(t.Organization), name(t.By), name(t.Role)
	return "ownership_taken", t
}

// ApiKeyCreated tells somebody that a program may act for them from now on.
type ApiKeyCreated struct {
	Notice
	Name    string
	Expires time.Time
}

func (t ApiKeyCreated) plain() (string, Template) {
	t.Notice, t.Name = t.Notice.made(), name(t.Name)
	return "api_key_created", t
}

// AccountExported tells somebody that what is kept of their account was handed out.
type AccountExported struct{ Notice }

func (t AccountExported) plain() (string, Template) {
	t.Notice = t.Notice.made()
	return "account_exported", t
}

// MfaChanged tells somebody that signing in to their account asks for another second factor, or for one less.
type MfaChanged struct {
	Notice
	Added   bool
	Passkey bool // otherwise an authenticator app
	Name    string
	Left    int // second factors that the account has now
}

func (t MfaChanged) plain() (string, Template) {
	t.Notice, t.Name = t.Notice.made(), name(t.Name)
	return "mfa_changed", t
}

// MfaReset tells somebody that an organization has taken their second factors away.
type MfaReset struct {
	Organization string
	Time         time.Time
}

func (t MfaReset) plain() (string, Template) {
	t.Organization = name(t.Organization)
	return "mfa_reset", t
}

// PasskeyCopied tells somebody that one of their passkeys was refused because it has counted backwards.
type PasskeyCopied struct {
	Notice
	Name string
}

func (t PasskeyCopied) plain() (string, Template) {
	t.Notice, t.Name = t.Notice.made(), name(t.Name)
	return "passkey_copied", t
}

// ProviderLinked tells somebody that an identity provider signs them in from now on.
type ProviderLinked struct {
	Notice
	Provider string
}

func (t ProviderLinked) plain() (string, Template) {
	t.Notice, t.Provider = t.Notice.made(), name(t.Provider)
	return "provider_linked", t
}

// ProviderUnlinked tells somebody that an identity provider does not sign them in any more.
type ProviderUnlinked struct {
	Notice
	Provider string
}

func (t ProviderUnlinked) plain() (string, Template) {
	t.Notice, t.Provider = t.Notice.made(), name(t.Provider)
	return "provider_unlinked", t
}

// RecoveryCodeUsed tells somebody that a recovery code stood in for their second factor.
type RecoveryCodeUsed struct {
	Notice
	Left int
}

func (t RecoveryCodeUsed) plain() (string, Template) {
	t.Notice = t.Notice.made()
	return "recovery_code_used", t
}

// RecoveryCodesReplaced tells somebody that they have new recovery codes.
type RecoveryCodesReplaced struct{ Notice }

func (t RecoveryCodesReplaced) plain() (string, Template) {
	t.Notice = t.Notice.made()
	return "recovery_codes_replaced", t
}

// Render writes the words of t: the Subject, Text and HTML of a message. The caller adds ID and To.
func Render(t Template) (Message, error) {
	file, data := t.plain()
	page := pages[file]
	var subject, text, html strings.Builder
	if err := page.text.ExecuteTemplate(&subject, "subject", data); err != nil {
		return Message{}, fmt.Errorf("render %s: %w", file, err)
	}
	in := layout{Subject: subject.String(), Data: data}
	if err := page.text.ExecuteTemplate(&text, "layout.txt", in); err != nil {
		return Message{}, fmt.Errorf("render %s: %w", file, err)
	}
	if err := page.html.ExecuteTemplate(&html, "layout.html", in); err != nil {
		return Message{}, fmt.Errorf("render %s: %w", file, err)
	}
	return Message{Subject: in.Subject, Text: text.String(), HTML: html.String()}, nil
}

// nameLimit is the length, in characters, after which a name is cut.
const nameLimit = 80

// linkLike finds the places that make a mail program take a name for an address or a link.
// The characters after @ are the other dots that browsers accept between the labels of a host.
var linkLike = regexp.MustCompile(`([.:@。．｡․]+)([\pL\pN/+])`)

// name makes what a person typed safe to show to a stranger who never asked for this mail: one line of
// printable characters, of limited length, that no mail program turns into a link. Otherwise anybody could
// call an organization "Claim your prize at evil.example" and have us send that to the world.
func name(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == '\u200c' || r == '\u200d': // joiners: Persian and many emoji need them
			return r
		case !unicode.IsPrint(r): // control characters, bidirectional overrides, invisible ones
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > nameLimit {
		s = string(runes[:nameLimit-1]) + "…"
	}
	return linkLike.ReplaceAllString(s, "$1\u200b$2") // a zero-width space: looks the same, ends a link
}

//go:embed templates
var files embed.FS

// A page is one kind of mail, parsed: its two files, each within the shared layout.
type page struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// layout is what templates/layout.* receive; Data goes to the "content" of the page.
type layout struct {
	Subject string
	Data    Template
}

// button is the argument of the "button" template in layout.html.
type button struct{ Link, Label string }

var functions = map[string]any{
	"date":   func(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006 at 15:04 UTC") },
	"button": func(link, label string) button { return button{link, label} },
}

var pages = parse("verify_email", "account_exists", "add_email", "email_in_use", "emails_changed", "primary_changed", "prove_email", "email_replaced", "reset_password",
	"password_changed", "temporary_password", "new_device", "invitation", "removed", "joined", "added", "transfer_offered", "mfa_changed", "mfa_reset", "passkey_copied", "provider_linked", "provider_unlinked",
	"account_deleted", "account_kept",
	"recovery_code_used", "recovery_codes_replaced", "role_raised", "ownership_taken", "api_key_created", "account_exported")

func parse(kinds ...string) map[string]page {
	pages := make(map[string]page)
	for _, file := range kinds {
		text := texttemplate.New(file).Funcs(functions)
		html := htmltemplate.New(file).Funcs(functions)
		pages[file] = page{
			text: texttemplate.Must(text.ParseFS(files, "templates/layout.txt", "templates/"+file+".txt")),
			html: htmltemplate.Must(html.ParseFS(files, "templates/layout.html", "templates/"+file+".html")),
		}
	}
	return pages
}
