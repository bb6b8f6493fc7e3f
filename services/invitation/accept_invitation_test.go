package invitation_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation"
)

// answers are the verbs of whoever holds the link.
var answers = map[string]func(*testing.T, invited) error{
	"Preview": func(t *testing.T, i invited) error { return i.preview(t) },
	"Accept":  acceptNew,
	"Decline": func(t *testing.T, i invited) error { return i.decline(t) },
}

// ends bring an invitation to where its link opens nothing.
var ends = map[errorv1.Reason]func(*testing.T, invited) invited{
	errorv1.Reason_REASON_INVITATION_EXPIRED: func(t *testing.T, i invited) invited { i.age(t); return i },
	errorv1.Reason_REASON_INVITATION_REVOKED: func(t *testing.T, i invited) invited {
		_, err := i.revoke(t)
		require.NoError(t, err)
		return i
	},
	errorv1.Reason_REASON_INVITATION_DECLINED: func(t *testing.T, i invited) invited {
		require.NoError(t, i.decline(t))
		return i
	},
	errorv1.Reason_REASON_INVITATION_USED: func(t *testing.T, i invited) invited {
		require.NoError(t, acceptNew(t, i))
		return i
	},
	errorv1.Reason_REASON_INVITATION_FAILED: func(t *testing.T, i invited) invited {
		i.peers.refuse(i.organization.id, i.admin, errMissing)
		refused(t, acceptNew(t, i), errorv1.Reason_REASON_INVITATION_FAILED)
		i.peers.refuse(i.organization.id, i.admin, nil)
		return i
	},
	errorv1.Reason_REASON_INVITATION_LINK_INVALID: func(t *testing.T, i invited) invited {
		require.NoError(t, resend(t, i))
		return i
	},
}

