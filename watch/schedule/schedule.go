// Package schedule says whose turn it is when, for targets that are asked again and again. It has no goroutine, no clock and no
// lock: who owns it tells it the time, in nanoseconds of a monotonic clock, and asks it for the turns that have come.
//
// A target's turns are at phase + k*interval since the Unix epoch, where the phase is drawn from what the target is called: so the
// turns of many are spread evenly, and neither a restart nor a reload moves any of them. The wall clock is looked at once, so a
// step of it moves nothing either.
//
// A turn that comes late, because the loop that asks for turns was, is taken at once if it is late by no more than the grace, a
// tenth of its interval and at most [MaxGrace]. Otherwise it is missed, and the next is where it would have been: a stall is
// never followed by a burst of more than the grace held.
package schedule

import (
	"fmt"
	"math/bits"
	"time"

	"sonde/internal/timewheel"
)

// The limits of an interval.
const (
	MinInterval = 100 * time.Millisecond
	MaxInterval = 30 * 24 * time.Hour
)

// MaxGrace is the most by which a turn may be late and still be taken.
const MaxGrace = time.Second

// MaxRunning is how many turns of one target may be under way at once, where they may overlap: with the longest timeout and the
// shortest interval there would be thousands.
const MaxRunning = 64

// Plan is when one target's turns are.
type Plan struct {
	// Key draws the phase: a hash of what names the target for good, such as its job and address.
	Key uint64
	// Interval is the time between two turns, from MinInterval to MaxInterval.
	Interval time.Duration
	// Jitter is by how much a turn may come later than its phase says, drawn anew for each; less than Interval.
	Jitter time.Duration
	// Overlap lets a turn come while those before are not over, MaxRunning of them at most. Otherwise it is skipped, and counted.
	Overlap bool
}

// Check says what is wrong with p.
func (p *Plan) Check() error {
	switch {
	case p.Interval < MinInterval || p.Interval > MaxInterval:
		return fmt.Errorf("an interval of %v: want %v to %v", p.Interval, MinInterval, MaxInterval)
	case p.Jitter < 0 || p.Jitter >= p.Interval:
		return fmt.Errorf("a jitter of %v with an interval of %v: want less", p.Jitter, p.Interval)
	}
	return nil
}

// Turn is one that has come.
type Turn struct {
	ID  uint32
	Due int64 // when it should have come: now less Due is how late it is
}

// Stats count since New.
type Stats struct {
	Turns   uint64 // that were handed out
	Missed  uint64 // that came later than the grace
	Overlap uint64 // that were skipped since the one before was not over
}

// Skip are turns of a target that were not handed out.
type Skip struct {
	ID     uint32
	Missed uint64 // since they came later than the grace
	// Overlap is the one that came while the one before was not over.
	Overlap bool
}

// entry is what is kept of a target. It has no pointers: there may be a million.
type entry struct {
	key      uint64
	interval int64
	jitter   int64
	at       int64 // when its next turn comes
	running  uint32
	overlap  bool
	known    bool
}

// pageSize is how many entries share a page: a schedule grows without being moved.
const pageSize = 256

// Schedule has the turns of all targets. It belongs to one goroutine. Make one with [New].
type Schedule struct {
	wheel   *timewheel.Wheel
	epoch   int64 // the Unix epoch, by the monotonic clock
	resumed int64 // turns before were kept from coming: none is missed that can still be taken
	pages   []*[pageSize]entry
	expired []uint32
	skips   []Skip // of the last Due
	stats   Stats
}

// New returns a schedule without targets. now is the moment, and wall what the wall clock says then.
func New(now int64, wall time.Time) *Schedule {
	return &Schedule{wheel: timewheel.New(now), epoch: now - wall.UnixNano()}
}

// Set puts the target id on the schedule, or changes its plan; what is running is still running, and a turn that is due is still
// due if the turns come when they did. What Hold had put off comes when it would have. Ids are small, dense numbers that may be used again behind Remove. The plan must
// pass Check.
func (s *Schedule) Set(id uint32, p Plan, now int64) {
	for int(id/pageSize) >= len(s.pages) {
		s.pages = append(s.pages, new([pageSize]entry))
	}
	e := s.at(id)
	if at, armed := s.wheel.At(id); armed && at <= now && e.key == p.Key && e.interval == int64(p.Interval) && e.jitter == int64(p.Jitter) {
		e.overlap = p.Overlap
		return
	}
	*e = entry{key: p.Key, interval: int64(p.Interval), jitter: int64(p.Jitter), overlap: p.Overlap, known: true, running: e.running}
	s.arm(id, e, now)
}

// Remove takes the target off the schedule.
func (s *Schedule) Remove(id uint32) {
	if s.has(id) {
		s.wheel.Cancel(id)
		*s.at(id) = entry{}
	}
}

// Now gives the target a turn at once, besides its others: one that is new, or that somebody asks for.
func (s *Schedule) Now(id uint32, now int64) {
	if s.has(id) {
		s.at(id).at = now
		s.wheel.Set(id, now)
	}
}

