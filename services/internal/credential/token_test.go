package credential

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

// clock is a time that tests move.
type clock struct{ unix atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.unix.Store(1_800_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.Unix(c.unix.Load(), 0) }
func (c *clock) advance(d time.Duration) { c.unix.Add(int64(d / time.Second)) }

func newKey(t *testing.T, keyID string) jose.JSONWebKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return jose.JSONWebKey{Key: private, KeyID: keyID, Algorithm: string(jose.EdDSA)}
}

// ring publishes keys and counts how often it was asked.
type ring struct {
	mu    sync.Mutex
	keys  []jose.JSONWebKey
	err   error
	asked int
}

func (r *ring) get(context.Context) (set jose.JSONWebKeySet, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	for _, key := range r.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set, r.err
}

func (r *ring) set(err error, keys ...jose.JSONWebKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.err = keys, err
}

func (r *ring) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func goodClaims(now time.Time) Claims {
	return Claims{
		Account: id.NewAccount(), Session: id.NewSession(), Audience: "membership",
		Stage: caller.Challenge, AuthTime: now.Add(-time.Hour), Level: 1, Reach: 2, IssuedAt: now, Expires: now.Add(Lifetime),
	}
}

func sign(t *testing.T, key jose.JSONWebKey, c Claims) string {
	t.Helper()
	token, err := Sign(key, c)
	require.NoError(t, err)
	return token
}

func requireRefused(t *testing.T, err error, why ...any) {
	t.Helper()
	require.Equal(t, errorv1.Reason_REASON_UNAUTHENTICATED, fault.ReasonOf(err), why...)
}

