package credential

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/metadata"
)

const (
	maxEntries  = 10_000
	callTimeout = 5 * time.Second // of a call to identity
)

// cache holds values until they expire, at most maxEntries of them. Its owner locks it.
type cache[K comparable, V any] struct {
	entries map[K]entry[V]
	dropped func(K, V) // optional: hears of every entry that leaves
}

type entry[V any] struct {
	value   V
	expires time.Time
}

func (c *cache[K, V]) get(key K, now time.Time) (value V, ok bool) {
	e, ok := c.entries[key]
	if !ok || !now.Before(e.expires) {
		return value, false
	}
	return e.value, true
}

func (c *cache[K, V]) put(key K, value V, now, expires time.Time) {
	c.drop(key)
	if len(c.entries) >= maxEntries {
		c.makeRoom(now)
	}
	if c.entries == nil {
		c.entries = make(map[K]entry[V])
	}
	c.entries[key] = entry[V]{value, expires}
}

// makeRoom drops what has expired and, when that is little, whatever comes first: enough to be rarely called.
func (c *cache[K, V]) makeRoom(now time.Time) {
	for key, e := range c.entries {
		if !now.Before(e.expires) {
			c.drop(key)
		}
	}
	for key := range c.entries {
		if len(c.entries) <= maxEntries*9/10 {
			return
		}
		c.drop(key)
	}
}

func (c *cache[K, V]) drop(key K) {
	e, ok := c.entries[key]
	if !ok {
		return
	}
	delete(c.entries, key)
	if c.dropped != nil {
		c.dropped(key, e.value)
	}
}

// shared calls fn once for all who ask for the same key at the same time. The call goes on when the one who
// began it leaves, in the name of the service and with a time limit of its own.
func shared[T any](ctx context.Context, flights *singleflight.Group, key string, fn func(context.Context) (T, error)) (T, error) {
	result := flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		return fn(metadata.NewOutgoingContext(ctx, nil))
	})
	select {
	case r := <-result:
		value, _ := r.Val.(T)
		return value, r.Err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
