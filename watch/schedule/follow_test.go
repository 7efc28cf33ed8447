package schedule

import (
	"testing"
	"time"
)

// TestFollow stops a schedule at a moment and goes on with another, by a clock and a wall clock of its own, 700 ms later: of both
// together each target has exactly the turns that one schedule would have handed out.
func TestFollow(t *testing.T) {
	const targets, away = 200, 5000 * second // by how much the other clock is ahead
	plan := func(id uint32) Plan {
		return Plan{Key: uint64(id) * 7, Interval: time.Second + time.Duration(id)*10*time.Millisecond, Jitter: 300 * time.Millisecond}
	}
	set := func(s *Schedule, now int64) *Schedule {
		for id := range uint32(targets) {
			s.Set(id, plan(id), now)
		}
		return s
	}
	const end = start + 16*second
	var want, got [targets][]int64
	take := func(s *Schedule, to *[targets][]int64, away int64) func(Turn, int64) {
		return func(turn Turn, _ int64) {
			to[turn.ID] = append(to[turn.ID], turn.Due-away)
			s.Done(turn.ID)
		}
	}
	whole := set(New(start, wall), start)
	play(t, whole, start, end, onTime, take(whole, &want, 0))

	for n := range int64(60) {
		stop := start + 10*second + n*37_654_321
		got = [targets][]int64{}
		old := set(New(start, wall), start)
		play(t, old, start, stop, func(int64) int64 { return 700_000 }, take(old, &got, 0)) // in the middle of a tick
		coming := make(map[uint32]int64)
		for id := range uint32(targets) {
			coming[id] = old.Coming(id)
		}
		next := set(New(stop+away, wall.Add(time.Hour)), stop+away)
		resumed := stop + 700*int64(time.Millisecond) + away
		next.Follow(old.Epoch()+away, resumed, coming)
		play(t, next, resumed, end+away, onTime, take(next, &got, away))
		for id := range got {
			if missing := len(want[id]) - len(got[id]); missing < -1 || missing > 1 { // the last may be at the very end
				t.Fatalf("target %d: got %d turns, want %d", id, len(got[id]), len(want[id]))
			}
			for i := range min(len(got[id]), len(want[id])) {
				if got[id][i] != want[id][i] {
					t.Fatalf("target %d: turn %d is at %d, want %d", id, i, got[id][i], want[id][i])
				}
			}
		}
		if s := next.Stats(); s.Missed+s.Overlap != 0 {
			t.Errorf("turns were skipped: %+v", s)
		}
	}
}

// TestBegan has a turn that was begun elsewhere count as running.
func TestBegan(t *testing.T) {
	s := New(start, wall)
	s.Set(0, Plan{Interval: time.Second}, start)
	s.Began(0)
	at := s.at(0).at
	if turns := s.Due(at+int64(time.Millisecond), nil); len(turns) != 0 || s.Stats().Overlap != 1 || s.Running(0) != 1 {
		t.Errorf("got turns %v, %+v", turns, s.Stats())
	}
	s.Done(0)
	if turns := s.Due(at+second+int64(time.Millisecond), nil); len(turns) != 1 {
		t.Errorf("got turns %v", turns)
	}
}
