package membership

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// duties are what a change of a rotation is decided on. The organization's row is held alone.
type duties struct {
	store.Queries
	key       id.Organization
	rotations org.Rotations
	actor     org.Actor
	belongs   func(id.Account) bool
	because   *eventv1.Context
}

// reassign runs a change of one rotation. Change returns the rotations as they are to be, and of the one that changed before
// and after; what else it returns is answered and published. The token comes with it.
func reassign[R proto.Message](ctx context.Context, s *Service, method string,
	req interface {
		proto.Message
		GetOrganizationId() string
		GetRequestId() string
	}, participants []id.Account, change func(duties) (after org.Rotations, was, is org.Rotation, answer R, event proto.Message, err error),
) (answer R, token string, err error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return answer, "", err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.UpdateProfiles, req.GetRequestId(), method, req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (R, error) {
		d := duties{Queries: queries(tx), key: key}
		at, rotations, err := d.LockRotations(ctx, key, me, participants...)
		if err != nil {
			return answer, err
		}
		d.rotations, d.belongs = rotations, func(account id.Account) bool { return at.Members[account].Belongs() }
		if d.actor, err = at.Organization.Admit(at.Members[me]); err != nil {
			return answer, err
		}
		d.because = outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}.Context(ctx)
		after, was, is, answer, event, err := change(d)
		if err != nil {
			return answer, err
		}
		_, schedules, err := d.Schedules(ctx, key, was.Affects(is)...)
		if err != nil {
			return answer, err
		}
		for _, schedule := range schedules {
			schedule.Rotations = after
			follow(d.Queries, key, schedule)
		}
		return answer, outbox.Publish(tx, key, tx.Now(), event)
	})
	return answer, outbox.Token(key, s.DB.Name, revision), err
}

// rotationOf reads what a rotation is made of.
func rotationOf(req interface {
	GetDisplayName() string
	GetTimeZone() string
	GetStartTime() *timestamppb.Timestamp
	GetEndTime() *timestamppb.Timestamp
	GetTurn() *membershipv1.Every
	GetParticipants() []string
}) (w org.RotationWords, err error) {
	if w.DisplayName, err = naming.ParseDisplayName("display_name", req.GetDisplayName()); err != nil {
		return w, err
	}
	if w.Zone, err = zoneOf(req.GetTimeZone()); err != nil {
		return w, err
	}
	if w.Start, err = instant("start_time", req.GetStartTime()); err != nil {
		return w, err
	}
	if w.End, err = ending("end_time", req.GetEndTime()); err != nil {
		return w, err
	}
	w.Days = daysOf(req.GetTurn())
	for _, text := range req.GetParticipants() {
		account, err := id.ParseAccount(text)
		if err != nil {
			return w, err
		}
		w.Participants = append(w.Participants, account)
	}
	return w, nil
}

// turnsShown is how many turns a rotation is shown with.
const turnsShown = 5

func rotationToProto(r org.Rotation, now time.Time) *membershipv1.Rotation {
	shown := &membershipv1.Rotation{
		Id: r.ID.String(), DisplayName: r.DisplayName, TimeZone: r.Zone.Name, StartTime: timestamppb.New(r.Start), EndTime: stamp(r.End),
		Turn: everyToProto(r.Days), Participants: texts(r.Participants), Etag: org.Etag(r.Version),
	}
	for _, turn := range r.Turns(now, turnsShown) {
		shown.Turns = append(shown.Turns, &membershipv1.Rotation_Turn{
			AccountId: turn.Account.String(), StartTime: timestamppb.New(turn.Start), EndTime: timestamppb.New(turn.End)})
	}
	return shown
}

func rotationToEvent(r org.Rotation) *eventv1.Rotation {
	return &eventv1.Rotation{
		RotationId: r.ID.String(), DisplayName: r.DisplayName, TimeZone: r.Zone.Name, StartTime: timestamppb.New(r.Start), EndTime: stamp(r.End),
		TurnDays: int32(r.Days), Participants: texts(r.Participants),
	}
}

func texts(accounts []id.Account) []string {
	all := make([]string, len(accounts))
	for i, account := range accounts {
		all[i] = account.String()
	}
	return all
}
