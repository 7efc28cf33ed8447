package runner

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/policy/breaker"
	"sonde/policy/retry"
	"sonde/probes"
	"sonde/probes/banner"
	"sonde/probes/tcp"
	"sonde/report"
	"sonde/target"
	"sonde/watch/track"
)

// until visits until ok holds.
func (p *play) until(what string, ok func() bool) {
	p.t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for limit := time.After(time.Minute); ; {
		held := false
		p.do(func() { held = ok() })
		if held {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			p.t.Fatalf("not %s within a minute", what)
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
	j.Module.Timeout = time.Second
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", netip.MustParseAddrPort(l.Addr().String())))
	})
	if r := p.next(); r.res.Status != report.IOTimeout || r.res.Fallback != "slow" {
		t.Errorf("%v, and the fallback %q answered: %s", r.res.Status, r.res.Fallback, r.res.Error)
	}
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
	j.Interval, j.Module.Limits.Connect = time.Second, time.Hour // a busy machine connects within a second
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", addrs...))
	})
	asked := make([]int, len(addrs))
	for n := 0; n < 18*4; {
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

// TestTrialWhileHandingOver: a trial whose outcome was to be another process' to record is over when that process does not go on.
func TestTrialWhileHandingOver(t *testing.T) {
	p := start(t, Options{})
	m := plain(unanswered(t))
	m.Timeout = 100 * time.Millisecond
	j := fast("j", m)
	j.Settings.Breaker = breaker.Settings{Window: 1, Failures: 1, OpenFor: time.Millisecond, MaxOpenFor: time.Millisecond}
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", sink(t)))
	})
	p.until("a trial that the rows do not tell of", func() bool {
		id := p.watched.at(0).asking
		if id == noFlight || p.flights.at(id).pass == 0 {
			return false
		}
		p.Freeze()
		p.AppendRows(nil, 0, pageSize)
		return true
	})
	p.until("its outcome", func() bool { return len(p.handing.late) == 1 })
	p.do(func() {
		for len(p.told) > 0 {
			<-p.told
		}
		p.Thaw(nil)
	})
	p.next()
	p.next() // the next trial's
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
