package timewheel

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// model is the same thing as a list that is sorted whenever it is asked.
type model struct {
	tick    int64
	now     int64
	entries map[uint32]entry
}

type entry struct {
	at   int64
	past bool // the deadline had passed when it was set
}

func (m *model) set(id uint32, at int64) { m.entries[id] = entry{at: at, past: at <= m.now} }

// advance checks what the wheel says has expired against the promises: all that had to, nothing that must not.
func (m *model) advance(t *testing.T, now int64, expired []uint32) {
	t.Helper()
	m.now = max(m.now, now)
	seen := make(map[uint32]bool)
	for _, id := range expired {
		e, ok := m.entries[id]
		if !ok || seen[id] {
			t.Fatalf("now %d: id %d expired but has no deadline, or expired twice", m.now, id)
		}
		if e.at > m.now {
			t.Fatalf("now %d: id %d expired %d ns early", m.now, id, e.at-m.now)
		}
		seen[id] = true
		delete(m.entries, id)
	}
	for _, id := range m.sorted() {
		e := m.entries[id]
		if e.at > m.now {
			break
		}
		if e.past || m.now-e.at >= m.tick {
			t.Fatalf("now %d: id %d with deadline %d has not expired", m.now, id, e.at)
		}
	}
}

func (m *model) sorted() []uint32 {
	ids := make([]uint32, 0, len(m.entries))
	for id := range m.entries {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(m.entries[a].at, m.entries[b].at), cmp.Compare(a, b))
	})
	return ids
}

// check compares what can be asked without moving the time.
func (m *model) check(t *testing.T, w *Wheel) {
	t.Helper()
	if w.Len() != len(m.entries) {
		t.Fatalf("now %d: Len: got %d, want %d", m.now, w.Len(), len(m.entries))
	}
	next, ok := w.Next()
	if ok != (len(m.entries) > 0) {
		t.Fatalf("now %d: Next: got %v with %d deadlines", m.now, ok, len(m.entries))
	}
	if !ok {
		return
	}
	ids := m.sorted()
	earliest := m.entries[ids[0]].at
	if next-earliest >= m.tick && next > m.now {
		t.Fatalf("now %d: Next: got %d, a tick or more after the earliest deadline %d", m.now, next, earliest)
	}
	for _, id := range []uint32{ids[0], ids[len(ids)-1]} {
		if at, ok := w.At(id); !ok || at != m.entries[id].at {
			t.Fatalf("now %d: At(%d): got %d, %v, want %d", m.now, id, at, ok, m.entries[id].at)
		}
	}
}

// distance is a random duration of any order of magnitude, often right at the edge of a level.
func (m *model) distance(random *rand.Rand, maxBits int) int64 {
	ticks := random.Int64N(1<<(1+random.IntN(maxBits))) + 1
	switch random.IntN(4) {
	case 0:
		return ticks * m.tick
	case 1: // an edge, give or take a nanosecond
		return m.tick<<(digitBits*random.IntN(maxBits/digitBits+1)) + random.Int64N(3) - 1
	default:
		return ticks*m.tick - random.Int64N(m.tick)
	}
}

func TestAgainstSortedList(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		t.Logf("seed %d", seed)
		runModel(t, rand.New(rand.NewPCG(seed, 0)))
	}
}

func runModel(t *testing.T, random *rand.Rand) {
	ids := uint32(1 + random.IntN(200))
	maxBits := 1 + random.IntN(38) // of ticks: from a millisecond up to 8 years
	start := random.Int64N(1 << (1 + random.IntN(50)))
	tick := []int64{Tick, FinestTick}[random.IntN(2)]
	w, m := NewWithTick(start, tick), &model{tick: tick, now: start, entries: make(map[uint32]entry)}
	var expired []uint32
	for step := 0; step < 400 && m.now < 1<<61; step++ {
		id := random.Uint32N(ids) * 37 // several pages, with holes
		switch random.IntN(8) {
		case 0, 1, 2:
			at := m.now + m.distance(random, maxBits)
			w.Set(id, at)
			m.set(id, at)
		case 3:
			at := m.now - random.Int64N(3*m.tick)
			w.Set(id, at)
			m.set(id, at)
		case 4:
			w.Cancel(id)
			delete(m.entries, id)
		case 5: // as a loop would that sleeps until Next
			if next, ok := w.Next(); ok {
				expired = w.Advance(next, expired[:0])
				m.advance(t, next, expired)
			}
		case 6: // a little time
			now := m.now + random.Int64N(3*m.tick)
			expired = w.Advance(now, expired[:0])
			m.advance(t, now, expired)
		case 7: // a jump
			now := m.now + m.distance(random, maxBits)
			expired = w.Advance(now, expired[:0])
			m.advance(t, now, expired)
			for _, id := range expired { // half of them begin anew, as connections do
				if random.IntN(2) == 0 {
					at := now + m.distance(random, maxBits)
					w.Set(id, at)
					m.set(id, at)
				}
			}
		}
		m.check(t, w)
	}
}
