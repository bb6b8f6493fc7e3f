package membership_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/saga"
)

// retouch updates a member's profile: what is in the mask, or what is given.
func (o organization) retouch(actor, target id.Account, edit *membershipv1.UpdateMemberRequest, mask ...string) (*membershipv1.UpdateMemberResponse, error) {
	edit.OrganizationId, edit.AccountId = o.id.String(), target.String()
	if mask != nil {
		edit.UpdateMask = &fieldmaskpb.FieldMask{Paths: mask}
	}
	return o.members.UpdateMember(o.as(actor), edit)
}

func TestUpdateMember(t *testing.T) {
	t.Parallel()

	t.Run("C16 S2-36 The organization shows a member in its own way until it clears that", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(rbac), h.create(rbac)
		bob := o.join("Bob", "bob@example.com", "", "member")
		require.NoError(t, other.addAs(bob, id.NewSeat(), "member"))
		before, err := o.get(o.creator, bob)
		require.NoError(t, err)
		req := &membershipv1.UpdateMemberRequest{DisplayName: " Robert ", Phone: "+44 (0)20 7946-0000", ContactEmail: "Desk@Example.org",
			Etag: before.GetEtag(), RequestId: "once"}
		answer, err := o.retouch(o.creator, bob, req)
		require.NoError(t, err)
		after, err := o.get(o.creator, bob)
		require.NoError(t, err)
		require.True(t, proto.Equal(after, answer.GetMember()), "%v\n%v", after, answer.GetMember())
		require.Equal(t, []string{"Robert", "+44 (0)20 7946-0000", "Desk@Example.org"}, []string{after.GetDisplayName(), after.GetPhone(), after.GetEmail()})
		require.Equal(t, []string{"display_name", "contact_email", "phone"}, after.GetOverlaidFields())
		require.NotEqual(t, before.GetEtag(), after.GetEtag())
		again, err := o.retouch(o.creator, bob, req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))

		found := func(o organization, query string) []string {
			return names(o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = query }))
		}
		require.Equal(t, []string{"Robert"}, found(o, "desk@"))
		require.Equal(t, []string{"Robert"}, found(o, "robe"))
		require.Empty(t, found(o, "bob"))
		require.Equal(t, []string{"Ada Lovelace", "Robert"}, names(o.list(o.creator, nil)))
		require.Equal(t, "+44 (0)20 7946-0000", o.list(o.creator, nil).GetPeople()[1].GetPhone())
		elsewhere, err := other.get(other.creator, bob)
		require.NoError(t, err)
		require.Equal(t, "Member member", elsewhere.GetDisplayName(), "of this organization only")
		require.Empty(t, elsewhere.GetPhone())

		h.hear("identity", "account.updated", bob.String(), 7, &eventv1.AccountUpdated{Personal: &eventv1.Personal{DisplayName: "Aaron", Username: "bobby"}})
		require.Equal(t, []string{"Robert"}, found(o, "bobby"), "the name stays, the username is the account's")
		require.Equal(t, []string{"Aaron"}, found(other, "bobby"))
		_, err = o.retouch(o.creator, bob, &membershipv1.UpdateMemberRequest{}, "display_name", "contact_email")
		require.NoError(t, err)
		require.Equal(t, []string{"Aaron", "Ada Lovelace"}, names(o.list(o.creator, nil)))
		require.Equal(t, []string{"Aaron"}, found(o, "bob@example"))
		cleared, err := o.get(o.creator, bob)
		require.NoError(t, err)
		require.Equal(t, []string{"phone"}, cleared.GetOverlaidFields())

		log := o.history()
		require.Equal(t, []string{"member.profile_changed", "member.profile_changed"}, o.types()[len(log)-2:])
		require.Contains(t, log[len(log)-2].Data, `"changed":["display_name","contact_email","phone"]`)
		require.Contains(t, log[len(log)-2].Data, `"requestId":"once"`)
		require.NotContains(t, log[len(log)-2].Data, "Robert")
		require.NotContains(t, log[len(log)-2].Data, "7946")
		var personal []byte
		require.NoError(t, o.owner().QueryRow(t.Context(),
			`SELECT personal FROM events WHERE aggregate_id = $1 AND type = 'member.profile_changed' ORDER BY revision DESC LIMIT 1`, o.id).Scan(&personal))
		require.JSONEq(t, `{"before":{"displayName":"Robert","contactEmail":"Desk@Example.org","phone":"+44 (0)20 7946-0000"},
			"after":{"phone":"+44 (0)20 7946-0000"}}`, string(personal))
	})

	t.Run("What is there already changes nothing", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		bob := o.add("member")
		first, err := o.retouch(o.creator, bob, &membershipv1.UpdateMemberRequest{Phone: "12345"})
		require.NoError(t, err)
		told := len(o.types())
		second, err := o.retouch(o.creator, bob, &membershipv1.UpdateMemberRequest{Phone: "12345"}, "phone", "display_name")
		require.NoError(t, err)
		require.Equal(t, first.GetMember().GetEtag(), second.GetMember().GetEtag())
		require.Len(t, o.types(), told)
	})

	t.Run("RB23 Who comes back is shown as the account says", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		bob := o.add("member")
		_, err := o.retouch(o.creator, bob, &membershipv1.UpdateMemberRequest{DisplayName: "Robert", Phone: "12345"})
		require.NoError(t, err)
		_, err = o.remove(o.creator, bob)
		require.NoError(t, err)
		require.NoError(t, o.addAs(bob, id.NewSeat(), "member"))
		back, err := o.get(o.creator, bob)
		require.NoError(t, err)
		require.Equal(t, "Member member", back.GetDisplayName())
		require.Empty(t, back.GetOverlaidFields())
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, foreign := h.create(portal), h.create(portal)
		admin, peer, member := o.add("admin"), o.add("admin"), o.add("member")
		before := len(o.types())
		name := func() *membershipv1.UpdateMemberRequest {
			return &membershipv1.UpdateMemberRequest{DisplayName: "Robert"}
		}
		for name, c := range map[string]struct {
			actor, target id.Account
			edit          *membershipv1.UpdateMemberRequest
			mask          []string
			reason        errorv1.Reason
			says          string
		}{
			"S2-37 RB6":        {admin, o.creator, name(), nil, errorv1.Reason_REASON_OWNER_PROTECTED, ""},
			"RB7":              {admin, admin, name(), nil, errorv1.Reason_REASON_SELF_ACTION, "UpdateMe"},
			"RB7 owner":        {o.creator, o.creator, name(), nil, errorv1.Reason_REASON_SELF_ACTION, "UpdateMe"},
			"RB3":              {admin, peer, name(), nil, errorv1.Reason_REASON_PERMISSION_MISSING, "owner"},
			"S2-04":            {member, peer, name(), nil, errorv1.Reason_REASON_PERMISSION_MISSING, ""},
			"R77 stranger":     {foreign.creator, member, name(), nil, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, ""},
			"R77 no member":    {o.creator, foreign.creator, name(), nil, errorv1.Reason_REASON_MEMBER_NOT_FOUND, ""},
			"stale":            {admin, member, &membershipv1.UpdateMemberRequest{DisplayName: "Robert", Etag: "7"}, nil, errorv1.Reason_REASON_ETAG_MISMATCH, ""},
			"sign-in address":  {admin, member, name(), []string{"email"}, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED, "contact_email"},
			"another field":    {admin, member, name(), []string{"role"}, errorv1.Reason_REASON_VALIDATION_FAILED, ""},
			"nothing":          {admin, member, &membershipv1.UpdateMemberRequest{}, nil, errorv1.Reason_REASON_VALIDATION_FAILED, "update_mask"},
			"no name":          {admin, member, &membershipv1.UpdateMemberRequest{DisplayName: "a\u202eb"}, nil, errorv1.Reason_REASON_VALIDATION_FAILED, "display_name"},
			"no address":       {admin, member, &membershipv1.UpdateMemberRequest{ContactEmail: "bob@localhost"}, nil, errorv1.Reason_REASON_VALIDATION_FAILED, "contact_email"},
			"no number":        {admin, member, &membershipv1.UpdateMemberRequest{Phone: "12 <b>"}, nil, errorv1.Reason_REASON_VALIDATION_FAILED, "phone"},
			"too few digits":   {admin, member, &membershipv1.UpdateMemberRequest{Phone: "+-1 2-"}, nil, errorv1.Reason_REASON_VALIDATION_FAILED, "phone"},
			"no member's name": {admin, id.NewAccount(), name(), nil, errorv1.Reason_REASON_MEMBER_NOT_FOUND, ""},
		} {
			t.Log(name)
			_, err := o.retouch(c.actor, c.target, c.edit, c.mask...)
			require.Contains(t, refused(t, err, c.reason).Error(), c.says)
		}
		require.Len(t, o.types(), before, "a refusal leaves no trace")
		_, err := o.disable(o.creator, admin)
		require.NoError(t, err)
		_, err = o.retouch(admin, member, name())
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
	})
}

