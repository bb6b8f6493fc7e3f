package cli

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) orgPolicyCommand() *cobra.Command {
	return groupOf("policy", "How an organization works", a.policyShowCommand(), a.policySetCommand(), a.policyPreviewCommand())
}

func (a *app) policyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [ORGANIZATION]",
		Short: "Show how an organization works",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within(args...)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Organizations.GetPolicy, &membershipv1.GetPolicyRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { policyFields(p, answer.GetPreset(), answer.GetPolicy(), answer.GetEtag()) })
		},
	}
}

// policyFields shows a policy, each field by the name of its flag: the given ones, or all.
func policyFields(p *page, preset membershipv1.Preset, policy *membershipv1.OrganizationPolicy, etag string, only ...string) {
	pairs := []string{"preset", word(preset)}
	message := policy.ProtoReflect()
	for _, field := range policyFlags() {
		if len(only) > 0 && !slices.Contains(only, string(field.Name())) {
			continue
		}
		text := ""
		switch value := message.Get(field); {
		case field.IsList():
			var all []string
			for i := range value.List().Len() {
				all = append(all, value.List().Get(i).String())
			}
			text = strings.Join(all, ", ")
		case field.Enum() != nil:
			if value.Enum() != 0 {
				text = flagWord(string(field.Enum().Values().ByNumber(value.Enum()).Name()))
			}
		case field.Message() != nil:
			text = days(policy.GetInviteTtl().AsDuration())
		case field.Kind() == protoreflect.BoolKind:
			text = onOff(value.Bool())
		default:
			text = value.String()
		}
		pairs = append(pairs, flagName(field), text)
	}
	p.fields(append(pairs, "etag", etag)...)
}

// policyFlags are the policy's fields by name.
func policyFlags() (fields []protoreflect.FieldDescriptor) {
	known := (&membershipv1.OrganizationPolicy{}).ProtoReflect().Descriptor().Fields()
	for i := range known.Len() {
		fields = append(fields, known.Get(i))
	}
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int {
		return strings.Compare(string(a.Name()), string(b.Name()))
	})
	return fields
}

func flagName(field protoreflect.FieldDescriptor) string {
	return strings.ReplaceAll(string(field.Name()), "_", "-")
}

// reform is what flags say about another policy.
type reform struct {
	preset, owner string
	remap         map[string]string
}

func (r *reform) flags(c *cobra.Command) {
	for _, field := range policyFlags() {
		name, usage := flagName(field), strings.ReplaceAll(string(field.Name()), "_", " ")
		switch {
		case field.IsList():
			c.Flags().StringSlice(name, nil, usage+"; several with commas")
		case field.Enum() != nil:
			c.Flags().String(name, "", usage+": "+strings.Join(enumWords(field), ", "))
		case field.Message() != nil:
			c.Flags().Duration(name, 0, usage)
		case field.Kind() == protoreflect.BoolKind:
			c.Flags().Bool(name, false, usage)
		default:
			c.Flags().String(name, "", usage)
		}
	}
	c.Flags().StringVar(&r.preset, "preset", "", "begin with another preset: "+strings.Join(words(membershipv1.Preset_name), ", "))
	c.Flags().StringToStringVar(&r.remap, "remap", nil, "role that goes and the one in its place, OLD=NEW; several with commas")
	c.Flags().StringVar(&r.owner, "owner", "", "who becomes the owner where there was none: your account")
}

func enumWords(field protoreflect.FieldDescriptor) []string {
	names := make(map[int32]string)
	for i := range field.Enum().Values().Len() {
		value := field.Enum().Values().Get(i)
		names[int32(value.Number())] = string(value.Name())
	}
	return words(names)
}

