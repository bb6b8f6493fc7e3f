package invitation

import (
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/reseal"
)

// Sealed is what the service seals and keeps: links that wait for their mail. A password that waits for its account is sealed by identity;
// one that it cannot open any more is asked for again.
func (s *Service) Sealed() []reseal.Column {
	return []reseal.Column{{
		Table: "invitations", Column: "sealed_token", Row: []string{"organization_id", "invitation_id"}, Key: s.linkKey,
		Bound: func(row []any) reseal.Bound {
			organization, key := id.Organization(row[0].([16]byte)), id.Invitation(row[1].([16]byte))
			return reseal.Bound{Scope: postgres.In(organization), Context: linkBound(organization, key), Older: linkBoundBefore(key)}
		},
	}}
}

// linkBound is what a sealed link is bound to, and linkBoundBefore what it was before values named their key.
func linkBound(organization id.Organization, key id.Invitation) []string {
	return []string{"link", organization.String(), key.String()}
}
func linkBoundBefore(key id.Invitation) []string { return []string{key.String()} }
