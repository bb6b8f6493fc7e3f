package roles

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/network"
)

const password = "plum harbor violin quartz"

// mainJob is what Roster is for, once through, over REST.
func (s *suite) mainJob(t *testing.T) {
	anybody := person{s, ""}
	anybody.post(t, "/v1/accounts:signUp", object{"email": "ada@example.com", "password": password, "displayName": "Ada Lovelace"})
	ada := anybody.post(t, "/v1/accounts:verifyEmail", object{"token": s.link(t, "ada@example.com", "/verify/")}).in("account")
	session := anybody.post(t, "/v1/sessions", object{"email": "ada@example.com", "password": password, "delivery": "DELIVERY_TOKEN"})
	owner := person{s, session.text("token")}

	organization := owner.post(t, "/v1/organizations", object{"displayName": "Analytical Engines", "preset": "PRESET_PORTAL"}).in("organization")
	in := "/v1/organizations/" + organization.text("id")
	owner.post(t, in+"/invitations", object{"email": "grace@example.com", "role": "member"})
	require.EqualValues(t, 2, owner.get(t, in+"/seats").in("usage")["used"], "the invitation takes a seat")

	accepted := anybody.post(t, "/v1/invitations:accept", object{
		"linkToken": s.link(t, "grace@example.com", "/invite/"), "password": password, "displayName": "Grace Hopper", "delivery": "DELIVERY_TOKEN"})
	grace, member := accepted.in("invitation").text("acceptedAccountId"), person{s, accepted.text("sessionToken")}
	require.Equal(t, map[string]string{ada.text("id"): "owner STATE_ACTIVE", grace: "member STATE_ACTIVE"}, owner.people(t, in))

	require.False(t, owner.may(t, organization.text("id"), grace, "invitations.create"))
	owner.post(t, in+"/members/"+grace+":changeRole", object{"role": "admin"})
	require.True(t, owner.may(t, organization.text("id"), grace, "invitations.create"), "an admin invites")

	owner.post(t, in+"/members/"+grace+":disable", object{})
	require.False(t, owner.may(t, organization.text("id"), grace, "invitations.create"), "who is disabled does nothing")
	require.EqualValues(t, 1, owner.get(t, in+"/seats").in("usage")["used"])
	require.Equal(t, "admin STATE_DISABLED", owner.people(t, in)[grace])
	owner.post(t, in+"/members/"+grace+":enable", object{})
	require.True(t, owner.may(t, organization.text("id"), grace, "invitations.create"))
	member.get(t, in+"/people")

	owner.post(t, in+"/members/"+grace+":remove", object{})
	require.False(t, owner.may(t, organization.text("id"), grace, "invitations.create"), "removal ends access before it returns")
	require.Equal(t, http.StatusNotFound, member.send(t, http.MethodGet, in+"/people", nil).StatusCode, "for strangers there is no such organization")
	usage := owner.get(t, in+"/seats").in("usage")
	require.EqualValues(t, 1, usage["used"])
	require.EqualValues(t, 1, usage["occupied"])
	require.Equal(t, map[string]string{ada.text("id"): "owner STATE_ACTIVE"}, owner.people(t, in))
}

// may asks membership itself, over gRPC, as a platform's service does.
func (p person) may(t *testing.T, organization, account, permission string) bool {
	t.Helper()
	conn, err := network.Plain().Dial("", "membership", p.public)
	require.NoError(t, err)
	defer conn.Close()
	access := membershipv1.NewAccessServiceClient(conn)
	question := &membershipv1.CheckAccessRequest{OrganizationId: organization, AccountId: account, Permission: permission}
	_, err = access.CheckAccess(t.Context(), question)
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	answer, err := access.CheckAccess(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+p.session), question)
	require.NoError(t, err)
	return answer.GetAllowed()
}

// link waits for a mail to an address, and returns the token in its link.
func (s *suite) link(t *testing.T, to, path string) (token string) {
	t.Helper()
	_, err := s.mail.Wait(t.Context(), to, func(m devmail.Received) bool {
		for _, link := range m.Links {
			if _, after, found := strings.Cut(link, "http://"+s.web+path); found {
				token = after
			}
		}
		return token != ""
	})
	require.NoError(t, err)
	return token
}

// person is somebody who calls the gateway; without a session, anybody.
type person struct {
	*suite
	session string
}

// object is one of JSON.
type object map[string]any

func (o object) in(name string) object   { return o[name].(map[string]any) }
func (o object) text(name string) string { return o[name].(string) }

func (p person) send(t *testing.T, method, path string, body object) *http.Response {
	t.Helper()
	var content bytes.Buffer
	if body != nil {
		require.NoError(t, json.NewEncoder(&content).Encode(body))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.web+path, &content)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if p.session != "" {
		req.Header.Set("Authorization", "Bearer "+p.session)
	}
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

func (p person) post(t *testing.T, path string, body object) object {
	t.Helper()
	return read(t, p.send(t, http.MethodPost, path, body))
}

func (p person) get(t *testing.T, path string) object {
	t.Helper()
	return read(t, p.send(t, http.MethodGet, path, nil))
}

func read(t *testing.T, answer *http.Response) (content object) {
	t.Helper()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s %s: %s", answer.Request.Method, answer.Request.URL.Path, text)
	require.NoError(t, json.Unmarshal(text, &content))
	return content
}

// people lists the members of an organization: roles and states, by account.
func (p person) people(t *testing.T, in string) map[string]string {
	t.Helper()
	people := make(map[string]string)
	for _, row := range p.get(t, in+"/people")["people"].([]any) {
		if member := object(row.(map[string]any)); member["accountId"] != "" {
			people[member.text("accountId")] = member.text("role") + " " + member.text("state")
		}
	}
	return people
}
