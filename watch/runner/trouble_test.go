package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/policy/breaker"
	"sonde/policy/pace"
	"sonde/policy/retry"
	"sonde/probes"
	"sonde/probes/banner"
	"sonde/probes/tcp"
	"sonde/report"
	"sonde/target"
	"sonde/watch/modules"
	"sonde/watch/track"
)

// until visits until ok holds.
func (p *play) until(what string, ok func() bool) {
	p.t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for limit := time.After(20 * time.Second); ; {
		held := false
		p.do(func() { held = ok() })
		if held {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			p.t.Fatalf("not %s within 20 s", what)
		}
	}
}

// unanswered is a probe that says a line and waits for what never comes.
func unanswered(t *testing.T) probes.Probe {
	t.Helper()
	asks, err := (banner.Probe{}).Configure(probes.Options{Send: []byte("x\n"), Expect: never})
	if err != nil {
		t.Fatal(err)
	}
	return asks
}

// hanging looks names up that begin with "dead" for as long as it may, and finds all others at 127.0.0.1.
func hanging(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if strings.HasPrefix(host, "dead") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// TestGoneWhileNamed takes targets away whose names are being looked up: nobody dials them any more.
func TestGoneWhileNamed(t *testing.T) {
	looking, answer := make(chan string, 2), make(chan struct{})
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		looking <- host
		<-answer
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	p := start(t, Options{Names: target.ResolverOptions{Lookup: lookup}})
	m := plain(tcp.Probe{})
	m.Heartbeat = m.Kept
	keeps := fast("keeps", m)
	keeps.Keep, keeps.Heartbeat = true, time.Second
	named := func(job, host string) []Target {
		return []Target{{Key: 1, Entry: target.Target{Domain: host, Port: sink(t).Port()}, About: &track.Target{Job: job, Module: "m", Keep: job == "keeps"}}}
	}
	p.do(func() {
		p.SetJob(keeps)
		p.SetTargets("keeps", named("keeps", "a.test"))
		p.SetJob(fast("asks", m))
		p.SetTargets("asks", named("asks", "b.test"))
	})
	for range 2 {
		<-looking
	}
	p.do(func() {
		p.RemoveJob("keeps")
		p.RemoveJob("asks")
	})
	close(answer)
	p.until("let go", func() bool { return p.flights.used == 0 })
	p.do(func() {
		if n := p.engine.Stats().Opened; n != 0 {
			t.Errorf("%d connections to targets that are gone", n)
		}
	})
}

// TestGoneWhilePending takes targets away whose dials the engine has not been given yet.
func TestGoneWhilePending(t *testing.T) {
	p := start(t, Options{Connections: 1})
	silent := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	keeps := fast("keeps", plain(tcp.Probe{}))
	keeps.Keep = true
	p.do(func() {
		p.SetJob(fast("asks", plain(unanswered(t))))
		p.SetTargets("asks", targets("asks", silent, silent, silent))
	})
	p.until("waiting for room", func() bool { return len(p.pending) == 2 })
	p.do(func() {
		p.SetJob(keeps)
		p.SetTargets("keeps", targets("keeps", silent))
		id := p.watched[3].kept
		p.waits.Cancel(id)
		p.expire(p.clk.Now(), id)
		if len(p.keeps) != 1 {
			t.Error("no connection is about to be kept")
		}
		p.RemoveJob("keeps")
		p.RemoveJob("asks")
		if p.flights.used != 1 || p.probing != 1 || p.keeping != 0 {
			t.Errorf("%d flights, %d probes and %d connections are left, want the probe that is under way", p.flights.used, p.probing, p.keeping)
		}
	})
	p.until("let go", func() bool { return p.flights.used == 0 })
}

// TestEndOfAnother: the order to end a job that is over does not end that of the next flight of its number.
func TestEndOfAnother(t *testing.T) {
	f := newFlights()
	id, _ := f.take()
	old := f.job(id)
	f.release(id)
	again, _ := f.take()
	if again != id || f.job(again) == old || uint32(f.job(again)) != id {
		t.Errorf("flight %d had the job %#x, and has %#x as flight %d", id, old, f.job(again), again)
	}
}

// TestPlanChanges gives a job another interval in the middle of a probe: it stays the only one.
func TestPlanChanges(t *testing.T) {
	p := start(t, Options{})
	j := fast("j", plain(unanswered(t)))
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()))
	})
	p.until("asked", func() bool { return p.probing == 1 })
	j.Interval = 110 * time.Millisecond
	p.do(func() { p.SetJob(j) })
	p.until("three turns later", func() bool {
		if p.probing > 1 {
			t.Fatal("asked twice at once")
		}
		return p.schedule.Stats().Overlap >= 3
	})
}