func TestSign(t *testing.T) {
	t.Parallel()
	key, clock := newKey(t, "one"), newClock()
	for name, spoil := range map[string]func(*Claims, *jose.JSONWebKey){
		"NoSubject":     func(c *Claims, _ *jose.JSONWebKey) { c.Account = id.Account{} },
		"KeyForNothing": func(c *Claims, _ *jose.JSONWebKey) { c.Key = id.NewAPIKey() },
		"ScopesOfNone":  func(c *Claims, _ *jose.JSONWebKey) { c.Scopes = []string{"org.read"} },
		"TwoSubjects":   func(c *Claims, _ *jose.JSONWebKey) { c.Operator = id.NewOperator() },
		"NoAudience":    func(c *Claims, _ *jose.JSONWebKey) { c.Audience = "" },
		"TooLong":       func(c *Claims, _ *jose.JSONWebKey) { c.Expires = c.Expires.Add(time.Second) },
		"NoLifetime":    func(c *Claims, _ *jose.JSONWebKey) { c.Expires = c.IssuedAt },
		"KeyWithoutID":  func(_ *Claims, k *jose.JSONWebKey) { k.KeyID = "" },
		"SymmetricKey":  func(_ *Claims, k *jose.JSONWebKey) { k.Key = []byte("0123456789abcdef0123456789abcdef") },
		"PublicKeyOnly": func(_ *Claims, k *jose.JSONWebKey) { *k = k.Public() },
	} {
		t.Run(name+"IsRefused", func(t *testing.T) {
			t.Parallel()
			c, k := goodClaims(clock.now()), key
			spoil(&c, &k)
			_, err := Sign(k, c)
			require.Error(t, err)
		})
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()

	t.Run("GivesBackWhatWasSigned", func(t *testing.T) {
		t.Parallel()
		key, clock := newKey(t, "one"), newClock()
		v := NewVerifier("membership", (&ring{keys: []jose.JSONWebKey{key}}).get, clock.now)
		person := goodClaims(clock.now())
		operator := Claims{Operator: id.NewOperator(), Audience: "membership", IssuedAt: clock.now(), Expires: clock.now().Add(time.Second)}
		program := Claims{Account: id.NewAccount(), Key: id.NewAPIKey(), Scopes: []string{"members.read", "org.read"},
			Audience: "membership", IssuedAt: clock.now(), Expires: clock.now().Add(time.Second)}
		for _, want := range []Claims{person, operator, program} {
			for range 2 { // verified, then remembered
				got, err := v.Verify(t.Context(), sign(t, key, want))
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	})

	t.Run("ExpiresAlsoWhenRemembered", func(t *testing.T) {
		t.Parallel()
		key, clock := newKey(t, "one"), newClock()
		v := NewVerifier("membership", (&ring{keys: []jose.JSONWebKey{key}}).get, clock.now)
		token := sign(t, key, goodClaims(clock.now()))
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		clock.advance(Lifetime + leeway - time.Second)
		_, err = v.Verify(t.Context(), token)
		require.NoError(t, err)
		clock.advance(time.Second)
		_, err = v.Verify(t.Context(), token)
		requireRefused(t, err)
	})

	t.Run("RemembersABoundedNumber", func(t *testing.T) {
		t.Parallel()
		var c cache[int, int]
		now := time.Now()
		for i := range 3 * maxEntries {
			c.put(i, i, now, now.Add(time.Minute))
			require.LessOrEqual(t, len(c.entries), maxEntries)
		}
		_, ok := c.get(3*maxEntries-1, now)
		require.True(t, ok)
		_, ok = c.get(3*maxEntries-1, now.Add(time.Minute))
		require.False(t, ok)
	})
}

// TestForgery changes a good token in every place that matters, and signs it again with the right key: only
// the rule in question can refuse it.
func TestForgery(t *testing.T) {
	t.Parallel()
	key, clock := newKey(t, "one"), newClock()
	private := key.Key.(ed25519.PrivateKey)
	now := clock.now().Unix()
	header := map[string]any{"alg": "EdDSA", "typ": tokenType, "kid": "one"}
	claims := map[string]any{
		"iss": issuer, "aud": "membership", "sub": id.NewAccount().String(), "sid": id.NewSession().String(),
		"auth_time": now, "iat": now, "exp": now + 60,
	}
	type change = map[string]any
	with := func(base, changes map[string]any) string {
		m := maps.Clone(base)
		for name, value := range changes {
			if m[name] = value; value == nil {
				delete(m, name)
			}
		}
		raw, err := json.Marshal(m)
		require.NoError(t, err)
		return string(raw)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := func(header, claims string) string {
		input := encode([]byte(header)) + "." + encode([]byte(claims))
		return input + "." + encode(ed25519.Sign(private, []byte(input)))
	}
	verify := func(t *testing.T, token string) error {
		_, err := NewVerifier("membership", (&ring{keys: []jose.JSONWebKey{key}}).get, clock.now).Verify(t.Context(), token)
		return err
	}
	good := signed(with(header, nil), with(claims, nil))
	other := newKey(t, "one")
	otherPublic := other.Public()
	embedded, err := otherPublic.MarshalJSON()
	require.NoError(t, err)

	t.Run("R48 TheUnchangedIsGood", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, verify(t, good))
		for _, c := range []change{{"sid": nil}, {"auth_time": nil}, {"more": "x"}, {"iat": now + 10, "exp": now + 20}} {
			require.NoError(t, verify(t, signed(with(header, nil), with(claims, c))), c)
		}
	})

	t.Run("R48 KeysInTheHeaderAreIgnored", func(t *testing.T) {
		t.Parallel()
		for name, value := range map[string]any{"jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "jwk": json.RawMessage(embedded)} {
			token := with(header, change{name: value})
			require.NoError(t, verify(t, signed(token, with(claims, nil))), name)
			input := encode([]byte(token)) + "." + encode([]byte(with(claims, nil)))
			requireRefused(t, verify(t, input+"."+encode(ed25519.Sign(other.Key.(ed25519.PrivateKey), []byte(input)))), name)
		}
	})

	for _, c := range []change{
		{"alg": "none"}, {"alg": "HS256"}, {"alg": "ES256"}, {"alg": "eddsa"}, {"alg": nil},
		{"typ": "JWT"}, {"typ": "ROSTER-INTERNAL+JWT"}, {"typ": nil}, {"typ": 1},
		{"kid": "two"}, {"kid": ""}, {"kid": nil}, {"kid": 1},
		{"crit": []string{"b64"}, "b64": true}, {"crit": []string{"exp"}, "exp": 1}, {"crit": []string{}},
	} {
		raw := with(header, c)
		t.Run("R48 Header"+raw, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, verify(t, signed(raw, with(claims, nil))))
		})
	}

	for _, c := range []change{
		{"iss": nil}, {"iss": "roster.identity2"}, {"iss": ""},
		{"aud": nil}, {"aud": "billing"}, {"aud": []string{"membership"}}, {"aud": ""},
		{"sub": nil}, {"sub": ""}, {"sub": "acc_"}, {"sub": "org_00041061050r3gg28a1c60t3gf"}, {"sub": strings.ToUpper(id.NewAccount().String())},
		{"sub": "acc_00000000000000000000000000"},
		{"sid": "acc_00041061050r3gg28a1c60t3gf"}, {"sid": "x"},
		{"iat": nil}, {"iat": 0}, {"iat": "1"}, {"iat": now + 11, "exp": now + 20}, {"iat": now - 1}, {"iat": float64(now) + 0.5},
		{"exp": nil}, {"exp": 0}, {"exp": now}, {"exp": now + 61}, {"exp": now - 10, "iat": now - 60}, {"exp": -1}, {"exp": "1"},
		{"auth_time": "x"},
		{"key": id.NewAPIKey().String()}, {"scopes": []string{"org.read"}}, {"key": "x", "scopes": []string{"org.read"}},
	} {
		raw := with(claims, c)
		t.Run("R48 Claims"+raw, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, verify(t, signed(with(header, nil), raw)))
		})
	}

	parts := strings.Split(good, ".")
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", good[len(good)-1])
	for name, token := range map[string]string{
		"Empty":             "",
		"TwoParts":          parts[0] + "." + parts[1],
		"FourParts":         good + ".",
		"NoSignature":       parts[0] + "." + parts[1] + ".",
		"NotBase64":         parts[0] + ".%." + parts[2],
		"Padded":            good + "=",
		"LineBreak":         parts[0] + "." + parts[1] + ".\n" + parts[2],
		"SpareBits":         good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last+1]),
		"OtherSignature":    parts[0] + "." + parts[1] + "." + encode(make([]byte, ed25519.SignatureSize)),
		"OtherClaims":       parts[0] + "." + encode([]byte(with(claims, change{"aud": "membership", "x": 1}))) + "." + parts[2],
		"TooLong":           signed(with(header, nil), with(claims, change{"x": strings.Repeat("x", maxToken)})),
		"ClaimTwice":        signed(with(header, nil), strings.Replace(with(claims, nil), "{", `{"aud":"membership",`, 1)),
		"HeaderTwice":       signed(strings.Replace(with(header, nil), "{", `{"alg":"EdDSA",`, 1), with(claims, nil)),
		"ClaimInUpperCase":  signed(with(header, nil), strings.Replace(with(claims, nil), `"exp"`, `"EXP"`, 1)),
		"ClaimsAreNoObject": signed(with(header, nil), "[]"),
		"JSONSerialization": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		t.Run("R48 "+name, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, verify(t, token))
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (one, two jose.JSONWebKey, r *ring, c *clock, v *Verifier) {
		one, two = newKey(t, "one"), newKey(t, "two")
		r, c = &ring{keys: []jose.JSONWebKey{one}}, newClock()
		return one, two, r, c, NewVerifier("membership", r.get, c.now)
	}

	t.Run("AnUnknownKeyIsAskedForOnceASecond", func(t *testing.T) {
		t.Parallel()
		one, two, r, clock, v := start(t)
		_, err := v.Verify(t.Context(), sign(t, one, goodClaims(clock.now())))
		require.NoError(t, err)
		for range 5 {
			_, err := v.Verify(t.Context(), sign(t, two, goodClaims(clock.now())))
			requireRefused(t, err)
		}
		require.Equal(t, 1, r.count())
		r.set(nil, one, two)
		clock.advance(keysRest)
		_, err = v.Verify(t.Context(), sign(t, two, goodClaims(clock.now())))
		require.NoError(t, err)
		require.Equal(t, 2, r.count())
	})

	t.Run("R49 AWithdrawnKeyIsRefusedAlsoWhereItsTokensAreRemembered", func(t *testing.T) {
		t.Parallel()
		one, two, r, clock, v := start(t)
		token := sign(t, one, goodClaims(clock.now()))
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		r.set(nil, two)
		clock.advance(KeysLife - time.Second)
		_, err = v.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, 1, r.count())
		clock.advance(time.Second)
		_, err = v.Verify(t.Context(), token)
		requireRefused(t, err)
	})

	t.Run("R49 AwayIdentityWithdrawsNone", func(t *testing.T) {
		t.Parallel()
		one, _, r, clock, v := start(t)
		token := sign(t, one, goodClaims(clock.now()))
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		r.set(errors.New("away"))
		clock.advance(KeysLife)
		_, err = v.Verify(t.Context(), token)
		require.NoError(t, err)
	})

	t.Run("AWithdrawnKeyIsRefused", func(t *testing.T) {
		t.Parallel()
		one, two, r, clock, v := start(t)
		_, err := v.Verify(t.Context(), sign(t, one, goodClaims(clock.now())))
		require.NoError(t, err)
		r.set(nil, two)
		clock.advance(KeysLife)
		_, err = v.Verify(t.Context(), sign(t, one, goodClaims(clock.now())))
		requireRefused(t, err)
	})

	t.Run("WithoutIdentityNobodyIsSignedOut", func(t *testing.T) {
		t.Parallel()
		one, _, r, clock, v := start(t)
		away := errors.New("away")
		r.set(away)
		token := sign(t, one, goodClaims(clock.now()))
		for range 2 { // asked, then resting
			_, err := v.Verify(t.Context(), token)
			require.ErrorIs(t, err, away)
		}
		require.Equal(t, 1, r.count())
		r.set(nil, one)
		clock.advance(keysRest)
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		r.set(away)
		clock.advance(KeysLife)
		_, err = v.Verify(t.Context(), sign(t, one, goodClaims(clock.now())))
		require.NoError(t, err, "a known key is good while identity is away")
	})

	t.Run("OtherKindsOfKeysAreIgnored", func(t *testing.T) {
		t.Parallel()
		one, _, r, clock, v := start(t)
		v.keys = func(ctx context.Context) (jose.JSONWebKeySet, error) {
			set, err := r.get(ctx)
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: []byte("secret"), KeyID: "one"}, one) // symmetric, private
			return set, err
		}
		_, err := v.Verify(t.Context(), sign(t, one, goodClaims(clock.now())))
		require.NoError(t, err)
	})

	t.Run("ManyAtOnceAskOnce", func(t *testing.T) {
		t.Parallel()
		one, _, r, clock, v := start(t)
		var all sync.WaitGroup
		for range 50 {
			token := sign(t, one, goodClaims(clock.now()))
			all.Go(func() {
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, r.count())
	})
}
