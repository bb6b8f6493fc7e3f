package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/identity/internal/password"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/secret"
)

// CreateSession signs in with a password.
func (s *Service) CreateSession(ctx context.Context, req *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
	who := caller.From(ctx)
	delivery, err := deliveryFor(ctx, req.GetDelivery())
	if err != nil {
		return nil, err
	}
	proven, err := s.checkPassword(ctx, session.SignIn, identifierOf(req), req.GetPassword())
	if err != nil {
		return nil, err
	}
	opened, key, err := s.openSession(ctx, session.Session{
		AccountID: proven.AccountID, Delivery: delivery, UserAgent: who.UserAgent, Address: who.Address,
	}, proof{password: &proven}, id.Session{})
	if errors.Is(err, account.ErrNotFound) { // kept from signing in since the password was checked
		err = account.ErrCredentialsInvalid
	}
	if err != nil {
		return nil, err
	}
	due, err := s.challengeOf(ctx, opened)
	if err != nil {
		return nil, err
	}
	token, err := deliver(ctx, opened, key)
	return &identityv1.CreateSessionResponse{
		Session: sessionToProto(opened, opened.ID), Token: token, Challenge: due, PasswordChangeRequired: opened.Stage == session.NextPassword,
	}, err
}

// deliveryFor is how the secret of a new session reaches the caller.
func deliveryFor(ctx context.Context, wanted identityv1.Delivery) (session.Delivery, error) {
	delivery := deliveryFromProto(wanted)
	if delivery == session.Cookie && caller.From(ctx).Service != "gateway" {
		return delivery, fault.Invalid("delivery", "must be DELIVERY_TOKEN: a cookie is for browsers")
	}
	return delivery, nil
}

// deliver returns the secret of a session, or hands it to the gateway for a cookie.
func deliver(ctx context.Context, opened session.Session, key secret.Secret) (token string, err error) {
	if opened.Delivery == session.Token {
		return key.Text(), nil
	}
	return "", grpc.SetHeader(ctx, metadata.Pairs(credential.SecretHeader, key.Text()))
}

// identifierOf returns whom the request names. What can be no address or username is nobody's, and is
// answered as such.
func identifierOf(req interface {
	GetEmail() string
	GetUsername() string
}) (who store.Identifier) {
	if address, err := email.ParseField("email", req.GetEmail()); err == nil {
		return store.Identifier{Email: address.Key}
	}
	if username, err := naming.ParseUsername("username", req.GetUsername()); err == nil {
		return store.Identifier{Username: username.Key}
	}
	return who
}

// challengeOf returns what is still due; nil: nothing.
func (s *Service) challengeOf(ctx context.Context, opened session.Session) (due *identityv1.Challenge, err error) {
	if opened.Stage != session.Challenge {
		return nil, nil
	}
	var has store.Factors
	err = s.view(ctx, postgres.In(opened.AccountID), func(q store.Queries) (err error) {
		has, err = q.ListFactors(ctx, opened.AccountID)
		return err
	})
	due = &identityv1.Challenge{}
	for _, method := range []factor.Method{factor.TOTP, factor.Passkey} {
		if len(factor.Of(method, has.Active())) > 0 {
			due.Methods = append(due.Methods, methodToProto(method))
		}
	}
	due.Methods = append(due.Methods, identityv1.FactorMethod_FACTOR_METHOD_RECOVERY_CODE)
	return due, err
}

// proof is what somebody has shown of who they are. Nothing: whoever asks for the session knows who they are.
type proof struct {
	password *rightPassword // nil: none was asked for now
	code     bool           // of a second factor, or a passkey beside the password
	passkey  bool           // which has known its owner: two factors in one
	vouched  *time.Time     // an identity provider vouches for them; when they have proven it there
	again    bool           // by who is signed in
}

