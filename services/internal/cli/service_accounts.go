package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) operatorServiceAccountsCommand() *cobra.Command {
	return groupOf("service-accounts", "What the platform's own services are to Roster",
		a.operatorServiceAccountsCreateCommand(), a.operatorServiceAccountsListCommand(), a.operatorServiceAccountsShowCommand(),
		a.operatorServiceAccountsDeleteCommand(), a.operatorServiceAccountsCreateKeyCommand(), a.operatorServiceAccountsDeleteKeyCommand())
}

func (a *app) operatorServiceAccountsCreateCommand() *cobra.Command {
	request := &identityv1.CreateServiceAccountRequest{}
	c := &cobra.Command{
		Use:   "create NAME --scope SCOPE...",
		Short: "Make a service account; its keys work for every organization",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(request.GetScopes()) == 0 {
				return usageError{"--scope is missing: what its keys may be for, such as access.check"}
			}
			request.DisplayName = args[0]
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.ServiceAccounts.CreateServiceAccount, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				made := answer.GetServiceAccount()
				p.fields("ID", made.GetId(), "Name", made.GetDisplayName(), "Scopes", strings.Join(made.GetScopes(), " "))
				p.line("\nIt has no key yet: roster operator service-accounts create-key %s NAME", made.GetId())
			})
		},
	}
	c.Flags().StringSliceVar(&request.Scopes, "scope", nil, "what its keys may be for; may be repeated")
	return c
}

func (a *app) operatorServiceAccountsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the service accounts, oldest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.ServiceAccounts.ListServiceAccounts, &identityv1.ListServiceAccountsRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, one := range answer.GetServiceAccounts() {
					rows = append(rows, []string{one.GetId(), one.GetDisplayName(), strings.Join(one.GetScopes(), " ")})
				}
				if len(rows) == 0 {
					p.line("No service accounts. Make one: roster operator service-accounts create NAME --scope SCOPE")
					return
				}
				p.table([]string{"ID", "NAME", "SCOPES"}, rows)
			})
		},
	}
}

func (a *app) operatorServiceAccountsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show SERVICE_ACCOUNT",
		Short: "Show a service account and its keys, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			found, err := call(cmd.Context(), a, c.ServiceAccounts.GetServiceAccount, &identityv1.GetServiceAccountRequest{ServiceAccountId: args[0]})
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.ServiceAccounts.ListServiceAccountKeys, &identityv1.ListServiceAccountKeysRequest{ServiceAccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				one := found.GetServiceAccount()
				p.fields("ID", one.GetId(), "Name", one.GetDisplayName(), "Scopes", strings.Join(one.GetScopes(), " "))
				p.line("")
				keysTable(p, "rsk_", answer.GetApiKeys(), "No keys. Make one: roster operator service-accounts create-key "+one.GetId()+" NAME")
			})
		},
	}
}

// aKey is a key as its service shows it.
type aKey interface {
	GetId() string
	GetDisplayName() string
	GetScopes() []string
	GetLastFour() string
	GetLastUseTime() *timestamppb.Timestamp
	GetExpireTime() *timestamppb.Timestamp
}

// keysTable shows keys that begin with prefix, or says that there are none.
func keysTable[K aKey](p *page, prefix string, keys []K, none string) {
	var rows [][]string
	for _, k := range keys {
		rows = append(rows, []string{k.GetId(), k.GetDisplayName(), prefix + "..." + k.GetLastFour(), p.ago(k.GetLastUseTime()), p.ago(k.GetExpireTime()), strings.Join(k.GetScopes(), " ")})
	}
	if len(rows) == 0 {
		p.line(none)
		return
	}
	p.table([]string{"ID", "NAME", "KEY", "LAST USED", "EXPIRES", "SCOPES"}, rows)
}

func (a *app) operatorServiceAccountsDeleteCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "delete SERVICE_ACCOUNT",
		Short: "End a service account and its keys",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.confirm(cmd.Context(), yes, func() (string, error) {
				return "Delete " + args[0] + "? Whatever uses its keys is refused at once.", nil
			})
			if err != nil {
				return err
			}
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.ServiceAccounts.DeleteServiceAccount, &identityv1.DeleteServiceAccountRequest{ServiceAccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is gone, with its keys.", args[0]) })
		},
	}
	yesFlag(c, &yes)
	return c
}

func (a *app) operatorServiceAccountsCreateKeyCommand() *cobra.Command {
	request := &identityv1.CreateServiceAccountKeyRequest{}
	var expires time.Duration
	c := &cobra.Command{
		Use:   "create-key SERVICE_ACCOUNT NAME",
		Short: "Make a key of a service account; the others go on working",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.ServiceAccountId, request.DisplayName = args[0], args[1]
			if expires > 0 {
				request.ExpireTime = timestamppb.New(a.Now().Add(expires))
			}
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.ServiceAccounts.CreateServiceAccountKey, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				made := answer.GetApiKey()
				p.fields("ID", made.GetId(), "Key", answer.GetSecret(), "Scopes", strings.Join(made.GetScopes(), " "), "Expires", p.ago(made.GetExpireTime()))
				p.line("\nThe key is shown this once. Services send it as `Authorization: Bearer`.")
			})
		},
	}
	c.Flags().StringSliceVar(&request.Scopes, "scope", nil, "what the key is for, of the scopes of the service account (default all of them)")
	c.Flags().DurationVar(&expires, "expires-in", 0, "how long it works, such as 720h; a year at most (default 90 days)")
	return c
}

func (a *app) operatorServiceAccountsDeleteKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete-key SERVICE_ACCOUNT KEY",
		Short: "End a key of a service account; the others go on working",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.ServiceAccounts.DeleteServiceAccountKey,
				&identityv1.DeleteServiceAccountKeyRequest{ServiceAccountId: args[0], ApiKeyId: args[1]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Key %s has ended.", args[1]) })
		},
	}
}
