package password

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHash(t *testing.T) {
	t.Parallel()
	t.Run("VerifiesItsPassword", func(t *testing.T) {
		t.Parallel()
		hash := Hash("violet harbor quilt")
		require.True(t, strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$"), hash)
		right, weak, err := Verify(hash, "violet harbor quilt")
		require.NoError(t, err)
		require.True(t, right)
		require.False(t, weak)
		right, _, err = Verify(hash, "violet harbor quilT")
		require.NoError(t, err)
		require.False(t, right)
	})
	// The vector of RFC 9106 itself has a key and data beside the password, which nothing of ours has; these are of the implementation
	// that came with Argon2, and x/crypto's tests have the other.
	t.Run("RFC 9106 Argon2idIsThatOfTheReference", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct{ password, hash string }{
			{"password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
			{"password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
			{"password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
			{"password", "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$9qWtwbpyPd3vm1rB1GThgPzZ3/ydHL92zKL+15XZypg"},
			{"differentpassword", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94"},
			{"password", "$argon2id$v=19$m=65536,t=2,p=1$ZGlmZnNhbHQ$vfMrBczELrFdWP0ZsfhWsRPaHppYdP3MVEMIVlqoFBw"},
		} {
			right, _, err := Verify(c.hash, c.password)
			require.NoError(t, err)
			require.True(t, right, c.hash)
			right, _, err = Verify(c.hash, c.password+"!")
			require.NoError(t, err)
			require.False(t, right)
		}
	})
	t.Run("R3 TheLastByteOfEightyCounts", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("x", 79)
		right, _, err := Verify(Hash(long+"a"), long+"b")
		require.NoError(t, err)
		require.False(t, right)
	})
	t.Run("R5 WeakerParametersAreNoticed", func(t *testing.T) {
		t.Parallel()
		p := parameters{memory: 8, time: 1, threads: 1, length: 32}
		salt := []byte("0123456789abcdef")
		right, weak, err := Verify(encode(p, salt, p.key("secret", salt)), "secret")
		require.NoError(t, err)
		require.True(t, right)
		require.True(t, weak)
	})
	t.Run("R5 ParametersHaveBounds", func(t *testing.T) {
		t.Parallel()
		_, _, _, err := decode(Dummy)
		require.NoError(t, err)
		for _, change := range [][2]string{
			{"m=19456", "m=65537"}, {"m=19456", "m=4"}, {"m=19456", "m=4294967295"}, {"m=19456", "m=+9456"}, {"t=2", "t=11"}, {"t=2", "t=0"},
			{"p=1", "p=5"}, {"p=1", "p=0"}, {"argon2id", "argon2i"}, {"v=19", "v=16"}, {"m=19456,t=2,p=1", "t=2,m=19456,p=1"}, {"m=19456,t=2,p=1", "m=19456,t=2"},
			{"m=19456,t=2,p=1", "m=19456,t=2,p=1,keyid=x"}, {"$AAAAAAAAAAAAAAAAAAAAAA$", "$AAAA$"}, {"$AAAAAAAAAAAAAAAAAAAAAA$", "$AAAAAAAAAAAAAAAAAAAAA=$"},
			{"$AAAAAAAAAAAAAAAAAAAAAA$", "$" + strings.Repeat("A", 88) + "$"}, {"p=1$", "p=1$$"}, {"$argon2id", "argon2id"},
		} {
			planted := strings.Replace(Dummy, change[0], change[1], 1)
			require.NotEqual(t, Dummy, planted)
			_, _, _, err := decode(planted)
			require.Error(t, err, planted)
		}
	})
	t.Run("R8 AHashThatCannotBeUsedCostsTheSame", func(t *testing.T) {
		t.Parallel()
		right, _, err := Verify("$argon2id$v=19$m=4294967295,t=1,p=1$x$x", "secret")
		require.Error(t, err)
		require.False(t, right)
	})
}

func TestGate(t *testing.T) {
	t.Parallel()
	const machine = 2
	newGate := func() *Gate { return &Gate{free: machine} }

	t.Run("R7 SheddingAFlood", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			gate := newGate()
			var running, most, done, busy atomic.Int32
			for range 500 {
				go func() {
					leave, err := gate.Enter(t.Context(), 0)
					if err != nil {
						require.ErrorIs(t, err, ErrBusy)
						busy.Add(1)
						return
					}
					defer leave()
					n := running.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					time.Sleep(100 * time.Millisecond) // a hash
					running.Add(-1)
					done.Add(1)
				}()
			}
			synctest.Wait()
			require.EqualValues(t, 500-machine-queue, busy.Load(), "who finds the queue full hears it at once")
			time.Sleep(time.Minute)
			require.EqualValues(t, machine, most.Load())
			// Two at a time, 100 ms each: what began within 2 s.
			require.InDelta(t, machine*20, done.Load(), 2*machine)
			require.EqualValues(t, 500, done.Load()+busy.Load())
		})
	})
	t.Run("R7 TheHashesLeaveRoomForTheRest", func(t *testing.T) {
		t.Parallel()
		for range 2 { // roles of one process
			MakeRoom()
			require.Equal(t, 2*NewGate().free, runtime.GOMAXPROCS(0))
		}
	})
	t.Run("R7 AWaitIsTwoSeconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			gate := newGate()
			for range machine {
				_, err := gate.Enter(t.Context(), 0)
				require.NoError(t, err)
			}
			begin := time.Now()
			_, err := gate.Enter(t.Context(), 0)
			require.ErrorIs(t, err, ErrBusy)
			require.Equal(t, 2*time.Second, time.Since(begin))
			require.Equal(t, 2*time.Second, ErrBusy.Retry)
		})
	})
	t.Run("R7 WhoHasTriedLessOftenGetsPastAFlood", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			gate := newGate()
			var turns []string // who had one, in order
			var mu sync.Mutex
			come := func(who string, tries float64) {
				go func() {
					leave, err := gate.Enter(t.Context(), tries)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						turns = append(turns, "not "+who)
						return
					}
					turns = append(turns, who)
					time.AfterFunc(100*time.Millisecond, leave)
				}()
				synctest.Wait()
			}
			heard := func() []string {
				mu.Lock()
				defer mu.Unlock()
				return slices.Clone(turns)
			}
			later := func(d time.Duration) {
				time.Sleep(d)
				synctest.Wait()
			}
			for range machine + queue {
				come("flood", 3)
			}
			come("flood", 3)
			require.Equal(t, []string{"flood", "flood", "not flood"}, heard(), "the queue is full")
			come("first", 0)
			come("second", 0)
			come("less", 1)
			require.Equal(t, []string{"not flood", "not flood", "not flood"}, heard()[3:], "they have the places of the last ones")
			later(150 * time.Millisecond)
			require.ElementsMatch(t, []string{"first", "second"}, heard()[6:])
			later(100 * time.Millisecond)
			require.ElementsMatch(t, []string{"less", "flood"}, heard()[8:])
			later(time.Minute)
			require.Equal(t, machine, gate.free, "every turn is given back")
			require.Empty(t, gate.waiting)
		})
	})
	t.Run("WhoLeavesTheQueueFreesAPlace", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			gate := newGate()
			leave, err := gate.Enter(t.Context(), 0)
			require.NoError(t, err)
			_, err = gate.Enter(t.Context(), 0)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				time.Sleep(time.Second)
				cancel()
			}()
			_, err = gate.Enter(ctx, 0)
			require.ErrorIs(t, err, context.Canceled)
			leave()
			again, err := gate.Enter(t.Context(), 0)
			require.NoError(t, err)
			again()
			require.Empty(t, gate.waiting)
			require.Equal(t, 1, gate.free)
		})
	})
}
