package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/keyring"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/reseal"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/server"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// replica is a copy of the service with a key file of its own, and its clients.
type replica struct {
	service   *Service
	reseal    *reseal.Resealer
	sessions  identityv1.SessionServiceClient
	federated identityv1.FederatedSignInServiceClient
	tokens    identityv1.CredentialServiceClient
}

// replica starts another copy, and fails as a start does.
func (h *harness) replica(key *seal.Key) (*replica, error) {
	h.Helper()
	service := h.instance()
	service.Key = key
	service.Mail = &mail.Queue{DB: service.DB, Sender: h.outbox, Key: key}
	r := &replica{service: service, reseal: &reseal.Resealer{
		DB: service.DB, Relay: h.dsns.Open(h, postgres.Options{Role: postgres.RelayRole, Conns: 2}), Key: key,
		Columns: append(service.Sealed(), service.Mail.Sealed()), Log: h.log(),
	}}
	if err := r.reseal.Begin(h.Context()); err != nil {
		return nil, err
	}
	require.NoError(h, service.TurnKeys(h.Context(), keyring.Tend))
	lan := network.Memory()
	conn := testkit.Dial(h, lan, "gateway", "identity")
	r.sessions, r.federated = identityv1.NewSessionServiceClient(conn), identityv1.NewFederatedSignInServiceClient(conn)
	r.tokens = identityv1.NewCredentialServiceClient(conn)
	authenticator := &credential.Authenticator{
		Resolver: credential.NewResolver(r.tokens, time.Now), Verifier: credential.NewVerifier("identity", credential.KeysOf(r.tokens), time.Now),
	}
	testkit.Serve(h, lan, server.Config{Role: "identity", Authenticate: authenticator.Authenticate, Log: h.log()}, service)
	return r, nil
}

