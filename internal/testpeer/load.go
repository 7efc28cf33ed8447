package testpeer

import (
	"bytes"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// StallPeriod is how often a Stall peer stalls: from its start on, at the beginning of each period.
	StallPeriod = time.Second
	// StallTime is for how long it stalls. Of requests that come evenly one in five waits: a tenth of all for 100 ms or
	// more, and a hundredth for 190 ms or more.
	StallTime = 200 * time.Millisecond
	// MinLateness is the least that a Late peer takes for an answer.
	MinLateness = 50 * time.Millisecond
	// MaxLateness is the most that it takes.
	MaxLateness = 500 * time.Millisecond
	// DefaultAccepts is how many connections a Full peer takes.
	DefaultAccepts = 100
	// DefaultLife is how long a Mortal peer lives.
	DefaultLife = 5 * time.Second
)

// loadSession is what the peers for loads speak: HTTP/1.1 to a client whose first line asks for it, else echo.
type loadSession struct {
	Session // nil before the first bytes
}

func (s *loadSession) Greeting() []byte { return nil }

// Receive implements [Session].
func (s *loadSession) Receive(in, out []byte) (int, []byte, Then) {
	if s.Session == nil && len(in) > 0 {
		line, _, _ := bytes.Cut(in, []byte("\n"))
		if bytes.Contains(line, []byte(" HTTP/1.")) {
			s.Session = NewSession(HTTP)
		} else {
			s.Session = NewSession(Echo)
		}
	}
	if s.Session == nil {
		return 0, out, Then{}
	}
	return s.Session.Receive(in, out)
}

// heldBack is a session each of whose answers waits.
type heldBack struct {
	Session
	delay func() time.Duration // from now on
}

// Receive implements [Session].
func (s *heldBack) Receive(in, out []byte) (int, []byte, Then) {
	n, answer, then := s.Session.Receive(in, out)
	if len(answer) > len(out) {
		then.Delay += s.delay()
	}
	return n, answer, then
}

// load is the state that all connections of a peer for loads share.
type load struct {
	start time.Time     // of the peer: its stalls begin at whole seconds from here
	turns atomic.Uint64 // answers of a Late peer so far
	first sync.Once     // a Mortal peer's clock starts with its first connection
}

// session is the server's side of a connection to a peer for loads.
func (p *Peer) session() Session {
	s := &loadSession{}
	switch p.about.Kind {
	case Stall:
		return &heldBack{s, func() time.Duration { return stallLeft(time.Since(p.load.start)) }}
	case Late:
		return &heldBack{s, func() time.Duration { return lateness(p.opts.Seed, p.load.turns.Add(1)) }}
	}
	return s
}

// stallLeft is for how long a Stall peer that has run for so long is silent yet.
func stallLeft(running time.Duration) time.Duration { return max(0, StallTime-running%StallPeriod) }

// lateness is the delay of a Late peer's n-th answer. Multiples of the golden ratio, taken modulo 1, fill the interval far
// more evenly than chance does (a Weyl sequence): of any thousand answers in a row each percentile is within a
// millisecond of the truth, whatever the seed.
func lateness(seed, n uint64) time.Duration {
	const goldenRatio = 0x9e3779b97f4a7c15 // its fraction, of 2^64
	offset, _ := bits.Mul64(seed*goldenRatio*goldenRatio+n*goldenRatio, uint64(MaxLateness-MinLateness))
	return MinLateness + time.Duration(offset)
}

// taken is told that a connection was accepted, so many with it. It reports whether the peer accepts another.
func (p *Peer) taken(n int) bool {
	switch p.about.Kind {
	case Full:
		if n >= p.opts.Accepts {
			p.ln.Close()
			return false
		}
	case Mortal:
		p.load.first.Do(func() {
			p.wg.Go(func() {
				if p.pause(p.opts.Life) {
					p.die()
				}
			})
		})
	}
	return true
}

// die closes the listener and all connections, as the kernel does for a process that ends: a client sees a FIN, or a reset
// if it has sent what was never read.
func (p *Peer) die() {
	p.ln.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for c := range p.conns {
		c.Close()
	}
}
