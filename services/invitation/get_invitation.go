package invitation

import (
	"context"
	"slices"
	"strings"

	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// GetInvitation returns one invitation. Its link is not part of it: links are never shown again.
func (s *Service) GetInvitation(ctx context.Context, req *invitationv1.GetInvitationRequest) (*invitationv1.GetInvitationResponse, error) {
	org, key, err := parseNames(req)
	if err != nil {
		return nil, err
	}
	if _, err := s.authorize(ctx, org, "invitations.read"); err != nil {
		return nil, err
	}
	answer := &invitationv1.GetInvitationResponse{}
	err = s.view(ctx, org, func(q store.Queries) error {
		inv, err := q.Get(ctx, org, key)
		if err != nil {
			return err
		}
		if !inv.Announced { // nobody ever heard of it
			return invite.ErrNotFound
		}
		answer.Invitation = toProto(inv, q.Now())
		return nil
	})
	return answer, err
}

// ListInvitations returns a page of invitations, newest first.
func (s *Service) ListInvitations(ctx context.Context, req *invitationv1.ListInvitationsRequest) (*invitationv1.ListInvitationsResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if _, err := s.authorize(ctx, org, "invitations.read"); err != nil {
		return nil, err
	}
	var states []string
	for _, state := range req.GetStates() {
		states = append(states, stateFromProto(state))
	}
	slices.Sort(states)
	bound := []string{"invitations", org.String(), caller.From(ctx).Account.String(), strings.Join(states, ",")}
	var after id.Invitation
	if err := page.Open(s.pageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	answer := &invitationv1.ListInvitationsResponse{}
	err = s.view(ctx, org, func(q store.Queries) error {
		answer.Invitations, answer.NextPageToken = nil, ""
		rows, err := q.List(ctx, org, states, after, size+1)
		if err != nil {
			return err
		}
		if rows, answer.NextPageToken, err = page.Cut(s.pageKey, rows, size, func(row invite.Invitation) id.Invitation { return row.InvitationID }, bound...); err != nil {
			return err
		}
		for i := range rows {
			answer.Invitations = append(answer.Invitations, toProto(&rows[i], q.Now()))
		}
		return nil
	})
	return answer, err
}
