package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

const (
	rolePath  = "/v1/organizations/org_a/members/acc_b:changeRole"
	acceptURL = "/v1/invitations:accept"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	h := start(t)
	refused := func(t *testing.T, body string) map[string]string {
		t.Helper()
		a := h.do("POST", acceptURL, body)
		require.Equal(t, 400, a.StatusCode, a.text)
		require.Equal(t, "VALIDATION_FAILED", a.reason(t))
		require.EqualValues(t, 3, a.json(t, "code"))
		require.NotContains(t, a.text, "proto")
		require.NotContains(t, a.text, "roster.invitation")
		return a.violations(t)
	}

	t.Run("UnknownFieldsAreNamed", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, map[string]string{"linkTokem": "is not a field of this request"}, refused(t, `{"linkTokem":"x"}`))
		require.Contains(t, refused(t, `{"`+strings.Repeat("x", 1000)+`":1}`), strings.Repeat("x", 64)+"...")
	})
	t.Run("WrongTypesAreNamed", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, map[string]string{"linkToken": "has a value of another type than the field, at line 1, column 14"}, refused(t, `{"linkToken":5}`))
		require.Contains(t, refused(t, `{"delivery":"DELIVERY_PIGEON"}`), "delivery")
		require.Equal(t, map[string]string{"linkToken": "is given twice"}, refused(t, `{"linkToken":"a","linkToken":"b"}`))
	})
	t.Run("MalformedJSONIsNotEchoed", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{`{`, `{"linkToken":"hunter2"`, `[]`, `null`, `"x"`, `{} {}`, `{"linkToken":"a"} hunter2`, `hunter2`, "\xff\xfe", `{"linkToken":"` + "\xff" + `"}`, strings.Repeat(`{"a":`, 20000)} {
			said := refused(t, body)
			require.Len(t, said, 1)
			require.NotContains(t, fmt.Sprint(said), "hunter2")
		}
	})
	t.Run("NoBodyIsTheEmptyRequest", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{"", " \n"} {
			a := h.do("POST", acceptURL, body)
			require.Contains(t, a.violations(t), "link_token", "the service misses the token")
		}
	})
	t.Run("AnswersAreWhole", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.preview = func(context.Context, *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
			return &invitationv1.PreviewInvitationResponse{OrganizationDisplayName: "Ada & Co"}, nil
		}
		a := h.do("POST", "/v1/invitations:preview", `{"linkToken":"x"}`)
		require.Equal(t, 200, a.StatusCode)
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		require.Equal(t, "Ada & Co", a.json(t, "organizationDisplayName"))
		require.Equal(t, false, a.json(t, "signInRequired"), "empty fields are there")
		require.Equal(t, "", a.json(t, "maskedEmail"))
	})
}