// TestBreakerTakenAway: targets that an open breaker holds are asked again when the job has none any more.
func TestBreakerTakenAway(t *testing.T) {
	p := start(t, Options{})
	j := fast("j", plain(tcp.Probe{}))
	j.Settings.Breaker = breaker.Settings{Window: 1, Failures: 1, OpenFor: time.Hour, MaxOpenFor: time.Hour}
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", closed(t)))
	})
	p.next()
	p.until("held", func() bool { return p.options.Table.OpenUntil(0) != 0 })
	p.until("left out", func() bool { at, ok := p.schedule.Next(); return !ok || at > p.clk.Now()+int64(time.Minute) })
	j.Settings.Breaker = breaker.Settings{}
	p.do(func() { p.SetJob(j) })
	p.next()
}

// TestFallbackHasItsTime: the fallback of a module whose whole time has passed has a time of its own.
func TestFallbackHasItsTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				if n, _ := c.Read(make([]byte, 2)); n == 0 { // who says something hears nothing
					_, _ = c.Write([]byte("here\n"))
				}
				_ = c.SetReadDeadline(time.Time{})
				_, _ = io.Copy(io.Discard, c) // until we close
				c.Close()
			}()
		}
	}()
	says, err := (banner.Probe{}).Configure(probes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, Options{})
	j := fast("j", plain(unanswered(t)))
	j.Fallback = plain(says)
	j.Fallback.Name = "slow"
	j.Module.Timeout, j.Fallback.Timeout = time.Second, time.Second
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", netip.MustParseAddrPort(l.Addr().String())))
	})
	if r := p.next(); r.res.Status != report.IOTimeout || r.res.Fallback != "slow" {
		t.Errorf("%v, and the fallback %q answered: %s", r.res.Status, r.res.Fallback, r.res.Error)
	}
}

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

// TestAskBesideDeadNames: what somebody asks for does not wait for names whose server is dead.
func TestAskBesideDeadNames(t *testing.T) {
	allow := &target.Set{}
	if err := allow.Add("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	p := start(t, Options{Names: target.ResolverOptions{Lookup: hanging, Timeout: time.Hour}})
	port := sink(t).Port()
	var dead []Target
	for i := range 200 {
		dead = append(dead, Target{Key: uint64(i), Entry: target.Target{Domain: fmt.Sprintf("dead%d.test", i), Port: port}, About: &track.Target{Job: "j"}})
	}
	p.do(func() {
		p.SetLimits(Limits{Allow: allow})
		p.SetJob(fast("j", plain(tcp.Probe{})))
		p.SetTargets("j", dead)
	})
	p.until("looked up", func() bool { return p.flights.used == len(dead) })
	res, err := p.Ask(t.Context(), Question{Target: target.Target{Domain: "good.test", Port: port}, Module: plain(tcp.Probe{}), Timeout: time.Second})
	if err != nil || res.Status != report.Success {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestNamesBesideDeadNames: names that are found go on to be, however many there are whose server is dead.
func TestNamesBesideDeadNames(t *testing.T) {
	var again sync.Map
	forever := make(chan struct{})
	defer close(forever)
	lookup := func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		if _, was := again.LoadOrStore(host, true); was && strings.HasPrefix(host, "dead") {
			<-forever
		}
		return hanging(ctx, network, host)
	}
	names := target.ResolverOptions{Lookup: lookup, Timeout: 20 * time.Millisecond, TTL: time.Millisecond, NegativeTTL: time.Millisecond}
	p := start(t, Options{Names: names})
	port := sink(t).Port()
	var of []Target
	for i := range 200 {
		of = append(of, Target{Key: uint64(i), Entry: target.Target{Domain: fmt.Sprintf("dead%d.test", i), Port: port}, About: &track.Target{Job: "j"}})
	}
	of = append(of, Target{Key: 200, Entry: target.Target{Domain: "good.test", Port: port}, About: &track.Target{Job: "j"}})
	p.do(func() {
		p.SetJob(fast("j", plain(tcp.Probe{})))
		p.SetTargets("j", of)
	})
	p.until("all known", func() bool { return len(p.names.dead) == 200 })
	p.until("all looked up again", func() bool { return p.flights.used >= 200 })
	for found := 0; found < 10; {
		if r := p.next(); r.row == 200 && r.res.Status == report.Success {
			found++
		}
	}
}

// TestTagsAreNotTheirs: another tag is no reason to end a connection that is kept.
func TestTagsAreNotTheirs(t *testing.T) {
	p := start(t, Options{})
	j := fast("j", plain(tcp.Probe{}))
	j.Keep = true
	of := targets("j", sink(t))
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", of)
	})
	p.next()
	p.do(func() {
		of[0].Entry.Tag = "another"
		p.SetTargets("j", of)
		if f := p.flights.at(p.watched[0].kept); !f.stood || f.stage != inEngine {
			t.Error("the connection ends for a tag")
		}
		if entry, _ := p.Entry(0); entry.Tag != "another" {
			t.Errorf("the tag is %q", entry.Tag)
		}
		of[0].Entry.Port++
		p.SetTargets("j", of)
		if f := p.flights.at(p.watched[0].kept); f.stood {
			t.Error("the connection lives on for another port")
		}
	})
}

