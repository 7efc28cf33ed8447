package rate

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	ms     = int64(time.Millisecond)
	second = int64(time.Second)
)

// dial is a turn that was taken.
type dial struct{ at, due int64 }

// take asks for as many turns as there are.
func take(l *Limiter, now int64) []dial {
	due := make([]int64, 1+int(l.burst))
	var dials []dial
	for _, at := range due[:l.Take(now, len(due), due)] {
		dials = append(dials, dial{now, at})
	}
	return dials
}

// run takes turns each millisecond from from until to.
func run(l *Limiter, from, to int64) []dial {
	var dials []dial
	for now := from; now < to; now += ms {
		dials = append(dials, take(l, now)...)
	}
	return dials
}

// worst is the largest number of dials in any window of 10 ms, both ends included.
func worst(dials []dial) int {
	most, first := 0, 0
	for i, d := range dials {
		for d.at-dials[first].at > 10*ms {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// twiceEven is twice the even share of 10 ms, in whole turns.
func twiceEven(perSecond float64) int { return int(math.Ceil(perSecond / 50)) }

func dues(dials []dial) []int64 {
	var at []int64
	for _, d := range dials {
		at = append(at, d.due)
	}
	return at
}

// Seen by a loop that sleeps until Next, each turn comes at its moment, and each moment is right to the nanosecond.
func TestEvenSpacing(t *testing.T) {
	for _, perSecond := range []float64{Min, 0.5, 1, 3, 7, 999, 1000, 4999.5, 1e6, Max} {
		l := New(perSecond)
		now := 5 * second
		for turn := range 3000 {
			now = l.Next(now)
			got := take(l, now)
			want := 5*second + int64(float64(turn)*1e9/perSecond)
			if len(got) != 1 || got[0].due != want || now != want {
				t.Fatalf("%v/s, turn %d: got %v at %d, want one at %d", perSecond, turn, got, now, want)
			}
			if again := take(l, now); len(again) != 0 {
				t.Fatalf("%v/s, turn %d: got %v on top", perSecond, turn, again)
			}
		}
	}
}

// A loop that wakes up each millisecond gets exactly the turns of the schedule.
func TestHighRatesByTheTick(t *testing.T) {
	for _, perSecond := range []float64{2000, 12_345, 1e6, Max} {
		dials := run(New(perSecond), second, second+200*ms)
		if want := int(perSecond * 0.199); len(dials) < want || len(dials) > want+2 {
			t.Errorf("%v/s: got %d in 199 ms, want %d", perSecond, len(dials), want)
		}
		if got, limit := worst(dials), int(perSecond/100*1.1)+1; got > limit {
			t.Errorf("%v/s: got %d in 10 ms without any stall, want at most %d", perSecond, got, limit)
		}
	}
}

func TestWantLimitsWhatIsTaken(t *testing.T) {
	l := New(1000)
	due := make([]int64, 4)
	l.Take(second, 1, due)
	tests := []struct {
		name       string
		want, room int
		got        int
	}{
		{"none wanted", 0, 4, 0},
		{"less than none", -1, 4, 0},
		{"no room", 3, 0, 0},
		{"one of three", 1, 4, 1},
		{"no room for all", 4, 1, 1},
		{"the rest", 4, 4, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := l.Take(second+3*ms, test.want, due[:test.room]); got != test.got {
				t.Errorf("got %d, want %d", got, test.got)
			}
		})
	}
	if due[0] != second+3*ms {
		t.Errorf("the last was due at %d, want %d", due[0], second+3*ms)
	}
}

// After a stall the missed turns come with the moments at which they were due, at no more than CatchUp times the rate,
// until the schedule is reached again.
func TestStallIsCaughtUp(t *testing.T) {
	const perSecond = 1000
	l := New(perSecond)
	run(l, second, 2*second)
	dials := run(l, 2*second+200*ms, 4*second)
	if got := dues(dials[:2]); !cmp.Equal(got, []int64{2 * second, 2*second + ms}) {
		t.Errorf("got turns of %v first, want those of the stall", got)
	}
	if got := dials[len(dials)-1]; got.due != 4*second-ms || got.at != got.due {
		t.Errorf("got %+v last, want it on time", got)
	}
	if len(dials) != 2000 || l.Missed() != 0 {
		t.Errorf("got %d turns, %d missed, want all 2000", len(dials), l.Missed())
	}
	burst := slices.IndexFunc(dials, func(d dial) bool { return d.at != dials[0].at })
	if want := int(Burst.Seconds() * perSecond); burst != want {
		t.Errorf("got %d at once after the stall, want %d", burst, want)
	}
	if got := worst(dials); got > twiceEven(perSecond) {
		t.Errorf("got %d in 10 ms, want at most %d", got, twiceEven(perSecond))
	}
	after := slices.IndexFunc(dials, func(d dial) bool { return d.at-d.due < ms })
	// 200 ms of turns at so much of the rate above the rate.
	want := int64(math.Round(float64(200*ms) / (CatchUp - 1)))
	if took := dials[after].at - dials[0].at; took < want*95/100 || took > want+ms {
		t.Errorf("caught up in %d ms, want about %d", took/ms, want/ms)
	}
}

func TestLongStallIsCutAndCounted(t *testing.T) {
	l := New(1000)
	run(l, second, 2*second)
	dials := run(l, 5*second, 10*second)
	if got, want := dials[0].due, 4*second; got != want {
		t.Errorf("got a turn of %d first, want %d", got, want)
	}
	if got := l.Missed(); got != 2000 {
		t.Errorf("got %d missed, want 2000", got)
	}
	if want := 6000; len(dials) != want {
		t.Errorf("got %d turns, want %d", len(dials), want)
	}
}

// Half the rate is taken, for ever: what is lost is counted though each call loses less than a turn.
func TestMissedAddsUp(t *testing.T) {
	l := New(1000)
	due := make([]int64, 1)
	taken := 0
	for now := second; now < 11*second; now += ms / 4 {
		if now/(2*ms)*(2*ms) == now {
			taken += l.Take(now, 1, due)
		} else {
			l.Next(now)
		}
	}
	// Ten seconds have 10,000 turns; those of the last second are still waiting.
	if got := taken + int(l.Missed()); got < 8995 || got > 9005 {
		t.Errorf("got %d taken and %d missed, want 9000 together", taken, l.Missed())
	}
}

func TestIdleTurnsAreNotSavedUp(t *testing.T) {
	for _, perSecond := range []float64{100, 5000, 300_000} {
		l := New(perSecond)
		run(l, second, 2*second)
		l.Idle(2 * second)
		l.Next(3 * second)
		l.Idle(4 * second)
		dials := run(l, 5*second, 6*second)
		if got, want := dials[0].due, 5*second-int64(IdleLimit); got != want {
			t.Errorf("%v/s: got a turn of %d first, want %d", perSecond, got, want)
		}
		if got, want := float64(len(dials)), perSecond*1.25; math.Abs(got-want) > 1+want/500 {
			t.Errorf("%v/s: got %v turns in the second after, want %v", perSecond, got, want)
		}
		if got := worst(dials); got > twiceEven(perSecond) {
			t.Errorf("%v/s: got %d in 10 ms, want at most %d", perSecond, got, twiceEven(perSecond))
		}
		if l.Missed() != 0 {
			t.Errorf("%v/s: got %d missed, want 0: nobody wanted them", perSecond, l.Missed())
		}
	}
}

// Turns lost to a stall stay counted when an idle time follows.
func TestStallBeforeIdleIsCounted(t *testing.T) {
	l := New(1000)
	run(l, second, 2*second)
	l.Idle(5 * second)
	l.Idle(9 * second)
	if got := l.Missed(); got != 2000 {
		t.Errorf("got %d missed, want 2000", got)
	}
}

// An idle time is over with the first Take: the stall that follows is caught up in full.
func TestIdleLastsUntilTheNextTake(t *testing.T) {
	l := New(1000)
	run(l, second, 2*second)
	l.Idle(2 * second)
	take(l, 2*second+100*ms)
	dials := run(l, 2*second+900*ms, 6*second)
	if got := len(dials); got != 3996 || l.Missed() != 0 {
		t.Errorf("got %d turns, %d missed, want 3996: all but the 4 of the first Take", got, l.Missed())
	}
}

// However low the rate, the first target after a pause goes out at once, and only the first.
func TestLowRateAfterAPause(t *testing.T) {
	l := New(Min)
	take(l, second)
	now := 5000 * second
	l.Idle(2 * second)
	if got := l.Next(now); got != now {
		t.Errorf("Next: got %d, want at once", got)
	}
	if got := len(take(l, now)); got != 1 {
		t.Errorf("got %d turns, want 1", got)
	}
	if got := l.Next(now) - now; got < 99*second || got > 100*second {
		t.Errorf("got the next after %d s, want about 100", got/second)
	}
}

// The promises under a machine that stalls: the worst 10 ms, the total over 10 s, and no turn before its time or twice.
func TestRandomStalls(t *testing.T) {
	rates := []float64{1, 10, 99, 150, 250, 400, 700, 1000, 5000, 100_000}
	for seed := range uint64(50) {
		perSecond := rates[seed%uint64(len(rates))]
		t.Logf("seed %d, %v/s", seed, perSecond)
		random := rand.New(rand.NewPCG(seed, 0))
		l := New(perSecond)
		start := random.Int64N(1000*second) + 1
		var dials []dial
		for now := start; now < start+10*second; now += ms {
			if random.IntN(200) == 0 && now < start+9*second { // the last second is left for catching up
				now += random.Int64N(100 * ms)
			}
			now += random.Int64N(ms / 2)
			dials = append(dials, take(l, now)...)
		}
		if want := perSecond * 10; math.Abs(float64(len(dials))-want) > 1+want*0.02 {
			t.Errorf("got %d turns in 10 s, want %v within 2 %%", len(dials), want)
		}
		if got := worst(dials); got > twiceEven(perSecond) {
			t.Errorf("got %d in 10 ms, want at most %d", got, twiceEven(perSecond))
		}
		for i, d := range dials {
			if want := dials[0].due + int64(float64(i)*1e9/perSecond); d.due != want && l.Missed() == 0 {
				t.Fatalf("turn %d was due at %d, want %d", i, d.due, want)
			}
			if d.due > d.at {
				t.Fatalf("turn %d at %d was due only at %d", i, d.at, d.due)
			}
		}
	}
}

// Next is the truth: no turn before it, one at it. Calls at random moments, in and out of stalls and idle times.
func TestNextIsWhenTakeHasATurn(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		perSecond := math.Pow(10, random.Float64()*9-2)
		t.Logf("seed %d, %v/s", seed, perSecond)
		l := New(perSecond)
		now := second
		due := make([]int64, 1000)
		for range 200 {
			next := l.Next(now)
			if next < now {
				t.Fatalf("Next(%d): got %d", now, next)
			}
			if got := l.Take(next-2, 1, due); next-2 > now && got != 0 {
				t.Fatalf("got a turn 2 ns before Next")
			} else if got == 0 && l.Take(next, 1, due) != 1 {
				t.Fatalf("got no turn at Next, %d after %d", next-now, now)
			}
			now = next
			switch random.IntN(6) {
			case 0:
				now += random.Int64N(int64(2e9 / perSecond))
			case 1:
				now += random.Int64N(3 * second)
			case 2:
				l.Idle(now)
				now += random.Int64N(3 * second)
			case 3:
				l.Take(now, 1+random.IntN(len(due)), due)
			}
		}
	}
}

// Several loops share one schedule: together they get each turn once.
func TestSharedByLoops(t *testing.T) {
	const perSecond = 1e6
	l := New(perSecond)
	take(l, second)
	taken := make([][]int64, 4)
	var loops sync.WaitGroup
	for i := range taken {
		loops.Go(func() {
			due := make([]int64, 64)
			for now := second; now < 2*second; now += ms / 10 {
				n := l.Take(now, 1+i*10, due)
				taken[i] = append(taken[i], due[:n]...)
				l.Next(now)
			}
		})
	}
	loops.Wait()
	all := slices.Concat(taken...)
	slices.Sort(all)
	if unique := len(slices.Compact(slices.Clone(all))); unique != len(all) {
		t.Errorf("%d turns were handed out twice", len(all)-unique)
	}
	if len(all) == 0 || len(all) > perSecond {
		t.Errorf("got %d turns, want at most %v", len(all), perSecond)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, perSecond := range []float64{0, -1, Min / 2, Max * 2, math.NaN(), math.Inf(1)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%v): got no panic", perSecond)
				}
			}()
			New(perSecond)
		}()
	}
}

func TestNoAllocation(t *testing.T) {
	l := New(5000)
	due := make([]int64, 32)
	now := second
	got := testing.AllocsPerRun(1000, func() {
		now += ms
		l.Take(now, len(due), due)
		l.Next(now)
		l.Idle(now)
	})
	if got != 0 {
		t.Errorf("got %v allocations a call, want 0", got)
	}
}

// What a loop does each millisecond at 20,000 a second.
func BenchmarkTakeAndNext(b *testing.B) {
	l := New(20_000)
	due := make([]int64, 32)
	now := second
	b.ReportAllocs()
	for b.Loop() {
		now += ms
		l.Take(now, len(due), due)
		l.Next(now)
	}
}
