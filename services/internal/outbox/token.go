package outbox

import (
	"encoding/base64"

	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Token says that whoever holds it has seen an organization's history up to a revision of one service.
// It grants nothing, so it is not signed.
func Token(organization id.Organization, service string, revision int64) string {
	raw, err := proto.Marshal(&eventv1.Token{
		OrganizationId: organization.String(),
		Positions:      []*eventv1.Token_Position{{Service: service, Epoch: 1, Revision: revision}},
	})
	if err != nil {
		panic(err) // plain strings and numbers marshal
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ParseToken returns the revision per service that a token of this organization asks for. An empty token asks
// for nothing.
func ParseToken(text string, organization id.Organization) (map[string]int64, error) {
	if text == "" {
		return nil, nil
	}
	var token eventv1.Token
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || proto.Unmarshal(raw, &token) != nil || token.GetOrganizationId() != organization.String() {
		return nil, fault.Invalid("token", "must be a revision token of this organization")
	}
	asked := make(map[string]int64, len(token.GetPositions()))
	for _, p := range token.GetPositions() {
		asked[p.GetService()] = p.GetRevision()
	}
	return asked, nil
}
