package scan

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
)

// TestInFlightWakesAll has many wait for an entry, as callbacks of the resolver do, and gives back as many at once: each must
// get one. One wake-up for all of them would leave the others asleep for good.
func TestInFlightWakesAll(t *testing.T) {
	const waiters = 50
	f := newInFlight(waiters)
	ids := make([]uint32, waiters)
	for i := range ids {
		id, err := f.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = id
	}
	var started, done sync.WaitGroup
	started.Add(waiters)
	for range waiters {
		done.Go(func() {
			started.Done()
			if _, err := f.take(t.Context()); err != nil {
				t.Errorf("take: %v", err)
			}
		})
	}
	started.Wait()
	f.awaitWaiters(waiters)
	f.release(ids)
	within(t, "the last waiter", done.Wait)
}

// awaitWaiters returns when so many wait in take.
func (f *inFlight) awaitWaiters(n int) {
	for {
		f.mu.Lock()
		waiting := f.waiting
		f.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

// TestInFlightStopped ends a wait with its context, and says why.
func TestInFlightStopped(t *testing.T) {
	f := newInFlight(1)
	if _, err := f.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := f.take(ctx); !errors.Is(err, why) {
		t.Errorf("got error %v, want %v", err, why)
	}
	f.release([]uint32{0})
	if id, err := f.take(t.Context()); id != 0 || err != nil {
		t.Errorf("got entry %d and error %v, want the one given back", id, err)
	}
}
