package identity

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/avatar"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
)

func accountToProto(a account.Account) *identityv1.Account {
	return &identityv1.Account{
		Id:            a.ID.String(),
		DisplayName:   a.DisplayName,
		Email:         a.Email,
		EmailVerified: a.Proven(),
		Unproven:      a.Unproven(),
		Username:      a.Username,
		CreateTime:    timestamppb.New(a.CreateTime),
		AvatarUrl:     avatar.URL(a.AvatarID),
	}
}

// meToProto is accountToProto for the person themselves.
func meToProto(a account.Account) *identityv1.Account {
	me := accountToProto(a)
	me.Phone, me.Locale, me.TimeZone = a.Phone, a.Locale, a.TimeZone
	return me
}

// managerToProto shows who manages the account, and the domain that this rests on; empty: nobody, none.
func managerToProto(m account.Management) (organization, domain string) {
	if m.Manager().IsZero() {
		return "", ""
	}
	return m.Manager().String(), m.Ground.Domain
}

func personal(a account.Account) *eventv1.Personal {
	return &eventv1.Personal{DisplayName: a.DisplayName, Email: a.Email, Username: a.Username, AvatarUrl: avatar.URL(a.AvatarID)}
}

// sessionToProto shows a session to somebody who is signed in with the current one.
func sessionToProto(s session.Session, current id.Session) *identityv1.Session {
	return &identityv1.Session{
		Id:          s.ID.String(),
		AccountId:   s.AccountID.String(),
		CreateTime:  timestamppb.New(s.CreateTime),
		LastUseTime: timestamppb.New(s.LastUseTime),
		ExpireTime:  timestamppb.New(s.ExpireTime),
		AuthTime:    timestamppb.New(s.AuthTime),
		Level:       int32(s.Level),
		UserAgent:   s.UserAgent,
		Address:     s.Address,
		Device:      session.Device(s.UserAgent),
		Current:     s.ID == current,
	}
}

func deliveryFromProto(d identityv1.Delivery) session.Delivery {
	if d == identityv1.Delivery_DELIVERY_TOKEN {
		return session.Token
	}
	return session.Cookie
}

func apiKeyToProto(k apikey.Key) *identityv1.ApiKey {
	shown := &identityv1.ApiKey{
		Id: k.ID.String(), DisplayName: k.DisplayName, Scopes: k.Scopes, LastFour: k.LastFour,
		CreateTime: timestamppb.New(k.CreateTime), ExpireTime: timestamppb.New(k.ExpireTime),
	}
	if k.LastUseTime != nil {
		shown.LastUseTime = timestamppb.New(*k.LastUseTime)
	}
	return shown
}

// timeOf is the zero time for none.
func timeOf(t *timestamppb.Timestamp) (at time.Time) {
	if t != nil {
		at = t.AsTime()
	}
	return at
}
