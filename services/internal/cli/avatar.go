package cli

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// mostAvatar is how many bytes a picture may have.
const mostAvatar = 256 << 10

func (a *app) accountAvatarCommand() *cobra.Command {
	return groupOf("avatar", "Your picture", a.avatarSetCommand(), a.avatarRemoveCommand())
}

func (a *app) avatarSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set FILE",
		Short: "Give yourself a picture: a PNG, JPEG or GIF of at most 256 KiB; the square in its middle is shown",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return usageError{err.Error()}
			}
			defer file.Close()
			content, err := io.ReadAll(io.LimitReader(file, mostAvatar+1))
			if err != nil {
				return err
			}
			if len(content) > mostAvatar {
				return usageError{"a picture has at most 256 KiB: make it smaller"}
			}
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Avatars.SetAvatar, &identityv1.SetAvatarRequest{Content: content})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { accountFields(p, answer.GetAccount()) })
		},
	}
}

func (a *app) avatarRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove",
		Short: "Take your picture away",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Avatars.DeleteAvatar, &identityv1.DeleteAvatarRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("You have no picture.") })
		},
	}
}
