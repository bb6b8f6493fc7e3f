package gateway

import (
	"context"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

var tags = regexp.MustCompile(`<[^>]*>`)

// words returns what a person reads on a page.
func (a answer) words() string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(a.text, " "))), " ")
}

// requirePage requires a page with these words.
func requirePage(t *testing.T, a answer, status int, words ...string) {
	t.Helper()
	require.Equal(t, status, a.StatusCode, a.text)
	require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"), a.text)
	policy := fmt.Sprintf(pagePolicy, "")
	if strings.Contains(a.text, "<script ") {
		policy += scriptPolicy
	}
	require.Equal(t, policy, a.Header.Get("Content-Security-Policy"))
	require.Equal(t, "no-referrer", a.Header.Get("Referrer-Policy"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, 1, strings.Count(a.text, "<h1>"))
	require.NotContains(t, a.text, "style=\"")
	for _, word := range words {
		require.Contains(t, a.words(), word)
	}
}

// refuse returns a fault.
func refuse(reason errorv1.Reason) *fault.Fault { return fault.New(reason, "For programs.") }

// invited is an invitation that the link "good" leads to.
func invited(h *harness, change ...func(*invitationv1.PreviewInvitationResponse)) {
	answer := &invitationv1.PreviewInvitationResponse{
		OrganizationDisplayName: "Ada & Söhne <GmbH>", InviterDisplayName: "Grace", RoleDisplayName: "Developer",
		MaskedEmail: "a***@example.com", DisplayName: "Ada", ExpireTime: inAnHour(),
	}
	for _, c := range change {
		c(answer)
	}
	h.preview = func(_ context.Context, req *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
		if req.GetLinkToken() != "good" {
			return nil, refuse(errorv1.Reason_REASON_INVITATION_LINK_INVALID)
		}
		return answer, nil
	}
}

func TestVerifyPage(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.verify = func(_ context.Context, req *identityv1.VerifyEmailRequest) (*identityv1.VerifyEmailResponse, error) {
		switch req.GetToken() {
		case "good":
			return &identityv1.VerifyEmailResponse{Account: &identityv1.Account{DisplayName: "Ada"}, Email: "ada@example.com"}, nil
		case "taken":
			return nil, refuse(errorv1.Reason_REASON_EMAIL_TAKEN)
		}
		return nil, refuse(errorv1.Reason_REASON_LINK_INVALID)
	}

	t.Run("R17 LookingConsumesNothing", func(t *testing.T) {
		requirePage(t, h.open("/verify/good"), 200, "Confirm your address", "Confirm")
		require.Contains(t, h.open("/verify/a%22b").text, `value="a&#34;b"`)
		require.Equal(t, 200, h.do("HEAD", "/verify/good", "").StatusCode)
		require.NotContains(t, h.calls(), "VerifyEmail")
	})
	t.Run("TheButtonConfirms", func(t *testing.T) {
		requirePage(t, h.post("/verify", "token=good"), 200, "Your address is confirmed", "Welcome, Ada. You can sign in with ada@example.com now.", "Sign in")
		requirePage(t, h.post("/verify", "token=used"), 404, "This link does not work any more")
		requirePage(t, h.post("/verify", "token=taken"), 409, "This address has an account already")
		requirePage(t, h.post("/verify", ""), 404, "This link does not work any more")
		requirePage(t, h.post("/verify", "token="+strings.Repeat("x", 300)), 404, "This link does not work any more")
	})
}

func TestRevertEmailPage(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.revert = func(_ context.Context, req *identityv1.RevertEmailChangeRequest) (*identityv1.RevertEmailChangeResponse, error) {
		if req.GetToken() != "good" {
			return nil, refuse(errorv1.Reason_REASON_LINK_INVALID)
		}
		return &identityv1.RevertEmailChangeResponse{}, nil
	}

	t.Run("R17 LookingConsumesNothing", func(t *testing.T) {
		requirePage(t, h.open("/revert-email/good"), 200, "Take the change back?", "It was not me")
		require.NotContains(t, h.calls(), "RevertEmailChange")
		require.NotContains(t, h.log.String(), "/revert-email/good")
	})
	t.Run("R66 TheButtonTakesTheAddressBack", func(t *testing.T) {
		requirePage(t, h.post("/revert-email", "token=good"), 200, "Your address is back", "Choose another password")
		requirePage(t, h.post("/revert-email", "token=used"), 404, "This link does not work any more")
		requirePage(t, h.post("/revert-email", ""), 404, "This link does not work any more")
	})
}

func TestLeavePage(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.leave = func(_ context.Context, req *membershipv1.LeaveByLinkRequest) (*membershipv1.LeaveByLinkResponse, error) {
		switch req.GetToken() {
		case "good":
			return &membershipv1.LeaveByLinkResponse{OrganizationDisplayName: "<Acme>"}, nil
		case "owner":
			return nil, fault.New(errorv1.Reason_REASON_LAST_OWNER, "The owner cannot leave.")
		}
		return nil, refuse(errorv1.Reason_REASON_LINK_INVALID)
	}

	t.Run("R17 LookingConsumesNothing", func(t *testing.T) {
		seen := h.open("/leave/good")
		requirePage(t, seen, 200, "Leave the organization?", "You want to stay?")
		require.Equal(t, "no-store", seen.Header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", seen.Header.Get("Referrer-Policy"))
		require.NotContains(t, h.calls(), "LeaveByLink")
		require.NotContains(t, h.log.String(), "/leave/good")
	})
	t.Run("S2-13 TheButtonLeaves", func(t *testing.T) {
		requirePage(t, h.post("/leave", "token=good"), 200, "You have left <Acme>", "Your account")
		requirePage(t, h.post("/leave", "token=used"), 404, "This link does not work any more", "Sign in")
		requirePage(t, h.post("/leave", "token=owner"), 400, "The owner cannot leave.")
		requirePage(t, h.post("/leave", ""), 404, "This link does not work any more")
		requirePage(t, h.post("/leave", "token="+strings.Repeat("x", 300)), 404, "This link does not work any more")
		require.Equal(t, 303, h.open("/leave").StatusCode)
	})
	t.Run("R29 R70 NothingLeadsElsewhereAndNobodyElsesFormLeaves", func(t *testing.T) {
		before := len(h.calls())
		require.Equal(t, 403, h.do("POST", "/leave", "token=good", "Sec-Fetch-Site", "cross-site", "Accept", "text/html").StatusCode)
		require.Len(t, h.calls(), before)
		left := h.post("/leave", "token=good&next=https://evil.example&redirect=https://evil.example")
		require.NotContains(t, left.text, "evil")
		require.Empty(t, left.Header.Get("Location"))
	})
}

func TestPasswordPages(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.reset = func(_ context.Context, req *identityv1.ResetPasswordRequest) (*identityv1.ResetPasswordResponse, error) {
		switch {
		case req.GetToken() != "good":
			return nil, refuse(errorv1.Reason_REASON_LINK_INVALID)
		case req.GetPassword() == "short":
			return nil, refuse(errorv1.Reason_REASON_PASSWORD_REFUSED)
		case req.GetPassword() == "later":
			return nil, refuse(errorv1.Reason_REASON_BUSY).WithRetry(time.Second)
		}
		return &identityv1.ResetPasswordResponse{}, nil
	}

	t.Run("R14 TheAnswerIsTheSameForEverybody", func(t *testing.T) {
		requirePage(t, h.open("/forgot"), 200, "Whose password is it?")
		for body, call := range map[string]string{
			"identifier=ada%40example.com": "RequestPasswordReset ada@example.com", "identifier=ada": "RequestPasswordReset ada", "identifier=": "",
		} {
			requirePage(t, h.post("/forgot", body), 200, "Check your mail")
			if call != "" {
				require.Contains(t, h.calls(), call)
			}
		}
	})
	t.Run("R17 LookingConsumesNothing", func(t *testing.T) {
		requirePage(t, h.open("/reset/good"), 200, "Choose another password")
		require.Contains(t, h.open("/reset/good").text, `autocomplete="new-password"`)
		require.NotContains(t, h.calls(), "ResetPassword")
		require.NotContains(t, h.log.String(), "/reset/good")
	})
	t.Run("TheButtonChangesIt", func(t *testing.T) {
		requirePage(t, h.post("/reset", "token=good&password=violet+harbor+quilt"), 200, "Your password is changed")
		requirePage(t, h.post("/reset", "token=used&password=violet+harbor+quilt"), 404, "This link does not work any more")
		requirePage(t, h.post("/reset", ""), 404, "This link does not work any more")
	})
	t.Run("WhatCanBeMendedKeepsTheForm", func(t *testing.T) {
		a := h.post("/reset", "token=good&password=short")
		requirePage(t, a, 400, "For programs.")
		require.Contains(t, a.text, `value="good"`)
		requirePage(t, h.post("/reset", "token=good&password=later"), 503, "New password")
	})
}

func TestInvitationPage(t *testing.T) {
	t.Parallel()

	t.Run("SaysWhatItIsFor", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		invited(h)
		a := h.open("/invite/good")
		requirePage(t, a, 200, "Join Ada & Söhne <GmbH>", "Invited by Grace", "Your role Developer", "For a***@example.com", "Valid until",
			"Accept and create account", "I have an account already", "Decline the invitation")
		require.Contains(t, a.text, `value="Ada"`, "the invited name is filled in")
		require.Contains(t, a.text, "Ada &amp; Söhne &lt;GmbH&gt;")
		require.NotContains(t, a.words(), "full access")
		require.Equal(t, []string{"PreviewInvitation"}, h.calls())
	})
	t.Run("WarnsOfFullAccess", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		invited(h, func(p *invitationv1.PreviewInvitationResponse) { p.FullAccess, p.Username = true, "ada" })
		requirePage(t, h.open("/invite/good"), 200, "This role has full access.", "Username ada")
	})
	t.Run("AsksToSignIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		invited(h, func(p *invitationv1.PreviewInvitationResponse) { p.SignInRequired = true })
		a := h.open("/invite/good")
		requirePage(t, a, 200, "Sign in to your account to accept.", "Sign in and accept")
		require.NotContains(t, a.words(), "create account")
	})
	t.Run("KnowsWhoIsSignedIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		invited(h)
		cookie, _ := h.signedIn("Ada Lovelace", true)
		requirePage(t, h.open("/invite/good", "Cookie", cookieHeader(cookie)), 200, "Accept as Ada Lovelace", "You are signed in with ada@example.com", "Use another account")
		a := h.open("/invite/good", "Cookie", cookieHeader("stale"))
		requirePage(t, a, 200, "Accept and create account")
		require.Equal(t, -1, a.cookie().MaxAge)
	})
	t.Run("SaysWhyItDoesNotWork", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		for reason, want := range map[errorv1.Reason]struct {
			status int
			words  string
		}{
			errorv1.Reason_REASON_INVITATION_EXPIRED:      {400, "This invitation has expired"},
			errorv1.Reason_REASON_INVITATION_REVOKED:      {400, "This invitation was taken back"},
			errorv1.Reason_REASON_INVITATION_DECLINED:     {400, "This invitation was declined"},
			errorv1.Reason_REASON_INVITATION_USED:         {400, "This invitation was accepted before"},
			errorv1.Reason_REASON_INVITATION_LINK_INVALID: {404, "This link does not work"},
			errorv1.Reason_REASON_INVITATION_FAILED:       {400, "You could not be added"},
			errorv1.Reason_REASON_BUSY:                    {503, "One moment, please"},
			errorv1.Reason_REASON_UNAVAILABLE:             {503, "One moment, please"},
			errorv1.Reason_REASON_INTERNAL:                {500, "Something went wrong on our side"},
		} {
			h.preview = func(context.Context, *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
				return nil, refuse(reason).WithRetry(time.Second)
			}
			a := h.open("/invite/x")
			requirePage(t, a, want.status, want.words)
			require.NotContains(t, a.text, "For programs.")
			require.Equal(t, "1", a.Header.Get("Retry-After"))
			require.Equal(t, want.status >= 500, strings.Contains(a.text, a.Header.Get("X-Request-Id")), reason)
		}
	})
}

