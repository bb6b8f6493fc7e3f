package billing_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/internal/id"
)

// pair is one organization twice: in the database, and as the gate that says what the database must do.
type pair struct {
	*harness
	org  id.Organization
	gate *seat.Gate
	ids  map[string]id.Seat
}

func (h *harness) pair() *pair {
	return &pair{harness: h, org: id.NewOrganization(), gate: seat.NewGate(), ids: make(map[string]id.Seat)}
}

// named returns the seats that a test calls by letters: "abc" are three.
func (p *pair) named(names string) (seats []id.Seat) {
	for _, name := range names {
		if _, ok := p.ids[string(name)]; !ok {
			p.ids[string(name)] = id.NewSeat()
		}
		seats = append(seats, p.ids[string(name)])
	}
	return seats
}

var states = map[seat.State]billingv1.SeatState{seat.Reserved: reserved, seat.Occupied: occupied, seat.Released: released, seat.Denied: denied}

// reserve does it in both and returns the answer.
func (p *pair) reserve(t require.TestingT, names, release string) seat.State {
	var asks []seat.Ask
	for _, seatID := range p.named(names) {
		asks = append(asks, seat.Ask{SeatID: seatID, OwnerKind: seat.Invitation, OwnerID: id.Any(seatID)})
	}
	want := p.gate.Reserve(asks, p.named(release))
	resp := p.exchange(t, p.org, p.named(release), p.named(names)...)
	require.Equal(t, states[want], resp.GetState(), "reserve %q, releasing %q", names, release)
	p.used(t, resp.GetUsage())
	return want
}

func (p *pair) occupy(t require.TestingT, name string) seat.State {
	seatID := p.named(name)[0]
	want := p.gate.Occupy(seatID, id.Account(seatID))
	require.Equal(t, states[want], p.harness.occupy(t, p.org, seatID), "occupy %q", name)
	return want
}

func (p *pair) release(t require.TestingT, names string) {
	p.gate.Release(p.named(names))
	p.used(t, p.harness.release(t, p.org, p.named(names)...))
}

func (p *pair) limit(t require.TestingT, limit *int32) {
	_, err := p.gate.Usage.SetCap(limit)
	require.NoError(t, err)
	p.used(t, p.harness.limit(t, p.org, limit))
}

func (p *pair) used(t require.TestingT, got *billingv1.SeatUsage) {
	want := p.gate.Usage
	require.Equal(t, []int32{want.Occupied, want.Reserved, want.Used()}, []int32{got.GetOccupied(), got.GetReserved(), got.GetUsed()})
	require.Equal(t, want.Cap, got.Total)
	require.Equal(t, want.Available(), got.Available)
	require.Equal(t, "STATE_"+string(want.State()), got.GetState().String())
}

// same holds the rows against the gate.
func (p *pair) same(t require.TestingT) {
	ctx := context.Background()
	rows, _ := p.rows.Query(ctx, `SELECT op, occupied_delta, reserved_delta, used_after, cap_at FROM seat_ledger WHERE organization_id = $1 ORDER BY revision`, p.org)
	ledger, err := pgx.CollectRows(rows, pgx.RowToStructByName[seat.Entry])
	require.NoError(t, err)
	require.Equal(t, append([]seat.Entry{}, p.gate.Ledger...), append([]seat.Entry{}, ledger...))

	rows, _ = p.rows.Query(ctx, `SELECT seat_id, state, coalesce(owner_kind, '') AS owner_kind, owner_id, account_id FROM seats WHERE organization_id = $1`, p.org)
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByName[seat.Seat])
	require.NoError(t, err)
	seats := make(map[id.Seat]seat.Seat)
	for _, s := range stored {
		seats[s.SeatID] = s
	}
	require.Equal(t, p.gate.Seats, seats)
}

