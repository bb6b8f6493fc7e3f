package identity

import (
	"context"
	"crypto/rand"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// IssueTemporaryPassword replaces the password of an account that the organization manages. The answer is stored sealed, for whoever
// asks again for the same operation within a day; of the password itself only the hash is.
func (s *Service) IssueTemporaryPassword(ctx context.Context, req *identityv1.IssueTemporaryPasswordRequest) (*identityv1.IssueTemporaryPasswordResponse, error) {
	key, org, err := managedAccount(req)
	if err != nil {
		return nil, err
	}
	once := postgres.Request{ID: req.GetOperationId(), Principal: org.String(), Method: "IssueTemporaryPassword", Body: req}
	answer, found, err := postgres.Replayed[*identityv1.IssueTemporaryPasswordResponse](ctx, s.DB, postgres.In(key), once)
	if found {
		return answer, s.unlessManaged(ctx, org, key, func() { answer.Password = "" })
	}
	if err != nil {
		return nil, err
	}
	text := temporaryPassword()
	hash, err := s.hash(ctx, text)
	if err != nil {
		return nil, err
	}
	from := outbox.Origin{Service: caller.From(ctx).Service, Cause: eventv1.Cause_KIND_ADMIN, CauseID: org.String()}.Context(ctx)
	answer, _, err = postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.IssueTemporaryPasswordResponse, error) {
		q := store.Queries{Tx: tx}
		m, err := q.LockManagement(ctx, key)
		if err != nil {
			return nil, err
		}
		in, err := q.LockSignIn(ctx, key)
		switch {
		case err != nil:
			return nil, err
		case !m.By(org):
			return nil, account.ErrNotManaged
		case in.PasswordSet.IsZero():
			return nil, account.ErrNoPassword
		}
		who, err := q.GetAccount(ctx, key)
		if err != nil {
			return nil, err
		}
		until := q.Now().Add(account.TemporaryLifetime)
		q.SaveTemporaryPassword(key, hash, until)
		if in.Factors == 1 { // otherwise there are wrong codes among them
			q.ForgetFailures(key)
		}
		if err := endSessions(q, in.Live, id.Session{}, from); err != nil {
			return nil, err
		}
		if err := endAPIKeys(ctx, q, key, from); err != nil {
			return nil, err
		}
		words := mail.TemporaryPassword{Time: q.Now(), Expires: until, ResetLink: s.PublicURL + "/forgot"}
		if err := s.notify(q, who, words); err != nil {
			return nil, err
		}
		return &identityv1.IssueTemporaryPasswordResponse{Password: text, ExpireTime: timestamppb.New(until)},
			outbox.Publish(tx, key, q.Now(), &eventv1.AccountTemporaryPasswordIssued{Context: from, ExpireTime: timestamppb.New(until)})
	})
	return answer, err
}

// unlessManaged does something if the organization does not manage the account any more: what was shown to it once is not shown again.
func (s *Service) unlessManaged(ctx context.Context, org id.Organization, key id.Account, do func()) error {
	var managed bool
	err := s.view(ctx, postgres.In(key), func(q store.Queries) error {
		q.Manages(org, key, &managed)
		return q.Fetch(ctx)
	})
	if err == nil && !managed {
		do()
	}
	return err
}

// managedAccount reads the account and the organization that wants something of it.
func managedAccount(req interface {
	GetAccountId() string
	GetOrganizationId() string
	GetOperationId() string
}) (key id.Account, org id.Organization, err error) {
	if key, org, err = accountOf(req); err != nil {
		return key, org, err
	}
	_, err = id.ParseSeat(req.GetOperationId()) // without one, nobody could ask again
	return key, org, err
}

// temporaryPassword makes a password of 100 random bits that passes the policy: four groups of letters and digits that are told apart when
// somebody reads them out.
func temporaryPassword() string {
	for {
		random := strings.ToLower(rand.Text())
		text := strings.Join([]string{random[:5], random[5:10], random[10:15], random[15:20]}, "-")
		if _, err := account.ParsePassword(text); err == nil {
			return text
		}
	}
}