// accepting is a service that takes invitations: new accounts get a session, signed-in ones are members.
func accepting(h *harness) {
	h.accept = func(ctx context.Context, req *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
		switch {
		case !caller.From(ctx).Account.IsZero():
			return &invitationv1.AcceptInvitationResponse{}, nil
		case len(req.GetPassword()) < 15:
			f := refuse(errorv1.Reason_REASON_PASSWORD_REFUSED)
			f.Fields = []fault.Field{{Name: "password", Reason: "must have at least 15 characters"}}
			return nil, f
		}
		session, err := h.openSession(ctx, req.GetDisplayName())
		return &invitationv1.AcceptInvitationResponse{Session: session}, err
	}
	h.signIn = func(ctx context.Context, req *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
		switch req.GetPassword() {
		case "wrong":
			return nil, refuse(errorv1.Reason_REASON_CREDENTIALS_INVALID)
		case "limited":
			return nil, fault.New(errorv1.Reason_REASON_RATE_LIMITED, "Wait.").WithRetry(time.Second)
		case "busy":
			return nil, refuse(errorv1.Reason_REASON_BUSY).WithRetry(time.Second)
		}
		session, err := h.openSession(ctx, req.GetEmail()+req.GetUsername())
		return &identityv1.CreateSessionResponse{Session: session}, err
	}
}

