package model

// delta is how old an answer may be, in ticks of the clock.
const delta = 2

// replicas answer access checks from memory.
const replicas = 2

// leaseWorld is one revocation, such as a RemoveMember, and the replicas that have to hear of it. It holds no times, only how
// much of one is left or how long ago it was, so that a run may take for ever and the number of states is finite all the same.
type leaseWorld struct {
	committed bool // the member is gone in the primary; the event is in the outbox
	since     uint8
	published bool // the event is in the stream
	asked     bool // RemoveMember has read access_replica
	returned  bool // RemoveMember has answered: from now on nobody may be let in
	replicas  [replicas]replica
}

// replica is one server that answers access checks.
type replica struct {
	applied bool  // it has heard of the revocation, and says so
	lease   uint8 // how long it may go on answering without asking
	granted uint8 // how long the primary believes that it may: granted_until in access_replica
	waited  uint8 // how long RemoveMember waits for it at most
	barrier barrier
	age     uint8 // of the barrier: since the replica sent it
	behind  bool  // the barrier's snapshot holds the revocation, so that the replica has to apply it first
}

// barrier is how far the renewal of a lease has come.
type barrier uint8

const (
	noBarrier  barrier = iota
	sent               // the replica has noted the time and asks for a lease
	registered         // the primary has noted granted_until
	snapshot           // and then what is in the outbox, which is published before the answer
)

// Mutants of leases.
const (
	noWait                 mutant = "no-wait"                  // RemoveMember answers at once
	noRegistry             mutant = "no-registry"              // the primary does not note who has a lease
	leaseFromReplyTime     mutant = "lease-from-reply-time"    // the lease begins when the answer arrives
	snapshotBeforeRegister mutant = "snapshot-before-register" // the two in the other order
	stalePrimary           mutant = "stale-primary"            // a primary that was replaced answers barriers
)

// What can be wrong.
const (
	staleAfterReturn = "RemoveMember has returned, and a replica still lets the member in"
	tooStale         = "a replica lets the member in, longer than delta after the commit"
)

// lease is the protocol, without a rule.
func lease(m mutant) protocol[leaseWorld] {
	return protocol[leaseWorld]{
		steps: func(w leaseWorld, take func(leaseWorld, string, ...any)) {
			take(w.later(), "a tick passes")
			revoke(m, w, take)
			for i := range replicas {
				renew(m, w, i, take)
			}
		},
		broken: func(w leaseWorld) string {
			for _, r := range w.replicas {
				switch {
				case r.applied || r.lease == 0: // it denies, or asks the primary
				case w.returned:
					return staleAfterReturn
				case w.committed && w.since > delta:
					return tooStale
				}
			}
			return ""
		},
		settled: func(w leaseWorld) bool { return w.returned },
	}
}

// later is the world a tick later. What is longer ago than delta is old, however long.
func (w leaseWorld) later() leaseWorld {
	if w.committed {
		w.since = min(w.since+1, delta+1)
	}
	for i := range w.replicas {
		r := &w.replicas[i]
		for _, left := range []*uint8{&r.lease, &r.granted, &r.waited} {
			if *left > 0 {
				*left--
			}
		}
		if r.barrier != noBarrier {
			r.age = min(r.age+1, delta)
		}
	}
	return w
}

// revoke commits, publishes, and returns when each replica has heard of it or has no lease any more.
func revoke(m mutant, w leaseWorld, take func(leaseWorld, string, ...any)) {
	to := w
	switch {
	case !w.committed:
		to.committed = true
		take(to, "RemoveMember commits")
		return
	case !w.asked:
		to.asked = true
		for i := range to.replicas {
			to.replicas[i].waited = to.replicas[i].granted
		}
		take(to, "RemoveMember reads who has a lease")
	case !w.returned && (w.heardByAll() || m == noWait):
		to.returned = true
		take(to, "RemoveMember returns")
	}
	if !w.published {
		to := w
		to.published = true
		take(to, "the event is published")
	}
}

// heardByAll tells whether RemoveMember need not wait any longer.
func (w leaseWorld) heardByAll() bool {
	for _, r := range w.replicas {
		if r.waited > 0 && !r.applied {
			return false
		}
	}
	return true
}

// renew applies the event and renews a lease. Any barrier may come to nothing, at the latest when its answer is lost.
func renew(m mutant, w leaseWorld, i int, take func(leaseWorld, string, ...any)) {
	r := w.replicas[i]
	next := func(r replica, what string) {
		to := w
		to.replicas[i] = r
		take(to, "replica %d: "+what, i+1)
	}
	register, look := r, r
	if register.barrier++; m != noRegistry {
		register.granted = delta
	}
	look.barrier++
	look.behind = w.committed && m != stalePrimary
	first, second := register, look
	firstSays, secondSays := "the primary notes its lease", "the primary looks what is published"
	if m == snapshotBeforeRegister {
		first, second, firstSays, secondSays = look, register, secondSays, firstSays
	}

	if w.published && !r.applied {
		applied := r
		applied.applied = true
		next(applied, "applies the event")
	}
	switch r.barrier {
	case noBarrier:
		asks := r
		asks.barrier = sent
		next(asks, "asks for a lease")
	case sent:
		next(first, firstSays)
	case registered:
		next(second, secondSays)
	case snapshot:
		ends := r
		ends.barrier, ends.age, ends.behind = noBarrier, 0, false
		next(ends, "gets no answer")
		if !r.behind || r.applied {
			ends.lease = max(r.lease, delta-r.age) // from when it asked
			if m == leaseFromReplyTime {
				ends.lease = delta
			}
			next(ends, "has a lease")
		}
	}
}