func TestAcceptInvitation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})

	for reason, end := range ends {
		for name, answer := range answers {
			t.Run(name+" "+reason.String(), func(t *testing.T) {
				i := end(t, link(t, h.organization()))
				before := i.row(t, "invitations")
				refused(t, answer(t, i), reason)
				require.Equal(t, before, i.row(t, "invitations"), "a refusal changes nothing")
			})
		}
	}
	for name, answer := range answers {
		t.Run(name+" of another organization's link", func(t *testing.T) {
			i, other := link(t, h.organization()), h.organization()
			i.token = other.id.String() + i.token[len(other.id.String()):]
			refused(t, answer(t, i), errorv1.Reason_REASON_INVITATION_LINK_INVALID)
		})
	}

	t.Run("SIGN_IN_REQUIRED", func(t *testing.T) {
		i := mailed(t, h.organization())
		h.peers.signUp(i.email)
		since := len(h.peers.calls)
		refused(t, acceptNew(t, i), errorv1.Reason_REASON_SIGN_IN_REQUIRED)
		require.NotContains(t, h.peers.methods(since), "SealPassword")
		require.Equal(t, "PENDING", i.state(t))
	})

	t.Run("SIGN_IN_REQUIRED when a new account would have neither address nor username", func(t *testing.T) {
		i := h.organization().invite(t, "", "")
		refused(t, acceptNew(t, i), errorv1.Reason_REASON_SIGN_IN_REQUIRED)
		preview, err := i.client.PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: i.token})
		require.NoError(t, err)
		require.True(t, preview.GetSignInRequired())
		_, err = i.accept(t, h.peers.signUp(""))
		require.NoError(t, err)
	})

	t.Run("SIGN_IN_REQUIRED when the address is proven meanwhile, and the link lives", func(t *testing.T) {
		i := mailed(t, h.organization())
		h.peers.lose = func(method string, after bool) error {
			if method == "CreateAccount" && !after {
				h.peers.signUp(i.email)
			}
			return nil
		}
		err := acceptNew(t, i)
		h.heal()
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_REQUIRED)
		require.Equal(t, "PENDING", i.state(t))
		require.NoError(t, i.preview(t))
	})

	t.Run("INVITATION_MISMATCH", func(t *testing.T) {
		i := mailed(t, h.organization())
		h.peers.signUp(i.email)
		_, err := i.accept(t, h.peers.signUp(""))
		f := refused(t, err, errorv1.Reason_REASON_INVITATION_MISMATCH)
		require.NotContains(t, f.Message+f.Metadata["maskedEmail"], i.email)
		require.Equal(t, "PENDING", i.state(t))
	})

	t.Run("ALREADY_MEMBER", func(t *testing.T) {
		i := link(t, h.organization())
		_, err := i.accept(t, i.admin)
		refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
		require.Equal(t, []string{"FAILED", "ALREADY_MEMBER"}, []string{i.state(t), i.row(t, "failure_reason")})
		i.organization.sweep(t)
		require.Equal(t, released, h.peers.seats[i.kept(t)[0].SeatID.String()])
	})

	t.Run("PASSWORD_REFUSED, VALIDATION_FAILED", func(t *testing.T) {
		i := link(t, h.organization())
		for _, c := range []struct {
			req    *invitationv1.AcceptInvitationRequest
			reason errorv1.Reason
		}{
			{&invitationv1.AcceptInvitationRequest{Password: "short", Delivery: identityv1.Delivery_DELIVERY_TOKEN}, errorv1.Reason_REASON_PASSWORD_REFUSED},
			{&invitationv1.AcceptInvitationRequest{Delivery: identityv1.Delivery_DELIVERY_TOKEN}, errorv1.Reason_REASON_VALIDATION_FAILED},
			// what identity would refuse must be refused before anything is begun: later nobody could mend it
			{&invitationv1.AcceptInvitationRequest{Password: password, DisplayName: "Ada\u202eb", Delivery: identityv1.Delivery_DELIVERY_TOKEN}, errorv1.Reason_REASON_VALIDATION_FAILED},
		} {
			c.req.LinkToken = i.token
			_, err := i.client.AcceptInvitation(t.Context(), c.req)
			refused(t, err, c.reason)
			require.Equal(t, "PENDING", i.state(t))
		}
	})

	t.Run("BUSY while somebody else is accepting, for every verb", func(t *testing.T) {
		i := link(t, h.organization())
		h.peers.lose = func(method string, after bool) error {
			if method == "OccupySeat" {
				return errDown
			}
			return nil
		}
		refused(t, acceptNew(t, i), errorv1.Reason_REASON_UNAVAILABLE)
		h.heal()
		for _, answer := range answers {
			require.Positive(t, refused(t, answer(t, i), errorv1.Reason_REASON_BUSY).Retry)
		}
		_, err := i.revoke(t)
		refused(t, err, errorv1.Reason_REASON_BUSY)
		refused(t, resend(t, i), errorv1.Reason_REASON_BUSY)
		i.organization.sweep(t)
		require.Equal(t, "ACCEPTED", i.state(t))
	})

	t.Run("INVITATION_FAILED when the seat is gone", func(t *testing.T) {
		i := link(t, h.organization())
		h.peers.with(func() { h.peers.seats[i.kept(t)[0].SeatID.String()] = released })
		f := refused(t, acceptNew(t, i), errorv1.Reason_REASON_INVITATION_FAILED)
		require.Equal(t, "SEAT_LIMIT_REACHED", f.Metadata["failureReason"])
		require.Len(t, h.peers.organizations[i.organization.id.String()].seat, 1, "no member without a seat")
	})

	t.Run("A12 ACCEPTED also when the member was removed before it was noted", func(t *testing.T) {
		i := link(t, h.organization())
		h.peers.lose = func(method string, after bool) error {
			if method == "AddMember" && after {
				return errDown
			}
			return nil
		}
		refused(t, acceptNew(t, i), errorv1.Reason_REASON_UNAVAILABLE)
		h.heal()
		h.peers.with(func() {
			members, seat := h.peers.organizations[i.organization.id.String()].seat, i.kept(t)[0].SeatID.String()
			maps.DeleteFunc(members, func(_, taken string) bool { return taken == seat })
			h.peers.seats[seat] = released
		})
		i.organization.sweep(t)
		require.Equal(t, "ACCEPTED", i.state(t))
		require.Len(t, h.peers.organizations[i.organization.id.String()].seat, 1, "who was removed stays removed")
	})

	t.Run("R24 only a link that went by mail alone proves the address", func(t *testing.T) {
		o := h.organization()
		for _, shown := range []bool{false, true} {
			i := o.invite(t, address(), "")
			if shown {
				made, err := o.client.CreateInvitationLink(as(t, o.admin), &invitationv1.CreateInvitationLinkRequest{OrganizationId: o.id.String(), InvitationId: i.id})
				require.NoError(t, err)
				i.token = lastSegment(made.GetLink())
			}
			answer, err := i.accept(t, nobody)
			require.NoError(t, err)
			require.NotEmpty(t, answer.GetSessionToken())
			require.Equal(t, shown, h.peers.accounts[answer.GetAccountId()].email == "")
		}
	})

	t.Run("the sealed password is gone at every end", func(t *testing.T) {
		var kept int
		require.NoError(t, h.rows.QueryRow(t.Context(), `
			SELECT count(*) FROM invitations WHERE sealed_password IS NOT NULL OR sealed_token IS NOT NULL OR accept_name <> ''`).Scan(&kept))
		require.Zero(t, kept)
		_, err := h.rows.Exec(t.Context(), `UPDATE invitations SET sealed_password = 'x' WHERE state = 'ACCEPTED'`)
		require.ErrorContains(t, err, "invitations_sealed_password")
	})
}

