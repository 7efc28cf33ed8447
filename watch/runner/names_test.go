package runner

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/probes/tcp"
	"sonde/report"
	"sonde/target"
	"sonde/watch/track"
)

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
	res, err := p.Ask(t.Context(), Question{Target: target.Target{Domain: "good.test", Port: port}, Module: plain(tcp.Probe{}), Timeout: time.Minute})
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
	// On a busy machine a lookup that comes back at once may take longer than a few milliseconds; then it is one of the dead.
	names := target.ResolverOptions{Lookup: lookup, Timeout: 300 * time.Millisecond, TTL: time.Millisecond, NegativeTTL: time.Millisecond}
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
