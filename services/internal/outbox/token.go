package outbox

import (
	"encoding/base64"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Positions are revisions of one organization's history, by service.
type Positions map[string]int64

// Token says that whoever holds it has seen the organization's history up to these positions. It grants nothing, so it
// is not signed.
func (p Positions) Token(organization id.Organization) string {
	token := &eventv1.Token{OrganizationId: organization.String()}
	for _, service := range slices.Sorted(maps.Keys(p)) {
		token.Positions = append(token.Positions, &eventv1.Token_Position{Service: service, Epoch: 1, Revision: p[service]})
	}
	raw, err := proto.Marshal(token)
	if err != nil {
		panic(err) // plain strings and numbers marshal
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Token is the token of one service's revision alone.
func Token(organization id.Organization, service string, revision int64) string {
	return Positions{service: revision}.Token(organization)
}

// ParseToken returns the positions that a token of this organization asks for. An empty token asks
// for nothing.
func ParseToken(text string, organization id.Organization) (Positions, error) {
	if text == "" {
		return nil, nil
	}
	var token eventv1.Token
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || proto.Unmarshal(raw, &token) != nil || token.GetOrganizationId() != organization.String() {
		return nil, fault.Invalid("token", "must be a revision token of this organization")
	}
	asked := make(Positions, len(token.GetPositions()))
	for _, p := range token.GetPositions() {
		asked[p.GetService()] = p.GetRevision()
	}
	return asked, nil
}
