package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) signupCommand() *cobra.Command {
	var name string
	var stdin bool
	c := &cobra.Command{
		Use:   "signup [EMAIL]",
		Short: "Begin an account; a mail brings the token for 'roster verify'",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			email, err := a.ask(ctx, optional(args), "EMAIL", "Email")
			if err != nil {
				return err
			}
			if name, err = a.ask(ctx, name, "--name", "Name, as others see it"); err != nil {
				return err
			}
			password, err := a.password(ctx, stdin, true)
			if err != nil {
				return err
			}
			c, err := a.connectAsNobody()
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Accounts.SignUp, &identityv1.SignUpRequest{Email: email, Password: password, DisplayName: name})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("Check your mail at %s. Then: roster verify TOKEN", email)
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "your name, as others see it")
	passwordFlag(c, &stdin)
	return c
}

func passwordFlag(c *cobra.Command, stdin *bool) {
	c.Flags().BoolVar(stdin, "password-stdin", false, "read the password from the first line of standard input")
}

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify TOKEN",
		Short: "Prove your address with the token or the link of the mail",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connectAsNobody()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Accounts.VerifyEmail, &identityv1.VerifyEmailRequest{Token: lastSegment(args[0])})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("%s is yours. Sign in: roster login %s", answer.GetEmail(), answer.GetEmail())
			})
		},
	}
}

// lastSegment is the token of a link, or the token itself.
func lastSegment(link string) string {
	if end := strings.IndexAny(link, "?#"); end >= 0 {
		link = link[:end]
	}
	link = strings.TrimRight(link, "/")
	return link[strings.LastIndexByte(link, '/')+1:]
}

// codeFlag is for a code that is given at once; otherwise it is asked for when it is due.
func codeFlag(c *cobra.Command, code *string) {
	c.Flags().StringVar(code, "code", "", "the code of your authenticator app, or a recovery code")
}

func (a *app) askCode(ctx context.Context, given string) (string, error) {
	return a.ask(ctx, given, "--code", "Code of your authenticator app, or a recovery code")
}

func (a *app) loginCommand() *cobra.Command {
	var stdin bool
	var code string
	c := &cobra.Command{
		Use:   "login [EMAIL | USERNAME]",
		Short: "Sign in; the session is kept for the commands that follow",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			who, err := a.ask(ctx, optional(args), "EMAIL or USERNAME", "Email or username")
			if err != nil {
				return err
			}
			request := &identityv1.CreateSessionRequest{Delivery: identityv1.Delivery_DELIVERY_TOKEN}
			request.Email, request.Username = emailOrUsername(who)
			if request.Password, err = a.password(ctx, stdin, false); err != nil {
				return err
			}
			c, err := a.connectAsNobody()
			if err != nil {
				return err
			}
			answer, err := call(ctx, a, c.Sessions.CreateSession, request)
			if err != nil {
				return err
			}
			if answer.GetChallenge() != nil {
				if !slices.Contains(answer.GetChallenge().GetMethods(), identityv1.FactorMethod_FACTOR_METHOD_TOTP) {
					fmt.Fprintln(a.Err, "Your second factor is a passkey, which works in a browser. Here, use one of your recovery codes.")
				}
				if code, err = a.askCode(ctx, code); err != nil {
					return err
				}
				if c, err = a.dial(answer.GetToken()); err != nil {
					return err
				}
				in, err := call(ctx, a, c.Sessions.AnswerChallenge, &identityv1.AnswerChallengeRequest{Code: code})
				if err != nil {
					return err
				}
				answer = &identityv1.CreateSessionResponse{
					Session: in.GetSession(), Token: in.GetToken(), PasswordChangeRequired: in.GetPasswordChangeRequired()}
			}
			if err := a.keepSession(answer.GetSession(), answer.GetToken()); err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				p.line("Signed in to %s as %s until %s.", a.address(), who, p.at(answer.GetSession().GetExpireTime()))
				if answer.GetPasswordChangeRequired() {
					p.line("The password is a temporary one. Choose your own before anything else: roster password change")
				}
			})
		},
	}
	passwordFlag(c, &stdin)
	codeFlag(c, &code)
	return c
}

func (a *app) reauthCommand() *cobra.Command {
	var stdin bool
	var code string
	c := &cobra.Command{
		Use:   "reauth",
		Short: "Prove again that it is you, for what asks for that",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			password, err := a.password(ctx, stdin, false)
			if err != nil {
				return err
			}
			request := &identityv1.ReauthenticateRequest{Password: password, Code: code}
			answer, err := call(ctx, a, c.Sessions.Reauthenticate, request)
			if fault.ReasonOf(err) == errorv1.Reason_REASON_CODE_REQUIRED {
				if request.Code, err = a.askCode(ctx, ""); err != nil {
					return err
				}
				answer, err = call(ctx, a, c.Sessions.Reauthenticate, request)
			}
			if err != nil {
				return err
			}
			if err := a.keepSession(answer.GetSession(), answer.GetToken()); err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("It is you. Repeat what asked for that.") })
		},
	}
	passwordFlag(c, &stdin)
	codeFlag(c, &code)
	return c
}

