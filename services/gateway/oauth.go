package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/pkg/fault"
)

// introspection is what RFC 7662 tells of a token.
type introspection struct {
	Active    bool   `json:"active"`
	Subject   string `json:"sub,omitempty"`
	Kind      string `json:"kind,omitempty"` // session, api_key or service_account_key
	Org       string `json:"organization_id,omitempty"`
	Scope     string `json:"scope,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	Expires   int64  `json:"exp,omitempty"`
	AuthTime  int64  `json:"auth_time,omitempty"`
}

// introspect answers services that speak RFC 7662.
func (s *site) introspect(w http.ResponseWriter, r *http.Request) {
	s.withToken(w, r, func(ctx context.Context, token string) (any, error) {
		found, err := s.tokens.IntrospectToken(ctx, &identityv1.IntrospectTokenRequest{Token: token})
		if err != nil || !found.GetActive() {
			return introspection{}, err
		}
		answer := introspection{Active: true, Subject: cmp.Or(found.GetAccountId(), found.GetServiceAccountId()), Org: found.GetOrganizationId(),
			Kind: strings.ToLower(strings.TrimPrefix(found.GetKind().String(), "KIND_")), Scope: strings.Join(found.GetScopes(), " "), TokenType: "Bearer",
			IssuedAt: found.GetIssueTime().GetSeconds(), Expires: found.GetExpireTime().GetSeconds()}
		if found.GetAuthTime() != nil {
			answer.AuthTime = found.GetAuthTime().GetSeconds()
		}
		return answer, nil
	})
}

// revoke answers services that speak RFC 7009.
func (s *site) revoke(w http.ResponseWriter, r *http.Request) {
	s.withToken(w, r, func(ctx context.Context, token string) (any, error) {
		_, err := s.tokens.RevokeToken(ctx, &identityv1.RevokeTokenRequest{Token: token})
		return struct{}{}, err
	})
}

// withToken does what a service account asks for with the token in its form. Who asks is in the Authorization header: a browser's cookie
// is not looked at. The hint what kind of token it is helps nobody here.
func (s *site) withToken(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, token string) (any, error)) {
	c := callFrom(r.Context())
	c.credential = presented{}
	if err := c.bearer(r.Header); err != nil {
		s.refuse(w, r, err)
		return
	}
	form, err := s.form(w, r)
	if err == nil && len(form["token"]) != 1 {
		err = fault.Invalid("token", "must be given, once")
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer, err := do(r.Context(), form.Get("token"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // it fails only if the client has left
}
