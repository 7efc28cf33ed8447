// Package breaker keeps a target that fails from being asked as often as one that answers: a circuit breaker (Nygard,
// Release It!, 2nd ed., 5.2) of 32 bytes, since there are a hundred thousand of them. It has no clock and no lock: who owns it
// tells it the time, in nanoseconds of one monotonic clock.
//
//	Closed ── too many of the window failed ──► Open ── its time is over ──► HalfOpen
//	   ▲                                          ▲                            │
//	   └──────────── a trial succeeds ────────────┼────────────────────────────┤
//	                                              └──── a trial fails ─────────┘
package breaker

import (
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// State is what a breaker lets through.
type State uint8

const (
	Closed   State = iota // everything
	Open                  // nothing until its time is over
	HalfOpen              // one trial at a time
)

// String is the state in lower case, as in metrics: "closed", "open", "half-open".
func (s State) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// MaxWindow is the most outcomes that a window holds.
const MaxWindow = 64

// Settings are what breakers of one kind share. The zero value is no breaker: it never opens.
type Settings struct {
	// Window is how many of the last outcomes count, 1 to MaxWindow; 0: the breaker never opens.
	Window int
	// Failures is how many of them must have failed for it to open, 1 to Window.
	Failures int
	// OpenFor is how long it is open at first. Each trial that fails doubles that, up to MaxOpenFor.
	OpenFor, MaxOpenFor time.Duration
}

// Check says what is wrong with s.
func (s Settings) Check() error {
	switch {
	case s.Window == 0:
		return nil
	case s.Window < 0 || s.Window > MaxWindow:
		return fmt.Errorf("a window of %d outcomes: want 1 to %d", s.Window, MaxWindow)
	case s.Failures < 1 || s.Failures > s.Window:
		return fmt.Errorf("%d failures of a window of %d: want 1 to %d", s.Failures, s.Window, s.Window)
	case s.OpenFor <= 0:
		return errors.New("a breaker that opens has to stay open for a while")
	case s.MaxOpenFor < s.OpenFor:
		return fmt.Errorf("open for at most %v, which is less than the %v at first", s.MaxOpenFor, s.OpenFor)
	}
	return nil
}

// Breaker is that of one target. The zero value is closed and has seen nothing. It belongs to one goroutine.
type Breaker struct {
	failed  uint64 // the window, the last outcome in the lowest bit: 1 failed
	until   int64  // while Open: when a trial is due
	openFor time.Duration
	state   State
	trial   Pass // while HalfOpen: the one that is under way; 0: none
	last    Pass // the last one that there was
}

// Pass is by what a target was asked: the number of a trial, or 0 while the breaker was closed.
type Pass uint8

// Reset has b be as new. What was allowed before is no trial of its.
func (b *Breaker) Reset() { *b = Breaker{last: b.last} }

// State is what it is at the moment now: one that is open becomes half-open when its time is over.
func (b *Breaker) State(now int64) State {
	if b.state == Open && now >= b.until {
		return HalfOpen
	}
	return b.state
}

// Until is when an open breaker lets a trial through; 0 if it is not open.
func (b *Breaker) Until() int64 {
	if b.state != Open {
		return 0
	}
	return b.until
}

// Allow reports whether the target may be asked now. Who is allowed reports the outcome by Record, or takes it back by Forget, with the
// pass that it got.
func (b *Breaker) Allow(now int64) (p Pass, ok bool) {
	switch b.State(now) {
	case Closed:
		return 0, true
	case Open:
		return 0, false
	}
	if b.state == HalfOpen && b.trial != 0 {
		return 0, false
	}
	b.last = max(b.last+1, 1)
	b.state, b.trial = HalfOpen, b.last
	return b.trial, true
}

// Forget takes back an Allow of which nothing came that says anything of the target.
func (b *Breaker) Forget(p Pass) {
	if p == b.trial {
		b.trial = 0
	}
}

// Record takes the outcome of what was allowed, and reports whether the state is another now. What was allowed before the breaker
// opened says nothing new while it is open, nor while a trial is due or under way: only that decides.
func (b *Breaker) Record(s *Settings, now int64, p Pass, success bool) (changed bool) {
	if s.Window == 0 {
		b.Forget(p) // there may be a breaker again before anybody asks
		return false
	}
	switch b.state {
	case Open:
		return false
	case HalfOpen:
		if p == 0 || p != b.trial {
			return false
		}
		if success {
			b.Reset()
		} else {
			b.open(now, min(2*b.openFor, s.MaxOpenFor))
		}
		return true
	}
	b.failed <<= 1
	if !success {
		b.failed |= 1
	}
	b.failed &= 1<<s.Window - 1
	if bits.OnesCount64(b.failed) < s.Failures {
		return false
	}
	b.open(now, s.OpenFor)
	return true
}

func (b *Breaker) open(now int64, openFor time.Duration) {
	*b = Breaker{state: Open, until: now + int64(openFor), openFor: openFor, last: b.last}
}

// Parts are a Breaker taken apart, for a process whose monotonic clock is another. A trial under way is not among them.
type Parts struct {
	Failed  uint64        // the window, the last outcome in the lowest bit: 1 failed
	Left    time.Duration // while Open: how long until a trial is due; below zero if it is
	OpenFor time.Duration
	State   State
}

// Parts takes b apart at the moment now.
func (b *Breaker) Parts(now int64) Parts {
	p := Parts{Failed: b.failed, OpenFor: b.openFor, State: b.state}
	if b.state == Open {
		p.Left = time.Duration(b.until - now)
	}
	return p
}

// From puts a Breaker together at the moment now.
func From(p Parts, now int64) Breaker {
	b := Breaker{failed: p.Failed, openFor: p.OpenFor, state: p.State}
	if b.state == Open {
		b.until = max(now+int64(p.Left), 1)
	}
	return b
}
