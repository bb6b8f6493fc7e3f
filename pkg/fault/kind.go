package fault

import (
	"net/http"

	"google.golang.org/grpc/codes"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// kind is how a reason looks from outside.
type kind struct {
	code codes.Code
	http int
}

var (
	invalid          = kind{codes.InvalidArgument, http.StatusBadRequest}
	unauthenticated  = kind{codes.Unauthenticated, http.StatusUnauthorized}
	forbidden        = kind{codes.PermissionDenied, http.StatusForbidden}
	notFound         = kind{codes.NotFound, http.StatusNotFound}
	exists           = kind{codes.AlreadyExists, http.StatusConflict}
	precondition     = kind{codes.FailedPrecondition, http.StatusBadRequest}
	unavailable      = kind{codes.Unavailable, http.StatusServiceUnavailable}
	internal         = kind{codes.Internal, http.StatusInternalServerError}
	exhausted        = kind{codes.ResourceExhausted, http.StatusPaymentRequired}
	aborted          = kind{codes.Aborted, http.StatusConflict}
	deadlineExceeded = kind{codes.DeadlineExceeded, http.StatusGatewayTimeout}
	canceled         = kind{codes.Canceled, 499} // the convention of nginx: the client closed the request
)

// kinds maps every reason; a test holds it complete.
var kinds = map[Reason]kind{
	errorv1.Reason_REASON_VALIDATION_FAILED:      invalid,
	errorv1.Reason_REASON_BODY_TOO_LARGE:         {codes.InvalidArgument, http.StatusRequestEntityTooLarge},
	errorv1.Reason_REASON_PAGE_TOKEN_INVALID:     invalid,
	errorv1.Reason_REASON_REQUEST_ID_REUSED:      invalid,
	errorv1.Reason_REASON_ETAG_MISMATCH:          aborted,
	errorv1.Reason_REASON_MEDIA_TYPE_UNSUPPORTED: {codes.InvalidArgument, http.StatusUnsupportedMediaType},
	errorv1.Reason_REASON_CROSS_ORIGIN:           forbidden,

	errorv1.Reason_REASON_UNAUTHENTICATED:     unauthenticated,
	errorv1.Reason_REASON_CREDENTIALS_INVALID: unauthenticated,
	errorv1.Reason_REASON_CALLER_REFUSED:      forbidden,
	errorv1.Reason_REASON_PERMISSION_MISSING:  forbidden,
	errorv1.Reason_REASON_MEMBER_DISABLED:     precondition,
	errorv1.Reason_REASON_STEP_UP_REQUIRED:    unauthenticated,
	errorv1.Reason_REASON_SIGN_IN_INCOMPLETE:  precondition,
	errorv1.Reason_REASON_CODE_INVALID:        unauthenticated,
	errorv1.Reason_REASON_CODE_REQUIRED:       unauthenticated,
	errorv1.Reason_REASON_PASSKEY_INVALID:     unauthenticated,
	errorv1.Reason_REASON_MFA_REQUIRED:        precondition,

	errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND:      notFound,
	errorv1.Reason_REASON_MEMBER_NOT_FOUND:            notFound,
	errorv1.Reason_REASON_INVITATION_NOT_FOUND:        notFound,
	errorv1.Reason_REASON_SESSION_NOT_FOUND:           notFound,
	errorv1.Reason_REASON_API_KEY_NOT_FOUND:           notFound,
	errorv1.Reason_REASON_ROUTE_NOT_FOUND:             notFound,
	errorv1.Reason_REASON_ACCOUNT_NOT_FOUND:           notFound,
	errorv1.Reason_REASON_ROLE_NOT_FOUND:              notFound,
	errorv1.Reason_REASON_GROUP_NOT_FOUND:             notFound,
	errorv1.Reason_REASON_PROJECT_NOT_FOUND:           notFound,
	errorv1.Reason_REASON_DOMAIN_NOT_FOUND:            notFound,
	errorv1.Reason_REASON_TRANSFER_NOT_FOUND:          notFound,
	errorv1.Reason_REASON_SCHEDULE_NOT_FOUND:          notFound,
	errorv1.Reason_REASON_FACTOR_NOT_FOUND:            notFound,
	errorv1.Reason_REASON_EMAIL_NOT_FOUND:             notFound,
	errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND: notFound,
	errorv1.Reason_REASON_SERVICE_ACCOUNT_NOT_FOUND:   notFound,

	errorv1.Reason_REASON_ALREADY_MEMBER:     exists,
	errorv1.Reason_REASON_INVITATION_PENDING: exists,
	errorv1.Reason_REASON_USERNAME_TAKEN:     exists,
	errorv1.Reason_REASON_EMAIL_TAKEN:        exists,
	errorv1.Reason_REASON_NAME_TAKEN:         exists,
	errorv1.Reason_REASON_DOMAIN_TAKEN:       exists,
	errorv1.Reason_REASON_PASSKEY_TAKEN:      exists,
	errorv1.Reason_REASON_IDENTITY_TAKEN:     exists,

	errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE: invalid,
	errorv1.Reason_REASON_OWNER_PROTECTED:     precondition,
	errorv1.Reason_REASON_LAST_OWNER:          precondition,
	errorv1.Reason_REASON_SELF_ACTION:         precondition,
	errorv1.Reason_REASON_STATE_CONFLICT:      precondition,
	errorv1.Reason_REASON_FEATURE_OFF:         precondition,
	errorv1.Reason_REASON_POLICY_CONFLICT:     precondition,
	errorv1.Reason_REASON_ROLE_IN_USE:         precondition,
	errorv1.Reason_REASON_LIMIT_REACHED:       precondition,
	errorv1.Reason_REASON_DOMAIN_REFUSED:      invalid,
	errorv1.Reason_REASON_DOMAIN_UNPROVEN:     precondition,
	errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED: precondition,
	errorv1.Reason_REASON_EMAIL_UNVERIFIED:    precondition,
	errorv1.Reason_REASON_PASSWORD_MISSING:    precondition,
	errorv1.Reason_REASON_ACCOUNT_DISABLED:    precondition,
	errorv1.Reason_REASON_LAST_WAY_IN:         precondition,

	errorv1.Reason_REASON_INVITATION_EXPIRED:       precondition,
	errorv1.Reason_REASON_INVITATION_REVOKED:       precondition,
	errorv1.Reason_REASON_INVITATION_DECLINED:      precondition,
	errorv1.Reason_REASON_INVITATION_USED:          precondition,
	errorv1.Reason_REASON_INVITATION_LINK_INVALID:  notFound,
	errorv1.Reason_REASON_INVITATION_MISMATCH:      forbidden,
	errorv1.Reason_REASON_SIGN_IN_REQUIRED:         precondition,
	errorv1.Reason_REASON_INVITATION_FAILED:        precondition,
	errorv1.Reason_REASON_LINK_INVALID:             notFound,
	errorv1.Reason_REASON_DELIVERY_REFUSED:         precondition,
	errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED: unauthenticated,
	errorv1.Reason_REASON_ACCOUNT_LINK_REQUIRED:    precondition,

	errorv1.Reason_REASON_SEAT_LIMIT_REACHED: exhausted,
	errorv1.Reason_REASON_RATE_LIMITED:       {codes.ResourceExhausted, http.StatusTooManyRequests},
	errorv1.Reason_REASON_PASSWORD_REFUSED:   invalid,
	errorv1.Reason_REASON_AVATAR_REFUSED:     invalid,

	errorv1.Reason_REASON_BUSY:              unavailable,
	errorv1.Reason_REASON_UNAVAILABLE:       unavailable,
	errorv1.Reason_REASON_INTERNAL:          internal,
	errorv1.Reason_REASON_DEADLINE_EXCEEDED: deadlineExceeded,
	errorv1.Reason_REASON_CANCELLED:         canceled,
}

func kindOf(r Reason) kind {
	if k, ok := kinds[r]; ok {
		return k
	}
	return internal
}