func (a *app) keepSession(session *identityv1.Session, token string) error {
	return a.keep(func(s *keptServer) {
		s.Session = &keptSession{ID: session.GetId(), AccountID: session.GetAccountId(), Token: token}
	})
}

// forgetSession drops what is kept of a session that has ended.
func (a *app) forgetSession(id string) error {
	saved, err := a.saved()
	if err != nil || saved.Session == nil || saved.Session.ID != id {
		return err
	}
	return a.keep(func(s *keptServer) { s.Session = nil })
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Sign out, here and on the server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			_, err = call(cmd.Context(), a, c.Sessions.SignOut, &identityv1.SignOutRequest{})
			if err != nil && fault.ReasonOf(err) != errorv1.Reason_REASON_UNAUTHENTICATED { // that is: it has ended already
				return err
			}
			if a.setting(a.token, "ROSTER_TOKEN") == "" {
				if err := a.keep(func(s *keptServer) { s.Session = nil }); err != nil {
					return err
				}
			}
			return a.show(&identityv1.SignOutResponse{}, func(p *page) { p.line("Signed out of %s.", a.address()) })
		},
	}
}

func (a *app) meCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "me",
		Short: "Who you are signed in as",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Accounts.GetMe, &identityv1.GetMeRequest{})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				accountFields(p, answer.GetAccount())
				if by, through := answer.GetManagedByOrganizationId(), answer.GetManagedThroughDomain(); through != "" {
					p.line("Managed by %s, because your address is on its domain %s.", by, through)
				} else if by != "" {
					p.line("Managed by %s, until you join another organization.", by)
				}
			})
		},
	}
}

func (a *app) accountCommand() *cobra.Command {
	return groupOf("account", "Your account", a.accountUpdateCommand(), a.accountExportCommand(), a.accountAvatarCommand(), a.accountProvidersCommand(), a.accountDeleteCommand())
}

func (a *app) accountUpdateCommand() *cobra.Command {
	request := &identityv1.UpdateMeRequest{UpdateMask: &fieldmaskpb.FieldMask{}}
	fields := map[string]string{"name": "display_name", "username": "username", "phone": "phone", "locale": "locale", "time-zone": "time_zone"}
	c := &cobra.Command{
		Use:   "update",
		Short: "Change your profile; an empty phone, locale or time zone is cleared",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Flags().Visit(func(f *pflag.Flag) {
				if field, ok := fields[f.Name]; ok {
					request.UpdateMask.Paths = append(request.UpdateMask.Paths, field)
				}
			})
			if len(request.GetUpdateMask().GetPaths()) == 0 {
				return usageError{"say what to change: --name, --username, --phone, --locale or --time-zone"}
			}
			c, err := a.connect(person)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Accounts.UpdateMe, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { accountFields(p, answer.GetAccount()) })
		},
	}
	c.Flags().StringVar(&request.DisplayName, "name", "", "your name, as others see it")
	c.Flags().StringVar(&request.Username, "username", "", "what you sign in with beside your address; nobody else can have one that you had")
	c.Flags().StringVar(&request.Phone, "phone", "", "phone number, with + and the code of the country")
	c.Flags().StringVar(&request.Locale, "locale", "", "language, such as en-GB")
	c.Flags().StringVar(&request.TimeZone, "time-zone", "", "time zone, such as Europe/Berlin")
	return c
}

func accountFields(p *page, account *identityv1.Account) {
	email := account.GetEmail()
	if email != "" && !account.GetEmailVerified() {
		email += " (not verified)"
	}
	if account.GetUnproven() {
		defer func() {
			p.line("An admin has written your address or had your password made. Confirm that the mailbox is yours: open the link that was mailed to you, or have it")
			p.line("mailed again with `roster email add %s`. Then sign in again: everything that was set up in the account meanwhile ends.", cmp.Or(account.GetEmail(), "ADDRESS"))
		}()
	}
	p.fields(
		"Account", account.GetId(),
		"Name", account.GetDisplayName(),
		"Email", email,
		"Username", account.GetUsername(),
		"Phone", account.GetPhone(),
		"Locale", account.GetLocale(),
		"Time zone", account.GetTimeZone(),
		"Picture", account.GetAvatarUrl(),
		"Created", p.at(account.GetCreateTime()),
	)
}

// emailOrUsername tells which of the two somebody has given.
func emailOrUsername(who string) (email, username string) {
	if strings.Contains(who, "@") {
		return who, ""
	}
	return "", who
}