// TestBlackHoles has two of twenty targets answer nothing, for far longer than the interval: the others have all of their turns, as
// they would without.
func TestBlackHoles(t *testing.T) {
	p := start(t, Options{Loops: 2})
	open, hole := sink(t), testpeer.New(t, testpeer.DropSYN, testpeer.Options{}).Addr()
	addrs := make([]netip.AddrPort, 20)
	for i := range addrs {
		if addrs[i] = open; i%10 == 0 {
			addrs[i] = hole
		}
	}
	j := fast("j", plain(tcp.Probe{}))
	j.Module.Limits.Connect = time.Hour
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", addrs...))
	})
	asked := make([]int, len(addrs))
	for n := 0; n < 18*10; {
		r := p.next()
		if asked[r.row]++; r.row%10 == 0 {
			t.Fatalf("the black hole says %v %s", r.res.Status, r.res.Error)
		}
		n++
	}
	var c track.Copy
	p.do(func() {
		for from, done := uint32(0), false; !done; {
			from, done = p.options.Table.Copy(&c, from, 1024, p.clk.Now())
		}
	})
	for i := range c.Views {
		v := &c.Views[i]
		skipped := v.Counts().Skipped
		switch black := v.ID()%10 == 0; {
		case black && (v.Counts().Probes != 0 || skipped[track.SkipOverlap] == 0):
			t.Errorf("the black hole %d had %+v", i, v.Counts())
		case !black && skipped[track.SkipOverlap] > 0:
			t.Errorf("target %d had to wait: %+v", i, v.Counts())
		}
	}
	// A turn of the others is missed where this machine stood still, and then for all: no one stands behind a black hole.
	low, high := asked[1], asked[1]
	for i, n := range asked {
		if i%10 != 0 {
			low, high = min(low, n), max(high, n)
		}
	}
	if missed := p.missed(&c); high-low > 2+missed {
		t.Errorf("some were asked %d times and others %d, and %d turns were missed", low, high, missed)
	}
}

// missed is how many turns came too late, of all targets.
func (p *play) missed(c *track.Copy) (n int) {
	for i := range c.Views {
		n += int(c.Views[i].Counts().Skipped[track.SkipMissed])
	}
	return n
}

