package scan

import (
	"context"
	"sync"
	"time"

	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
)

// inFlight keeps the targets between Submit and their record. Its size is fixed: it bounds the memory of a scan, and an
// entry never moves, so that a loop may read the one it was given without a lock.
type inFlight struct {
	entries []entry
	mu      sync.Mutex
	free    []uint32
	waiting bool
	freed   chan struct{} // holds a token when an entry came free while somebody waited
}

type entry struct {
	target target.Target
	dns    time.Duration // how long the name took; report.Absent without one
}

func newInFlight(size int) *inFlight {
	f := &inFlight{entries: make([]entry, size), free: make([]uint32, size), freed: make(chan struct{}, 1)}
	for i := range f.free {
		f.free[i] = uint32(size - 1 - i)
	}
	return f
}

// take reserves an entry, waiting for one if need be.
func (f *inFlight) take(ctx context.Context) (uint32, error) {
	for {
		f.mu.Lock()
		if n := len(f.free); n > 0 {
			id := f.free[n-1]
			f.free = f.free[:n-1]
			f.mu.Unlock()
			return id, nil
		}
		f.waiting = true
		f.mu.Unlock()
		select {
		case <-f.freed:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// release gives entries back.
func (f *inFlight) release(ids []uint32) {
	f.mu.Lock()
	f.free = append(f.free, ids...)
	waiting := f.waiting
	f.waiting = false
	f.mu.Unlock()
	if waiting {
		select {
		case f.freed <- struct{}{}:
		default:
		}
	}
}

// dialogue opens a probe's exchange for the target in an entry.
type dialogue struct {
	probe   probes.Probe
	flights *inFlight
}

// Open implements protocol.Dialogue.
func (d dialogue) Open(id uint64) protocol.Exchange {
	return d.probe.Exchange(&d.flights.entries[id].target)
}