func TestGetMember(t *testing.T) {
	t.Parallel()

	t.Run("S2-34 S2-35 The detail view says who disabled whom and when, also after that person has left", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(pipeline)
		h.accounts.created = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
		admin, bob := o.join("Grace Hopper", "", "", "admin"), o.join("Bob", "bob@example.com", "bob", "viewer")
		require.NoError(t, h.service.Steps()["profile"](t.Context(), saga.For(o.id, "profile", bob)))
		_, err := o.disable(admin, bob)
		require.NoError(t, err)
		member, err := o.get(o.creator, bob)
		require.NoError(t, err)
		require.Equal(t, h.accounts.created, member.GetAccountCreateTime().AsTime())
		require.Equal(t, membershipv1.Member_STATE_DISABLED, member.GetState())
		require.NotNil(t, member.GetDisableTime())
		require.Equal(t, admin.String(), member.GetDisablerAccountId())
		require.Equal(t, "Grace Hopper", member.GetDisablerDisplayName())
		require.Equal(t, "#6b7280", member.GetRoleColor())
		require.Nil(t, member.GetLastActivityTime())

		_, err = o.remove(o.creator, admin)
		require.NoError(t, err)
		h.accounts.name = func(string) string { return "Rear Admiral Hopper" }
		member, err = o.get(o.creator, bob)
		require.NoError(t, err)
		require.Equal(t, "Rear Admiral Hopper", member.GetDisablerDisplayName())
		h.accounts.err = errors.New("away")
		member, err = o.get(o.creator, bob)
		require.NoError(t, err)
		require.Empty(t, member.GetDisablerDisplayName())
		require.Equal(t, admin.String(), member.GetDisablerAccountId())
	})

	t.Run("RB19 Phone, addresses and activity are for who may see them", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		viewer, developer, bob := o.add("viewer"), o.add("developer"), o.join("Bob", "bob@example.com", "", "viewer")
		_, err := o.retouch(o.creator, bob, &membershipv1.UpdateMemberRequest{DisplayName: "Robert", Phone: "12345", ContactEmail: "desk@secret.example"})
		require.NoError(t, err)
		o.used(bob)
		for actor, sees := range map[id.Account]struct{ contact, activity bool }{o.creator: {true, true}, developer: {true, false}, viewer: {false, false}} {
			member, err := o.get(actor, bob)
			require.NoError(t, err)
			person := o.list(actor, func(r *membershipv1.ListPeopleRequest) { r.Query = "robert" }).GetPeople()[0]
			require.Equal(t, sees.contact, member.GetEmail() == "desk@secret.example" && member.GetPhone() == "12345")
			require.Equal(t, sees.contact, person.GetEmail() == "desk@secret.example" && person.GetPhone() == "12345")
			require.Equal(t, !sees.contact, member.GetEmail() == "" && member.GetPhone() == "" && person.GetEmail() == "" && person.GetPhone() == "")
			require.Equal(t, sees.contact, len(member.GetOverlaidFields()) == 3)
			require.Equal(t, sees.activity, member.GetLastActivityTime() != nil)
			require.Equal(t, sees.activity, person.GetLastActivityTime() != nil)
		}
		require.Empty(t, o.list(viewer, func(r *membershipv1.ListPeopleRequest) { r.Query = "secret" }).GetPeople())
		require.Empty(t, o.list(viewer, func(r *membershipv1.ListPeopleRequest) { r.Query = "desk@" }).GetPeople())
	})
}
