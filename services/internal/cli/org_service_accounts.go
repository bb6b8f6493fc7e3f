package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) serviceAccountsCommand() *cobra.Command {
	return groupOf("service-accounts", "The organization's own programs, which are no members",
		a.serviceAccountsCreateCommand(), a.serviceAccountsListCommand(), a.serviceAccountsUpdateCommand(), a.serviceAccountsDeleteCommand(),
		groupOf("keys", "Keys of a service account",
			a.serviceAccountsKeysCreateCommand(), a.serviceAccountsKeysListCommand(), a.serviceAccountsKeysDeleteCommand()))
}

func (a *app) serviceAccountsCreateCommand() *cobra.Command {
	request := &membershipv1.CreateOrganizationServiceAccountRequest{}
	c := &cobra.Command{
		Use:   "create NAME --permission PERMISSION...",
		Short: "Make a service account, for permissions of yours",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(request.GetPermissions()) == 0 {
				return usageError{"--permission is missing: what it is for, such as members.read"}
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId, request.DisplayName = org, args[0]
			answer, err := call(cmd.Context(), a, c.Programs.CreateOrganizationServiceAccount, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				made := answer.GetServiceAccount()
				p.fields("ID", made.GetId(), "Name", made.GetDisplayName(), "Permissions", strings.Join(made.GetPermissions(), " "))
				p.line("\nIt has no key yet: roster service-accounts keys create %s NAME", made.GetId())
			})
		},
	}
	c.Flags().StringSliceVar(&request.Permissions, "permission", nil, "what it is for; may be repeated")
	return c
}

func (a *app) serviceAccountsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the service accounts, oldest first, and those whose creator has left",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Programs.ListOrganizationServiceAccounts,
				&membershipv1.ListOrganizationServiceAccountsRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				var rows [][]string
				for _, one := range answer.GetServiceAccounts() {
					creator := one.GetCreatorAccountId()
					if one.GetCreatorLeft() {
						creator += " (has left)"
					}
					name := one.GetDisplayName()
					if one.GetDisabled() {
						name += " (disabled)"
					}
					rows = append(rows, []string{one.GetId(), name, p.ago(one.GetLastUseTime()), creator, strings.Join(one.GetPermissions(), " ")})
				}
				if len(rows) == 0 {
					p.line("No service accounts. Make one: roster service-accounts create NAME --permission PERMISSION")
					return
				}
				p.table([]string{"ID", "NAME", "LAST USED", "CREATOR", "PERMISSIONS"}, rows)
			})
		},
	}
}

func (a *app) serviceAccountsUpdateCommand() *cobra.Command {
	var enable, disable bool
	request := &membershipv1.UpdateOrganizationServiceAccountRequest{}
	c := &cobra.Command{
		Use:   "update SERVICE_ACCOUNT",
		Short: "Change what a service account is called or for, or disable it; its keys follow at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			mask := &fieldmaskpb.FieldMask{}
			for flag, field := range map[string]string{"name": "display_name", "permission": "permissions", "enable": "disabled", "disable": "disabled"} {
				if cmd.Flags().Changed(flag) {
					mask.Paths = append(mask.Paths, field)
				}
			}
			if len(mask.GetPaths()) == 0 {
				return usageError{"say what to change: --name, --permission, --disable, --enable"}
			}
			slices.Sort(mask.Paths)
			request.OrganizationId, request.ServiceAccountId, request.UpdateMask, request.Disabled = org, args[0], mask, &disable
			answer, err := call(cmd.Context(), a, c.Programs.UpdateOrganizationServiceAccount, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				one := answer.GetServiceAccount()
				state := "enabled"
				if one.GetDisabled() {
					state = "disabled: its keys are refused"
				}
				p.fields("ID", one.GetId(), "Name", one.GetDisplayName(), "Permissions", strings.Join(one.GetPermissions(), " "), "State", state)
			})
		},
	}
	c.Flags().StringVar(&request.DisplayName, "name", "", "another name")
	c.Flags().StringSliceVar(&request.Permissions, "permission", nil, "what it is for from now on, instead of what it is for now; may be repeated")
	c.Flags().BoolVar(&disable, "disable", false, "have its keys refused")
	c.Flags().BoolVar(&enable, "enable", false, "have its keys work again")
	c.MarkFlagsMutuallyExclusive("enable", "disable")
	return c
}

func (a *app) serviceAccountsDeleteCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "delete SERVICE_ACCOUNT",
		Short: "End a service account and its keys",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			err = a.confirm(cmd.Context(), yes, func() (string, error) {
				return "Delete " + args[0] + "? Whatever uses its keys is refused at once.", nil
			})
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Programs.DeleteOrganizationServiceAccount,
				&membershipv1.DeleteOrganizationServiceAccountRequest{OrganizationId: org, ServiceAccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is gone, with its keys.", args[0]) })
		},
	}
	yesFlag(c, &yes)
	return c
}

func (a *app) serviceAccountsKeysCreateCommand() *cobra.Command {
	request := &membershipv1.CreateOrganizationServiceAccountKeyRequest{}
	var expires time.Duration
	c := &cobra.Command{
		Use:   "create SERVICE_ACCOUNT NAME",
		Short: "Make a key of a service account; the others go on working",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId, request.ServiceAccountId, request.DisplayName = org, args[0], args[1]
			if expires > 0 {
				request.ExpireTime = timestamppb.New(a.Now().Add(expires))
			}
			answer, err := call(cmd.Context(), a, c.Programs.CreateOrganizationServiceAccountKey, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				made := answer.GetApiKey()
				p.fields("ID", made.GetId(), "Key", answer.GetSecret(), "Scopes", strings.Join(made.GetScopes(), " "), "Expires", p.ago(made.GetExpireTime()))
				p.line("\nThe key is shown this once. Programs send it as ROSTER_TOKEN, or as `Authorization: Bearer`.")
			})
		},
	}
	c.Flags().StringSliceVar(&request.Scopes, "scope", nil, "what the key is for, of the permissions of the service account (default all of them)")
	c.Flags().DurationVar(&expires, "expires-in", 0, "how long it works, such as 720h; a year at most (default 90 days)")
	return c
}

func (a *app) serviceAccountsKeysListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list SERVICE_ACCOUNT",
		Short: "List the keys of a service account, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Programs.ListOrganizationServiceAccountKeys,
				&membershipv1.ListOrganizationServiceAccountKeysRequest{OrganizationId: org, ServiceAccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				keysTable(p, "rsok_", answer.GetApiKeys(), "No keys. Make one: roster service-accounts keys create "+args[0]+" NAME")
			})
		},
	}
}

func (a *app) serviceAccountsKeysDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete SERVICE_ACCOUNT KEY",
		Short: "End a key of a service account; the others go on working",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Programs.DeleteOrganizationServiceAccountKey,
				&membershipv1.DeleteOrganizationServiceAccountKeyRequest{OrganizationId: org, ServiceAccountId: args[0], ApiKeyId: args[1]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Key %s has ended.", args[1]) })
		},
	}
}
