package gateway

import (
	"net/http"
	"net/url"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (s *site) changePassword(r *http.Request, form url.Values) (shown, error) {
	_, err := s.passwords.ChangePassword(r.Context(), &identityv1.ChangePasswordRequest{
		CurrentPassword: form.Get("current_password"), Password: form.Get("password")})
	return shown{}, err
}

// passkeyPage has the browser make a passkey.
type passkeyPage struct{ Options string }

func (s *site) beginPasskey(r *http.Request, _ url.Values) (shown, error) {
	begun, err := s.factors.BeginPasskey(r.Context(), &identityv1.BeginPasskeyRequest{})
	return shown{page: "passkey", view: view{Title: "Set a passkey up", Data: passkeyPage{begun.GetOptions()}, Script: true}}, err
}

func (s *site) confirmPasskey(r *http.Request, form url.Values) (shown, error) {
	made, err := s.factors.ConfirmPasskey(r.Context(), &identityv1.ConfirmPasskeyRequest{
		Passkey: form.Get("passkey"), DisplayName: form.Get("display_name")})
	return codesOf(made.GetRecoveryCodes()), err
}

// appPage shows the secret of an app, and asks for its first code.
type appPage struct{ FactorID, Secret, Problem string }

func (s *site) beginApp(r *http.Request, form url.Values) (shown, error) {
	begun, err := s.factors.BeginTotp(r.Context(), &identityv1.BeginTotpRequest{DisplayName: form.Get("display_name")})
	return shown{page: "app", view: appView(appPage{begun.GetFactorId(), begun.GetSecret(), ""})}, err
}

func appView(page appPage) view {
	return view{Title: "Set an authenticator app up", Data: page, Script: true}
}

func (s *site) confirmApp(r *http.Request, form url.Values) (shown, error) {
	made, err := s.factors.ConfirmTotp(r.Context(), &identityv1.ConfirmTotpRequest{FactorId: form.Get("factor_id"), Code: form.Get("code")})
	return codesOf(made.GetRecoveryCodes()), err
}

func (s *site) removeFactor(r *http.Request, form url.Values) (shown, error) {
	_, err := s.factors.RemoveFactor(r.Context(), &identityv1.RemoveFactorRequest{FactorId: form.Get("factor_id"), RequestId: form.Get("request_id")})
	return shown{}, err
}

func (s *site) replaceCodes(r *http.Request, form url.Values) (shown, error) {
	made, err := s.factors.RegenerateRecoveryCodes(r.Context(), &identityv1.RegenerateRecoveryCodesRequest{RequestId: form.Get("request_id")})
	return codesOf(made.GetRecoveryCodes()), err
}

// codesOf is the page of new recovery codes; without any, none.
func codesOf(codes []string) shown {
	if len(codes) == 0 {
		return shown{}
	}
	return shown{page: "recovery_codes", view: view{Title: "Your recovery codes", Data: codes}}
}

func (s *site) endSession(r *http.Request, form url.Values) (shown, error) {
	_, err := s.sessions.DeleteSession(r.Context(), &identityv1.DeleteSessionRequest{SessionId: form.Get("session_id")})
	return shown{}, err
}

func (s *site) endOtherSessions(r *http.Request, _ url.Values) (shown, error) {
	_, err := s.sessions.SignOutOthers(r.Context(), &identityv1.SignOutOthersRequest{})
	return shown{}, err
}

func (s *site) addEmail(r *http.Request, form url.Values) (shown, error) {
	_, err := s.emails.AddEmail(r.Context(), &identityv1.AddEmailRequest{Email: form.Get("email")})
	return shown{}, err
}

func (s *site) setPrimaryEmail(r *http.Request, form url.Values) (shown, error) {
	_, err := s.emails.SetPrimaryEmail(r.Context(), &identityv1.SetPrimaryEmailRequest{Email: form.Get("email"), RequestId: form.Get("request_id")})
	return shown{}, err
}

func (s *site) removeEmail(r *http.Request, form url.Values) (shown, error) {
	_, err := s.emails.RemoveEmail(r.Context(), &identityv1.RemoveEmailRequest{Email: form.Get("email"), RequestId: form.Get("request_id")})
	return shown{}, err
}

func (s *site) unlinkProvider(r *http.Request, form url.Values) (shown, error) {
	_, err := s.identities.UnlinkProvider(r.Context(), &identityv1.UnlinkProviderRequest{ProviderId: form.Get("provider_id"), RequestId: form.Get("request_id")})
	return shown{}, err
}