// attempt is the line of the login activity about a session that begins with the proof.
func (p proof) attempt(begun session.Session) session.Attempt {
	a := session.Attempt{Action: session.SignIn, Method: session.ByLink, Address: begun.Address, UserAgent: begun.UserAgent}
	switch {
	case p.vouched != nil:
		a.Method = session.ByProvider
	case p.passkey:
		a.Method = session.ByPasskey
	case p.code:
		a.Method = session.BySecondFactor
	case p.password != nil:
		a.Method = session.ByPassword
	}
	if p.again {
		a.Action = session.Reauthenticate
	}
	switch begun.Stage {
	case session.Challenge:
		a.Reason = session.CodeDue
	case session.NextPassword:
		a.Reason = session.PasswordDue
	}
	return a
}

// rightPassword is a password that was right.
type rightPassword struct {
	store.Credential
	stronger string // a new hash of it; empty: the old one is as strong
}

// stands tells whether it counts still. Meanwhile it may have been changed, or the same person's may have been guessed wrong so often, elsewhere at
// the same time, that nobody may try now.
func (p rightPassword) stands(in store.SignIn) bool {
	return p.SetTime.Equal(in.PasswordSet) && !slices.Contains(in.Waits, p.Network)
}

// checkPassword finds out whether the password is that of the identifier. Unknown, locked and wrong are one answer
// after the same work. to is what the password is for. The failure is counted before the next in the queue is looked at, also when the client has left:
// many attempts at once are no way around the delays. Who has failed too often from where they are, whoever it was about, is not looked at; nor is
// anybody who is not known to come from there, while too many fail everywhere.
func (s *Service) checkPassword(ctx context.Context, to session.Action, who store.Identifier, text string) (p rightPassword, err error) {
	network := session.Network(caller.From(ctx).Address)
	succeeded, err := s.attempts.Take(network)
	if err != nil {
		s.pace.HoldBack(ctx, s.pace.Ask(network))
		return p, err
	}
	leave, err := s.turn(ctx)
	if err != nil {
		succeeded() // it was not looked at
		return p, err
	}
	defer leave()
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		p.Credential, err = q.FindCredential(ctx, who, network)
		return err
	})
	if err != nil {
		return p, err
	}
	everywhere := func() {}
	if p.Network == "" {
		if everywhere, err = s.strangers.Take("all"); err != nil {
			return p, err
		}
	}
	usable := p.PasswordHash != "" && !p.Locked && !p.Disabled
	if !usable {
		p.PasswordHash = password.Dummy
	}
	plain := account.NormalizePassword(text)
	right, weak, err := password.Verify(p.PasswordHash, plain)
	if err != nil {
		s.Log.ErrorContext(ctx, "a stored password hash cannot be used", "account", p.AccountID.String(), "error", err)
	}
	if !right || !usable {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		why := session.WrongPassword
		switch {
		case p.Locked:
			why = session.TooMany
		case p.Disabled:
			why = session.Disabled
		}
		if err := s.store.CountFailure(ctx, p.AccountID, p.Network, attempt(ctx, to, session.ByPassword, why)); err != nil {
			return p, err
		}
		return p, account.ErrCredentialsInvalid
	}
	succeeded()
	everywhere()
	if weak {
		p.stronger = password.Hash(plain)
	}
	return p, nil
}