// TestAcceptInvitationAgain repeats requests, as a client does that got no answer.
func TestAcceptInvitationAgain(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	asNew := func(i invited) *invitationv1.AcceptInvitationRequest {
		return &invitationv1.AcceptInvitationRequest{LinkToken: i.token, Password: password, DisplayName: "Grace Hopper",
			Delivery: identityv1.Delivery_DELIVERY_TOKEN, RequestId: "once"}
	}
	asMember := func(i invited) *invitationv1.AcceptInvitationRequest {
		return &invitationv1.AcceptInvitationRequest{LinkToken: i.token, RequestId: "once"}
	}

	for name, known := range map[string]bool{"a new account": false, "an account": true} {
		ask := func(t *testing.T, i invited, who id.Account) (*invitationv1.AcceptInvitationResponse, error) {
			if known {
				return i.client.AcceptInvitation(as(t, who), asMember(i))
			}
			return i.client.AcceptInvitation(t.Context(), asNew(i))
		}
		invite := func(t *testing.T) (i invited, who id.Account) {
			i = link(t, h.organization())
			if known {
				who = h.peers.signUp("")
			}
			return i, who
		}
		again := func(t *testing.T, i invited, who id.Account) {
			t.Helper()
			answer, err := ask(t, i, who)
			require.NoError(t, err)
			require.Equal(t, "ACCEPTED", i.state(t))
			require.Equal(t, i.kept(t)[0].AccountID.String(), answer.GetAccountId())
			require.Equal(t, invitationv1.Invitation_STATE_ACCEPTED, answer.GetInvitation().GetState())
			require.Equal(t, answer.GetAccountId(), answer.GetInvitation().GetAcceptedAccountId())
			require.Len(t, h.peers.organizations[i.organization.id.String()].seat, 2)

			repeated, err := ask(t, i, who)
			require.NoError(t, err)
			require.Nil(t, repeated.GetSession(), "only who heard the first answer is signed in")
			require.Empty(t, repeated.GetSessionToken())
			answer.Session, answer.SessionToken = nil, ""
			require.True(t, proto.Equal(answer, repeated))
		}

		i, who := invite(t)
		calls := h.strike(mishap{})
		_, err := ask(t, i, who)
		require.NoError(t, err)
		for n := 1; n <= calls(); n++ {
			for _, kind := range []string{diesBefore, diesAfter} {
				for swept, by := range map[bool]string{false: "", true: ", and the sweeper comes first"} {
					t.Run(fmt.Sprintf("T43 with "+name+", "+kind+by, n), func(t *testing.T) {
						i, who := invite(t)
						h.strike(mishap{n, kind})
						_, _ = ask(t, i, who) // whatever the caller is told
						h.heal()
						if swept {
							h.sweep(t)
						}
						again(t, i, who)
					})
				}
			}
		}
		h.heal()

		t.Run("T43 with "+name+" at once", func(t *testing.T) {
			i, who := invite(t)
			sessions := h.peers.sessions
			for _, err := range atOnce(10, func(int) error {
				_, err := ask(t, i, who)
				return err
			}) {
				if err != nil {
					refused(t, err, errorv1.Reason_REASON_BUSY)
				}
			}
			if !known {
				sessions++
			}
			again(t, i, who)
			require.Equal(t, sessions, h.peers.sessions)
		})

		t.Run("INVITATION_USED by another request of "+name, func(t *testing.T) {
			i, who := invite(t)
			_, err := ask(t, i, who)
			require.NoError(t, err)
			for _, other := range []string{"", "twice"} {
				req := asNew(i)
				if known {
					req = asMember(i)
				}
				req.RequestId = other
				_, err := i.client.AcceptInvitation(as(t, who), req)
				refused(t, err, errorv1.Reason_REASON_INVITATION_USED)
			}
			_, err = i.client.AcceptInvitation(as(t, h.peers.signUp("")), asMember(i))
			refused(t, err, errorv1.Reason_REASON_INVITATION_USED)
		})
	}

	t.Run("REQUEST_ID_REUSED", func(t *testing.T) {
		i := link(t, h.organization())
		_, err := i.client.AcceptInvitation(t.Context(), asNew(i))
		require.NoError(t, err)
		for _, change := range []func(*invitationv1.AcceptInvitationRequest){
			func(r *invitationv1.AcceptInvitationRequest) { r.Password += "!" },
			func(r *invitationv1.AcceptInvitationRequest) { r.DisplayName = "Ada" },
			func(r *invitationv1.AcceptInvitationRequest) { r.Delivery = identityv1.Delivery_DELIVERY_COOKIE },
		} {
			req := asNew(i)
			change(req)
			_, err := i.client.AcceptInvitation(t.Context(), req)
			refused(t, err, errorv1.Reason_REASON_REQUEST_ID_REUSED)
		}
	})

	t.Run("what is stored does not tell whether a password is right", func(t *testing.T) {
		i := link(t, h.organization())
		_, err := i.client.AcceptInvitation(t.Context(), asNew(i))
		require.NoError(t, err)
		var stored []byte
		require.NoError(t, h.rows.QueryRow(t.Context(), `
			SELECT body_hash FROM idempotency WHERE aggregate_id = $1 AND method = 'AcceptInvitation'`, i.organization.id).Scan(&stored))
		guess, err := proto.MarshalOptions{Deterministic: true}.Marshal(asNew(i))
		require.NoError(t, err)
		sum := sha256.Sum256(guess)
		require.NotEqual(t, sum[:], stored)
	})

	t.Run("the same refusal after it failed", func(t *testing.T) {
		i := link(t, h.organization())
		h.peers.with(func() { h.peers.seats[i.kept(t)[0].SeatID.String()] = released })
		for range 2 {
			_, err := i.client.AcceptInvitation(t.Context(), asNew(i))
			f := refused(t, err, errorv1.Reason_REASON_INVITATION_FAILED)
			require.Equal(t, "SEAT_LIMIT_REACHED", f.Metadata["failureReason"])
		}
		i = link(t, h.organization())
		for range 2 {
			_, err := i.client.AcceptInvitation(as(t, i.admin), asMember(i))
			f := refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
			require.Equal(t, i.admin.String(), f.Metadata["accountId"])
		}
	})

	t.Run("what was given back is decided again, as often as it is", func(t *testing.T) {
		i := mailed(t, h.organization())
		for range 2 {
			h.peers.lose = func(method string, after bool) error {
				if method == "SealPassword" && after {
					h.peers.with(func() { h.peers.key++ })
				}
				return nil
			}
			_, err := i.client.AcceptInvitation(t.Context(), asNew(i))
			h.heal()
			refused(t, err, errorv1.Reason_REASON_PASSWORD_REFUSED)
			require.Equal(t, "PENDING", i.state(t))
		}
		first, err := i.client.AcceptInvitation(t.Context(), asNew(i))
		require.NoError(t, err)
		require.NotEmpty(t, first.GetSessionToken())
		second, err := i.client.AcceptInvitation(t.Context(), asNew(i))
		require.NoError(t, err)
		require.Equal(t, first.GetAccountId(), second.GetAccountId())
	})

	t.Run("INVITATION_LINK_INVALID when it was sent again since it failed", func(t *testing.T) {
		i := link(t, h.organization())
		_, err := i.client.AcceptInvitation(as(t, i.admin), asMember(i))
		refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
		i.organization.sweep(t)
		require.NoError(t, resend(t, i))
		_, err = i.client.AcceptInvitation(as(t, i.admin), asMember(i))
		refused(t, err, errorv1.Reason_REASON_INVITATION_LINK_INVALID)
	})
}
