package role

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/devnats"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// signing is identity, where every secret is that of one session.
type signing struct {
	identityv1.CredentialServiceClient
	key    jose.JSONWebKey
	claims credential.Claims
	asked  atomic.Int64
}

func (s *signing) ResolveCredential(_ context.Context, req *identityv1.ResolveCredentialRequest, _ ...grpc.CallOption) (*identityv1.ResolveCredentialResponse, error) {
	s.asked.Add(1)
	c := s.claims
	c.Audience, c.IssuedAt = req.GetAudience(), time.Now()
	c.Expires = c.IssuedAt.Add(credential.Lifetime)
	token, err := credential.Sign(s.key, c)
	return &identityv1.ResolveCredentialResponse{Token: token, ExpireTime: timestamppb.New(c.Expires)}, err
}

// Two processes that have nothing in common but NATS hear of an end; and when NATS is gone, neither believes what it remembers.
func TestSessionsEndEverywhere(t *testing.T) {
	t.Parallel()
	server, err := devnats.Start(t.TempDir(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	identity := &signing{key: jose.JSONWebKey{Key: private, KeyID: "one"}, claims: credential.Claims{Account: id.NewAccount(), Session: id.NewSession()}}

	var replicas []*credential.Resolver
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 2 {
		conn, err := server.Connect()
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		base := &Base{Name: "gateway", Log: slog.Default(), nats: conn}
		resolver := credential.NewResolver(identity, time.Now)
		require.NoError(t, base.hearEnds(resolver.Ended))
		require.NoError(t, conn.Flush())
		go Together(ctx, base.tasks...)
		replicas = append(replicas, resolver)
	}
	relay, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(relay.Close)
	beating, silent := context.WithCancel(t.Context())
	defer silent()
	go func() {
		for beating.Err() == nil {
			if relay.Publish(outbox.BeatSubject("identity"), nil) != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	// asks tells whether a replica asks identity, or knows.
	asks := func(r *credential.Resolver) bool {
		before := identity.asked.Load()
		_, err := r.Token(t.Context(), "secret", true, "membership")
		require.NoError(t, err)
		return identity.asked.Load() > before
	}

	for _, r := range replicas {
		require.Eventually(t, func() bool { return !asks(r) }, soon, 10*time.Millisecond, "what was asked is remembered")
	}
	require.NoError(t, relay.PublishMsg(endedEvent("session.ended", "sessionId", identity.claims.Session.String())))
	for i, r := range replicas {
		require.Eventually(t, func() bool { asks(r); return asks(r) }, soon, 10*time.Millisecond, "replica %d asks each time", i)
	}

	identity.claims.Session, identity.claims.Key, identity.claims.Scopes = id.Session{}, id.NewAPIKey(), []string{"members.read"}
	for _, r := range replicas {
		require.Eventually(t, func() bool { return !asks(r) }, soon, 10*time.Millisecond, "what was asked is remembered, also of a key")
	}
	require.NoError(t, relay.PublishMsg(endedEvent("account.api_key_deleted", "apiKeyId", identity.claims.Key.String())))
	for i, r := range replicas {
		require.Eventually(t, func() bool { asks(r); return asks(r) }, soon, 10*time.Millisecond, "replica %d asks each time for a key", i)
	}

	identity.claims.Session, identity.claims.Key, identity.claims.Scopes = id.NewSession(), id.APIKey{}, nil
	silent()
	for i, r := range replicas {
		begin := time.Now()
		asks(r)
		require.Eventually(t, func() bool { return asks(r) }, soon, 100*time.Millisecond, "replica %d asks again", i)
		require.Less(t, time.Since(begin), 20*time.Second, "long before what it remembers is too old")
	}
}

func endedEvent(name, field, ended string) *nats.Msg {
	owner := id.NewAccount()
	line := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/roster/identity","type":"roster.v1.%s","time":"2026-01-01T00:00:00Z",`+
		`"datacontenttype":"application/json","aggregate":%q,"revision":"1","epoch":"1","prevhash":"","hash":"","data":{%q:%q}}`,
		id.NewEvent(), name, owner, field, ended)
	return &nats.Msg{Subject: "roster.v1." + name + ".0." + owner.String(), Data: []byte(line)}
}
