package runner

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/policy/breaker"
	"sonde/policy/retry"
	"sonde/probes"
	"sonde/probes/tcp"
	"sonde/target"
	"sonde/watch/modules"
)

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
		id := p.watched.at(3).kept
		p.waits.Cancel(id)
		p.expire(p.clk.Now(), id)
		if len(p.keeps) != 1 {
			t.Error("no connection is about to be kept")
		}
		p.RemoveJob("keeps")
		p.RemoveJob("asks")
	})
	p.until("let go", func() bool { return p.flights.used == 0 && p.probing == 0 && p.keeping == 0 })
	if n := p.engine.Stats().Opened; n != 1 {
		t.Errorf("%d sockets were opened, want that of the probe that was under way", n)
	}
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
		if f := p.flights.at(p.watched.at(0).kept); !f.stood || f.stage != inEngine {
			t.Error("the connection ends for a tag")
		}
		if entry, _ := p.Entry(0); entry.Tag != "another" {
			t.Errorf("the tag is %q", entry.Tag)
		}
		of[0].Entry.Port++
		p.SetTargets("j", of)
		if f := p.flights.at(p.watched.at(0).kept); f.stood {
			t.Error("the connection lives on for another port")
		}
	})
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
		if rng.IntN(4) == 0 {
			p.listing(j.Name, of)() // and no further step
			return
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
