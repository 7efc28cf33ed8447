package runner

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/policy/pace"
	"sonde/policy/retry"
	"sonde/probes/tcp"
	"sonde/report"
	"sonde/target"
)

// TestMoreToKeepThanCanBe: connections that can't be kept are our fault and told once, and take no room from probes.
func TestMoreToKeepThanCanBe(t *testing.T) {
	var log strings.Builder // of the owner
	p := start(t, Options{Descriptors: 10, Log: slog.New(slog.NewTextHandler(&log, nil))})
	addr := sink(t)
	addrs := make([]netip.AddrPort, 15)
	for i := range addrs {
		addrs[i] = addr
	}
	keeps := fast("keeps", plain(tcp.Probe{}))
	keeps.Keep, keeps.Retries = true, retry.Settings{Delay: time.Millisecond, MaxDelay: 10 * time.Millisecond}
	p.do(func() {
		p.SetJob(keeps)
		p.SetTargets("keeps", targets("keeps", addrs...))
	})
	kept, refused := 0, 0
	for refused < 100 {
		switch r := p.next(); {
		case r.res.Status == report.Success:
			kept++
		case r.res.Status == report.LocalFDLimit && r.res.Side == report.SideLocal:
			refused++
		default:
			t.Fatalf("%v %s", r.res.Status, r.res.Error)
		}
	}
	p.do(func() {
		p.SetJob(fast("asks", plain(tcp.Probe{})))
		p.SetTargets("asks", targets("asks", addr))
	})
	for probed := 0; probed < 3; {
		if r := p.next(); r.row == 15 {
			probed++
		}
	}
	p.do(func() {
		if n := strings.Count(log.String(), "\n"); kept != 9 || n != 1 {
			t.Errorf("%d are kept, want 9; the log has %d lines:\n%s", kept, n, log.String())
		}
	})
}

// TestKeptAreNotProbes: what is kept takes none of the connections that probes have, and waits for none.
func TestKeptAreNotProbes(t *testing.T) {
	p := start(t, Options{Connections: 1})
	silent := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	p.do(func() {
		p.SetJob(fast("asks", plain(unanswered(t))))
		p.SetTargets("asks", targets("asks", silent, silent))
	})
	p.until("full", func() bool { return len(p.pending) == 1 && p.free() == 0 })
	keeps := fast("keeps", plain(tcp.Probe{}))
	keeps.Keep = true
	p.do(func() {
		p.SetJob(keeps)
		p.SetTargets("keeps", targets("keeps", silent, silent, silent))
	})
	for range 3 {
		if r := p.next(); r.row < 2 || r.res.Status != report.Success {
			t.Errorf("target %d: %v %s", r.row, r.res.Status, r.res.Error)
		}
	}
}

// TestWhoGoesAway has many ask for what hangs, in every stage, and go away: what they left ends by itself, or at the end.
func TestWhoGoesAway(t *testing.T) {
	allow := &target.Set{}
	if err := allow.Add("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	p := start(t, Options{Names: target.ResolverOptions{Lookup: hanging, Timeout: 100 * time.Millisecond}, Connections: 50})
	p.do(func() { p.SetLimits(Limits{Allow: allow}) })
	port := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr().Port()
	module := plain(unanswered(t))
	ctx, cancel := context.WithCancel(context.Background())
	const n = 300
	left := make(chan error, n)
	for i := range n {
		host := [...]string{"dead.test", "good.test", ""}[i%3]
		to := target.Target{Domain: host, Port: port}
		if host == "" {
			to.Addr = netip.MustParseAddr("127.0.0.1")
		}
		go func() {
			_, err := p.Ask(ctx, Question{Target: to, Module: module, Timeout: 200 * time.Millisecond})
			left <- err
		}()
	}
	p.until("asked", func() bool { return p.counts.Asked == n })
	cancel()
	for range n {
		if err := <-left; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	p.until("let go", func() bool { return p.flights.used == 0 && p.probing == 0 && len(p.pending) == 0 })
}

// TestWhoLeavesTheQueue: what waits for those who went away takes nobody's room, however long it might have taken.
func TestWhoLeavesTheQueue(t *testing.T) {
	allow := &target.Set{}
	if err := allow.Add("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	p := start(t, Options{Names: target.ResolverOptions{Lookup: hanging, Timeout: 50 * time.Millisecond}, Connections: 5})
	p.do(func() { p.SetLimits(Limits{Allow: allow}) })
	addr := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	module := plain(unanswered(t))
	module.Limits.Read, module.Timeout = time.Hour, time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	for i := range 200 {
		to := target.Target{Addr: addr.Addr(), Port: addr.Port()}
		if i%4 == 0 {
			to = target.Target{Domain: "dead.test", Port: 1}
		}
		asking.Go(func() { _, _ = p.Ask(ctx, Question{Target: to, Module: module, Timeout: time.Hour}) })
	}
	p.until("asked", func() bool { return p.counts.Asked == 200 && len(p.pending) == 145 })
	cancel()
	asking.Wait()
	p.until("let go", func() bool { return len(p.pending) == 0 && p.flights.used == 5 })
}

// TestPaced: dials of one host wait for a turn, each for its own, and no longer than the rate says. What waits is not late.
func TestPaced(t *testing.T) {
	p := start(t, Options{})
	addrs := make([]netip.AddrPort, 40)
	for i := range addrs {
		addrs[i] = sink(t)
	}
	const perSecond = 100
	var began int64
	p.do(func() {
		p.SetLimits(Limits{HostRate: pace.Settings{PerSecond: perSecond}, SubnetRate: pace.Settings{PerSecond: 10 * perSecond, Bits4: 24, Bits6: 64}})
		p.SetJob(fast("j", plain(tcp.Probe{})))
		p.SetTargets("j", targets("j", addrs...))
		began = p.clk.Now()
	})
	const dials = 80
	seen := make(map[uint32]int)
	for range dials {
		seen[p.next().row]++
	}
	p.do(func() {
		if took := p.clk.Now() - began; took < (dials-2)*int64(time.Second)/perSecond {
			t.Errorf("%d dials within %v", dials, time.Duration(took))
		}
		if turns := p.schedule.Stats().Turns; p.counts.Paced > turns || p.counts.Paced == 0 {
			t.Errorf("%d dials waited, of %d turns", p.counts.Paced, turns)
		}
	})
	if len(seen) != len(addrs) {
		t.Errorf("%d of %d targets had a turn", len(seen), len(addrs))
	}
}
