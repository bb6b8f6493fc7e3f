package main

import (
	"context"
	"errors"
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
