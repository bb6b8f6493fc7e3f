// Package denial notes which calls of signed-in people were refused because of who they are, and tells the membership service,
// which shows them to the admins of the organization. It never makes a refusal fail or wait: refusals are told each second, as
// they are or as a number when they are many, and what a process that dies has not told yet is lost.
package denial

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

const (
	most    = 1000 // that wait to be told
	mostOne = 60   // of one account: nobody crowds out others
	pause   = time.Second
	patient = 10 * time.Second
)

// about are the reasons that are about who calls, not about what is asked for.
var about = []errorv1.Reason{
	errorv1.Reason_REASON_PERMISSION_MISSING,
	errorv1.Reason_REASON_CALLER_REFUSED,
	errorv1.Reason_REASON_MEMBER_DISABLED,
	errorv1.Reason_REASON_OWNER_PROTECTED,
	errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE,
	errorv1.Reason_REASON_SELF_ACTION,
	errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED,
}

// Of returns what is to be told of a refused call; nil for what is no denial, or concerns no organization. The method is the full
// name, /package.Service/Method.
func Of(ctx context.Context, who caller.Caller, method string, request any, refused *fault.Fault, now time.Time) *membershipv1.Denial {
	message, ok := request.(proto.Message)
	if !ok || who.Account.IsZero() || !slices.Contains(about, refused.Reason) {
		return nil
	}
	named, ok := message.(interface{ GetOrganizationId() string })
	if !ok {
		return nil
	}
	organization, err := id.ParseOrganization(named.GetOrganizationId())
	if err != nil {
		return nil
	}
	service, verb, _ := strings.Cut(strings.TrimPrefix(method, "/roster."), "/")
	service, _, _ = strings.Cut(service, ".")
	d := &membershipv1.Denial{
		Time: timestamppb.New(now), OrganizationId: organization.String(), AccountId: who.Account.String(), Service: service, Method: verb,
		Reason: refused.Name(), Permission: refused.Metadata["permission"], TargetIds: idsIn(message),
		ClientAddress: who.Address, TraceId: caller.TraceID(ctx),
	}
	if keyed, ok := message.(interface{ GetRequestId() string }); ok && plain.MatchString(keyed.GetRequestId()) {
		d.RequestId = keyed.GetRequestId()
	}
	return d
}

// OfEach returns what is to be told of a call about many members: of those who were refused, each is answered by itself. What is only
// rehearsed is no denial.
func OfEach(ctx context.Context, who caller.Caller, method string, request, answer any, now time.Time) (denials []*membershipv1.Denial) {
	each, ok := answer.(interface {
		GetResults() []*membershipv1.MemberResult
	})
	if rehearsed, can := request.(interface{ GetValidateOnly() bool }); !ok || can && rehearsed.GetValidateOnly() {
		return nil
	}
	for _, result := range each.GetResults() {
		refused := fault.From(status.FromProto(result.GetError()).Err())
		if refused == nil {
			continue
		}
		if d := Of(ctx, who, method, request, refused, now); d != nil {
			d.TargetIds = []string{result.GetAccountId()}
			denials = append(denials, d)
		}
	}
	return denials
}

// What a call that was refused may have put into fields that nobody has looked at yet.
var (
	anID  = regexp.MustCompile(`^[a-z]{2,5}_[0-9a-hjkmnp-tv-z]{26}$`)
	plain = regexp.MustCompile(`^[!-~]{1,64}$`)
)

// idsIn returns the ids in the fields of a request, but for the organization's.
func idsIn(request proto.Message) (found []string) {
	request.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.Kind() == protoreflect.StringKind && !field.IsList() && field.Name() != "organization_id" && field.Name() != "request_id" &&
			anID.MatchString(v.String()) {
			found = append(found, v.String())
		}
		return true
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// Recorder keeps denials until they are told.
type Recorder struct {
	tell func(context.Context, *membershipv1.RecordDenialsRequest) error
	log  *slog.Logger

	mu      sync.Mutex
	waiting []*membershipv1.Denial
	of      map[string][]*membershipv1.Denial // by account
}

// NewRecorder returns a recorder that tells what it has. Run does that.
func NewRecorder(tell func(context.Context, *membershipv1.RecordDenialsRequest) error, log *slog.Logger) *Recorder {
	return &Recorder{tell: tell, log: log, of: make(map[string][]*membershipv1.Denial)}
}

// Add keeps a denial. An account that is refused very often is told of by number, where it can be.
func (r *Recorder) Add(d *membershipv1.Denial) {
	r.mu.Lock()
	defer r.mu.Unlock()
	theirs := r.of[d.GetAccountId()]
	if len(theirs) < mostOne && len(r.waiting) < most {
		r.waiting = append(r.waiting, d)
		r.of[d.GetAccountId()] = append(theirs, d)
		return
	}
	for _, kept := range theirs {
		if kept.GetOrganizationId() == d.GetOrganizationId() {
			kept.Omitted++
			return
		}
	}
}

// Run tells what there is each second, and once more when ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.Flush(ctx)
		case <-ctx.Done():
			r.Flush(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// Flush tells what there is. What cannot be told now is not told again: the audit view would rather miss a refusal than make
// this process keep them all.
func (r *Recorder) Flush(ctx context.Context) {
	r.mu.Lock()
	told := r.waiting
	r.waiting, r.of = nil, make(map[string][]*membershipv1.Denial)
	r.mu.Unlock()
	if len(told) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	if err := r.tell(ctx, &membershipv1.RecordDenialsRequest{Denials: told}); err != nil {
		r.log.WarnContext(ctx, "denials are missing in the audit view", "lost", len(told), "error", err)
	}
}
