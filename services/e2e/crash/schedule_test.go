package crash

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// The operations on availability: each is one transaction of membership's.
func init() {
	for name, act := range map[string]func(context.Context, *scene) (proto.Message, error){
		"set hours": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.SetWeeklyHours(ctx, &membershipv1.SetWeeklyHoursRequest{
				OrganizationId: s.org, AccountId: s.account, RequestId: s.request(),
				WeeklyHours: &membershipv1.WeeklyHours{TimeZone: "Europe/Berlin", Intervals: []*membershipv1.WeeklyHours_Interval{
					{Day: membershipv1.WeeklyHours_DAY_MONDAY, Start: "09:00", End: "17:00"}}}})
		},
		"add an absence": func(ctx context.Context, s *scene) (proto.Message, error) {
			return absent(ctx, s, 72*time.Hour, s.request())
		},
		"take an absence back": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.DeleteOverride(ctx, &membershipv1.DeleteOverrideRequest{
				OrganizationId: s.org, AccountId: s.account, OverrideId: s.absence, RequestId: s.request()})
		},
		"make a rotation": func(ctx context.Context, s *scene) (proto.Message, error) {
			return rotate(ctx, s, "Backup "+s.tag, s.request())
		},
		"change a rotation": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UpdateRotation(ctx, &membershipv1.UpdateRotationRequest{
				OrganizationId: s.org, RotationId: s.duty, DisplayName: "Phone " + s.tag, TimeZone: "Europe/Berlin",
				StartTime: ahead(24 * time.Hour), Turn: &membershipv1.Every{Count: 1}, Participants: []string{s.account}, RequestId: s.request()})
		},
		"delete a rotation": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.DeleteRotation(ctx, &membershipv1.DeleteRotationRequest{OrganizationId: s.org, RotationId: s.duty, RequestId: s.request()})
		},
	} {
		operations = append(operations, operation{name: name, arrange: scheduled, act: act})
	}
}

// scheduled is an organization with a member who will be away, and on duty in turns.
func scheduled(t *testing.T, s *scene) {
	t.Helper()
	s.preset = membershipv1.Preset_PRESET_RBAC
	member(t, s)
	away, err := absent(t.Context(), s, 24*time.Hour, "")
	require.NoError(t, err)
	s.absence = away.GetOverride().GetId()
	made, err := rotate(t.Context(), s, "Pager "+s.tag, "")
	require.NoError(t, err)
	s.duty = made.GetRotation().GetId()
}

func absent(ctx context.Context, s *scene, in time.Duration, request string) (*membershipv1.CreateOverrideResponse, error) {
	return s.owner.CreateOverride(ctx, &membershipv1.CreateOverrideRequest{
		OrganizationId: s.org, AccountId: s.account, State: membershipv1.Availability_STATE_UNAVAILABLE,
		StartTime: ahead(in), EndTime: ahead(in + 8*time.Hour), RequestId: request})
}

func rotate(ctx context.Context, s *scene, name, request string) (*membershipv1.CreateRotationResponse, error) {
	return s.owner.CreateRotation(ctx, &membershipv1.CreateRotationRequest{
		OrganizationId: s.org, DisplayName: name, TimeZone: "Europe/Berlin", StartTime: ahead(24 * time.Hour),
		Turn: &membershipv1.Every{Count: 1}, Participants: []string{s.account}, RequestId: request})
}

// ahead is the same in every call of one operation: a repeated request has the same body.
func ahead(in time.Duration) *timestamppb.Timestamp { return timestamppb.New(began.Add(in)) }

var began = time.Now().Truncate(time.Hour)
