package load

import (
	"bufio"
	"context"
	"math"
	"net"
	"testing"
	"time"

	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/engine"
	"sonde/internal/clock"
	"sonde/internal/kernel/usage"
	"sonde/internal/testpeer"
)

// frozen is an echo server that answers nothing from one moment until another, and then all at once.
func frozen(t testing.TB, from, until time.Time) []plan.Target {
	return dialogueOf(t, func(c net.Conn, in *bufio.Reader) {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if time.Now().After(from) {
				<-time.After(time.Until(until))
			}
			if !say(c, line) {
				return
			}
		}
	})
}

// TestRequestsOfTheTime has a server freeze at either end of the measured time. What was due in that time has its latency told,
// though it was answered behind it; what was due before has not, though it was answered in it.
func TestRequestsOfTheTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		warmUp, from, until time.Duration // the freeze, from the load's start
		least, most         time.Duration // the greatest latency
		done                float64       // of what was due, at most so much was answered in the time
	}{
		"end":     {0, faultTime * 3 / 4, faultTime * 2, faultTime, 2 * faultTime, 0.8},
		"warm-up": {faultTime, 0, faultTime * 5 / 4, 0, faultTime / 2, 2.5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried(t, func(t testing.TB) {
				began := time.Now().Add(100 * time.Millisecond) // as do has it
				spec := openLoop(frozen(t, began.Add(c.from), began.Add(c.until)), lines)
				spec.WarmUp = c.warmUp
				p := do(t, context.Background(), spec, Hooks{}, c.warmUp+faultWithin)
				l := p.Phases.Of(result.Latency)
				if l.Count() != scheduled || len(p.Failures) > 0 {
					t.Errorf("%d latencies, failures %+v, want %d and none", l.Count(), p.Failures, scheduled)
				}
				if l.Max() < c.least || l.Max() > c.most {
					t.Errorf("the greatest is %v, want %v to %v", l.Max(), c.least, c.most)
				}
				if p.Operations == 0 || float64(p.Operations) > c.done*float64(scheduled) {
					t.Errorf("%d operations of %d that were due, want at most %.1f of them", p.Operations, scheduled, c.done)
				}
			})
		})
	}
}

// slow shakes hands by TLS so late.
const slow = 300 * time.Millisecond

// slowTLS is a share of handshakes by a schedule of 100 a second with a server that is slow.
func slowTLS(t testing.TB, connections int) Spec {
	return Spec{Kind: result.Handshake, Targets: peer(t, testpeer.TLS13, testpeer.Options{Delay: slow}), Connections: connections, Dials: 100,
		Duration: longer / 2, TLS: &TLS{Insecure: true}}
}

// TestHandshakesOfTheTime: half of the handshakes that were due in the measured time end behind it, and are told.
func TestHandshakesOfTheTime(t *testing.T) {
	t.Parallel()
	tried(t, func(t testing.TB) {
		p := do(t, context.Background(), slowTLS(t, 100), Hooks{}, faultWithin)
		n := p.Phases.Of(result.TLS).Count()
		if n != p.Engine.Opened || n < 45 || p.Operations+20 > n || len(p.Failures) > 0 {
			t.Errorf("%d latencies and %d operations of %d begun, failures %+v, want all, half of them, and none",
				n, p.Operations, p.Engine.Opened, p.Failures)
		}
	})
}

// TestHandshakesUnbegun has a schedule that there are not places enough for: what was never begun has failed.
func TestHandshakesUnbegun(t *testing.T) {
	t.Parallel()
	for _, stopped := range []bool{false, true} {
		tried(t, func(t testing.TB) {
			spec := slowTLS(t, 2)
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			if stopped {
				spec.Duration = time.Hour
				time.AfterFunc(700*time.Millisecond, stop) // 600 ms from the start
			}
			p := do(t, ctx, spec, Hooks{}, faultWithin)
			failed, _ := p.Failures.Total()
			began := p.Engine.Opened
			if got := failed + began; began > 10 || got < 45 || got > 60 || p.Failures.ByStatus()["cancelled"] != failed {
				t.Errorf("stopped %v: %d begun, failures %+v, want some and the others of 55", stopped, began, p.Failures)
			}
		})
	}
}

// TestFirstByteOfPipeline: of answers to requests that went out together the first alone has a first byte that can be told.
func TestFirstByteOfPipeline(t *testing.T) {
	t.Parallel()
	const together = 3
	targets := dialogueOf(t, func(c net.Conn, in *bufio.Reader) {
		for n := 1; ; n++ {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if n%together != 1 { // what answers the first comes at once, the others each by themselves
				<-time.After(20 * time.Millisecond)
			}
			if !say(c, line) {
				return
			}
		}
	})
	spec := closedLoop(targets, lines)
	spec.Pipeline = together
	tried(t, func(t testing.TB) {
		p := do(t, context.Background(), spec, Hooks{}, faultWithin)
		first, all := p.Phases.Of(result.FirstByte).Count(), p.Phases.Of(result.Latency).Count()
		if first == 0 || first*together != all || len(p.Failures) > 0 {
			t.Errorf("%d first bytes of %d answers, failures %+v, want one of %d", first, all, p.Failures, together)
		}
	})
}

