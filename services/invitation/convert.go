package invitation

import (
	"context"
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
)

func toProto(inv *invite.Invitation, now time.Time) *invitationv1.Invitation {
	return &invitationv1.Invitation{
		Id:                inv.InvitationID.String(),
		OrganizationId:    inv.OrganizationID.String(),
		Email:             inv.Email,
		Username:          inv.Username,
		DisplayName:       inv.DisplayName,
		Role:              inv.Role,
		State:             stateToProto(inv.Visible(now)),
		Delivery:          invitationv1.Invitation_Delivery(invitationv1.Invitation_Delivery_value["DELIVERY_"+string(inv.Delivery)]),
		InviterAccountId:  inv.InviterID.String(),
		CreateTime:        timestamppb.New(inv.CreateTime),
		SendTime:          timestamppb.New(inv.SendTime),
		ExpireTime:        timestamppb.New(inv.ExpireTime),
		AcceptedAccountId: acceptedBy(inv).String(),
		FailureReason:     inv.FailureReason,
	}
}

func acceptedBy(inv *invite.Invitation) id.Account {
	if inv.State == invite.Accepted {
		return inv.AccountID
	}
	return id.Account{}
}

func stateToProto(state invite.State) invitationv1.Invitation_State {
	return invitationv1.Invitation_State(invitationv1.Invitation_State_value["STATE_"+string(state)])
}

func stateFromProto(state invitationv1.Invitation_State) string {
	return state.String()[len("STATE_"):]
}

// eventState is the state as events show it: while the outcome is open the invitation is pending.
var eventState = map[invite.State]eventv1.Invitation_State{
	invite.Reserving: eventv1.Invitation_STATE_PENDING,
	invite.Pending:   eventv1.Invitation_STATE_PENDING,
	invite.Accepting: eventv1.Invitation_STATE_PENDING,
	invite.Accepted:  eventv1.Invitation_STATE_ACCEPTED,
	invite.Declined:  eventv1.Invitation_STATE_DECLINED,
	invite.Revoked:   eventv1.Invitation_STATE_REVOKED,
	invite.Expired:   eventv1.Invitation_STATE_EXPIRED,
	invite.Failed:    eventv1.Invitation_STATE_FAILED,
}

func toEvent(inv invite.Invitation) *eventv1.Invitation {
	e := &eventv1.Invitation{
		InvitationId:  inv.InvitationID.String(),
		Role:          inv.Role,
		State:         eventState[inv.State],
		Generation:    inv.Generation,
		ExpireTime:    timestamppb.New(inv.ExpireTime),
		AccountId:     inv.AccountID.String(),
		FailureReason: inv.FailureReason,
	}
	if inv.Live() {
		e.SeatId = inv.SeatID.String()
	}
	return e
}

func personal(inv *invite.Invitation) *eventv1.Personal {
	return &eventv1.Personal{DisplayName: inv.DisplayName, Email: inv.Email, Username: inv.Username}
}

// why says on whose behalf something happens to an invitation, and for what reason.
type why struct {
	actor     id.Account // zero: nobody, the suite itself
	cause     eventv1.Cause_Kind
	requestID string
}

func (w why) event(ctx context.Context, inv id.Invitation) *eventv1.Context {
	return outbox.Origin{Account: w.actor, Service: "invitation", Cause: w.cause, CauseID: inv.String(), RequestID: w.requestID}.Context(ctx)
}

// origin is the same for billing's events.
func (w why) origin(inv id.Invitation) *billingv1.Origin {
	return &billingv1.Origin{ActorAccountId: w.actor.String(), Cause: causeName[w.cause], CauseId: inv.String()}
}

var causeName = map[eventv1.Cause_Kind]string{
	eventv1.Cause_KIND_INVITE:       "invite",
	eventv1.Cause_KIND_ADMIN:        "admin",
	eventv1.Cause_KIND_SELF:         "self",
	eventv1.Cause_KIND_EXPIRY:       "expiry",
	eventv1.Cause_KIND_ORGANIZATION: "organization",
	eventv1.Cause_KIND_DELIVERY:     "delivery",
}

var need = map[membershipv1.Requirement]invite.Need{
	membershipv1.Requirement_REQUIREMENT_REQUIRED: invite.Required,
	membershipv1.Requirement_REQUIREMENT_OPTIONAL: invite.Optional,
	membershipv1.Requirement_REQUIREMENT_OFF:      invite.Off,
}

// request names a mutation of a person, for its replay. Only who may still do it hears the answer again.
func (s *Service) request(ctx context.Context, org id.Organization, permission, requestID, method string, body proto.Message) postgres.Request {
	return postgres.Request{
		ID: requestID, Principal: caller.From(ctx).Account.String(), Method: method, Body: body,
		Admit: func(ctx context.Context) error {
			_, err := s.authorize(ctx, org, permission)
			return err
		},
	}
}

// answerRequest names an answer to a link, for its replay. Without an account, the link itself proves who asks.
func answerRequest(ctx context.Context, token invite.Token, requestID, method string, body proto.Message) postgres.Request {
	principal := caller.From(ctx).Account.String()
	if principal == "" {
		principal = hex.EncodeToString(token.Hash())
	}
	return postgres.Request{ID: requestID, Principal: principal, Method: method, Body: body}
}