func TestGate(t *testing.T) {
	t.Parallel()
	h := start(t)
	for name, run := range map[string]func(*testing.T, *pair){
		"TakesAndSeats": func(t *testing.T, p *pair) {
			require.Equal(t, seat.Reserved, p.reserve(t, "a", ""))
			require.Equal(t, seat.Occupied, p.occupy(t, "a"))
			require.Equal(t, seat.Occupied, p.occupy(t, "a"))
			require.Equal(t, seat.Occupied, p.reserve(t, "a", ""))
			p.release(t, "a")
			require.Equal(t, seat.Released, p.occupy(t, "a"))
			require.Equal(t, seat.Released, p.reserve(t, "a", ""))
		},
		"TakesAllOrNone": func(t *testing.T, p *pair) {
			p.limit(t, of(3))
			require.Equal(t, seat.Denied, p.reserve(t, "abcd", ""))
			require.Equal(t, seat.Reserved, p.reserve(t, "efg", ""))
			require.Equal(t, seat.Denied, p.reserve(t, "h", ""))
		},
		"TakesTheRestOfAnEarlierCall": func(t *testing.T, p *pair) {
			p.limit(t, of(4))
			p.reserve(t, "ab", "")
			p.occupy(t, "a")
			require.Equal(t, seat.Reserved, p.reserve(t, "abcd", ""))
			require.Equal(t, seat.Denied, p.reserve(t, "abe", ""))
			require.Equal(t, seat.Reserved, p.reserve(t, "ab", ""))
		},
		"DeniesTheCompanyOfTheGone": func(t *testing.T, p *pair) {
			p.reserve(t, "ab", "")
			p.release(t, "a")
			require.Equal(t, seat.Denied, p.reserve(t, "abc", ""))
			require.Equal(t, seat.Denied, p.reserve(t, "c", ""))
			require.Equal(t, seat.Reserved, p.reserve(t, "b", ""))
		},
		"DeniesTheCompanyOfTheGoneAlsoInASecondFlight": func(t *testing.T, p *pair) {
			p.reserve(t, "ab", "")
			p.release(t, "a")
			require.Equal(t, seat.Denied, p.reserve(t, "ac", "bx"))
		},
		"FreesFirst": func(t *testing.T, p *pair) {
			p.limit(t, of(2))
			p.reserve(t, "ab", "")
			require.Equal(t, seat.Denied, p.reserve(t, "c", ""))
			require.Equal(t, seat.Reserved, p.reserve(t, "de", "ab"))
			require.Equal(t, seat.Reserved, p.reserve(t, "de", "ab"))
		},
		"FreesFirstWhatIsLeftToFree": func(t *testing.T, p *pair) {
			p.limit(t, of(2))
			p.reserve(t, "ab", "")
			p.release(t, "a")
			p.reserve(t, "c", "")
			require.Equal(t, seat.Reserved, p.reserve(t, "d", "abx"))
		},
		"FreesAlsoWhenItDenies": func(t *testing.T, p *pair) {
			p.limit(t, of(2))
			p.reserve(t, "ab", "")
			require.Equal(t, seat.Denied, p.reserve(t, "cde", "a"))
			require.Equal(t, seat.Reserved, p.reserve(t, "f", ""))
		},
		"DoesNotTakeWhatItFrees": func(t *testing.T, p *pair) {
			require.Equal(t, seat.Released, p.reserve(t, "a", "a"))
			p.reserve(t, "b", "")
			require.Equal(t, seat.Released, p.reserve(t, "b", "b"))
		},
		"MarksWhatItNeverHeardOf": func(t *testing.T, p *pair) {
			p.release(t, "ab")
			require.Equal(t, seat.Released, p.reserve(t, "a", ""))
			require.Equal(t, seat.Released, p.occupy(t, "c"))
			require.Equal(t, seat.Released, p.reserve(t, "c", ""))
		},
		"DoesNotFreeWhatWasDenied": func(t *testing.T, p *pair) {
			p.limit(t, of(1))
			p.reserve(t, "a", "")
			p.reserve(t, "b", "")
			p.release(t, "ab")
			require.Equal(t, seat.Denied, p.reserve(t, "b", ""))
		},
		"StopsGrowingBelowWhatIsUsed": func(t *testing.T, p *pair) {
			p.reserve(t, "abc", "")
			p.occupy(t, "a")
			p.limit(t, of(1))
			require.Equal(t, seat.Occupied, p.occupy(t, "b"))
			require.Equal(t, seat.Denied, p.reserve(t, "d", ""))
			require.Equal(t, seat.Denied, p.reserve(t, "e", "a"))
			p.release(t, "b")
			require.Equal(t, seat.Denied, p.reserve(t, "f", ""))
			require.Equal(t, seat.Reserved, p.reserve(t, "g", "c"))
		},
		"GrowsAgainWhenTheLimitIsLifted": func(t *testing.T, p *pair) {
			p.limit(t, of(1))
			p.reserve(t, "a", "")
			require.Equal(t, seat.Denied, p.reserve(t, "b", ""))
			p.limit(t, of(2))
			require.Equal(t, seat.Denied, p.reserve(t, "b", ""))
			require.Equal(t, seat.Reserved, p.reserve(t, "c", ""))
			p.limit(t, nil)
			require.Equal(t, seat.Reserved, p.reserve(t, "defgh", ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := h.pair()
			run(t, p)
			p.same(t)
		})
	}
	t.Cleanup(func() { h.consistent(t) })
}

// TestGateAtRandom compares the two on sequences that nobody thought of.
func TestGateAtRandom(t *testing.T) {
	t.Parallel()
	h := start(t)
	rapid.Check(t, func(t *rapid.T) {
		p := h.pair()
		some := rapid.StringMatching(`[a-h]{1,4}`)
		few := rapid.StringMatching(`[a-h]{0,3}`)
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) { p.reserve(t, distinct(some.Draw(t, "seats")), few.Draw(t, "release")) },
			"occupy":  func(t *rapid.T) { p.occupy(t, some.Draw(t, "seat")[:1]) },
			"release": func(t *rapid.T) { p.release(t, some.Draw(t, "seats")) },
			"limit": func(t *rapid.T) {
				if n := rapid.Int32Range(0, 6).Draw(t, "limit"); n > 0 {
					p.limit(t, &n)
				} else {
					p.limit(t, nil)
				}
			},
			"renew": func(*rapid.T) { clear(p.ids) }, // all letters stand for new seats
		})
		p.same(t)
	})
	h.consistent(t)
}

func distinct(names string) (out string) {
	seen := make(map[rune]bool)
	for _, name := range names {
		if !seen[name] {
			seen[name], out = true, out+string(name)
		}
	}
	return out
}
