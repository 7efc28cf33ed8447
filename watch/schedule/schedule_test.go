package schedule

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const (
	second = int64(time.Second)
	start  = 1000 * second // of the monotonic clock
)

var wall = time.Unix(1_790_000_000, 123456789)

// play asks for turns whenever the schedule says so, until the moment end, and is late by what lag says.
func play(t *testing.T, s *Schedule, from, end int64, lag func(at int64) int64, taken func(Turn, int64)) {
	t.Helper()
	var turns []Turn
	for now := from; ; {
		at, ok := s.Next()
		if !ok {
			return
		}
		if now = max(now, at) + lag(at); now >= end {
			return
		}
		turns = s.Due(now, turns[:0])
		for _, turn := range turns {
			taken(turn, now)
		}
	}
}

func onTime(int64) int64 { return 0 }

// TestEven spreads the turns of many targets evenly, each exactly one interval behind the one before.
func TestEven(t *testing.T) {
	const targets, interval = 10_000, 10 * time.Second
	s := New(start, wall)
	for id := range uint32(targets) {
		s.Set(id, Plan{Key: uint64(id), Interval: interval}, start)
	}
	last := make([]int64, targets)
	var inSecond [30]int
	play(t, s, start, start+30*second, onTime, func(turn Turn, now int64) {
		if late := now - turn.Due; late < 0 || late > int64(time.Millisecond) {
			t.Fatalf("target %d is late by %v", turn.ID, time.Duration(late))
		}
		if before := last[turn.ID]; before != 0 && turn.Due-before != int64(interval) {
			t.Fatalf("target %d: %v between two turns", turn.ID, time.Duration(turn.Due-before))
		}
		last[turn.ID] = turn.Due
		inSecond[(turn.Due-start)/second]++
		s.Done(turn.ID)
	})
	for i, n := range inSecond {
		if n < targets/10*95/100 || n > targets/10*105/100 {
			t.Errorf("%d turns in second %d, want about %d", n, i, targets/10)
		}
	}
	if got := s.Stats(); got.Turns < 3*targets-targets/100 || got != (Stats{Turns: got.Turns}) { // the last tick is not over
		t.Errorf("got %+v, want %d turns and nothing else", got, 3*targets)
	}
}

// TestPhaseStays has the same targets begun again at another moment, by another monotonic clock: their turns stay where they were.
func TestPhaseStays(t *testing.T) {
	const interval = 7 * time.Second
	phases := func(start int64, wall time.Time) (phase [50]time.Duration) {
		s := New(start, wall)
		for id := range uint32(len(phase)) {
			s.Set(id, Plan{Key: uint64(id) * 977, Interval: interval}, start)
		}
		play(t, s, start, start+int64(interval), onTime, func(turn Turn, _ int64) {
			phase[turn.ID] = time.Duration(wall.Add(time.Duration(turn.Due-start)).UnixNano()) % interval
		})
		return phase
	}
	if phases(start, wall) != phases(3, wall.Add(1234567891*time.Nanosecond)) {
		t.Error("another start moved the phases")
	}
}

