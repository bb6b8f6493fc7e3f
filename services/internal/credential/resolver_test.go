package credential

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

// identity is a fake of the service.
type identity struct {
	resolve func(context.Context, *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error)
	keys    func() (*identityv1.ListSigningKeysResponse, error)
	calls   atomic.Int32
}

func (i *identity) ResolveCredential(ctx context.Context, req *identityv1.ResolveCredentialRequest, _ ...grpc.CallOption) (*identityv1.ResolveCredentialResponse, error) {
	i.calls.Add(1)
	return i.resolve(ctx, req)
}

func (i *identity) ListSigningKeys(context.Context, *identityv1.ListSigningKeysRequest, ...grpc.CallOption) (*identityv1.ListSigningKeysResponse, error) {
	return i.keys()
}

// signing is an identity where every secret is good and of one session. It answers with a new token each time.
func signing(t *testing.T, clock *clock, c Claims) *identity {
	key := newKey(t, "one")
	return &identity{
		resolve: func(_ context.Context, req *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error) {
			c := c
			c.Audience, c.IssuedAt, c.Expires = req.GetAudience(), clock.now(), clock.now().Add(Lifetime)
			token, err := Sign(key, c)
			return &identityv1.ResolveCredentialResponse{Token: token, ExpireTime: timestamppb.New(c.Expires)}, err
		},
		keys: func() (*identityv1.ListSigningKeysResponse, error) {
			set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
			return &identityv1.ListSigningKeysResponse{Jwks: string(set)}, err
		},
	}
}

func TestResolver(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*identity, *clock, *Resolver, id.Session) {
		clock := newClock()
		claims := goodClaims(clock.now())
		fake := signing(t, clock, claims)
		return fake, clock, NewResolver(fake, clock.now), claims.Session
	}
	token := func(t *testing.T, r *Resolver, secret string, cookie bool, audience string) string {
		token, err := r.Token(t.Context(), secret, cookie, audience)
		require.NoError(t, err)
		require.NotEmpty(t, token)
		return token
	}

	t.Run("ATokenIsUsedAgainForAWhile", func(t *testing.T) {
		t.Parallel()
		fake, clock, r, _ := start(t)
		r.Beat(false)
		clock.advance(time.Second)
		first := token(t, r, "secret", true, "membership")
		for range int(Reuse/time.Second) - 1 {
			clock.advance(time.Second)
			r.Beat(false)
		}
		require.Equal(t, first, token(t, r, "secret", true, "membership"))
		clock.advance(time.Second)
		require.NotEqual(t, first, token(t, r, "secret", true, "membership"))
		require.EqualValues(t, 2, fake.calls.Load())
	})

	t.Run("R79_OtherSecretsDeliveriesAndAudiencesAreApart", func(t *testing.T) {
		t.Parallel()
		fake, _, r, _ := start(t)
		token(t, r, "secret", true, "membership")
		token(t, r, "secret", false, "membership")
		token(t, r, "secret", true, "billing")
		token(t, r, "other", true, "membership")
		require.EqualValues(t, 4, fake.calls.Load())
	})

	t.Run("ATokenAboutToExpireIsNotKept", func(t *testing.T) {
		t.Parallel()
		fake, clock, r, _ := start(t)
		whole := fake.resolve
		fake.resolve = func(ctx context.Context, req *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error) {
			resp, err := whole(ctx, req)
			resp.ExpireTime = timestamppb.New(clock.now().Add(margin))
			return resp, err
		}
		token(t, r, "secret", true, "membership")
		token(t, r, "secret", true, "membership")
		require.EqualValues(t, 2, fake.calls.Load())
	})

	t.Run("ARefusalIsNotKept", func(t *testing.T) {
		t.Parallel()
		fake, _, r, _ := start(t)
		good := fake.resolve
		fake.resolve = func(context.Context, *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error) {
			return nil, errRefused
		}
		_, err := r.Token(t.Context(), "secret", true, "membership")
		requireRefused(t, err)
		fake.resolve = good
		token(t, r, "secret", true, "membership")
	})

	t.Run("ForgetDropsTheSession", func(t *testing.T) {
		t.Parallel()
		fake, _, r, session := start(t)
		token(t, r, "secret", true, "membership")
		token(t, r, "secret", true, "billing")
		r.Forget(id.NewSession())
		token(t, r, "secret", true, "membership")
		require.EqualValues(t, 2, fake.calls.Load())
		r.Forget(session)
		require.Empty(t, r.of)
		require.Empty(t, r.tokens.entries)
		token(t, r, "secret", true, "membership")
		token(t, r, "secret", true, "billing")
		require.EqualValues(t, 4, fake.calls.Load())
	})

	t.Run("TheIndexIsBoundedWithTheTokens", func(t *testing.T) {
		t.Parallel()
		r := NewResolver(nil, time.Now)
		for i := range maxEntries + 10 {
			resp := &identityv1.ResolveCredentialResponse{ExpireTime: timestamppb.New(time.Now().Add(time.Hour))}
			r.keep(presented{secret: [32]byte{byte(i), byte(i >> 8), byte(i >> 16)}}, resp, 0, time.Now())
		}
		require.Equal(t, len(r.tokens.entries), len(r.of[id.Any{}]))
	})
}

