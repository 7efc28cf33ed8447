package breaker

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"
)

var settings = Settings{Window: 5, Failures: 3, OpenFor: 10 * time.Second, MaxOpenFor: 35 * time.Second}

const second = int64(time.Second)

// play records outcomes, "+" and "-", each a second behind the one before.
func play(t *testing.T, b *Breaker, now *int64, outcomes string) {
	t.Helper()
	for _, o := range outcomes {
		p, ok := b.Allow(*now)
		if !ok {
			t.Fatalf("not allowed at %d s, in %v", *now/second, b.State(*now))
		}
		b.Record(&settings, *now, p, o == '+')
		*now += second
	}
}

func TestOpens(t *testing.T) {
	for outcomes, want := range map[string]State{
		"": Closed, "+++++": Closed, "--": Closed, "---": Open, "-+-+-": Open, "-+-++": Closed,
		"-+-++-":     Closed, // the first has left the window
		"++--+++--+": Closed,
	} {
		var b Breaker
		now := int64(1)
		play(t, &b, &now, outcomes)
		if got := b.State(now); got != want {
			t.Errorf("%s: got %v, want %v", outcomes, got, want)
		}
	}
}

// TestTrials has a target that stays dead asked ever less often, and one that comes back as before.
func TestTrials(t *testing.T) {
	var b Breaker
	now := int64(1)
	play(t, &b, &now, "---")
	opened := now - second
	for _, openFor := range []int64{10, 20, 35, 35} {
		until := opened + openFor*second
		if b.Until() != until || allows(&b, until-1) || b.State(until-1) != Open {
			t.Fatalf("open until %d s, want %d s", b.Until()/second, until/second)
		}
		p, ok := b.Allow(until)
		if !ok || allows(&b, until) || allows(&b, until+second) || b.State(until) != HalfOpen || b.Until() != 0 {
			t.Fatal("want one trial at a time")
		}
		opened = until + second
		if !b.Record(&settings, opened, p, false) || b.State(opened) != Open {
			t.Fatal("a trial that failed has not opened it again")
		}
	}
	now = opened + 35*second
	if p, ok := b.Allow(now); !ok || !b.Record(&settings, now, p, true) || b.State(now) != Closed {
		t.Fatal("a trial that succeeded has not closed it")
	}
	play(t, &b, &now, "--")
	if b.State(now) != Closed {
		t.Error("what was before counts still")
	}
}

func TestForget(t *testing.T) {
	var b Breaker
	now := int64(1)
	play(t, &b, &now, "---")
	now = b.Until()
	p, ok := b.Allow(now)
	b.Forget(0) // which was allowed before it opened
	if !ok || allows(&b, now) {
		t.Fatal("want one trial")
	}
	b.Forget(p)
	if !allows(&b, now) {
		t.Error("a trial that was taken back keeps its place")
	}
	b.Forget(p)
	if allows(&b, now) {
		t.Error("a trial that was taken back takes back the next")
	}
}

func allows(b *Breaker, now int64) bool {
	_, ok := b.Allow(now)
	return ok
}

// TestLate: what was allowed before the breaker opened changes nothing.
func TestLate(t *testing.T) {
	var b Breaker
	now := int64(1)
	play(t, &b, &now, "---")
	until := b.Until()
	for n := range 2 * settings.Window {
		if b.Record(&settings, now+int64(n), 0, n%3 == 0) || b.Until() != until {
			t.Fatal("a late outcome changed an open breaker")
		}
	}
	for range 600 { // more than there are numbers
		now = b.Until()
		p, _ := b.Allow(now)
		for _, success := range []bool{true, false} {
			if b.Record(&settings, now, 0, success) || b.Record(&settings, now, p-1, success) || b.State(now) != HalfOpen || allows(&b, now) {
				t.Fatal("a late outcome is taken for the trial's")
			}
		}
		if !b.Record(&settings, now, p, false) {
			t.Fatal("the trial's outcome is not")
		}
	}
}

// TestReset: a trial of before is none of the breaker that is as new.
func TestReset(t *testing.T) {
	var b Breaker
	now := int64(1)
	play(t, &b, &now, "---")
	before, _ := b.Allow(b.Until())
	b.Reset()
	play(t, &b, &now, "---")
	now = b.Until()
	if !allows(&b, now) || b.Record(&settings, now, before, true) {
		t.Error("the trial of before is taken for the one that is under way")
	}
}

// TestTakenAway: a trial that ends while there is no breaker is over when there is one again.
func TestTakenAway(t *testing.T) {
	var b Breaker
	now := int64(1)
	play(t, &b, &now, "---")
	now = b.Until()
	p, _ := b.Allow(now)
	b.Record(&Settings{}, now, p, true)
	if !allows(&b, now) {
		t.Error("the trial is under way for ever")
	}
}

func TestNoBreaker(t *testing.T) {
	var b Breaker
	for i := range int64(1000) {
		if !allows(&b, i) || b.Record(&Settings{}, i, 0, false) {
			t.Fatal("a breaker without a window opened")
		}
	}
}

func TestCheck(t *testing.T) {
	for want, s := range map[string]Settings{
		"want 1 to 64":      {Window: 65},
		"of a window of 5":  {Window: 5, Failures: 6},
		"of a window of 4":  {Window: 4},
		"stay open":         {Window: 5, Failures: 1},
		"less than the 10s": {Window: 5, Failures: 1, OpenFor: 10 * time.Second},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", s, err, want)
		}
	}
	for _, s := range []Settings{{}, settings, {Window: MaxWindow, Failures: MaxWindow, OpenFor: 1, MaxOpenFor: 1}} {
		if err := s.Check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// TestModel holds the window of bits against a list.
func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := settings
		s.Window = 1 + rng.IntN(MaxWindow)
		s.Failures = 1 + rng.IntN(s.Window)
		var b Breaker
		var last []bool
		for range 200 {
			success := rng.IntN(3) > 0
			changed := b.Record(&s, 1, 0, success)
			last = append(last, success)
			last = last[max(len(last)-s.Window, 0):]
			failures := 0
			for _, ok := range last {
				if !ok {
					failures++
				}
			}
			if want := failures >= s.Failures; changed != want {
				t.Fatalf("seed %d: %d of the last %d failed, opens at %d: got %v", seed, failures, len(last), s.Failures, changed)
			}
			if changed {
				break
			}
		}
	}
}

func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(Breaker{}); n > 32 {
		t.Errorf("a breaker takes %d bytes, want at most 32", n)
	}
}

// TestParts moves a breaker to another clock in the middle of a play: it goes on as if nothing were.
func TestParts(t *testing.T) {
	for _, outcomes := range []string{"", "+-", "---", "+---"} {
		var b Breaker
		now := second
		play(t, &b, &now, outcomes)
		const later = 1000 * second
		moved := From(b.Parts(now), now+later)
		for d := int64(0); d < 12*second; d += second {
			if got, want := moved.State(now+later+d), b.State(now+d); got != want {
				t.Errorf("%q, after %d s: got %v, want %v", outcomes, d/second, got, want)
			}
		}
		if moved.failed != b.failed || moved.openFor != b.openFor {
			t.Errorf("%q: got %+v, want %+v", outcomes, moved, b)
		}
	}
}
