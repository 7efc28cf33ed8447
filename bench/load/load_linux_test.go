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
	spec := Spec{Kind: result.Hold, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 50, Duration: 1500 * time.Millisecond,
		Ping: 200 * time.Millisecond, Talk: talk.Options{Kind: talk.Echo}}
	tried(t, func(t testing.TB) {
		var intervals int
		p := do(t, context.Background(), spec, Hooks{Interval: func(*result.Interval) { intervals++ }}, time.Minute)
		if p.Held != 50 || p.HeldAtEnd != 50 || len(p.Failures) != 0 {
			t.Errorf("held %d, at the end %d, failures %+v", p.Held, p.HeldAtEnd, p.Failures)
		}
		if p.Operations < 50*5 || p.Phases.Of(result.Latency).Count() != p.Operations {
			t.Errorf("%d heartbeats", p.Operations)
		}
		if intervals < 2 || len(p.Intervals) != intervals {
			t.Errorf("intervals %d and %d", intervals, len(p.Intervals))
		}
	})
}

func TestRequests(t *testing.T) {
	spec := Spec{Kind: result.Request, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 10, WarmUp: 100 * time.Millisecond,
		Duration: 500 * time.Millisecond, Talk: talk.Options{Kind: talk.Echo}}
	for _, c := range []struct {
		name     string
		rate     float64
		pipeline int
	}{{"closed", 0, 0}, {"pipelined", 0, 4}, {"open", 500, 0}} {
		t.Run(c.name, func(t *testing.T) {
			spec := spec
			spec.Requests, spec.Pipeline = c.rate, c.pipeline
			tried(t, func(t testing.TB) {
				p := do(t, context.Background(), spec, Hooks{}, time.Minute)
				if len(p.Failures) != 0 || p.Operations == 0 {
					t.Errorf("%d operations, failures %+v", p.Operations, p.Failures)
				}
				// 0.6 s of the schedule: on a busy machine some of the warm-up's are answered behind it.
				if n := answered(p); c.rate > 0 && n != 300 {
					t.Errorf("%d operations in all, want 300", n)
				}
				t.Logf("%d operations, p50 %v, peer %v", p.Operations, p.Phases.Of(result.Latency).Quantile(0.5), p.Phases.Of(result.Peer).Quantile(0.5))
			})
		})
	}
}

func TestHandshakes(t *testing.T) {
	spec := Spec{Kind: result.Handshake, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 10, WarmUp: 100 * time.Millisecond,
		Duration: 500 * time.Millisecond}
	tried(t, func(t testing.TB) {
		p := do(t, context.Background(), spec, Hooks{}, time.Minute)
		if len(p.Failures) != 0 || p.Operations == 0 || p.WarmUp == 0 {
			t.Errorf("%d operations, %d while it warmed up, failures %+v", p.Operations, p.WarmUp, p.Failures)
		}
	})
}