// Hold has no turn of the target come before until: those before are neither taken nor missed.
func (s *Schedule) Hold(id uint32, until int64) {
	if !s.has(id) {
		return
	}
	if at, armed := s.wheel.At(id); armed && at >= until {
		return
	}
	s.arm(id, s.at(id), until)
}

// Epoch is where the turns are counted from, the Unix epoch, by the monotonic clock. The wall clock may say something else by now.
func (s *Schedule) Epoch() int64 { return s.epoch }

// Coming is the target's next turn, since the epoch; 0 if none is to come.
func (s *Schedule) Coming(id uint32) int64 {
	if !s.has(id) {
		return 0
	}
	return s.at(id).at - s.epoch
}

// Resume says that nobody could ask for turns until now: each target whose turn came meanwhile has one, however late, and only
// those before that are missed.
func (s *Schedule) Resume(now int64) { s.resumed = now }

// Follow goes on at the moment now where another schedule stopped, whose epoch was epoch. coming is each target's next turn there; those
// of others are from now on. What came meanwhile is taken as Resume says.
func (s *Schedule) Follow(epoch, now int64, coming map[uint32]int64) {
	s.epoch = epoch
	s.Resume(now)
	for id := range uint32(len(s.pages) * pageSize) {
		e := s.at(id)
		if !e.known {
			continue
		}
		from := now
		if since := coming[id]; since > 0 {
			from = epoch + since
		}
		s.arm(id, e, from)
	}
}

// Running is how many turns of the target are not over.
func (s *Schedule) Running(id uint32) int {
	if !s.has(id) {
		return 0
	}
	return int(s.at(id).running)
}

// Began says that a turn of the target was begun elsewhere, and is running until Done.
func (s *Schedule) Began(id uint32) {
	if s.has(id) {
		s.at(id).running++
	}
}

// Done says that what was begun with a turn of the target is over.
func (s *Schedule) Done(id uint32) {
	if s.has(id) && s.at(id).running > 0 {
		s.at(id).running--
	}
}

// Due appends the turns that have come by the moment now. Each of them is running until Done.
func (s *Schedule) Due(now int64, turns []Turn) []Turn {
	s.expired, s.skips = s.wheel.Advance(now, s.expired[:0]), s.skips[:0]
	for _, id := range s.expired {
		e := s.at(id)
		grace := min(e.interval/10, int64(MaxGrace))
		if e.at <= s.resumed {
			grace = e.interval - 1
		}
		late := now - e.at
		missed, overlap := uint64(0), false
		if late > grace && late >= e.interval { // the last of several
			missed = uint64(late / e.interval)
			late %= e.interval
		}
		switch {
		case late > grace:
			missed++
		case e.running > 0 && !e.overlap || e.running >= MaxRunning:
			overlap = true
			s.stats.Overlap++
		default:
			e.running++
			s.stats.Turns++
			turns = append(turns, Turn{ID: id, Due: now - late})
		}
		if missed > 0 || overlap {
			s.stats.Missed += missed
			s.skips = append(s.skips, Skip{id, missed, overlap})
		}
		s.arm(id, e, now+1)
	}
	return turns
}

// Skips are the turns that the last Due did not hand out. They are valid until the next.
func (s *Schedule) Skips() []Skip { return s.skips }

// Next is a moment by which Due has to be called again: at the latest when the next turn comes. False if there is none.
func (s *Schedule) Next() (at int64, ok bool) { return s.wheel.Next() }

// Len is how many targets are on the schedule and have a turn to come.
func (s *Schedule) Len() int { return s.wheel.Len() }

// Stats are the counts so far.
func (s *Schedule) Stats() Stats { return s.stats }

// at is the entry of an id that was set.
func (s *Schedule) at(id uint32) *entry { return &s.pages[id/pageSize][id%pageSize] }

func (s *Schedule) has(id uint32) bool { return int(id/pageSize) < len(s.pages) && s.at(id).known }

// arm sets the first turn that is not before the moment from.
func (s *Schedule) arm(id uint32, e *entry, from int64) {
	phase, _ := bits.Mul64(e.key*golden, uint64(e.interval))
	first := s.epoch + int64(phase)
	// From the turn before on: its jitter may bring it behind from.
	for base := first + (from-first)/e.interval*e.interval - e.interval; ; base += e.interval {
		if e.at = base + e.jitterAt(base-s.epoch); e.at >= from {
			s.wheel.Set(id, e.at)
			return
		}
	}
}

// golden is 2^64 over the golden ratio: keys that differ in few bits are spread too (Knuth, TAOCP 3, 6.4).
const golden = 0x9e3779b97f4a7c15

// jitterAt is by how much later the turn comes that would be at base, since the Unix epoch: drawn from the turn itself, so that
// a schedule that follows another draws the same.
func (e *entry) jitterAt(base int64) int64 {
	x := (e.key ^ uint64(base)) * golden // splitmix64's finalizer (Steele, Lea and Flood, OOPSLA 2014)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	part, _ := bits.Mul64(x^x>>31, uint64(e.jitter))
	return int64(part)
}
