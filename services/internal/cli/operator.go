package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (a *app) operatorCommand() *cobra.Command {
	return groupOf("operator", "For those who run the deployment", a.operatorClaimCommand(), a.operatorSeatLimitCommand(), a.operatorPermissionsCommand(),
		a.operatorProvidersCommand(), a.operatorServiceAccountsCommand(), a.operatorAccountsCommand())
}

func (a *app) operatorClaimCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "claim TOKEN",
		Short: "Become the operator, with the token that an empty deployment prints",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connectAsNobody()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Operators.ClaimOperator,
				&identityv1.ClaimOperatorRequest{Token: lastSegment(args[0]), DisplayName: name})
			if err != nil {
				return err
			}
			// The key is in this answer only: show it, also when it cannot be kept.
			err = a.show(answer, func(p *page) {
				p.fields("Operator", answer.GetOperatorId(), "API key", answer.GetApiKey())
				p.line("\nThe key is shown this once. It is kept here for 'roster operator'; keep a copy in a safe place.")
			})
			if err != nil {
				return err
			}
			return a.keep(func(s *keptServer) {
				s.Operator = &keptOperator{ID: answer.GetOperatorId(), Key: answer.GetApiKey()}
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "name of the operator")
	return c
}

func (a *app) operatorSeatLimitCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "seat-limit ORGANIZATION (N | none) --reason REASON",
		Short: "Set or lift an organization's seat limit; removes nobody",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &billingv1.SetSeatLimitRequest{OrganizationId: args[0], Reason: reason}
			if !strings.EqualFold(args[1], "none") {
				limit, err := strconv.ParseInt(args[1], 10, 32)
				if err != nil || limit < 1 {
					return usageError{"the limit must be a number, at least 1, or none"}
				}
				request.Limit = new(int32(limit))
			}
			if reason == "" {
				return usageError{"--reason is missing: why, for the record"}
			}
			c, err := a.connect(operator)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.SeatLimits.SetSeatLimit, request)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { usageFields(p, answer.GetUsage()) })
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return c
}
