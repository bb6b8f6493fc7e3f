package membership

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// LeaveByLink ends the membership that the link of a mail is of. Whoever has joined again since has another one.
func (s *Service) LeaveByLink(ctx context.Context, req *membershipv1.LeaveByLinkRequest) (*membershipv1.LeaveByLinkResponse, error) {
	link, err := openLeaveLink(s.LeaveKey, req.GetToken(), time.Now())
	if err != nil {
		return nil, err
	}
	once := postgres.Request{ID: req.GetRequestId(), Principal: link.account.String(), Method: "LeaveByLink", Body: req}
	answer, err := s.leave(ctx, link.organization, link.account, once, func(o org.Organization, member org.Member) error {
		if o.State != org.Active || !member.Belongs() || !member.JoinTime.Equal(link.joined) {
			return errLeaveLink
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var at store.Standing
	err = s.view(ctx, link.organization, func(q store.Queries) (err error) {
		at, err = q.Get(ctx, link.organization)
		return err
	})
	return &membershipv1.LeaveByLinkResponse{OrganizationDisplayName: at.Organization.DisplayName, SeatReleased: answer.GetSeatReleased()}, err
}

var errLeaveLink = fault.New(errorv1.Reason_REASON_LINK_INVALID, "This link is unknown, has expired, or is of a membership that has ended.")

// leaveLifetime is how long the link in a mail works. deploy/keys.md tells operators.
const leaveLifetime = 30 * 24 * time.Hour

// leaveLink lets whoever holds it end one membership: that which began at a moment. It is sealed, not stored: no row holds anything that
// opens it, and what ends it is the membership's own end.
type leaveLink struct {
	organization    id.Organization
	account         id.Account
	joined, expires time.Time
}

func (l leaveLink) seal(key *seal.Key) string {
	plain := append(l.organization[:], l.account[:]...)
	for _, t := range []time.Time{l.joined, l.expires} {
		plain = binary.BigEndian.AppendUint64(plain, uint64(t.UnixMicro())) //nolint:gosec // after 1970
	}
	return base64.RawURLEncoding.EncodeToString(key.Seal(plain))
}

// openLeaveLink reads the last segment of a link. What was not sealed here, or is too old, is no link.
func openLeaveLink(key *seal.Key, text string, now time.Time) (l leaveLink, err error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodeToString(sealed) != text { // the decoder skips line breaks
		return l, errLeaveLink
	}
	plain, err := key.Open(sealed)
	if err != nil || len(plain) != 48 {
		return l, errLeaveLink
	}
	at := func(from int) time.Time { return time.UnixMicro(int64(binary.BigEndian.Uint64(plain[from:]))) } //nolint:gosec // as it was put in
	l = leaveLink{id.Organization(plain[:16]), id.Account(plain[16:32]), at(32), at(40)}
	if !now.Before(l.expires) {
		return l, errLeaveLink
	}
	return l, nil
}