// openSession begins a session, because of what was proven. It is the one way to a session, and asks for the second factor: where
// the account has one and its code is not among the proofs, the session is good for answering the challenge only; with a temporary
// password, it is good for choosing another. It may take the
// place of another, which must be live and ends, and is delivered like that. When there would be too many, the oldest end.
func (s *Service) openSession(ctx context.Context, begun session.Session, proven proof, replaced id.Session) (session.Session, secret.Secret, error) {
	key := secret.New(secret.Session, begun.AccountID)
	begun.ID, begun.UserAgent = id.NewSession(), session.Label(begun.UserAgent)
	err := s.inTxOnce(ctx, postgres.In(begun.AccountID), func(q store.Queries) error {
		in, err := q.LockSignIn(ctx, begun.AccountID)
		if err != nil {
			return err
		}
		if p := proven.password; p != nil {
			if !p.stands(in) {
				return account.ErrCredentialsInvalid
			}
			if p.stronger != "" {
				q.SaveHash(begun.AccountID, p.stronger)
			}
		}
		begun.Stage, begun.Level, begun.AuthTime = session.Complete, 1, q.Now()
		begun.CreateTime, begun.LastUseTime, begun.ExpireTime = q.Now(), q.Now(), q.Now().Add(session.Absolute)
		if proven.code || proven.passkey {
			begun.Level = 2
		}
		if proven.vouched != nil {
			begun.AuthTime = *proven.vouched
		}
		if begun.Level < in.Factors {
			begun.Stage, begun.ExpireTime = session.Challenge, q.Now().Add(session.Pending)
		} else if in.Temporary {
			begun.Stage = session.NextPassword
		}
		if begun.Stage != session.Challenge && proven != (proof{}) {
			q.SignedIn(begun.AccountID, session.Network(begun.Address))
		}
		from := origin(ctx, begun.AccountID, "")
		live := in.Live
		if !replaced.IsZero() {
			if begun.Stage == session.Challenge {
				return factor.ErrCodeRequired
			}
			i := slices.IndexFunc(live, func(s session.Session) bool { return s.ID == replaced })
			if i < 0 {
				return session.ErrUnauthenticated
			}
			begun.Delivery, begun.ProviderID = live[i].Delivery, live[i].ProviderID
			if first := live[i]; first.Stage == session.Challenge && first.AuthTime.Before(first.CreateTime) {
				begun.AuthTime = first.AuthTime // proven elsewhere, and long ago
			}
			if err := endSession(q, live[i], from); err != nil {
				return err
			}
			live = slices.Delete(live, i, i+1)
		}
		var provider federation.Provider
		if !begun.ProviderID.IsZero() {
			provider, err = q.LockSignInProvider(ctx, begun.ProviderID)
			if errors.Is(err, federation.ErrProviderNotFound) && !replaced.IsZero() { // disabled since, so that this session has ended
				err = session.ErrUnauthenticated
			}
			if err != nil {
				return err
			}
			linked, err := q.IsLinked(ctx, begun.ProviderID, begun.AccountID)
			if err != nil {
				return err
			}
			if !linked { // taken away since
				return federation.ErrFailed
			}
		}
		q.InsertAttempt(begun.AccountID, proven.attempt(begun))
		q.InsertSession(begun, key.Hash)
		saga.For(begun.AccountID, sessionTask, begun.ID).At(q.Tx, begun.EndTime())
		// Who knows the password and no more must not end the sessions of who knows both.
		live = slices.DeleteFunc(live, func(s session.Session) bool {
			return (s.Stage == session.Complete) != (begun.Stage == session.Complete)
		})
		for _, oldest := range live[min(len(live), session.Most-1):] {
			if err := endSession(q, oldest, from); err != nil {
				return err
			}
		}
		if begun.Stage != session.Complete {
			return nil
		}
		if err := s.noticePlace(ctx, q, begun, in.Places); err != nil {
			return err
		}
		return outbox.Publish(q.Tx, begun.AccountID, q.Now(), &eventv1.AccountSignedIn{
			Context: from, SessionId: begun.ID.String(), ProviderId: begun.ProviderID.String(), OrganizationId: provider.OrganizationID.String()})
	})
	return begun, key, err
}

// goOn has the caller go on with a session that takes the place of theirs, because of what they have just proven.
func (s *Service) goOn(ctx context.Context, proven proof) (opened session.Session, token string, err error) {
	who := caller.From(ctx)
	opened, key, err := s.openSession(ctx, session.Session{AccountID: who.Account, UserAgent: who.UserAgent, Address: who.Address}, proven, who.Session)
	if err != nil {
		return opened, "", err
	}
	token, err = deliver(ctx, opened, key)
	return opened, token, err
}

// noticePlace tells somebody who signs in with a device, or from a network, that is new, and remembers it.
func (s *Service) noticePlace(ctx context.Context, q store.Queries, begun session.Session, known []session.Place) error {
	place := session.PlaceOf(begun)
	q.SavePlace(begun.AccountID, place)
	if !place.New(known) {
		return nil
	}
	who, err := q.GetAccount(ctx, begun.AccountID)
	if err != nil {
		return err
	}
	return s.notify(q, who, mail.NewDevice{Notice: s.notice(ctx, q)})
}
