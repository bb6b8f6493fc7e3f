package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

// tab is a tab of a browser of its own, driven by the DevTools protocol through a pipe. Its authenticator is Chromium's virtual one.
type tab struct {
	*testing.T
	ctx     context.Context
	in      io.Writer
	session string
	lock    sync.Mutex
	last    int
	waiting map[int]chan reply
}

type reply struct {
	ID     int
	Result json.RawMessage
	Error  *struct{ Message string }
}

// openTab starts Chromium.
func openTab(t *testing.T) *tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		program, err = exec.LookPath("google-chrome")
	}
	require.NoError(t, err, "this test drives a browser: install Chromium, for example with deploy/setup.sh --test")
	profile, err := os.MkdirTemp("", "roster-browser")
	require.NoError(t, err)
	t.Cleanup(func() { // Chromium's children write for a moment after it has ended
		eventually(t, func() bool { return os.RemoveAll(profile) == nil }, "the profile goes")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	theirs, in, err := os.Pipe()
	require.NoError(t, err)
	out, ours, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{theirs, ours} // 3 and 4, as the flag means
	require.NoError(t, cmd.Start())
	require.NoError(t, errors.Join(theirs.Close(), ours.Close()))
	b := &tab{T: t, ctx: ctx, in: in, waiting: map[int]chan reply{}}
	go b.read(out)
	t.Cleanup(func() {
		_, _ = b.try("Browser.close", nil)
		_ = cmd.Wait()
		cancel()
		_ = errors.Join(in.Close(), out.Close())
	})

	var target struct{ TargetID, SessionID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	b.call("Page.enable", nil, nil)
	b.call("WebAuthn.enable", nil, nil)
	b.call("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true,
		"automaticPresenceSimulation": true,
	}}, nil)
	return b
}

// read hands replies to who waits for them.
func (b *tab) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadBytes(0)
		if err != nil {
			return
		}
		var r reply
		if json.Unmarshal(text[:len(text)-1], &r) != nil || r.ID == 0 {
			continue // what happens
		}
		b.lock.Lock()
		waits := b.waiting[r.ID]
		delete(b.waiting, r.ID)
		b.lock.Unlock()
		waits <- r
	}
}

// try calls a method of the protocol.
func (b *tab) try(method string, params any) (json.RawMessage, error) {
	if params == nil {
		params = struct{}{}
	}
	b.lock.Lock()
	b.last++
	waits := make(chan reply, 1)
	b.waiting[b.last] = waits
	text, err := json.Marshal(map[string]any{"id": b.last, "method": method, "params": params, "sessionId": b.session})
	if b.session == "" || method == "Browser.close" {
		text, err = json.Marshal(map[string]any{"id": b.last, "method": method, "params": params})
	}
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	b.lock.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case r := <-waits:
		if r.Error != nil {
			return nil, errors.New(method + ": " + r.Error.Message)
		}
		return r.Result, nil
	case <-b.ctx.Done():
		return nil, fmt.Errorf("%s: %w", method, b.ctx.Err())
	}
}

func (b *tab) call(method string, params, result any) {
	b.Helper()
	text, err := b.try(method, params)
	require.NoError(b, err)
	if result != nil {
		require.NoError(b, json.Unmarshal(text, result))
	}
}

// run runs a script in the page, waits for what it promises, and returns that as text.
func (b *tab) run(script string) string {
	b.Helper()
	text, err := b.evaluate(script)
	require.NoError(b, err, script)
	return text
}

func (b *tab) evaluate(script string) (string, error) {
	text, err := b.try("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true})
	if err != nil {
		return "", err
	}
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", err
	}
	if answer.ExceptionDetails != nil {
		return "", errors.New(answer.ExceptionDetails.Exception.Description)
	}
	return fmt.Sprint(answer.Result.Value), nil
}

// open goes to a page.
func (b *tab) open(path string) {
	b.Helper()
	b.lands(path, path)
}

// lands goes to a page that leads to another one.
func (b *tab) lands(path, at string) {
	b.Helper()
	b.call("Page.navigate", map[string]any{"url": suite.URL + path}, nil)
	b.until(`location.pathname == ` + fmt.Sprintf("%q", at) + ` && document.readyState == "complete"`)
}

// until waits until it is so in the page, whichever that is by then.
func (b *tab) until(condition string) {
	b.Helper()
	eventually(b.T, func() bool {
		text, err := b.evaluate(condition)
		return err == nil && text == "true"
	}, condition)
}

// sends presses the button of a form of the page, by where it is sent.
func (b *tab) sends(action string) {
	b.Helper()
	b.run(fmt.Sprintf(`document.querySelector("form[action='%s']:not([hidden]) button").click()`, action))
}

// says waits until the page says something.
func (b *tab) says(words string) {
	b.Helper()
	b.until(fmt.Sprintf(`document.readyState == "complete" && document.body.innerText.includes(%q)`, words))
}

// fill types into a field.
func (b *tab) fill(field, value string) {
	b.Helper()
	b.run(fmt.Sprintf(`document.querySelector(%q).value = %q`, field, value))
}

// signIn types address and password.
func (b *tab) signIn(email, password string) {
	b.Helper()
	b.until(`document.querySelector("form[data-begin]")?.hidden === false`)
	b.fill("#identifier", email)
	b.fill("#sign-in-password", password)
	b.sends("/sign-in")
}

// wears gives the tab a session.
func (b *tab) wears(cookie *http.Cookie) {
	b.Helper()
	b.call("Network.setCookie", map[string]any{
		"name": cookie.Name, "value": cookie.Value, "url": suite.URL, "path": "/", "secure": true, "httpOnly": true, "sameSite": "Lax"}, nil)
}

