package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) accountExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write what is kept of you, as JSON: the account, and you as each of your organizations knows you",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			kept, err := call(ctx, a, c.Exports.ExportAccount, &identityv1.ExportAccountRequest{})
			if err != nil {
				return err
			}
			type membership struct {
				Organization json.RawMessage `json:"organization"`
				Member       json.RawMessage `json:"member,omitempty"`
			}
			document := struct {
				Identity    json.RawMessage `json:"identity"`
				Memberships []membership    `json:"memberships"`
			}{Memberships: []membership{}}
			if document.Identity, err = jsonOf(kept); err != nil {
				return err
			}
			for token := ""; ; {
				page, err := call(ctx, a, c.Organizations.ListOrganizations, &membershipv1.ListOrganizationsRequest{PageToken: token})
				if err != nil {
					return err
				}
				for _, org := range page.GetOrganizations() {
					var one membership
					if one.Organization, err = jsonOf(org); err != nil {
						return err
					}
					me, err := call(ctx, a, c.Members.GetMember, &membershipv1.GetMemberRequest{OrganizationId: org.GetId(), AccountId: kept.GetAccount().GetId()})
					switch fault.ReasonOf(err) {
					case errorv1.Reason_REASON_MEMBER_DISABLED, errorv1.Reason_REASON_PERMISSION_MISSING: // it shows itself no further
					default:
						if err != nil {
							return err
						}
						if one.Member, err = jsonOf(me.GetMember()); err != nil {
							return err
						}
					}
					document.Memberships = append(document.Memberships, one)
				}
				if token = page.GetNextPageToken(); token == "" {
					break
				}
			}
			text, err := json.MarshalIndent(document, "", "  ")
			if err != nil {
				return err
			}
			_, err = a.Out.Write(append(text, '\n'))
			return err
		},
	}
}

// jsonOf is a message as the REST API writes it.
func jsonOf(m proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
}
