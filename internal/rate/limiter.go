// Package rate paces dials: so many turns a second, evenly spaced, shared by all loops.
//
// # A schedule, not a bucket
//
// Turn k is due at start + k/rate, exactly: the fractions of a nanosecond are kept, so a rate of 3 a second is still right
// after a day. Each turn is handed out with the moment at which it was due. A loop that was late can so charge the delay
// to itself, not to the target (compare the "intended start" of wrk2).
//
// # When turns were missed
//
// Turns that were missed are caught up, so that the total is right, but gently: at no more than [CatchUp] times the
// rate, and in bursts of no more than [Burst] worth of turns, or one turn if that is more. From 1,000 a second on, no 10
// ms hold more than 1.75 times their even share that way; the rest up to twice is for the jitter between the turn and the
// dial. Below, they hold no more than twice their even share rounded up to a whole turn.
//
// How many are caught up depends on why they were missed. While the loops were stalled, by garbage collection or a busy
// machine, all turns of the last [StallLimit] are. While nobody had a target to dial, which the loops say with Idle,
// those of the last [IdleLimit]: enough to smooth a source that stutters, too little to hit anyone with a backlog. Older
// turns are dropped. One turn is always kept, however low the rate: the first target after a long pause need not wait.
package rate

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// The limits of catching up; see the package comment.
const (
	CatchUp    = 1.35
	Burst      = 4 * time.Millisecond
	IdleLimit  = 250 * time.Millisecond
	StallLimit = time.Second
)

// The rates that a Limiter can hold, in turns a second: one in 100 s, and one in 100 ns.
const (
	Min = 0.01
	Max = 10e6
)

// Limiter hands out turns. It is safe for concurrent use. Moments are those of package clock, in nanoseconds; those of
// two loops may be out of step by what a batch of events takes.
type Limiter struct {
	perSecond float64
	burst     float64 // what allowed fills up to, in turns

	mu     sync.Mutex
	start  int64  // when turn 0 of the schedule was due; 0 until somebody asked
	turn   uint64 // the next one, counted from start
	idle   bool   // nobody had a target when last heard of
	missed float64

	// What may be handed out regardless of the schedule, in turns: the brake on catching up. It fills at CatchUp times
	// the rate, up to burst.
	allowed   float64
	allowedAt int64
}

// New returns a limiter of perSecond turns a second; the first turn is due when it is first asked. A rate outside Min to
// Max panics: Parse refuses it with an error.
func New(perSecond float64) *Limiter {
	if !(perSecond >= Min && perSecond <= Max) {
		panic(fmt.Sprintf("rate: %v is not within %v and %v", perSecond, Min, float64(Max)))
	}
	// With a burst of a single turn, a loop that wakes up each millisecond would lose what it comes late by, and never
	// catch up. So much more lets it keep that and still makes no two turns at once below 500 a second.
	const slack = 2 * time.Millisecond
	burst := max(perSecond*Burst.Seconds(), 1+perSecond*slack.Seconds())
	return &Limiter{perSecond: perSecond, burst: burst, allowed: burst}
}

// Take hands out up to want of the turns that are due by now. It writes the moment at which each was due to the start of
// due, in order, and returns how many there are. A want above len(due) counts as len(due).
//
// Due moments lie in the past by up to StallLimit. A caller whose target came later than its turn was due should count
// the target's delay from when the target came.
func (l *Limiter) Take(now int64, want int, due []int64) (got int) {
	want = min(want, len(due))
	if want <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.catchUp(now)
	l.idle = false
	want = min(want, int(l.allowed))
	for got < want {
		at := l.at(l.turn)
		if at > now {
			break
		}
		due[got] = at
		got++
		l.turn++
	}
	l.allowed -= float64(got)
	return got
}

// Next is the moment from which Take has a turn: now or later. A caller that asks at a later moment loses nothing but
// evenness: it gets all turns that have come due, up to a burst.
func (l *Limiter) Next(now int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.catchUp(now)
	next := max(now, l.at(l.turn))
	if l.allowed >= 1 {
		return next
	}
	wait := math.Ceil((1 - l.allowed) * 1e9 / l.perSecond / CatchUp)
	return max(next, l.allowedAt+int64(wait)+1) // 1 ns for what rounding takes away
}

// Idle says that the caller has no target for the turns that come due from here until somebody calls Take. Turns that
// are missed meanwhile are not saved up beyond IdleLimit.
func (l *Limiter) Idle(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.idle {
		l.catchUp(now) // what is too old by now was lost to a stall, and counts
		l.idle = true
	}
}

// Missed is the number of turns that were lost for good because nobody took them within StallLimit, those of idle times
// not counted: the rate was not held.
func (l *Limiter) Missed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(l.missed)
}

// at is the moment at which a turn is due.
func (l *Limiter) at(turn uint64) int64 { return l.start + int64(float64(turn)*1e9/l.perSecond) }

// catchUp brings the limiter to now: it drops turns that are too old and lets the brake off by the time that has passed.
func (l *Limiter) catchUp(now int64) {
	if l.start == 0 {
		l.start, l.allowedAt = now, now
	}
	if now > l.allowedAt {
		l.allowed = min(l.burst, l.allowed+float64(now-l.allowedAt)/1e9*l.perSecond*CatchUp)
		l.allowedAt = now
	}
	limit := StallLimit
	if l.idle {
		limit = IdleLimit
	}
	oldest := now - int64(limit)
	if late := oldest - l.at(l.turn); late > 0 {
		if !l.idle {
			l.missed += float64(late) / 1e9 * l.perSecond
		}
		l.start, l.turn = oldest, 0
	}
}
