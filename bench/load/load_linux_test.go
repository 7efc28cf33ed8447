package load

import (
	"context"
	"testing"
	"time"

	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/internal/testpeer"
)

func TestHold(t *testing.T) {
	t.Parallel()
	spec := Spec{Kind: result.Hold, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 50, Start: time.Now(), Duration: 1500 * time.Millisecond,
		Ping: 200 * time.Millisecond, Talk: talk.Options{Kind: talk.Echo}}
	var intervals int
	p, err := Run(context.Background(), spec, Hooks{Interval: func(*result.Interval) { intervals++ }})
	if err != nil {
		t.Fatal(err)
	}
	if p.Held != 50 || p.HeldAtEnd != 50 || len(p.Failures) != 0 {
		t.Errorf("held %d, at the end %d, failures %+v", p.Held, p.HeldAtEnd, p.Failures)
	}
	if p.Operations < 50*5 || p.Phases[result.Latency] == nil || p.Phases[result.Latency].Count() != p.Operations {
		t.Errorf("%d heartbeats", p.Operations)
	}
	if p.Engine.Leaked() != 0 || intervals < 2 || len(p.Intervals) != intervals {
		t.Errorf("leaked %d, intervals %d and %d", p.Engine.Leaked(), intervals, len(p.Intervals))
	}
}

func TestRequests(t *testing.T) {
	spec := Spec{Kind: result.Request, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 10, Start: time.Now(), WarmUp: 100 * time.Millisecond,
		Duration: 500 * time.Millisecond, Talk: talk.Options{Kind: talk.Echo}}
	for _, c := range []struct {
		name     string
		rate     float64
		pipeline int
	}{{"closed", 0, 0}, {"pipelined", 0, 4}, {"open", 500, 0}} {
		t.Run(c.name, func(t *testing.T) {
			spec := spec
			spec.Requests, spec.Pipeline, spec.Start = c.rate, c.pipeline, time.Now().Add(50*time.Millisecond)
			p, err := Run(context.Background(), spec, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Failures) != 0 || p.Engine.Leaked() != 0 || p.Operations == 0 {
				t.Errorf("%d operations, failures %+v, leaked %d", p.Operations, p.Failures, p.Engine.Leaked())
			}
			// 0.6 s of the schedule: on a busy machine some of the warm-up's are answered behind it.
			if n := answered(p); c.rate > 0 && n != 300 {
				t.Errorf("%d operations in all, want 300", n)
			}
			t.Logf("%d operations, p50 %v, peer %v", p.Operations, p.Phases[result.Latency].Quantile(0.5), p.Phases[result.Peer].Quantile(0.5))
		})
	}
}

func TestHandshakes(t *testing.T) {
	spec := Spec{Kind: result.Handshake, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 10, Start: time.Now(), WarmUp: 100 * time.Millisecond,
		Duration: 500 * time.Millisecond}
	p, err := Run(context.Background(), spec, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Failures) != 0 || p.Engine.Leaked() != 0 || p.Operations == 0 || p.WarmUp == 0 {
		t.Errorf("%d operations, failures %+v, leaked %d", p.Operations, p.Failures, p.Engine.Leaked())
	}
}