// TestStall stops asking for a while: no burst, and each turn is taken or counted.
func TestStall(t *testing.T) {
	const targets, interval = 2000, 10 * time.Second
	for _, stall := range []time.Duration{500 * time.Millisecond, 4 * time.Second, 10*time.Second + 300*time.Millisecond, 35 * time.Second} {
		s := New(start, wall)
		for id := range uint32(targets) {
			s.Set(id, Plan{Key: uint64(id), Interval: interval}, start)
		}
		until := start + 20*second + int64(stall)
		lag := func(at int64) int64 {
			if at >= start+20*second && at < until {
				return until - at
			}
			return 0
		}
		const bucket = int64(100 * time.Millisecond)
		var took []int
		end := start + 80*second
		play(t, s, start, end, lag, func(turn Turn, now int64) {
			for len(took) <= int((now-start)/bucket) {
				took = append(took, 0)
			}
			took[(now-start)/bucket]++
			if late := now - turn.Due; late > int64(MaxGrace) {
				t.Fatalf("stall of %v: a turn taken %v late", stall, time.Duration(late))
			}
			s.Done(turn.ID)
		})
		even := int(targets * bucket / int64(interval))
		for i, n := range took {
			if most := even*11 + even*2; n > most { // the grace holds ten times 100 ms
				t.Errorf("stall of %v: %d turns within 100 ms, %v behind the start, want at most %d", stall, n, time.Duration(int64(i)*bucket), most)
			}
		}
		got := s.Stats()
		want := uint64(targets * 8)
		if sum := got.Turns + got.Missed; sum != want {
			t.Errorf("stall of %v: %+v, want %d in all", stall, got, want)
		}
		if missed := float64(targets) * max(0, stall.Seconds()-1) / 10; math.Abs(float64(got.Missed)-missed) > missed/20+20 {
			t.Errorf("stall of %v: %d missed, want about %.0f", stall, got.Missed, missed)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, overlap := range []bool{false, true} {
		s := New(start, wall)
		s.Set(0, Plan{Key: 1, Interval: time.Second, Overlap: overlap}, start)
		n := 0
		play(t, s, start, start+10*second, onTime, func(Turn, int64) {
			if n++; n == 5 {
				for range n {
					s.Done(0) // once too often changes nothing
				}
				s.Done(0)
			}
		})
		want := Stats{Turns: 10}
		if !overlap { // the first is never over
			want = Stats{Turns: 1, Overlap: 9}
		}
		if got := s.Stats(); got != want {
			t.Errorf("overlap %v: got %+v, want %+v", overlap, got, want)
		}
	}
}

func TestJitter(t *testing.T) {
	const interval, jitter = time.Second, 400 * time.Millisecond
	s := New(start, wall)
	s.Set(0, Plan{Key: 5, Interval: interval, Jitter: jitter}, start)
	var offsets []int64
	var before int64
	play(t, s, start, start+2000*second, onTime, func(turn Turn, _ int64) {
		offsets = append(offsets, (turn.Due-s.epoch)%int64(interval))
		if before != 0 && (turn.Due-before < int64(interval-jitter) || turn.Due-before > int64(interval+jitter)) {
			t.Fatalf("%v between two turns", time.Duration(turn.Due-before))
		}
		before = turn.Due
		s.Done(0)
	})
	least, most, sum := int64(math.MaxInt64), int64(0), 0.0
	phase := offsets[0]
	for _, o := range offsets { // of a circle
		o = (o - phase + 3*int64(interval)/2) % int64(interval)
		least, most, sum = min(least, o), max(most, o), sum+float64(o)
	}
	if width := time.Duration(most - least); len(offsets) < 1999 || width > jitter || width < jitter*95/100 {
		t.Errorf("%d turns over %v, want about 2000 over nearly %v", len(offsets), width, jitter)
	}
	if mean := sum/float64(len(offsets)) - float64(least); math.Abs(mean-float64(jitter)/2) > float64(jitter)/20 {
		t.Errorf("a mean of %v, want half of %v", time.Duration(mean), jitter)
	}
}

// TestHold has a target left alone for a while, and then asked where it would have been.
func TestHold(t *testing.T) {
	s := New(start, wall)
	s.Set(0, Plan{Key: 9, Interval: time.Second}, start)
	first, _ := s.wheel.At(0)
	s.Hold(0, start+10*second)
	if at, _ := s.wheel.At(0); at < start+10*second || at >= start+11*second || (at-first)%second != 0 {
		t.Errorf("next turn %v behind the first, want 10 or 11 s", time.Duration(at-first))
	}
	s.Hold(0, start) // shortens nothing
	if at, _ := s.wheel.At(0); at < start+10*second {
		t.Error("a shorter hold shortened the longer")
	}
	if got := s.Stats(); got != (Stats{}) {
		t.Errorf("got %+v, want nothing counted", got)
	}
}

func TestNow(t *testing.T) {
	s := New(start, wall)
	s.Set(0, Plan{Key: 9, Interval: 10 * time.Second, Jitter: 5 * time.Second}, start)
	first, _ := s.wheel.At(0)
	s.Now(0, start+second)
	var turns []Turn
	play(t, s, start, start+11*second, onTime, func(turn Turn, _ int64) { turns = append(turns, turn); s.Done(0) })
	if len(turns) < 2 || turns[0].Due != start+second || turns[1].Due != first {
		t.Errorf("got %+v, want one at once and then those of the phase, the first at %d", turns, first)
	}
}

func TestRemove(t *testing.T) {
	s := New(start, wall)
	for id := range uint32(3) {
		s.Set(id, Plan{Key: uint64(id), Interval: time.Second}, start)
	}
	s.Remove(1)
	s.Remove(1)
	s.Remove(7)
	s.Hold(1, start)
	s.Now(1, start)
	s.Done(1)
	if s.Len() != 2 {
		t.Errorf("%d on the schedule, want 2", s.Len())
	}
	play(t, s, start, start+3*second, onTime, func(turn Turn, _ int64) {
		if turn.ID == 1 {
			t.Fatal("a turn of one that was removed")
		}
		s.Done(turn.ID)
	})
}

// TestChange keeps what is running through a change of the plan.
func TestChange(t *testing.T) {
	s := New(start, wall)
	s.Set(0, Plan{Key: 1, Interval: time.Second}, start)
	n := 0
	take := func(Turn, int64) { n++ }
	play(t, s, start, start+2*second, onTime, take)
	s.Set(0, Plan{Key: 1, Interval: 500 * time.Millisecond}, start+2*second)
	play(t, s, start+2*second, start+4*second, onTime, take)
	if n != 1 {
		t.Errorf("%d turns, want 1: it is not over", n)
	}
	s.Done(0)
	play(t, s, start+4*second, start+5*second, onTime, take)
	if n != 2 {
		t.Errorf("%d turns, want 2", n)
	}
}

// TestChangeWhenDue changes what says nothing of when the turns come: one that is due by then is not lost.
func TestChangeWhenDue(t *testing.T) {
	s := New(start, wall)
	p := Plan{Key: 1, Interval: time.Hour, Jitter: time.Minute}
	s.Set(0, p, start)
	due, _ := s.wheel.At(0)
	now := due + int64(20*time.Millisecond)
	p.Overlap = true
	s.Set(0, p, now)
	if turns := s.Due(now, nil); len(turns) != 1 || turns[0].Due != due {
		t.Errorf("got the turns %v, want that of %d", turns, due)
	}
	next, _ := s.wheel.At(0)
	if turns := s.Due(next, nil); len(turns) != 1 {
		t.Errorf("got the turns %v beside one that is not over, want one", turns)
	}
}

func TestCheck(t *testing.T) {
	for want, p := range map[string]Plan{
		"an interval of 99ms": {Interval: 99 * time.Millisecond}, "an interval of 721h": {Interval: 721 * time.Hour},
		"a jitter of 1s": {Interval: time.Second, Jitter: time.Second}, "a jitter of -1ns": {Interval: time.Second, Jitter: -1},
	} {
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", p, err, want)
		}
	}
	if err := (&Plan{Interval: MinInterval, Jitter: MinInterval - 1}).Check(); err != nil {
		t.Error(err)
	}
}

// TestModel holds many targets with random plans and lags against what must hold of any: turns in order, none early, none later
// than the grace, each taken, missed or skipped.
func TestModel(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := New(start, wall)
		plans := make([]Plan, 20)
		for id := range plans {
			interval := MinInterval + time.Duration(rng.Int64N(int64(3*time.Second)))
			plans[id] = Plan{Key: rng.Uint64(), Interval: interval, Overlap: rng.IntN(2) == 0}
			s.Set(uint32(id), plans[id], start)
		}
		last := make([]int64, len(plans))
		lag := func(int64) int64 {
			if rng.IntN(50) == 0 {
				return rng.Int64N(5 * second)
			}
			return 0
		}
		end := start + 60*second
		latest := start
		play(t, s, start, end, lag, func(turn Turn, now int64) {
			latest = now
			p := &plans[turn.ID]
			late := now - turn.Due
			if late < 0 || late > int64(p.Interval/10)+1 || turn.Due <= last[turn.ID] || (turn.Due-last[turn.ID])%int64(p.Interval) != 0 && last[turn.ID] != 0 {
				t.Fatalf("seed %d: %+v at %d, the one before at %d", seed, turn, now, last[turn.ID])
			}
			last[turn.ID] = turn.Due
			if rng.IntN(10) > 0 {
				s.Done(turn.ID)
			}
		})
		want := 0.0
		for _, p := range plans {
			want += time.Duration(latest-start).Seconds() / p.Interval.Seconds()
		}
		got := s.Stats()
		if sum := float64(got.Turns + got.Missed + got.Overlap); math.Abs(sum-want) > float64(2*len(plans))+5/MinInterval.Seconds() {
			t.Errorf("seed %d: %+v, want about %.0f in all", seed, got, want)
		}
	}
}