func TestAcceptByForm(t *testing.T) {
	t.Parallel()
	const password = "three unrelated words"
	form := func(pairs ...string) string {
		values := url.Values{"token": {"good"}}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		return values.Encode()
	}
	begin := func(t *testing.T, change ...func(*invitationv1.PreviewInvitationResponse)) *harness {
		h := start(t)
		invited(h, change...)
		accepting(h)
		return h
	}

	t.Run("ANewAccountIsSignedIn", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		a := h.post("/invite/accept", form("way", "new", "display_name", "Ada", "password", password))
		requirePage(t, a, 200, "You are a member of Ada & Söhne <GmbH>", "Your role is Developer. You are signed in.")
		require.NotNil(t, a.cookie())
		require.NotContains(t, a.text, a.cookie().Value)
		require.Equal(t, 200, h.do("GET", "/v1/me", "", "Cookie", cookieHeader(a.cookie().Value)).StatusCode)
	})
	t.Run("AWeakPasswordIsSaidByItsField", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		a := h.post("/invite/accept", form("way", "new", "display_name", "Countess <Ada>", "password", "short one"))
		requirePage(t, a, 400, "The password must have at least 15 characters.")
		require.Contains(t, a.text, `value="Countess &lt;Ada&gt;"`, "what was filled in stays")
		require.NotContains(t, a.text, "short one", "but for the password")
		require.Contains(t, a.text, `aria-describedby="password-wrong" aria-invalid="true" autofocus`)
		require.Nil(t, a.cookie())
	})
	t.Run("AnExistingAccountSignsInOnTheWay", func(t *testing.T) {
		t.Parallel()
		h := begin(t, func(p *invitationv1.PreviewInvitationResponse) { p.SignInRequired = true })
		a := h.post("/invite/accept", form("way", "sign-in", "identifier", " ada@example.com ", "password", password))
		requirePage(t, a, 200, "You are a member of")
		require.NotNil(t, a.cookie())
		_, who := h.latest()
		require.False(t, who.Account.IsZero(), "it was accepted as that account")
	})
	t.Run("AWrongPasswordCanBeTriedAgain", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		a := h.post("/invite/accept", form("way", "sign-in", "identifier", "ada", "password", "wrong"))
		requirePage(t, a, 401, "The address, the username or the password is wrong.", "Sign in and accept")
		require.Contains(t, a.text, `value="ada"`)
		require.NotContains(t, h.calls(), "AcceptInvitation")
		a = h.post("/invite/accept", form("way", "sign-in", "identifier", "ada", "password", "busy"))
		requirePage(t, a, 503, "wait a moment and try again", "Sign in and accept")
		require.Equal(t, "1", a.Header.Get("Retry-After"))
		require.Contains(t, a.text, `value="ada"`)
	})
	t.Run("WhoIsSignedInAcceptsAsThemselves", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		cookie, who := h.signedIn("Ada", true)
		_, other := h.signedIn("Grace", true)
		a := h.post("/invite/accept", form("way", "me", "account", other.account.GetId()), "Cookie", cookieHeader(cookie))
		requirePage(t, a, 400, "Meanwhile somebody else has signed in")
		require.NotContains(t, h.calls(), "AcceptInvitation", "never as somebody whom the page did not name")
		requirePage(t, h.post("/invite/accept", form("way", "me", "account", who.account.GetId())), 400, "nobody is", "Accept and create account")
		requirePage(t, h.post("/invite/accept", form("way", "me", "account", who.account.GetId()), "Cookie", cookieHeader(cookie)), 200, "You are a member of")
	})
	t.Run("ANewAccountIsNewWhoeverIsSignedIn", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		cookie, _ := h.signedIn("Grace", true)
		a := h.post("/invite/accept", form("way", "new", "display_name", "Ada", "password", password), "Cookie", cookieHeader(cookie))
		requirePage(t, a, 200, "You are a member of")
		_, who := h.latest()
		require.True(t, who.Account.IsZero())
		require.NotEqual(t, cookie, a.cookie().Value)
	})
	t.Run("R22 AnotherAccountMaySignOut", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		cookie, who := h.signedIn("Grace", true)
		h.accept = func(context.Context, *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
			return nil, refuse(errorv1.Reason_REASON_INVITATION_MISMATCH).With("maskedEmail", "a***@example.com")
		}
		a := h.post("/invite/accept", form("way", "me", "account", who.account.GetId()), "Cookie", cookieHeader(cookie))
		requirePage(t, a, 403, "This invitation is for another account", "You are signed in as Grace.", "It is for a***@example.com", "Sign out and use another account")
		require.Contains(t, a.text, `name="token" value="good"`)
		a = h.post("/sign-out", form(), "Cookie", cookieHeader(cookie))
		requirePage(t, a, 200, "Join Ada & Söhne", "Accept and create account")
		require.Equal(t, -1, a.cookie().MaxAge)
		require.Contains(t, h.calls(), "SignOut")

		a = h.post("/invite/accept", form("way", "sign-in", "identifier", "eve", "password", password))
		requirePage(t, a, 403, "You are signed in as eve.")
		require.NotNil(t, a.cookie(), "they have signed in all the same")
	})
	t.Run("AnAccountThatAppearedMeanwhileSignsIn", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		h.accept = func(context.Context, *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
			return nil, refuse(errorv1.Reason_REASON_SIGN_IN_REQUIRED)
		}
		a := h.post("/invite/accept", form("way", "new", "display_name", "Ada", "password", password))
		requirePage(t, a, 400, "There is an account with this address already", "Sign in and accept")
	})
	t.Run("OtherEndsAreSaid", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		for reason, words := range map[errorv1.Reason]string{
			errorv1.Reason_REASON_INVITATION_FAILED: "The organization has no free seat", errorv1.Reason_REASON_ALREADY_MEMBER: "You are a member already",
			errorv1.Reason_REASON_UNAVAILABLE: "What you have begun will be finished", errorv1.Reason_REASON_INVITATION_EXPIRED: "has expired",
			errorv1.Reason_REASON_USERNAME_TAKEN: "belongs to somebody else now",
		} {
			h.accept = func(context.Context, *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
				return nil, refuse(reason).With("failureReason", "SEAT_LIMIT_REACHED")
			}
			requirePage(t, h.post("/invite/accept", form("way", "new", "display_name", "A", "password", password)), refuse(reason).HTTPStatus(), words)
		}
		requirePage(t, h.post("/invite/accept", "token=bad&way=new"), 404, "This link does not work")
		requirePage(t, h.open("/invite/"+strings.Repeat("x", 300)), 404, "This link does not work")
	})
	t.Run("ASessionThatDidNotOpenIsSaid", func(t *testing.T) {
		t.Parallel()
		h := begin(t)
		h.accept = func(context.Context, *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
			return &invitationv1.AcceptInvitationResponse{}, nil
		}
		requirePage(t, h.post("/invite/accept", form("way", "new", "display_name", "A", "password", password)), 200, "Sign in to go on.")
	})
}