// wanted reads the flags that were given.
func (r *reform) wanted(cmd *cobra.Command) (policy *membershipv1.OrganizationPolicy, mask *fieldmaskpb.FieldMask, preset membershipv1.Preset, err error) {
	policy, mask = &membershipv1.OrganizationPolicy{}, &fieldmaskpb.FieldMask{}
	message := policy.ProtoReflect()
	for _, field := range policyFlags() {
		name := flagName(field)
		if !cmd.Flags().Changed(name) {
			continue
		}
		mask.Paths = append(mask.Paths, string(field.Name()))
		switch {
		case field.IsList():
			all, _ := cmd.Flags().GetStringSlice(name) // of this type, see flags
			for _, one := range all {
				message.Mutable(field).List().Append(protoreflect.ValueOfString(one))
			}
		case field.Enum() != nil:
			text, _ := cmd.Flags().GetString(name)
			if text == "" {
				continue
			}
			number := slices.Index(enumWords(field), strings.ToLower(text)) // in their order, without the first
			if number < 0 {
				return nil, nil, 0, usageError{"--" + name + " " + strconv.Quote(text) + ": must be one of " + strings.Join(enumWords(field), ", ")}
			}
			message.Set(field, protoreflect.ValueOfEnum(field.Enum().Values().Get(number+1).Number()))
		case field.Message() != nil:
			var lasts time.Duration
			lasts, _ = cmd.Flags().GetDuration(name)
			policy.InviteTtl = durationpb.New(lasts)
		case field.Kind() == protoreflect.BoolKind:
			on, _ := cmd.Flags().GetBool(name)
			message.Set(field, protoreflect.ValueOfBool(on))
		default:
			text, _ := cmd.Flags().GetString(name)
			message.Set(field, protoreflect.ValueOfString(text))
		}
	}
	if r.preset != "" {
		preset, err = value[membershipv1.Preset]("preset", r.preset, membershipv1.Preset_name)
	}
	if err == nil && len(mask.GetPaths()) == 0 && preset == 0 {
		err = usageError{"say what to change: a field, such as --groups or --groups=false, or --preset"}
	}
	return policy, mask, preset, err
}

const policyHelp = `

Fields that are switched on and off are --groups and --groups=false. With --preset the policy and the built-in roles begin anew; the fields
that are given differ from the preset. Roles that the preset does not have go: --remap developer=member names the one that takes the
place of each. Who makes a flat organization one with an owner becomes that owner, with --owner and their own account.`

func (a *app) policySetCommand() *cobra.Command {
	var r reform
	var etag string
	c := &cobra.Command{
		Use:   "set [ORGANIZATION] --FIELD VALUE",
		Short: "Change how an organization works; refused with all that is in the way",
		Long:  "Change how an organization works. It is refused with all that is in the way." + policyHelp,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, mask, preset, err := r.wanted(cmd)
			if err != nil {
				return err
			}
			org, c, err := a.within(args...)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Organizations.UpdatePolicy, &membershipv1.UpdatePolicyRequest{OrganizationId: org,
				Policy: policy, UpdateMask: mask, Preset: preset, RoleRemap: r.remap, OwnerAccountId: r.owner, Etag: etag})
			if err != nil {
				return err
			}
			changed := mask.GetPaths()
			if preset != 0 {
				changed = nil
			}
			return a.show(answer, func(p *page) {
				policyFields(p, answer.GetPreset(), answer.GetPolicy(), answer.GetEtag(), changed...)
			})
		},
	}
	r.flags(c)
	etagFlag(c, &etag)
	return c
}

func (a *app) policyPreviewCommand() *cobra.Command {
	var r reform
	c := &cobra.Command{
		Use:   "preview [ORGANIZATION] --FIELD VALUE",
		Short: "Say what a change would do and what is in its way, and change nothing",
		Long:  "Say what a change would do and what is in its way. Nothing is changed." + policyHelp,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, mask, preset, err := r.wanted(cmd)
			if err != nil {
				return err
			}
			org, c, err := a.within(args...)
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Organizations.PreviewPolicy, &membershipv1.PreviewPolicyRequest{OrganizationId: org,
				Policy: policy, UpdateMask: mask, Preset: preset, RoleRemap: r.remap, OwnerAccountId: r.owner})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) {
				if len(answer.GetViolations()) == 0 {
					p.line("Nothing is in the way.")
				}
				findings(p, "In the way:", answer.GetViolations())
				findings(p, "What follows:", answer.GetEffects())
			})
		},
	}
	r.flags(c)
	return c
}

func findings(p *page, title string, all []*membershipv1.PolicyFinding) {
	if len(all) == 0 {
		return
	}
	p.line("%s", title)
	for _, f := range all {
		if strings.Contains(f.GetDescription(), f.GetSubject()) {
			p.line("  %s", f.GetDescription())
			continue
		}
		p.line("  %s: %s", f.GetSubject(), f.GetDescription())
	}
}
