package identity

import (
	"context"
	"errors"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// CreateAccount makes the account of an accepted invitation. The answer for an id is the same for ever, yes or no: the
// caller may die before it hears it, and asks again.
func (s *Service) CreateAccount(ctx context.Context, req *identityv1.CreateAccountRequest) (*identityv1.CreateAccountResponse, error) {
	wanted, err := s.parseCreation(req)
	if err != nil {
		return nil, err
	}
	made, err := s.createAccount(ctx, wanted)
	if errors.Is(err, account.ErrEmailTaken) { // somebody proved the address between our look and our commit
		made, err = s.createAccount(ctx, wanted)
	}
	if errors.Is(err, account.ErrEmailTaken) { // twice: no answer was stored, so none is given
		err = fault.New(errorv1.Reason_REASON_BUSY, "Others take this address at this moment. Try again.").WithRetry(time.Second)
	}
	if err != nil {
		return nil, err
	}
	if made.refusal != nil {
		return nil, made.refusal
	}
	return &identityv1.CreateAccountResponse{Account: accountToProto(made.account)}, nil
}

// creation is an account that was asked for.
type creation struct {
	account      account.Account
	invitation   id.Invitation
	organization id.Organization // manages the account from now on; zero: none does
	email        email.Address   // zero: none
	username     naming.Username // zero: none
	passwordHash string          // empty: nobody can open it, as after our key was changed
}

func (s *Service) parseCreation(req *identityv1.CreateAccountRequest) (c creation, err error) {
	if c.account.ID, err = id.ParseAccount(req.GetAccountId()); err != nil {
		return c, err
	}
	if c.invitation, err = id.ParseInvitation(req.GetInvitationId()); err != nil {
		return c, err
	}
	if req.GetOrganizationId() != "" {
		if c.organization, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
			return c, err
		}
	}
	if c.account.DisplayName, err = naming.ParseDisplayName("display_name", req.GetDisplayName()); err != nil {
		return c, err
	}
	if req.GetEmail() != "" {
		if c.email, err = email.ParseField("email", req.GetEmail()); err != nil {
			return c, err
		}
	}
	if req.GetUsername() != "" {
		if c.username, err = naming.ParseUsername("username", req.GetUsername()); err != nil {
			return c, err
		}
	}
	switch {
	case req.GetEmail() == "" && req.GetUsername() == "":
		return c, fault.Invalid("email", "or username must be given")
	case req.GetEmail() == "" && req.GetEmailVerified():
		return c, fault.Invalid("email_verified", "needs an address")
	}
	c.account.Email, c.account.EmailVerified, c.account.Username = c.email.Display, req.GetEmailVerified(), c.username.Display
	if len(req.GetSealedPassword()) == 0 {
		return c, fault.Invalid("sealed_password", "must be what SealPassword returned for this account")
	}
	if hash, err := s.Key.Open(req.GetSealedPassword(), passwordSeal, c.account.ID.String()); err == nil {
		c.passwordHash = string(hash)
	}
	return c, nil
}

// outcome is the answer for an id.
type outcome struct {
	account account.Account
	refusal *fault.Fault
}

func (s *Service) createAccount(ctx context.Context, wanted creation) (o outcome, err error) {
	err = s.inTx(ctx, postgres.In(wanted.account.ID), func(q store.Queries) error {
		known, err := q.LockCreation(ctx, wanted.account.ID, id.Any(wanted.invitation), wanted.email.Key, wanted.username.Key)
		if err != nil {
			return err
		}
		o = outcome{account: wanted.account, refusal: known.Refusal}
		switch {
		case known.Made != nil:
			o.account = *known.Made
			return nil
		case known.Refusal != nil:
			return nil
		case known.EmailTaken:
			o.refusal = account.ErrEmailTaken
		case wanted.username.Key != "" && known.HolderOf != wanted.invitation:
			o.refusal = account.ErrUsernameTaken
		case wanted.passwordHash == "":
			o.refusal = account.ErrPasswordLost
		}
		if o.refusal != nil {
			q.SaveRefusal(wanted.account.ID, o.refusal)
			return nil
		}
		o.account.CreateTime = q.Now()
		if wanted.email.Key != "" {
			q.ClaimEmail(wanted.email, o.account.ID, o.account.EmailVerified)
		}
		if wanted.username.Key != "" {
			q.ConfirmHold(wanted.invitation, wanted.username.Key, o.account.ID)
		}
		q.InsertAccount(o.account, wanted.organization, wanted.passwordHash)
		from := outbox.Origin{Account: o.account.ID, Cause: eventv1.Cause_KIND_INVITE, CauseID: wanted.invitation.String()}
		return publishCreated(q, o.account, from.Context(ctx))
	})
	return o, err
}