func TestBodies(t *testing.T) {
	t.Parallel()
	h := start(t)

	t.Run("R70 OnlyJSONIsTaken", func(t *testing.T) {
		t.Parallel()
		for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
			"application/json; charset=utf-16", "application/jsonp", "", "application/json, text/plain"} {
			r := h.request("POST", acceptURL, `{"linkToken":"x"}`)
			r.Header.Set("Content-Type", media)
			a := h.send(r)
			require.Equal(t, 415, a.StatusCode, media)
			require.Equal(t, "MEDIA_TYPE_UNSUPPORTED", a.reason(t))
		}
		require.Equal(t, 415, h.do("POST", acceptURL, "", "Content-Type", "text/plain").StatusCode)
		require.Equal(t, 415, h.do("POST", acceptURL, `{}`, "Content-Encoding", "gzip").StatusCode)
		r := h.request("POST", acceptURL, `{"linkToken":"x"}`)
		r.Header.Set("Content-Type", "Application/JSON; charset=UTF-8")
		require.Equal(t, 200, h.send(r).StatusCode)
	})
	t.Run("NoBodyNeedsNoType", func(t *testing.T) {
		t.Parallel()
		secret, _ := h.signedIn("Ada", false)
		require.Equal(t, 200, h.do("POST", "/v1/organizations/org_a/members/acc_b:remove", "", "Authorization", "Bearer "+secret).StatusCode)
	})
	t.Run("R60 TooMuchIsRefused", func(t *testing.T) {
		t.Parallel()
		large := `{"linkToken":"` + strings.Repeat("x", maxBody) + `"}`
		a := h.do("POST", acceptURL, large)
		require.Equal(t, 413, a.StatusCode)
		require.Equal(t, "BODY_TOO_LARGE", a.reason(t))

		r := h.request("POST", acceptURL, large)
		r.ContentLength, r.Body = -1, io.NopCloser(strings.NewReader(large)) // chunked: nobody says how much
		require.Equal(t, 413, h.send(r).StatusCode)

		fits := `{"linkToken":"x"}` + strings.Repeat(" ", maxBody-len(`{"linkToken":"x"}`))
		require.Equal(t, 200, h.do("POST", acceptURL, fits).StatusCode)
	})
	t.Run("R60 ALengthThatLiesChangesNothing", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"linkToken\":\"x\"}", acceptURL)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 400, resp.StatusCode)
	})
	t.Run("R70 ReadsTakeNone", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, map[string]string{"body": "is not for this method"}, h.do("GET", "/v1/me", `{}`).violations(t))
		require.Contains(t, h.do("DELETE", "/v1/organizations/org_a", `{"requestId":"x"}`).violations(t), "body")
	})
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	h := start(t)
	secret, _ := h.signedIn("Ada", false)
	bearer := "Bearer " + secret

	t.Run("EveryOneIsThere", func(t *testing.T) {
		t.Parallel()
		routes, err := routesOf()
		require.NoError(t, err)
		require.NotEmpty(t, routes)
		for _, r := range routes {
			path := r.template
			for strings.Contains(path, "{") {
				path = path[:strings.IndexByte(path, '{')] + "x" + path[strings.IndexByte(path, '}')+1:]
			}
			before := h.log.String()
			h.do(r.method, path, "")
			require.Contains(t, strings.TrimPrefix(h.log.String(), before), fmt.Sprintf("%q:%q", "route", r.template))
			require.NotEqual(t, 405, h.do(r.method, path, "").StatusCode)
		}
	})
	t.Run("UnknownPathsAreNotFound", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/v1", "/v1/", "/v1/nothing", "/v1/me/", "/v1//me", "/v1/sessions:nope", "/v1/sessions:", "/v1/organizations/x/memberships",
			"/v1/../v1/me", "/V1/me", "/healthz", "/roster.identity.v1.AccountService/GetMe"} {
			a := h.do("POST", path, "")
			require.Equal(t, 404, a.StatusCode, path)
			require.Equal(t, "ROUTE_NOT_FOUND", a.reason(t), path)
		}
	})
	t.Run("OtherMethodsAreNamed", func(t *testing.T) {
		t.Parallel()
		for path, allowed := range map[string]string{
			"/v1/me": "GET, PATCH, DELETE", "/v1/sessions/ses_x": "DELETE", "/v1/organizations/o/members/a:disable": "GET, PATCH, POST", "/v1/invitations:accept": "POST",
		} {
			a := h.do("PUT", path, "")
			require.Equal(t, 405, a.StatusCode, path)
			require.Equal(t, allowed, a.Header.Get("Allow"), path)
			require.Equal(t, "ROUTE_NOT_FOUND", a.reason(t))
		}
		require.Equal(t, 405, h.do("BREW", "/v1/me", "").StatusCode)
		require.Equal(t, 405, h.do("HEAD", "/v1/me", "").StatusCode)
	})
	t.Run("R70 NoMethodIsOverridden", func(t *testing.T) {
		t.Parallel()
		a := h.do("POST", "/v1/sessions/ses_x", "", "X-HTTP-Method-Override", "DELETE", "Authorization", bearer)
		require.Equal(t, 405, a.StatusCode)
		r := h.request("POST", "/v1/permissions", "_method=GET")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, 415, h.send(r).StatusCode)
	})
	t.Run("EncodedIdsAreDecodedOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		secret, _ := h.signedIn("Ada", false)
		var got string
		h.getOrg = func(_ context.Context, req *membershipv1.GetOrganizationRequest) (*membershipv1.GetOrganizationResponse, error) {
			got = req.GetOrganizationId()
			return &membershipv1.GetOrganizationResponse{}, nil
		}
		for path, want := range map[string]string{
			"org%5Fa": "org_a", "org_a%2520": "org_a%20", "a%20b": "a b", "%C3%A4": "ä", "org_a%2Fmembers": "org_a/members", "a%3Adelete": "a:delete", "a+b": "a+b",
		} {
			require.Equal(t, 200, h.do("GET", "/v1/organizations/"+path, "", "Authorization", "Bearer "+secret).StatusCode, path)
			require.Equal(t, want, got)
		}
	})
	t.Run("WhatIsNoTextIsRefused", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/v1/organizations/%ff", "/v1/organizations/a%00b", "/v1/organizations/o/people?query=%ff", "/v1/organizations/o/people?query=%zz"} {
			a := h.do("GET", path, "", "Authorization", bearer)
			require.Equal(t, 400, a.StatusCode, path)
			require.Equal(t, "VALIDATION_FAILED", a.reason(t))
		}
	})
}

