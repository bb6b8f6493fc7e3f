package cli

import (
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) keysCommand() *cobra.Command {
	return groupOf("keys", "Keys for your programs", a.keysCreateCommand(), a.keysListCommand(), a.keysDeleteCommand())
}

func (a *app) keysCreateCommand() *cobra.Command {
	var scopes []string
	var expires time.Duration
	c := &cobra.Command{
		Use:   "create NAME --scope PERMISSION...",
		Short: "Make a key; it does what its scopes name and you may do at that moment",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(scopes) == 0 {
				return usageError{"--scope is missing: the permissions that the key is for, such as members.read"}
			}
			request := &identityv1.CreateApiKeyRequest{DisplayName: args[0], Scopes: scopes}
			if expires > 0 {
				request.ExpireTime = timestamppb.New(a.Now().Add(expires))
			}
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Keys.CreateApiKey, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.fields("ID", answer.GetApiKey().GetId(), "Key", answer.GetSecret(), "Expires", p.ago(answer.GetApiKey().GetExpireTime()))
				p.line("\nThe key is shown this once. Programs send it as ROSTER_TOKEN, or as `Authorization: Bearer`.")
			})
		},
	}
	c.Flags().StringSliceVar(&scopes, "scope", nil, "permission that the key is for; may be repeated")
	c.Flags().DurationVar(&expires, "expires-in", 0, "how long it works, such as 720h; a year at most (default 90 days)")
	return c
}

func (a *app) keysListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your keys, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Keys.ListApiKeys, &identityv1.ListApiKeysRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				keysTable(p, "rak_", answer.GetApiKeys(), "No keys. Make one: roster keys create NAME --scope PERMISSION")
			})
		},
	}
}

func (a *app) keysDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete KEY",
		Short: "End one of your keys",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Keys.DeleteApiKey, &identityv1.DeleteApiKeyRequest{ApiKeyId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("Key %s has ended.", args[0]) })
		},
	}
}