// TestTrial: a half-open breaker's trial that comes to nothing of the target's is not the last one.
func TestTrial(t *testing.T) {
	p := start(t, Options{})
	j := fast("j", plain(tcp.Probe{}))
	j.Settings.Breaker = breaker.Settings{Window: 1, Failures: 1, OpenFor: time.Millisecond, MaxOpenFor: time.Millisecond}
	of := targets("j", closed(t))
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", of)
	})
	p.next()
	p.do(func() {
		of[0].Entry.Addr = netip.MustParseAddr("0.0.0.0") // which is refused here, and says nothing of the target
		p.SetTargets("j", of)
	})
	for refused := 0; refused < 3; {
		if r := p.next(); r.res.Side == report.SideLocal {
			refused++
		}
	}
	p.do(func() {
		of[0].Entry.Addr = netip.MustParseAddr("127.0.0.1")
		p.SetTargets("j", of)
		j.Retries = retry.Settings{Retries: 1, Delay: time.Millisecond}
		j.Fallback = plain(tcp.Probe{})
		p.SetJob(j)
	})
	for failed := 0; failed < 3; {
		if r := p.next(); r.res.Side == report.SideRemote && r.res.Attempts == 2 {
			failed++
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

// TestStopInTheMiddle ends a Runner that is at everything at once: names, dials that hang, answers that hang, repetitions, waits for
// the host's turn, kept connections, and targets that change. Run returns, and all is given back (which start's end looks at).
func TestStopInTheMiddle(t *testing.T) {
	p := start(t, Options{Names: target.ResolverOptions{Lookup: hanging}, Connections: 30, Loops: 2})
	silent := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	hole := testpeer.New(t, testpeer.DropSYN, testpeer.Options{}).Addr()
	retries := fast("retries", plain(tcp.Probe{}))
	retries.Module.Limits = engine.Limits{Connect: 10 * time.Millisecond}
	retries.Retries = retry.Settings{Retries: 5, Delay: time.Minute}
	keeps := fast("keeps", plain(tcp.Probe{}))
	keeps.Keep = true
	many := func(job string, addr netip.AddrPort, n int) []Target {
		addrs := make([]netip.AddrPort, n)
		for i := range addrs {
			addrs[i] = addr
		}
		return targets(job, addrs...)
	}
	p.do(func() {
		p.SetJob(retries)
		p.SetTargets("retries", many("retries", hole, 5))
		p.SetJob(keeps)
		p.SetTargets("keeps", many("keeps", silent, 20))
		p.SetJob(fast("asks", plain(unanswered(t))))
		p.SetTargets("asks", many("asks", silent, 50))
		p.SetJob(fast("holes", plain(tcp.Probe{})))
		p.SetTargets("holes", many("holes", hole, 5))
		p.SetJob(fast("names", plain(tcp.Probe{})))
		p.SetTargets("names", []Target{{Key: 1, Entry: target.Target{Domain: "dead.test", Port: 1}, About: &track.Target{Job: "names"}}})
	})
	p.until("at everything", func() bool {
		stages := make(map[stage]int)
		p.flights.each(func(_ uint32, f *flight) { stages[f.stage]++ })
		return stages[naming] == 1 && stages[waiting] >= 1 && stages[inEngine] > 40 && len(p.pending) > 0
	})
	changing, changed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(changed)
		close(changing)
		for n := 0; ; n++ {
			err := p.Visit(context.Background(), func() {
				p.SetTargets("asks", many("asks", silent, n%60))
				p.SetTargets("keeps", many("keeps", silent, n%30))
			})
			if err != nil {
				return
			}
		}
	}()
	<-changing
	p.end()
	<-changed
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

// TestChurn changes jobs, their plans and modes, and their targets, in the middle of everything and by chance: when all is taken away,
// nothing is left (and start's end finds all given back).
func TestChurn(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	p := start(t, Options{Loops: 2, Connections: 20, Names: target.ResolverOptions{Lookup: hanging, Timeout: 20 * time.Millisecond}})
	open, silent := sink(t), testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	addrs := []netip.AddrPort{open, silent, closed(t), testpeer.New(t, testpeer.Reset, testpeer.Options{}).Addr()}
	modules := make([]*modules.Module, 6)
	for i := range modules {
		m := plain([]probes.Probe{tcp.Probe{}, unanswered(t)}[i%2])
		m.Limits.Read, m.Timeout = time.Duration(1+i)*20*time.Millisecond, time.Duration(1+i)*100*time.Millisecond
		m.Heartbeat, m.Fingerprint = m.Kept, uint64(i)
		modules[i] = m
	}
	change := func() {
		j := fast(fmt.Sprintf("j%d", rng.IntN(4)), modules[rng.IntN(len(modules))])
		if rng.IntN(5) == 0 {
			p.RemoveJob(j.Name)
			return
		}
		j.Keep, j.Overlap, j.Heartbeat = rng.IntN(2) == 0, rng.IntN(2) == 0, time.Duration(1+rng.IntN(3))*100*time.Millisecond
		j.Interval += time.Duration(rng.IntN(3)) * 10 * time.Millisecond
		j.Retries = retry.Settings{Retries: rng.IntN(2), Delay: time.Millisecond}
		if rng.IntN(2) == 0 {
			j.Fallback = modules[0]
			j.Settings.Breaker = breaker.Settings{Window: 2, Failures: 2, OpenFor: time.Millisecond, MaxOpenFor: time.Second}
		}
		p.SetJob(j)
		var of []Target
		for i := range rng.IntN(30) {
			one := targets(j.Name, addrs[rng.IntN(len(addrs))])[0]
			one.Key, one.About.Keep = uint64(i), j.Keep
			if i%5 == 0 {
				one.Entry.Addr, one.Entry.Domain = netip.Addr{}, [...]string{"dead.test", "good.test"}[rng.IntN(2)]
			}
			of = append(of, one)
		}
		p.SetTargets(j.Name, of)
	}
	for range 300 {
		p.do(change)
		if rng.IntN(3) > 0 {
			continue
		}
		came := func() uint64 { s := p.schedule.Stats(); return s.Turns + s.Overlap + s.Missed }
		var was uint64
		p.do(func() { was = came() })
		p.until("a turn further", func() bool { return p.schedule.Len() == 0 || came() > was })
	}
	p.do(func() { p.KeepJobs(func(string) bool { return false }) })
	p.until("all let go", func() bool {
		return p.flights.used == 0 && p.probing == 0 && p.keeping == 0 && p.options.Table.Len() == 0 && p.waits.Len() == 0 && p.schedule.Len() == 0
	})
}
