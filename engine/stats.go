package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/histogram"
	"sonde/ringbuf"
)

// Stats are the engine's own figures, for progress and metadata. Every number counts from the start of the run, but those that
// are of now. What each loop tells of itself (States, Deadlines, Waiting, LoopLag and Buffers) is at most TellEvery old; all is
// complete once the engine has ended.
type Stats struct {
	Loops       int
	InFlight    int64 // between dial and verdict, now
	InFlightMax int64
	Opened      uint64 // sockets; Opened minus Closed is what is open now, and zero at the end
	Closed      uint64
	Established uint64
	// HandshakesMax is how many TLS handshakes were under way at once.
	HandshakesMax int64
	FDWaits       uint64 // times that admission waited for a descriptor
	PortWaits     uint64 // jobs that waited for a local port
	BufferWaits   uint64 // times that a read waited for a buffer
	StaleEvents   uint64 // events of an earlier use of a slot, ignored
	Illegal       uint64 // illegal changes of state: bugs of ours
	// States is how many connections are in each State now, that is States[Idle] in IDLE. There is none for CLOSED.
	States    [Closed]int64
	Deadlines int64 // that are armed now in the timing wheels
	Waiting   int64 // jobs that wait now to be dialled, for room, a descriptor, a port or their turn
	// LoopLag is how late the loops were: for each batch the longer of how long it kept the loop from polling and how much
	// after its moment a timer was served, until connections were cancelled.
	LoopLag *histogram.Histogram
	Buffers ringbuf.Stats // summed over the loops
}

// TellEvery is how often a loop in which something happens tells its figures. One that sleeps has nothing new to tell.
const TellEvery = time.Second

// figures are what a loop tells of itself.
type figures struct {
	states    [Closed]int64
	deadlines int64
	waiting   int64
	buffers   ringbuf.Stats
}

// counters are written by the loops and read by anyone.
type counters struct {
	inFlight, inFlightMax                           atomic.Int64
	handshakes, handshakesMax                       atomic.Int64
	opened, closed, established                     atomic.Uint64
	fdWaits, portWaits, bufferWaits, stale, illegal atomic.Uint64
	mu                                              sync.Mutex
	lag                                             *histogram.Histogram
	loops                                           []figures // by loop
}

// begun counts a connection that was opened, or adopted.
func (c *counters) begun() {
	c.opened.Add(1)
	raise(&c.inFlightMax, c.inFlight.Add(1))
}

// shaking counts a handshake that began (1) or ended (-1).
func (c *counters) shaking(n int64) { raise(&c.handshakesMax, c.handshakes.Add(n)) }

// raise makes most at least n.
func raise(most *atomic.Int64, n int64) {
	for old := most.Load(); n > old; old = most.Load() {
		if most.CompareAndSwap(old, n) {
			return
		}
	}
}

// mergeLag adds how late a loop was.
func (c *counters) mergeLag(lag *histogram.Histogram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lag == nil {
		c.lag = histogram.New()
	}
	c.lag.Merge(lag)
}

// tell replaces the figures of a loop.
func (c *counters) tell(loop int, f figures) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for loop >= len(c.loops) {
		c.loops = append(c.loops, figures{})
	}
	c.loops[loop] = f
}

// addFigures adds what the loops have told.
func (s *Stats) addFigures(loops []figures) {
	for i := range loops {
		f := &loops[i]
		for state, n := range f.states {
			s.States[state] += n
		}
		s.Deadlines += f.deadlines
		s.Waiting += f.waiting
		s.Buffers.InUseBytes += f.buffers.InUseBytes
		s.Buffers.InUseRings += f.buffers.InUseRings
		s.Buffers.HighWaterBytes += f.buffers.HighWaterBytes
		s.Buffers.Refused += f.buffers.Refused
		s.Buffers.Blocks += f.buffers.Blocks
		s.Buffers.BlockBytes += f.buffers.BlockBytes
	}
}

// Stats returns the figures so far.
func (e *Engine) Stats() Stats {
	c := &e.shared.stats
	s := Stats{
		Loops:         len(e.loops),
		InFlight:      c.inFlight.Load(),
		InFlightMax:   c.inFlightMax.Load(),
		Closed:        c.closed.Load(), // before opened, so that the difference is never negative
		Opened:        c.opened.Load(),
		Established:   c.established.Load(),
		HandshakesMax: c.handshakesMax.Load(),
		FDWaits:       c.fdWaits.Load(),
		PortWaits:     c.portWaits.Load(),
		BufferWaits:   c.bufferWaits.Load(),
		StaleEvents:   c.stale.Load(),
		Illegal:       c.illegal.Load(),
		Waiting:       e.shared.inbox.length(),
		LoopLag:       histogram.New(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lag != nil {
		s.LoopLag.Merge(c.lag)
	}
	s.addFigures(c.loops)
	return s
}

// tell makes the loop's figures known, once a second while anything happens.
func (l *loop) tell() {
	switch {
	case l.tellEvery == 0:
	case l.tellAt == 0:
		l.tellAt = after(l.now, l.tellEvery)
	case l.now >= l.tellAt:
		l.tellAt = 0
		l.tellNow()
	}
}

func (l *loop) tellNow() {
	a := &l.admission
	f := figures{
		states:    [Closed]int64(l.table.inState[:Closed]),
		deadlines: int64(l.wheel.Len()),
		waiting:   int64(len(a.pending) - a.first + len(a.waiters) + len(a.redials)),
		buffers:   l.pool.Stats(),
	}
	l.shared.stats.tell(l.index, f)
	if !l.cancelling {
		l.shared.stats.mergeLag(l.lag)
		l.lag.Reset()
	}
}

// lagOf is the sample for one batch: at is the moment that was armed and has passed, or 0.
func lagOf(pollReturned, handled, at int64) time.Duration {
	lag := handled - pollReturned
	if at != 0 && at < pollReturned {
		lag = max(lag, pollReturned-at)
	}
	return time.Duration(lag)
}
