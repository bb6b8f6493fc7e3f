package membership

import (
	"context"
	"regexp"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// UpdateMember changes how a member is shown in this organization. Writing what is there already changes nothing and tells
// nobody.
func (s *Service) UpdateMember(ctx context.Context, req *membershipv1.UpdateMemberRequest) (*membershipv1.UpdateMemberResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	retouch, err := parseRetouch(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.UpdateProfiles, req.GetRequestId(), "UpdateMember", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.UpdateMemberResponse, error) {
		q := queries(tx)
		at, err := q.LockMembers(ctx, key, me, target)
		if err != nil {
			return nil, err
		}
		o, member := at.Organization, at.Members[target]
		actor, err := o.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.Retouch(member); err != nil {
			return nil, err
		}
		profile, err := q.LockPerson(ctx, key, target)
		if err != nil {
			return nil, err
		}
		before, was := member, profile.Overlay
		retouch(&profile.Overlay)
		changed := profile.Overlay.Without(was)
		if err := member.ChangeProfile(req.GetEtag(), len(changed) > 0); err != nil {
			return nil, err
		}
		answer := &membershipv1.UpdateMemberResponse{Member: memberToProto(o, actor, member, profile)}
		if len(changed) == 0 {
			return answer, nil
		}
		q.SaveMember(key, member, false)
		q.SaveOverlay(key, target, profile)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return answer, outbox.Publish(tx, key, tx.Now(), &eventv1.MemberProfileChanged{
			Context: because.Context(ctx), Before: memberToEvent(o, before), After: memberToEvent(o, member), Changed: changed,
			Personal: &eventv1.MemberProfileChange{Before: overlayToEvent(was), After: overlayToEvent(profile.Overlay)}})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}

// parseRetouch reads what is to change of an overlay.
func parseRetouch(req *membershipv1.UpdateMemberRequest) (func(*org.Overlay), error) {
	var to org.Overlay
	var err error
	if req.GetDisplayName() != "" {
		if to.Name, err = naming.ParseDisplayName("display_name", req.GetDisplayName()); err != nil {
			return nil, err
		}
	}
	if req.GetContactEmail() != "" {
		address, ok := email.Parse(req.GetContactEmail())
		if !ok {
			return nil, fault.Invalid("contact_email", "must be an email address")
		}
		to.ContactEmail = address.Display
	}
	if to.Phone = strings.TrimSpace(req.GetPhone()); to.Phone != "" && !phone.MatchString(to.Phone) {
		return nil, fault.Invalid("phone", "must have at least three digits, and otherwise blanks and + - . / ( ) only")
	}
	paths, err := pathsOf(req.GetUpdateMask(), to)
	if err != nil {
		return nil, err
	}
	return func(overlay *org.Overlay) {
		for _, path := range paths {
			switch path {
			case "display_name":
				overlay.Name = to.Name
			case "contact_email":
				overlay.ContactEmail = to.ContactEmail
			case "phone":
				overlay.Phone = to.Phone
			}
		}
	}, nil
}

var phone = regexp.MustCompile(`^\+?[-0-9 ()./]*(?:[0-9][- ()./]*){3}$`)

// pathsOf returns the fields that a mask names; without one, those that are given.
func pathsOf(mask *fieldmaskpb.FieldMask, given org.Overlay) ([]string, error) {
	if len(mask.GetPaths()) == 0 {
		paths := given.Without(org.Overlay{})
		if len(paths) == 0 {
			return nil, fault.Invalid("update_mask", "must name display_name, phone or contact_email when none of them is given")
		}
		return paths, nil
	}
	for _, path := range mask.GetPaths() {
		switch path {
		case "display_name", "contact_email", "phone":
		case "email":
			return nil, fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED,
				"The address to sign in with belongs to the account, and its owner changes it. Set contact_email for this organization.")
		default:
			return nil, fault.Invalid("update_mask", "may name display_name, phone and contact_email")
		}
	}
	return mask.GetPaths(), nil
}

func overlayToEvent(o org.Overlay) *eventv1.MemberProfile {
	return &eventv1.MemberProfile{DisplayName: o.Name, ContactEmail: o.ContactEmail, Phone: o.Phone}
}