func TestQuery(t *testing.T) {
	t.Parallel()
	h := start(t)
	secret, _ := h.signedIn("Ada", false)
	bearer := "Bearer " + secret
	var got *membershipv1.ListPeopleRequest
	h.people = func(_ context.Context, req *membershipv1.ListPeopleRequest) (*membershipv1.ListPeopleResponse, error) {
		got = req
		return &membershipv1.ListPeopleResponse{}, nil
	}
	list := func(query string) answer {
		return h.do("GET", "/v1/organizations/org_a/people?"+query, "", "Authorization", bearer)
	}

	require.Equal(t, 200, list("pageSize=7&view=VIEW_MEMBERS&states=STATE_ACTIVE&states=STATE_PENDING&query=a%26b").StatusCode)
	require.True(t, proto.Equal(&membershipv1.ListPeopleRequest{
		OrganizationId: "org_a", PageSize: 7, View: membershipv1.ListPeopleRequest_VIEW_MEMBERS, Query: "a&b",
		States: []membershipv1.Person_State{membershipv1.Person_STATE_ACTIVE, membershipv1.Person_STATE_PENDING}}, got), got)
	require.Equal(t, 200, list("page_size=7").StatusCode, "and the names of the proto")

	for query, field := range map[string]string{
		"pageSise=7": "pageSise", "pageSize=many": "page_size", "pageSize=1&pageSize=2": "page_size", "view=VIEW_SEA": "view",
		"states=STATE_X": "states", "query.more=x": "query", "access_token=x": "access_token",
	} {
		a := list(query)
		require.Equal(t, 400, a.StatusCode, query)
		require.Equal(t, "VALIDATION_FAILED", a.reason(t))
		require.Contains(t, a.violations(t), field, query)
		require.NotContains(t, a.text, "protoreflect")
	}
	a := h.do("POST", rolePath+"?role=owner", `{"role":"viewer"}`, "Authorization", bearer)
	require.Contains(t, a.violations(t), "role", "what has a body has no query")
}

func TestConditions(t *testing.T) {
	t.Parallel()
	h := start(t)
	secret, _ := h.signedIn("Ada", false)
	var got *membershipv1.ChangeMemberRoleRequest
	h.changeRole = func(_ context.Context, req *membershipv1.ChangeMemberRoleRequest) (*membershipv1.ChangeMemberRoleResponse, error) {
		if got = req; req.GetEtag() == "old" {
			return nil, fault.New(errorv1.Reason_REASON_ETAG_MISMATCH, "It was changed.").With("currentEtag", "new")
		}
		return &membershipv1.ChangeMemberRoleResponse{}, nil
	}
	change := func(body string, headers ...string) answer {
		return h.do("POST", rolePath, body, append(headers, "Authorization", "Bearer "+secret)...)
	}

	for _, c := range []struct {
		name, body, header, value, requestID, etag string
	}{
		{"TheKeyIsTheRequestId", `{"role":"r"}`, "Idempotency-Key", "k-1", "k-1", ""},
		{"QuotesAreTakenOff", `{"role":"r"}`, "Idempotency-Key", `"k-1"`, "k-1", ""},
		{"TheBodysOwnIdWins", `{"role":"r","requestId":"b"}`, "Idempotency-Key", "k-1", "b", ""},
		{"IfMatchIsTheEtag", `{"role":"r"}`, "If-Match", `"v1"`, "", "v1"},
		{"WeakOnesToo", `{"role":"r"}`, "If-Match", `W/"v1"`, "", "v1"},
		{"TheSameInTheBodyIsFine", `{"role":"r","etag":"v1"}`, "If-Match", `"v1"`, "", "v1"},
		{"AStarIsAny", `{"role":"r"}`, "If-Match", `*`, "", ""},
	} {
		require.Equal(t, 200, change(c.body, c.header, c.value).StatusCode, c.name)
		require.Equal(t, c.requestID, got.GetRequestId(), c.name)
		require.Equal(t, c.etag, got.GetEtag(), c.name)
	}
	for _, headers := range [][]string{
		{"If-Match", `"v1"`, "If-Match", `"v2"`}, {"Idempotency-Key", "a", "Idempotency-Key", "b"}, {"Idempotency-Key", "ä"}, {"Idempotency-Key", strings.Repeat("k", 65)},
	} {
		require.Equal(t, "VALIDATION_FAILED", change(`{"role":"r"}`, headers...).reason(t), headers)
	}
	require.Contains(t, change(`{"role":"r","etag":"v2"}`, "If-Match", `"v1"`).violations(t), "if-match", "two conditions that differ")
	require.Contains(t, h.do("POST", "/v1/organizations/o/members/a:remove", "", "If-Match", `"v1"`, "Authorization", "Bearer "+secret).violations(t),
		"if-match", "a condition that nobody would check")

	var deleted *membershipv1.DeleteOrganizationRequest
	h.deleteOrg = func(_ context.Context, req *membershipv1.DeleteOrganizationRequest) (*membershipv1.DeleteOrganizationResponse, error) {
		deleted = req
		return &membershipv1.DeleteOrganizationResponse{}, nil
	}
	require.Equal(t, 200, h.do("DELETE", "/v1/organizations/o", "", "Idempotency-Key", "k-2", "Authorization", "Bearer "+secret).StatusCode)
	require.Equal(t, "k-2", deleted.GetRequestId(), "also where there is no body")

	require.Equal(t, 412, change(`{"role":"r"}`, "If-Match", `"old"`).StatusCode)
	require.Equal(t, 409, change(`{"role":"r","etag":"old"}`).StatusCode)
}