func TestDeclinePage(t *testing.T) {
	t.Parallel()
	h := start(t)
	invited(h)
	requirePage(t, h.post("/invite/decline", "token=good"), 200, "Decline the invitation?", "You will not join Ada & Söhne")
	require.NotContains(t, h.calls(), "DeclineInvitation", "it asks first")
	requirePage(t, h.post("/invite/decline", "token=good&confirmed=yes"), 200, "You have declined")
	require.Contains(t, h.calls(), "DeclineInvitation")
	require.Equal(t, 303, h.open("/invite/decline?token=good&confirmed=yes").StatusCode, "the address of a form leads to the start")
	require.Equal(t, 1, strings.Count(strings.Join(h.calls(), " "), "DeclineInvitation"), "R70: never by GET")
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// fields are the hidden ones of the form on a page that is sent to a path, the first of several.
func (a answer) fields(path string) url.Values {
	_, form, _ := strings.Cut(a.text, `action="`+path+`"`)
	form, _, _ = strings.Cut(form, "</form>")
	values := make(url.Values)
	for _, found := range hidden.FindAllStringSubmatch(form, -1) {
		values.Set(found[1], html.UnescapeString(found[2]))
	}
	return values
}

// once answers a request id once, and the same again to whoever repeats it; anybody else is refused.
type once struct {
	id      string
	refusal errorv1.Reason
}

func (o *once) answer(requestID string) error {
	if o.id == "" && requestID != "" {
		o.id = requestID
	}
	if o.id != requestID {
		return refuse(o.refusal)
	}
	return nil
}

// used refuses to preview a link whose answer is known.
func (o *once) used(h *harness) {
	look := h.preview
	h.preview = func(ctx context.Context, req *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
		if o.id != "" {
			return nil, refuse(o.refusal)
		}
		return look(ctx, req)
	}
}

// The answer to a form was lost, and the reader sends it again.
func TestFormSentTwice(t *testing.T) {
	t.Parallel()
	t.Run("VerifiesOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		link := once{refusal: errorv1.Reason_REASON_LINK_INVALID}
		h.verify = func(_ context.Context, req *identityv1.VerifyEmailRequest) (*identityv1.VerifyEmailResponse, error) {
			return &identityv1.VerifyEmailResponse{Account: &identityv1.Account{DisplayName: "Ada"}}, link.answer(req.GetRequestId())
		}
		form, other := h.open("/verify/good").fields("/verify"), h.open("/verify/good").fields("/verify")
		for range 2 {
			requirePage(t, h.post("/verify", form.Encode()), 200, "Your address is confirmed", "Welcome, Ada.")
		}
		requirePage(t, h.post("/verify", other.Encode()), 404, "This link does not work any more")
	})
	t.Run("DeclinesOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		invited(h)
		link := once{refusal: errorv1.Reason_REASON_INVITATION_DECLINED}
		link.used(h)
		h.decline = func(_ context.Context, req *invitationv1.DeclineInvitationRequest) (*invitationv1.DeclineInvitationResponse, error) {
			return &invitationv1.DeclineInvitationResponse{}, link.answer(req.GetRequestId())
		}
		asked := h.post("/invite/decline", "token=good")
		form, other := asked.fields("/invite/decline"), h.post("/invite/decline", "token=good").fields("/invite/decline")
		for range 2 {
			requirePage(t, h.post("/invite/decline", form.Encode()), 200, "You have declined", "You will not join Ada & Söhne <GmbH>.")
		}
		requirePage(t, h.post("/invite/decline", other.Encode()), 400, "This invitation was declined")
		requirePage(t, h.post("/invite/decline", "token=good&confirmed=yes"), 400, "This invitation was declined")
	})
	for reason, words := range map[errorv1.Reason]string{
		errorv1.Reason_REASON_INVITATION_USED: "This invitation was accepted before",
		errorv1.Reason_REASON_BUSY:            "wait a moment and try again", // the first is under way
	} {
		t.Run("AcceptsOnce "+reason.String(), func(t *testing.T) {
			t.Parallel()
			h := start(t)
			invited(h)
			accepting(h)
			link := once{refusal: reason}
			link.used(h)
			h.accept = func(_ context.Context, req *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
				return &invitationv1.AcceptInvitationResponse{}, link.answer(req.GetRequestId())
			}
			cookie, _ := h.signedIn("Ada", true)
			member := []string{"You are a member of Ada & Söhne <GmbH>", "Your role is Developer."}
			form := h.open("/invite/good").fields("/invite/accept")
			other := h.open("/invite/good").fields("/invite/accept")
			form.Set("password", "three unrelated words")
			other.Set("password", "three unrelated words")
			mine := h.open("/invite/good", "Cookie", cookieHeader(cookie)).fields("/invite/accept")
			for range 2 {
				requirePage(t, h.post("/invite/accept", form.Encode()), 200, member...)
			}
			requirePage(t, h.post("/invite/accept", other.Encode()), refuse(reason).HTTPStatus(), words)
			link.id = "" // another invitation
			for range 2 {
				requirePage(t, h.post("/invite/accept", mine.Encode(), "Cookie", cookieHeader(cookie)), 200, member...)
			}
			link.id = ""
			form.Set("way", "sign-in")
			form.Set("identifier", "ada")
			for range 2 {
				requirePage(t, h.post("/invite/accept", form.Encode()), 200, member...)
			}
		})
	}
	t.Run("FilledInDifferentlyIsSaid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		invited(h)
		h.accept = func(context.Context, *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
			return nil, refuse(errorv1.Reason_REASON_REQUEST_ID_REUSED)
		}
		requirePage(t, h.post("/invite/accept", "token=good&way=new&request_id=a"), 400, "This form was sent before", "Sign in")
	})
}