// TestResolverAtOnce runs in bubbles: synctest.Wait tells when everybody waits for identity.
func TestResolverAtOnce(t *testing.T) {
	t.Parallel()

	// gated is a resolver whose identity answers when told to.
	gated := func(t *testing.T) (fake *identity, r *Resolver, session id.Session, open chan struct{}) {
		clock := newClock()
		claims := goodClaims(clock.now())
		fake, open = signing(t, clock, claims), make(chan struct{})
		whole := fake.resolve
		fake.resolve = func(ctx context.Context, req *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error) {
			if md, ok := metadata.FromOutgoingContext(ctx); ok && len(md) > 0 {
				return nil, errors.New("the caller's metadata reached identity")
			}
			select {
			case <-open:
				return whole(ctx, req)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return fake, NewResolver(fake, clock.now), claims.Session, open
	}

	t.Run("ManyShareOneCallAndNoneEndsIt", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake, r, _, open := gated(t)
			impatient, leave := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "x-of", "caller"))
			left := make(chan error, 1)
			go func() {
				_, err := r.Token(impatient, "secret", true, "membership")
				left <- err
			}()
			synctest.Wait() // it began the call
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if _, err := r.Token(t.Context(), "secret", true, "membership"); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			leave()
			require.ErrorIs(t, <-left, context.Canceled)
			close(open)
			all.Wait()
			require.EqualValues(t, 1, fake.calls.Load())
		})
	})

	t.Run("AnAnswerFromBeforeForgetIsNotUsedAfter", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake, r, session, open := gated(t)
			var all sync.WaitGroup
			ask := func() {
				if _, err := r.Token(t.Context(), "secret", true, "membership"); err != nil {
					t.Error(err)
				}
			}
			all.Go(ask)
			synctest.Wait()
			r.Forget(session)
			all.Go(ask) // must not share the call that began before
			synctest.Wait()
			require.EqualValues(t, 2, fake.calls.Load())
			close(open)
			all.Wait()
			require.Len(t, r.tokens.entries, 1)
		})
	})

	t.Run("IdentityHasALimitedTime", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			_, r, _, _ := gated(t)
			_, err := r.Token(t.Context(), "secret", true, "membership")
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	})
}

func TestAuthenticator(t *testing.T) {
	t.Parallel()
	clock := newClock()
	claims := goodClaims(clock.now())
	fake := signing(t, clock, claims)
	a := &Authenticator{Resolver: NewResolver(fake, clock.now), Verifier: NewVerifier("membership", KeysOf(fake), clock.now)}
	want := caller.Caller{Account: claims.Account, Session: claims.Session, Stage: claims.Stage, AuthTime: claims.AuthTime, Level: 1, Reach: 2}

	who, err := a.Authenticate(t.Context(), "a_secret")
	require.NoError(t, err)
	require.Equal(t, want, who)

	own, err := a.Resolver.Token(t.Context(), "a_secret", false, "membership")
	require.NoError(t, err)
	who, err = a.Authenticate(t.Context(), own)
	require.NoError(t, err)
	require.Equal(t, want, who)
	require.EqualValues(t, 1, fake.calls.Load(), "a token needs no resolving")

	t.Run("R56_AClientPresentsNoInternalToken", func(t *testing.T) {
		_, err := a.AuthenticateClient(t.Context(), own)
		requireRefused(t, err)
		who, err := a.AuthenticateClient(t.Context(), "a_secret")
		require.NoError(t, err)
		require.Equal(t, want, who)
	})

	t.Run("R56_ATokenIsForOneService", func(t *testing.T) {
		foreign, err := a.Resolver.Token(t.Context(), "a_secret", false, "billing")
		require.NoError(t, err)
		_, err = a.Authenticate(t.Context(), foreign)
		requireRefused(t, err)
	})
}