// TestAnswerEndsByFIN has answers that are whole with the peer's FIN, which comes well behind their last byte.
func TestAnswerEndsByFIN(t *testing.T) {
	t.Parallel()
	const later = 300 * time.Millisecond
	targets := http(t, func(c net.Conn, _ int) bool {
		say(c, "HTTP/1.1 200 OK\r\n\r\nok")
		<-time.After(later)
		return false
	})
	tried(t, func(t testing.TB) {
		p := do(t, context.Background(), closedLoop(targets, web), Hooks{}, faultWithin)
		l := p.Phases.Of(result.Latency)
		if l.Count() == 0 || len(p.Failures) > 0 {
			t.Errorf("%d answers, failures %+v", l.Count(), p.Failures)
			return
		}
		if l.Min() < later || l.Quantile(0.5) > later*5/4 {
			t.Errorf("latencies from %v, p50 %v, want about %v", l.Min(), l.Quantile(0.5), later)
		}
		if f := p.Phases.Of(result.FirstByte).Quantile(0.5); f > later/2 {
			t.Errorf("the first byte comes after %v", f)
		}
	})
}

// TestLetGo: connections are not closed all at once while answers are still to come, and all well before those are given up.
func TestLetGo(t *testing.T) {
	t.Parallel()
	const until = int64(time.Hour)
	for _, n := range []int{1, 100, 10_000, 1_000_000} {
		q := &requests{run: &run{spec: Spec{First: 7, Connections: n}}, until: until}
		first, middle, last := q.letGoAt(7), q.letGoAt(7+uint64(n)/2), q.letGoAt(6+uint64(n))
		if first != until || last > until+int64(drainLimit)/2 || n > 1 && (last-first) < (int64(n-1)*int64(time.Microsecond)) {
			t.Errorf("%d connections are let go of from %v to %v behind the end", n, time.Duration(first-until), time.Duration(last-until))
		}
		if d := (middle - first) - (last - middle); n > 1 && time.Duration(d).Abs() > 2*letGoEach {
			t.Errorf("%d connections: half of them in %v, the others in %v", n, time.Duration(middle-first), time.Duration(last-middle))
		}
	}
}

// TestStopIsNoted: a share whose context has ended knows when it was stopped before its engine is, though nobody else told it.
func TestStopIsNoted(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]Spec{
		"requests":   openLoop(peer(t, testpeer.Echo, testpeer.Options{}), lines),
		"handshakes": {Kind: result.Handshake, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 1, Dials: 10, Duration: time.Hour},
	} {
		places, err := plan.New(spec.Targets, nil)
		if err != nil {
			t.Fatal(err)
		}
		clk := clock.NewSystem()
		r := &run{spec: spec, plan: places, clk: clk, start: clk.Now() - 1}
		r.stoppedAt.Store(math.MaxInt64)
		d, err := r.newDriver()
		if err != nil {
			t.Fatal(err)
		}
		if r.engine, err = engine.New(engine.Config{Loops: 1, Connections: 1, Clock: clk, Profiles: []engine.Profile{{}}}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
		d.submit(ctx)
		stop()
		r.collect(d)
		if err := r.engine.Wait(); err != nil {
			t.Error(err)
		}
		if !r.stopped.Load() || r.stoppedAt.Load() > clk.Now() {
			t.Errorf("%s: stopped %v, at %d", name, r.stopped.Load(), r.stoppedAt.Load())
		}
	}
}

// TestNotMeasured: what nobody looked at is not told as 0.
func TestNotMeasured(t *testing.T) {
	t.Parallel()
	targets := peer(t, testpeer.Echo, testpeer.Options{})
	warm := closedLoop(targets, lines)
	warm.WarmUp = 200 * time.Millisecond
	for name, c := range map[string]struct {
		spec  Spec
		known bool
	}{
		"handshake":             {Spec{Kind: result.Handshake, Targets: targets, Connections: 2, Dials: 50, Duration: faultTime}, false},
		"request":               {warm, true},
		"request, no warm-up":   {closedLoop(targets, lines), false},
		"hold":                  {Spec{Kind: result.Hold, Targets: targets, Connections: 2, Duration: faultTime}, true},
		"hold, nobody is there": {Spec{Kind: result.Hold, Targets: peer(t, testpeer.Refuse, testpeer.Options{}), Connections: 2, Duration: faultTime}, false},
	} {
		tried(t, func(t testing.TB) {
			u := do(t, context.Background(), c.spec, Hooks{}, faultWithin).Usage
			if c.known && (u.ResidentHeld <= 0 || u.Descriptors <= 0) || !c.known && (u.ResidentHeld != usage.Unknown || u.Descriptors != int(usage.Unknown)) {
				t.Errorf("%s: memory %d, %d descriptors, want that they are known: %v", name, u.ResidentHeld, u.Descriptors, c.known)
			}
		})
	}
}

// TestOwnTime: CPU time is that of this run, and a run begins with its load, not with its process.
func TestOwnTime(t *testing.T) {
	t.Parallel()
	const ahead = 300 * time.Millisecond
	for _, start := range []time.Duration{ahead, -ahead} {
		cpu, err := usage.CPU()
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		spec := Spec{Kind: result.Handshake, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 1, Dials: 10, Start: now.Add(start),
			Duration: 2 * ahead}
		p, err := Run(context.Background(), spec, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		after, err := usage.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if p.Usage.CPU < 0 || p.Usage.CPU > after-cpu {
			t.Errorf("%v of CPU time, want at most %v", p.Usage.CPU, after-cpu)
		}
		// Wall clocks are read in two steps.
		if begins := p.Start.Sub(now); begins < max(start, 0)-ahead/3 || p.End.Before(p.Start) {
			t.Errorf("a load that starts %v from now begins %v from now", start, begins)
		}
	}
}
