package credential

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestEnded(t *testing.T) {
	t.Parallel()
	// resolving is a resolver of whom nobody is heard yet, in a bubble where time passes when all wait.
	resolving := func(t *testing.T) (fake *identity, a *Authenticator, session id.Session) {
		clock := newClock()
		clock.unix.Store(time.Now().Unix())
		claims := goodClaims(clock.now())
		fake = signing(t, clock, claims)
		return fake, &Authenticator{
			Resolver: NewResolver(fake, time.Now), Verifier: NewVerifier("membership", KeysOf(fake), time.Now),
		}, claims.Session
	}
	asks := func(t *testing.T, fake *identity, a *Authenticator, want bool, why string) {
		t.Helper()
		before := fake.calls.Load()
		_, err := a.Authenticate(t.Context(), "a_secret")
		require.NoError(t, err)
		require.Equal(t, want, fake.calls.Load() > before, why)
	}

	t.Run("R43 TokensOfASessionThatEndedAreRefused", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake, a, session := resolving(t)
			a.Resolver.Beat(false)
			token, err := a.Resolver.Token(t.Context(), "a_secret", false, "membership")
			require.NoError(t, err)
			_, err = a.Authenticate(t.Context(), token)
			require.NoError(t, err)
			a.Resolver.End(id.Any(id.NewSession()))
			_, err = a.Authenticate(t.Context(), token)
			require.NoError(t, err)
			a.Resolver.End(id.Any(session))
			_, err = a.Authenticate(t.Context(), token)
			requireRefused(t, err)
			before := fake.calls.Load()
			_, err = a.Authenticate(t.Context(), "a_secret")
			requireRefused(t, err) // identity is asked, and what it may have signed just before is refused
			require.Equal(t, before+1, fake.calls.Load())
		})
	})
	t.Run("R43 AnEndIsRememberedLongerThanATokenLives", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			e := newEnded(time.Now)
			first := id.Any(id.NewSession())
			e.End(first)
			for range int((Lifetime + leeway) / time.Second) {
				require.True(t, e.has(first))
				e.End(id.Any(id.NewSession()))
				time.Sleep(time.Second)
			}
			require.True(t, e.has(first))
			time.Sleep(2 * (Lifetime + 2*leeway))
			e.End(id.Any(id.NewSession()))
			time.Sleep(2 * (Lifetime + 2*leeway))
			e.End(id.Any(id.NewSession()))
			require.False(t, e.has(first), "and not for ever")
			require.Len(t, e.earlier, 1)
		})
	})
	t.Run("R87 WithoutABeatIdentityIsAskedAfterFourSeconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake, a, _ := resolving(t)
			asks(t, fake, a, true, "the first time")
			time.Sleep(silence - time.Second)
			asks(t, fake, a, false, "just now")
			time.Sleep(time.Second)
			asks(t, fake, a, true, "nobody was heard")
			a.Resolver.Beat(false)
			for range 12 {
				time.Sleep(time.Second)
				a.Resolver.Beat(false)
			}
			asks(t, fake, a, true, "it was asked before the first beat")
			for range 12 {
				time.Sleep(time.Second)
				a.Resolver.Beat(false)
				asks(t, fake, a, false, "all ends are heard")
			}
			time.Sleep(silence)
			asks(t, fake, a, true, "no beat for long")
		})
	})
	t.Run("R87 WhatMayHaveBeenMissedIsAskedFor", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			for name, lose := range map[string]func(*Ended){
				"after a pause": func(e *Ended) { time.Sleep(silence + time.Second); e.Beat(false) },
				"after reconnecting": func(e *Ended) {
					e.Beat(true)
					time.Sleep(silence - time.Second)
					e.Beat(false)
					time.Sleep(time.Second)
				},
			} {
				fake, a, _ := resolving(t)
				a.Resolver.Beat(false)
				asks(t, fake, a, true, name)
				lose(a.Resolver.Ended)
				asks(t, fake, a, true, name)
			}
		})
	})

	beating := func(ctx context.Context, e *Ended) {
		e.Beat(false)
		go func() {
			for ctx.Err() == nil {
				time.Sleep(time.Second)
				e.Beat(false)
			}
		}()
	}
	t.Run("R43 WhatLastsEndsWithTheSession", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			e, session := newEnded(time.Now), id.NewSession()
			live, stop := context.WithCancel(t.Context())
			defer stop()
			beating(live, e)
			time.Sleep(time.Millisecond)
			mine, leave := e.Follow(t.Context(), id.Any(session))
			defer leave()
			other, leaveOther := e.Follow(t.Context(), id.Any(id.NewSession()))
			done, leaveDone := e.Follow(t.Context(), id.Any(session))
			leaveDone()
			time.Sleep(time.Minute)
			require.NoError(t, mine.Err())
			e.End(id.Any(session))
			synctest.Wait()
			requireRefused(t, context.Cause(mine))
			require.NoError(t, other.Err())
			require.ErrorIs(t, context.Cause(done), context.Canceled)
			late, leaveLate := e.Follow(t.Context(), id.Any(session))
			defer leaveLate()
			synctest.Wait()
			requireRefused(t, context.Cause(late))
			leaveOther()
			synctest.Wait()
			require.Empty(t, e.streams)
			stop()
			time.Sleep(2 * time.Second)
		})
	})
	t.Run("R87 WhatLastsEndsWhenNobodyCanTell", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			e := newEnded(time.Now)
			mine, leave := e.Follow(t.Context(), id.Any(id.NewSession()))
			defer leave()
			time.Sleep(5 * time.Second)
			require.Equal(t, errorv1.Reason_REASON_UNAVAILABLE, fault.From(context.Cause(mine)).Reason)
		})
	})
}
