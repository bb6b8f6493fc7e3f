package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) operatorPermissionsCommand() *cobra.Command {
	return groupOf("permissions", "The permissions of products that stand on the suite", a.operatorPermissionsApplyCommand(), a.operatorPermissionsListCommand())
}

func (a *app) operatorPermissionsApplyCommand() *cobra.Command {
	req := &membershipv1.ApplyPermissionsRequest{}
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make the registered permissions equal to a file; what it lacks is retired",
		Long: `Make the registered permissions equal to a file, YAML or JSON; - is standard input:

  permissions:
    - name: app:billing.refund
      display_name: Refund
      description: Give customers their money back.
      held_by: [developer, member]
    - name: app:billing.close
      display_name: Close the books
      dangerous: true

Owner and admin hold all of them, the other built-in roles (developer, member, viewer) those that say so. A permission
that the file lacks is retired: nobody holds it any more, and questions about it are answered no.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.readPermissions(args[0], req); err != nil {
				return err
			}
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Permissions.ApplyPermissions, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.fields(
					"Added", strings.Join(answer.GetAdded(), ", "),
					"Changed", strings.Join(answer.GetChanged(), ", "),
					"Retired", strings.Join(answer.GetRetired(), ", "),
				)
				if len(answer.GetAdded())+len(answer.GetChanged())+len(answer.GetRetired()) == 0 {
					p.line("Nothing differs.")
				}
			})
		},
	}
	c.Flags().BoolVar(&req.ValidateOnly, "dry-run", false, "only tell what would change")
	return c
}

// readPermissions reads a request from a file. YAML is read as the JSON that it stands for, so that names are checked once.
func (a *app) readPermissions(name string, req *membershipv1.ApplyPermissionsRequest) error {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(a.In)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return usageError{err.Error()}
	}
	var file struct {
		Permissions []map[string]any `json:"permissions"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return usageError{fmt.Sprintf("%s: %v", name, err)}
	}
	plain, err := json.Marshal(file)
	if err != nil {
		return usageError{fmt.Sprintf("%s: %v", name, err)}
	}
	if file.Permissions == nil { // to retire all of them takes an empty list
		return usageError{name + ": has no permissions"}
	}
	var said membershipv1.ApplyPermissionsRequest
	if err := protojson.Unmarshal(plain, &said); err != nil {
		return usageError{fmt.Sprintf("%s: %v", name, err)}
	}
	req.Permissions = said.GetPermissions()
	return nil
}

func (a *app) operatorPermissionsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the registered permissions, and those that were",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Permissions.ListRegisteredPermissions, &membershipv1.ListRegisteredPermissionsRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, permission := range answer.GetPermissions() {
					var note string
					switch {
					case permission.GetRetired():
						note = "retired"
					case permission.GetDangerous():
						note = "widens power"
					}
					rows = append(rows, []string{permission.GetName(), permission.GetDisplayName(), strings.Join(permission.GetHeldBy(), ", "), note})
				}
				p.table([]string{"PERMISSION", "NAME", "HELD BY", "NOTE"}, rows)
			})
		},
	}
}
