package callback

import (
	"bytes"
	"sync"
	"time"

	"sonde/bench/transport"
	"sonde/report"
)

// Conn is the state of one connection, which its adapter tells of events:
//
//	fresh ─► idle ◄─► asked ─► ended
//	  └────────┴───────────────►┘
//
// Its methods are safe for concurrent use: callbacks come from the library's goroutines, pings and limits from the
// runner's.
type Conn struct {
	runner *Runner
	slot   int

	mu     sync.Mutex
	state  state
	line   Line
	saidAt int64 // moment of the dial (Connect), or of the line that was said
	heard  int   // bytes of the echo so far
}

type state uint8

const (
	fresh state = iota // not established
	idle               // held, nothing is awaited
	asked              // the echo of a line is awaited
	ended              // the slot has no more to do with it
)

// Opened says that the connection is established, and over which line.
func (c *Conn) Opened(line Line) Next {
	r := c.runner
	now := r.job.Clock.Now()
	c.mu.Lock()
	switch r.job.Workload {
	case transport.Connect:
		r.tally.Done(c.slot, time.Duration(now-c.saidAt))
		c.state = ended
		c.mu.Unlock()
		return End
	case transport.Echo:
		c.state, c.saidAt = asked, now
	default:
		c.state = idle
	}
	c.line = line
	asks := c.state == asked
	c.mu.Unlock()
	r.conns[c.slot].Store(c)
	switch {
	case r.over.Load(): // the runner's end may not have seen it
		if c.finish(report.Cancelled) {
			return End
		}
		return Nothing // it has
	case asks:
		return Say
	}
	return Nothing
}

// OnData says that bytes came. p is not kept.
func (c *Conn) OnData(p []byte) Next {
	r := c.runner
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != asked {
		return Nothing // nobody asked for them
	}
	if line := r.job.Payload; c.heard+len(p) > len(line) || !bytes.Equal(p, line[c.heard:c.heard+len(p)]) {
		c.close(report.ProtocolError)
		return End
	}
	if c.heard += len(p); c.heard < len(r.job.Payload) {
		return Nothing
	}
	now := r.job.Clock.Now()
	r.tally.Done(c.slot, time.Duration(now-c.saidAt))
	c.heard = 0
	if r.job.Workload == transport.Hold {
		c.state = idle
		return Nothing
	}
	if _, ok := r.tally.Take(); !ok {
		c.close(report.Success)
		return End
	}
	c.saidAt = r.job.Clock.Now()
	return Say
}

// OnClosed says that the connection has ended, for whatever reason: err is what the library tells, nil for our own end. It
// may be called more than once.
func (c *Conn) OnClosed(err error) {
	if err != nil {
		c.finish(c.runner.statusOf(transport.Talking, err))
	}
}

// finish ends the connection with a status; not ok if it has ended already.
func (c *Conn) finish(status report.Status) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == ended || c.state == fresh {
		return false
	}
	c.close(status)
	return true
}

// close ends the connection, whose mutex is held, counts what failed, and lets the slot go on: to another connection if
// this one failed in an Echo.
func (c *Conn) close(status report.Status) {
	r := c.runner
	c.state = ended
	if status == report.Success {
		r.slots.Done()
		return
	}
	switch over := r.over.Load(); {
	case over && r.job.Workload == transport.Hold: // the end of a Hold fails nothing
	case over:
		r.tally.Fail(c.slot, report.Cancelled)
	default:
		r.tally.Fail(c.slot, status)
	}
	if r.job.Workload == transport.Hold {
		r.slots.Done()
		return
	}
	go r.fill(c.slot, false) // it finishes the slot
}

// stop ends the connection because the run is over.
func (c *Conn) stop() {
	if c.finish(report.Cancelled) {
		c.line.Drop()
	}
}

// stands reports whether the connection is established.
func (c *Conn) stands() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == idle || c.state == asked
}

// IsOpened reports whether Opened was called.
func (c *Conn) IsOpened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state != fresh
}
