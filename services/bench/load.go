package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// call is one call by one of the callers.
type call func(ctx context.Context, caller int) error

var (
	errSkip   = errors.New("nothing to do this time")
	errNoMore = errors.New("nothing left to do")
)

// sample is one measurement.
type sample struct {
	rate     float64 // calls per second
	p50, p99 time.Duration
	calls    int
	cpu      cpu     // seconds
	xacts    float64 // transactions of the cluster that wrote something, per call
}

// load keeps each caller busy with one call after the other. The first error ends it.
func load(ctx context.Context, callers int, dur time.Duration, do call) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, dur+30*time.Second)
	defer cancel()
	took := make([][]time.Duration, callers)
	failed := make([]error, callers)
	var all sync.WaitGroup
	begin := time.Now()
	end := begin.Add(dur)
	for i := range callers {
		all.Go(func() {
			for last := time.Now(); last.Before(end); {
				err := do(ctx, i)
				now := time.Now()
				switch {
				case errors.Is(err, errNoMore):
					return
				case err == nil:
					took[i] = append(took[i], now.Sub(last))
				case !errors.Is(err, errSkip):
					failed[i] = err
					cancel()
					return
				}
				last = now
			}
		})
	}
	all.Wait()
	elapsed := time.Since(begin)
	// Those who were cut off because another failed say less.
	slices.SortStableFunc(failed, func(a, b error) int { return blame(a) - blame(b) })
	s := summarize(slices.Concat(took...))
	s.rate = float64(s.calls) / elapsed.Seconds()
	return s, failed[0]
}

// pace makes calls at a steady rate, whether those before have ended or not. The first error ends it.
func pace(ctx context.Context, rate int, dur time.Duration, do call) (made int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	begin := time.Now()
	for ctx.Err() == nil {
		at := time.Duration(made) * time.Second / time.Duration(rate)
		if at >= dur {
			break
		}
		time.Sleep(time.Until(begin.Add(at)))
		n := made
		all.Go(func() {
			if err := do(ctx, n); err != nil {
				cancel(err)
			}
		})
		made++
	}
	all.Wait()
	return made, context.Cause(ctx)
}

// stopwatch times things that begin here and end elsewhere, by key. An end may be told before its begin.
type stopwatch struct {
	mu           sync.Mutex
	began, ended map[string]time.Time
	all          chan struct{} // closed when as many as wanted have ended
	want         int           // 0: not known yet
}

func newStopwatch() *stopwatch {
	return &stopwatch{began: make(map[string]time.Time), ended: make(map[string]time.Time), all: make(chan struct{})}
}

func (s *stopwatch) begin(key string) { s.note(s.began, key) }
func (s *stopwatch) end(key string)   { s.note(s.ended, key) }

func (s *stopwatch) note(in map[string]time.Time, key string) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := in[key]; !again {
		in[key] = now
		s.look()
	}
}

// look is called with the lock held.
func (s *stopwatch) look() {
	if s.want > 0 && len(s.ended) == s.want {
		close(s.all)
		s.want = 0
	}
}

// wait returns how long things took, once as many have ended.
func (s *stopwatch) wait(ctx context.Context, want int) (sample, error) {
	s.mu.Lock()
	s.want = want
	s.look()
	s.mu.Unlock()
	select {
	case <-s.all:
	case <-ctx.Done():
		return sample{}, ctx.Err()
	case <-time.After(patience):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended) != want {
		return sample{}, fmt.Errorf("lost: %d of %d came", len(s.ended), want)
	}
	var took []time.Duration
	var first, last time.Time
	for key, ended := range s.ended {
		began := s.began[key]
		took = append(took, ended.Sub(began))
		if first.IsZero() || began.Before(first) {
			first = began
		}
		if ended.After(last) {
			last = ended
		}
	}
	measured := summarize(took)
	measured.rate = float64(want) / last.Sub(first).Seconds()
	return measured, nil
}

// patience is how long something may take that does not get lost.
const patience = time.Minute

func blame(err error) int {
	switch {
	case err == nil:
		return 2
	case errors.Is(err, context.Canceled):
		return 1
	}
	return 0
}

func summarize(took []time.Duration) sample {
	if len(took) == 0 {
		return sample{}
	}
	slices.Sort(took)
	return sample{calls: len(took), p50: took[len(took)/2], p99: took[len(took)*99/100]}
}