func BenchmarkDue(b *testing.B) {
	const targets = 100_000
	s := New(start, wall)
	for id := range uint32(targets) {
		s.Set(id, Plan{Key: uint64(id), Interval: 10 * time.Second}, start)
	}
	var turns []Turn
	now, done := start, 0
	for b.Loop() {
		for done == 0 {
			now += int64(time.Millisecond)
			turns = s.Due(now, turns[:0])
			for _, turn := range turns {
				s.Done(turn.ID)
			}
			done = len(turns)
		}
		done--
	}
}

// TestSkips has turns that are not handed out told, target by target.
func TestSkips(t *testing.T) {
	now := int64(1)
	s := New(now, time.Unix(1000, 0))
	for id := range uint32(2) {
		s.Set(id, Plan{Key: uint64(id), Interval: time.Second, Overlap: id == 0}, now)
	}
	pass := func(d time.Duration) (turns []Turn, skips []Skip) {
		for until := now + int64(d); now < until; {
			now += int64(10 * time.Millisecond)
			turns = s.Due(now, turns)
			skips = append(skips, s.Skips()...)
		}
		return turns, skips
	}
	if turns, skips := pass(time.Second); len(turns) != 2 || len(skips) != 0 {
		t.Fatalf("%d turns in a second, and skipped %+v", len(turns), skips)
	}
	if _, skips := pass(time.Second); len(skips) != 1 || skips[0] != (Skip{ID: 1, Overlap: true}) { // neither is Done
		t.Errorf("a turn too early: got %+v", skips)
	}
	s.Done(1)
	now += int64(8 * time.Second)
	s.Due(now, nil)
	if skips := s.Skips(); len(skips) != 2 || skips[0].Missed < 7 || skips[1].Missed < 7 || s.Stats().Missed != skips[0].Missed+skips[1].Missed {
		t.Errorf("a stall of 8 s: %+v, %+v", skips, s.Stats())
	}
}

// TestMaxRunning: turns that may overlap do so up to a limit, whatever the timeout.
func TestMaxRunning(t *testing.T) {
	s := New(start, wall)
	s.Set(0, Plan{Key: 1, Interval: time.Second, Overlap: true}, start)
	taken := 0
	play(t, s, start, start+500*second, onTime, func(Turn, int64) { taken++ })
	if stats := s.Stats(); taken != MaxRunning || stats.Overlap < 400 {
		t.Errorf("%d turns are under way, want %d; %d were left out", taken, MaxRunning, stats.Overlap)
	}
	s.Done(0)
	play(t, s, start+500*second, start+510*second, onTime, func(Turn, int64) { taken++ })
	if taken != MaxRunning+1 {
		t.Errorf("%d turns, want one more when one is over", taken)
	}
}