func TestOtherPages(t *testing.T) {
	t.Parallel()
	h := start(t)
	requirePage(t, h.open("/nothing"), 404, "There is no such page")
	requirePage(t, h.open("/unknown/x"), 404, "There is no such page")
	require.Equal(t, "ROUTE_NOT_FOUND", h.do("GET", "/nothing", "").reason(t), "programs get JSON")
	a := h.do("DELETE", "/sign-in", "")
	require.Equal(t, 405, a.StatusCode)
	require.Equal(t, "GET, HEAD, POST", a.Header.Get("Allow"))

	requirePage(t, h.post("/verify", "token="+strings.Repeat("x", maxForm)), 413, "A form has at most")
	requirePage(t, h.post("/verify", "token=%zz"), 400, "That did not work")
	requirePage(t, h.post("/verify", "token=%ff"), 200, "Your address is confirmed")
	a = h.do("POST", "/verify", `{"token":"x"}`, "Accept", "text/html")
	requirePage(t, a, 415)
	requirePage(t, h.post("/verify?token=x", ""), 404, "This link does not work any more")

	a = h.open(styleURL)
	require.Equal(t, "text/css; charset=utf-8", a.Header.Get("Content-Type"))
	require.Contains(t, a.Header.Get("Cache-Control"), "immutable")
	require.Contains(t, h.open("/").text, html.EscapeString(styleURL))
}
