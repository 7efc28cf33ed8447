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
	waiting int           // calls of take that found nothing
	freed   chan struct{} // holds a token while some wait and an entry may be free; whoever takes it sees to the next
}

type entry struct {
	target target.Target
	dns    time.Duration // how long the name took; report.Absent without one
	course *course       // nil where the feeder dials
}

func newInFlight(size int) *inFlight {
	f := &inFlight{entries: make([]entry, size), free: make([]uint32, size), freed: make(chan struct{}, 1)}
	for i := range f.free {
		f.free[i] = uint32(size - 1 - i)
	}
	return f
}

// take reserves an entry, waiting for one if need be. The feeder and many callbacks of the resolver may wait at once.
func (f *inFlight) take(ctx context.Context) (uint32, error) {
	f.mu.Lock()
	for len(f.free) == 0 {
		f.waiting++
		f.mu.Unlock()
		select {
		case <-f.freed:
		case <-ctx.Done():
		}
		f.mu.Lock()
		f.waiting--
		if ctx.Err() != nil {
			f.wakeOne() // the token may have been ours
			f.mu.Unlock()
			return 0, context.Cause(ctx)
		}
	}
	id := f.free[len(f.free)-1]
	f.free = f.free[:len(f.free)-1]
	f.wakeOne()
	f.mu.Unlock()
	return id, nil
}

// release gives entries back.
func (f *inFlight) release(ids []uint32) {
	f.mu.Lock()
	f.free = append(f.free, ids...)
	f.wakeOne()
	f.mu.Unlock()
}

// wakeOne wakes one of those that wait, if there is something for it. It wakes the next, since one token may stand for
// many entries. The caller holds mu.
func (f *inFlight) wakeOne() {
	if f.waiting == 0 || len(f.free) == 0 {
		return
	}
	select {
	case f.freed <- struct{}{}:
	default:
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