// longAgoInBrowser signs in as a browser and makes that an hour old, before anybody has asked about the session.
func longAgoInBrowser(t *testing.T, who *person) *http.Cookie {
	t.Helper()
	cookie := browser(t, who.Email)
	_, err := suite.owners["identity"].Exec(t.Context(), `UPDATE sessions SET auth_time = now() - interval '1 hour' WHERE account_id = $1`, key(t, who))
	require.NoError(t, err)
	return cookie
}

// TestBrowser drives Chromium.
func TestBrowser(t *testing.T) {
	t.Parallel()
	t.Run("R34 a browser sets a passkey up, and signs in with it: as second factor and alone", func(t *testing.T) {
		t.Parallel()
		who, b := signUp(t, "gRPC"), openTab(t)
		b.lands("/security", "/sign-in")
		b.wears(longAgoInBrowser(t, who))
		b.open("/security")
		b.says("None yet: whoever knows your password can sign in as you.")
		b.sends("/security/passkey")
		b.says("Is it you?")
		b.fill("#password", password)
		b.sends("/security/prove") // and it goes on
		b.until(`document.querySelector("form[data-create]")?.hidden === false`)
		b.fill("#display-name", "Chromium")
		b.sends("/security/passkey-made")
		b.says("Your recovery codes")
		b.open("/security")
		b.says("Chromium")
		b.open("/")
		b.sends("/sign-out")
		b.says("Sign in")

		b.open("/sign-in")
		b.signIn(who.Email, password)
		b.until(`document.querySelector("h1")?.innerText == "Is it you?" && !document.querySelector("form[data-begin]").hidden`)
		b.run(`document.querySelector("form[data-begin] button").click()`)
		b.until(`location.pathname == "/"`)
		b.says(who.Name)

		b.call("Network.clearBrowserCookies", nil, nil)
		b.open("/sign-in")
		b.until(`!document.querySelector("form[data-begin]").hidden`)
		b.run(`globalThis.send = fetch; globalThis.fetch = async () => new Response("{}", {status: 429}); document.querySelector("form[data-begin] button").click()`)
		b.says("There was too much of this from your network.")
		b.run(`globalThis.fetch = send; document.querySelector("form[data-begin] button").click()`)
		b.until(`location.pathname == "/"`)
		b.says(who.Name)

		tried, err := who.ListMyLoginActivity(t.Context(), &identityv1.ListMyLoginActivityRequest{})
		require.NoError(t, err)
		require.Equal(t, identityv1.LoginMethod_LOGIN_METHOD_PASSKEY, tried.GetActivity()[0].GetMethod())

		b.open("/security")
		b.sends("/security/factor-remove")
		b.says("It is removed.")
		b.says("None yet: whoever knows your password can sign in as you.")
	})

	t.Run("R30 R33 R39 R65 a browser looks after an app, recovery codes, sessions, addresses and the password", func(t *testing.T) {
		t.Parallel()
		who, b := signUp(t, "gRPC"), openTab(t)
		b.lands("/security", "/sign-in")
		b.signIn(who.Email, password)
		b.says("Account security")

		b.sends("/security/app")
		b.says("it is shown only now")
		secret := b.run(`document.querySelector("code").innerText`)
		b.fill("#code", "000000")
		b.sends("/security/app-code")
		b.says("The code is wrong")
		require.Equal(t, secret, b.run(`document.querySelector("code").innerText`))
		forgive(t, who)
		b.fill("#code", testkit.TOTP(t, secret))
		require.Equal(t, "true,false", b.run(`(button => {
			button.click()
			const sent = button.disabled
			dispatchEvent(new Event("pageshow")) // as when somebody comes back to the page
			return [sent, button.disabled].join()
		})(document.querySelector("form[action='/security/app-code'] button"))`), "it is sent once")
		b.says("Your recovery codes")
		first := b.run(`document.querySelector(".codes").innerText`)
		b.open("/security")
		b.says("Recovery codes left: 10")
		b.sends("/security/recovery-codes")
		b.says("Your recovery codes")
		require.NotEqual(t, first, b.run(`document.querySelector(".codes").innerText`))
		code := b.run(`document.querySelector(".codes code").innerText`)

		b.open("/security")
		b.sends("/security/sessions-end")
		b.says("You are signed out everywhere else.")
		eventually(t, func() bool {
			_, err := who.GetMe(t.Context(), &identityv1.GetMeRequest{})
			return err != nil
		}, "the session of before has ended")
		added := unique("new") + "@works.example"
		b.fill("#email", added)
		b.sends("/security/email-add")
		b.says("Check the mail of that address")
		b.says(added)
		_, err := connect("gRPC", "").VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: mailLink(t, added, "/verify/")})
		require.NoError(t, err)
		b.open("/security")
		b.sends("/security/email-make-primary")
		b.says("Your primary address is changed.")
		b.sends("/security/email-remove")
		b.says("The address is removed.")
		b.until(fmt.Sprintf(`!document.body.innerText.includes(%q)`, who.Email))

		b.fill("#current-password", password+"?")
		b.fill("#password", newPassword)
		b.sends("/security/password")
		b.says("The password that you have now is wrong.")
		forgive(t, who)
		b.fill("#current-password", password)
		b.fill("#password", newPassword)
		b.sends("/security/password")
		b.says("Your password is changed.")

		b.call("Network.clearBrowserCookies", nil, nil)
		b.lands("/security", "/sign-in")
		b.signIn(added, newPassword)
		b.until(`document.querySelector("h1")?.innerText == "Is it you?"`)
		b.fill("#code", code)
		b.sends("/sign-in/code")
		b.says("Recovery codes left: 9")
		b.sends("/security/factor-remove")
		b.says("It is removed.")
	})
}
