package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/histogram"
	"sonde/ringbuf"
)

// Stats are the engine's own figures, for progress and metadata. Every number counts from the start of the run.
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
	// LoopLag is how late the loops were: for each batch the longer of how long it kept the loop from polling and how much
	// after its moment a timer was served, until connections were cancelled. It is complete once the engine has ended.
	LoopLag *histogram.Histogram
	Buffers ringbuf.Stats // summed over the loops; complete once the engine has ended
}

// counters are written by the loops and read by anyone.
type counters struct {
	inFlight, inFlightMax                           atomic.Int64
	handshakes, handshakesMax                       atomic.Int64
	opened, closed, established                     atomic.Uint64
	fdWaits, portWaits, bufferWaits, stale, illegal atomic.Uint64
	mu                                              sync.Mutex
	lag                                             *histogram.Histogram
	buffers                                         ringbuf.Stats
}

func (c *counters) dialed() {
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

// mergeBuffers adds what a loop's buffers were, at its end.
func (c *counters) mergeBuffers(buffers ringbuf.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buffers.InUseBytes += buffers.InUseBytes
	c.buffers.InUseRings += buffers.InUseRings
	c.buffers.HighWaterBytes += buffers.HighWaterBytes
	c.buffers.Refused += buffers.Refused
	c.buffers.Blocks += buffers.Blocks
	c.buffers.BlockBytes += buffers.BlockBytes
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
		LoopLag:       histogram.New(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lag != nil {
		s.LoopLag.Merge(c.lag)
	}
	s.Buffers = c.buffers
	return s
}

// lagOf is the sample for one batch: at is the moment that was armed and has passed, or 0.
func lagOf(pollReturned, handled, at int64) time.Duration {
	lag := handled - pollReturned
	if at != 0 && at < pollReturned {
		lag = max(lag, pollReturned-at)
	}
	return time.Duration(lag)
}