func TestKeyTurn(t *testing.T) {
	t.Parallel()

	t.Run("R54 SignInsGoOnWhileTheKeyIsTurned", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		oldKey, newKey := [32]byte{1, 2, 3}, [32]byte{4, 5, 6}
		before := testKey
		prepared, turned, after := seal.NewKey(oldKey, newKey), seal.NewKey(newKey, oldKey), seal.NewKey(newKey)
		_, app, _ := h.withApp("ada@example.com")
		tenant := h.tenant("works.example")
		tenant.says("sub", "grace").says("email", "grace@works.example")
		deployment := h.provider().says("sub", "hedy").says("email", "hedy@example.com")

		var running atomic.Pointer[[2]*replica]
		restart := func(copies ...*seal.Key) {
			pair := [2]*replica{}
			for i, key := range copies {
				if old := running.Load(); old != nil && old[i].service.Key == key {
					pair[i] = old[i]
					continue
				}
				var err error
				pair[i], err = h.replica(key)
				require.NoError(t, err)
			}
			running.Store(&pair)
		}
		restart(before, before)

		ctx, stop := context.WithCancel(t.Context())
		var signedIn [2]atomic.Int64
		var load sync.WaitGroup
		defer func() { stop(); load.Wait() }()
		goOn := func(i int, signIn func(begin, end *replica) error) {
			load.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					pair := running.Load() // each sign-in begins at one copy and ends at the other
					if !assert.NoError(t, signIn(pair[n%2], pair[(n+1)%2])) {
						stop()
						return
					}
					signedIn[i].Add(1)
				}
			})
		}
		goOn(0, func(begin, end *replica) error {
			in, err := begin.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
				Email: "ada@example.com", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			if err != nil {
				return err
			}
			if _, err = h.owner.Exec(h.Context(), `UPDATE factors SET last_step = 0`); err != nil {
				return err
			}
			if _, err = end.sessions.AnswerChallenge(h.as(in.GetToken()), &identityv1.AnswerChallengeRequest{Code: app.code()}); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
			return nil
		})
		goOn(1, func(begin, end *replica) error {
			for _, p := range []*idp{tenant.idp, deployment} {
				begun, err := begin.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: p.id})
				if err != nil {
					return fmt.Errorf("begin: %w", err)
				}
				if _, err := end.federated.CompleteFederatedSignIn(h.as(""), p.visited(begun).back); err != nil {
					return fmt.Errorf("complete: %w", err)
				}
			}
			return nil
		})
		meanwhile := func() { // every kind of sign-in is begun and ended
			t.Helper()
			from := [2]int64{signedIn[0].Load(), signedIn[1].Load()}
			require.Eventually(t, func() bool {
				return ctx.Err() != nil || signedIn[0].Load() > from[0]+1 && signedIn[1].Load() > from[1]+1
			}, 60*time.Second, 10*time.Millisecond)
			require.NoError(t, ctx.Err())
		}
		sealAnew := func() { // whoever is locked at that moment is left for the next time
			t.Helper()
			for left, deadline := 1, time.Now().Add(30*time.Second); left > 0; {
				require.True(t, time.Now().Before(deadline))
				for _, copy := range running.Load() {
					var err error
					left, err = copy.reseal.Pass(t.Context())
					require.NoError(t, err)
				}
			}
		}

		meanwhile()
		restart(prepared, before)
		meanwhile()
		restart(prepared, prepared)
		meanwhile()
		restart(turned, prepared)
		meanwhile()
		restart(turned, turned)
		sealAnew()
		meanwhile()
		require.Zero(t, count(h, `factors WHERE sealed_secret IS NOT NULL AND sealed_by <> $1`, after.Head()))
		require.Zero(t, count(h, `providers WHERE sealed_by <> $1`, after.Head()))
		require.Zero(t, count(h, `signing_keys WHERE sealed_by <> $1`, after.Head()))
		restart(after, turned)
		meanwhile()
		restart(after, after)
		meanwhile()
		stop()
		load.Wait()

		_, err := h.replica(before)
		require.ErrorContains(t, err, "which the key file does not have")
	})

	t.Run("R54 WhatNamesNoKeyIsSealedAnew", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		owner, app, _ := h.withApp("ada@example.com")
		tenant := h.tenant("works.example")
		key, err := h.service.signingKey(t.Context())
		require.NoError(t, err)
		seed, err := h.service.Key.Open(h.sealedSeed(key.KeyID), keyBound(key.KeyID)...)
		require.NoError(t, err)

		secret := [32]byte{1, 2, 3}
		h.exec(`UPDATE factors SET sealed_secret = $1`, testkit.SealedWithoutID(secret, app.secret, "factor", owner.String(), app.id))
		h.exec(`UPDATE providers SET sealed_secret = $1`, testkit.SealedWithoutID(secret, []byte(clientSecret), "provider", tenant.id))
		h.exec(`UPDATE signing_keys SET sealed_seed = $1 WHERE id = $2`, testkit.SealedWithoutID(secret, seed, "signing key", key.KeyID), key.KeyID)
		works := func(r *replica) {
			t.Helper()
			in, err := r.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
				Email: "ada@example.com", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			require.NoError(t, err)
			h.next()
			_, err = r.sessions.AnswerChallenge(h.as(in.GetToken()), &identityv1.AnswerChallengeRequest{Code: app.code()})
			require.NoError(t, err)
			_, err = r.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: tenant.id})
			require.NoError(t, err)
		}
		for _, key := range []*seal.Key{testKey, seal.NewKey([32]byte{4}, secret)} {
			r, err := h.replica(key)
			require.NoError(t, err)
			works(r)
			left, err := r.reseal.Pass(t.Context())
			require.NoError(t, err)
			require.Zero(t, left)
			works(r)
		}
		r, err := h.replica(seal.NewKey([32]byte{4}))
		require.NoError(t, err, "nothing is left of the other")
		works(r)
	})

	t.Run("R54 TheFirstOperatorsTokenStays", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := h.bootstrap(h.service)
		for _, key := range []*seal.Key{seal.NewKey([32]byte{1, 2, 3}, [32]byte{4}), seal.NewKey([32]byte{4}, [32]byte{1, 2, 3})} {
			r, err := h.replica(key)
			require.NoError(t, err)
			require.Equal(t, token, h.bootstrap(r.service))
		}
	})

	t.Run("R54 ASealedValueOpensInItsOwnRowOnly", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withApp("ada@example.com")
		h.tenant("works.example")
		h.provider()
		_, err := h.service.signingKey(t.Context())
		require.NoError(t, err)
		own := make(map[string][]string) // what a value of each kind is bound to
		for _, c := range h.service.Sealed() {
			rows, err := h.owner.Query(t.Context(), `SELECT `+c.Column+`, `+strings.Join(append(slices.Clone(c.Row), c.Also...), ", ")+
				` FROM `+c.Table+` WHERE `+c.Column+` IS NOT NULL`)
			require.NoError(t, err)
			for rows.Next() {
				row, err := rows.Values()
				require.NoError(t, err)
				value, bound := row[0].([]byte), c.Bound(row[1:]).Context
				_, err = h.service.Key.Open(value, bound...)
				require.NoError(t, err, c.Table)
				for part := range bound { // what for, whose, which
					moved := slices.Clone(bound)
					moved[part] += "x"
					_, err = h.service.Key.Open(value, moved...)
					require.ErrorIs(t, err, seal.ErrOpen, "%s: %s", c.Table, bound[part])
				}
				for table, other := range own {
					_, err = h.service.Key.Open(value, other...)
					require.ErrorIs(t, err, seal.ErrOpen, "%s: in %s", c.Table, table)
				}
				own[c.Table+" "+strings.Join(bound, " ")] = bound
			}
			require.NoError(t, rows.Err())
		}
		require.Len(t, own, 5, "an app, two providers, two keys that sign")
		require.Equal(t, len(h.service.Sealed())+1, count(h, `information_schema.columns WHERE column_name = 'sealed_by'`), "these, and mails")
	})

	t.Run("R54 AProviderThatIsGivenToAnotherOrganizationHasNoSecret", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		tenant := h.tenant("works.example")
		_, err := h.service.clientAt(t.Context(), tenant.id)
		require.NoError(t, err)
		h.exec(`UPDATE providers SET organization_id = gen_random_uuid()`)
		_, err = h.service.clientAt(t.Context(), tenant.id)
		require.ErrorIs(t, err, seal.ErrOpen)
	})
}

// sealedSeed is what is stored of a key that signs.
func (h *harness) sealedSeed(key string) (sealed []byte) {
	h.Helper()
	require.NoError(h, h.owner.QueryRow(h.Context(), `SELECT sealed_seed FROM signing_keys WHERE id = $1`, key).Scan(&sealed))
	return sealed
}
