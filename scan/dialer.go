package scan

import (
	"context"
	"iter"
	"net/netip"
	"sync/atomic"
	"time"

	"sonde/engine"
	"sonde/internal/rate"
	"sonde/policy/pace"
)

// dialer stands between the feeder and the engine where targets are asked again or paced by host and subnet: it hands each to the
// engine when its moment has come. It waits for nobody but the engine, which has room for what it hands over, and nobody waits for
// it but the feeder, so that targets which wait hold up no others as long as the in-flight table has room for more.
type dialer struct {
	scan  *Scan
	lobby *lobby
	room  int64         // how many may be with the engine
	gate  *rate.Limiter // of paced targets, which must not come together in the engine's own queue; nil without
	fresh chan uint32   // from the feeder and the callbacks of the resolver
	again chan uint32   // from the collector: to be dialled at course.until. It has room for every entry and so never waits
	back  chan struct{} // holds a token when something came back from the engine
	fed   chan struct{} // closed when no more comes from the feeder
	done  chan struct{} // closed when run has ended: what waits then is the collector's
	busy  atomic.Int64  // targets that are with the engine
	open  atomic.Int64  // those and all that are here
}

const (
	// waiters is how many entries the in-flight table has for targets that wait: those of a slow subnet, while others are dialled.
	waiters = 1 << 15
	// paceBuckets is how many hosts or subnets are told apart that were dialled of late: some 8 MiB each, by host and by subnet.
	paceBuckets = 1 << 17
	// engineQueue is how many unpaced targets are kept ready for the engine, so that it does not wait for us.
	engineQueue = 1024
	// dialsPerLook is how many are handed over before those that come back to be asked again are looked for.
	dialsPerLook = 64
)

// needsDialer reports whether targets wait for anything but the engine.
func (cfg *Config) needsDialer() bool { return cfg.Retries > 0 || cfg.isPaced() }

func (cfg *Config) isPaced() bool { return cfg.HostRate > 0 || cfg.SubnetRate.PerSecond > 0 }

func newDialer(s *Scan) *dialer {
	entries := s.flights.entries
	d := &dialer{
		scan: s, room: int64(s.cfg.Connections + engineQueue),
		fresh: make(chan uint32, dialsPerLook), again: make(chan uint32, len(entries)), back: make(chan struct{}, 1),
		fed: make(chan struct{}), done: make(chan struct{}),
	}
	var settings []pace.Settings
	for _, of := range []pace.Settings{{PerSecond: s.cfg.HostRate}, s.cfg.SubnetRate} {
		if of.PerSecond > 0 {
			of.Buckets = paceBuckets
			settings = append(settings, of)
		}
	}
	if s.cfg.isPaced() {
		d.room = int64(min(s.cfg.Connections, s.fdBudget))
		if s.cfg.Rate > 0 {
			d.gate = rate.New(s.cfg.Rate)
		}
	}
	d.lobby = newLobby(len(entries), s.clk.Now(), func(id uint32) netip.Addr { return entries[id].target.Addr }, settings...)
	return d
}

// feed takes the job of a target from the feeder, false if the run is over.
func (d *dialer) feed(ctx context.Context, job engine.Job) bool {
	id := uint32(job.ID)
	d.scan.flights.entries[id].course = &course{job: job}
	d.open.Add(1)
	select {
	case d.fresh <- id:
		return true
	case <-ctx.Done():
	case <-d.done:
	}
	d.open.Add(-1)
	d.scan.flights.release([]uint32{id})
	return false
}

// finish returns when all that was fed has come to its end, or the run is over.
func (d *dialer) finish() {
	close(d.fed)
	<-d.done
}

// cameBack is told how many jobs the engine gave back, and how many targets of those have come to their end.
func (d *dialer) cameBack(jobs, ended int) {
	d.busy.Add(int64(-jobs))
	d.open.Add(int64(-ended))
	select {
	case d.back <- struct{}{}:
	default:
	}
}

// run dials until all that was fed has come to its end, ctx is cancelled or the engine takes no more.
func (d *dialer) run(ctx context.Context) {
	defer close(d.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	fed := d.fed
	for ctx.Err() == nil {
		d.takeAgain()
		now := d.scan.clk.Now()
		more, ok := d.dial(ctx, now)
		switch {
		case !ok:
			return
		case more:
			continue
		case fed == nil && d.open.Load() == 0:
			return
		}
		fresh := d.fresh
		hasTurn, at := d.nextTurn(now)
		if !hasTurn {
			fresh = nil // it waits where it is
		}
		timer.Reset(time.Duration(at - now))
		select {
		case id := <-fresh:
			d.lobby.add(id)
		case id := <-d.again:
			d.hold(id)
		case <-d.back:
		case <-timer.C:
		case <-fed:
			fed = nil
		case <-ctx.Done():
		}
	}
}

// nextTurn reports whether a target that came now could be dialled as far as the engine and the rate go, and otherwise when to
// look again; if it could, that is when one of those that wait here can be.
func (d *dialer) nextTurn(now int64) (hasTurn bool, at int64) {
	const never = int64(time.Hour)
	if d.busy.Load() >= d.room {
		return false, now + never
	}
	if d.gate != nil {
		if at := d.gate.Next(now); at > now {
			return false, at
		}
	}
	if at, ok := d.lobby.wakeAt(); ok {
		return true, max(at, now)
	}
	return true, now + never
}

// takeAgain takes what is to be asked again.
func (d *dialer) takeAgain() {
	for {
		select {
		case id := <-d.again:
			d.hold(id)
		default:
			return
		}
	}
}

func (d *dialer) hold(id uint32) { d.lobby.hold(id, d.scan.flights.entries[id].course.until) }

// dial hands over the targets that may be dialled now, as many as there are between two looks at what else there is: then more is
// true. It reports false when the engine takes no more.
func (d *dialer) dial(ctx context.Context, now int64) (more, ok bool) {
	for range dialsPerLook {
		if hasTurn, _ := d.nextTurn(now); !hasTurn {
			return false, true
		}
		id, found := d.lobby.next(now)
		if !found {
			select {
			case id := <-d.fresh:
				d.lobby.add(id)
				continue
			default:
			}
			if d.gate != nil {
				d.gate.Idle(now)
			}
			return false, true
		}
		if d.gate != nil {
			var due [1]int64
			d.gate.Take(now, 1, due[:])
		}
		job := [1]engine.Job{d.scan.flights.entries[id].course.job}
		d.busy.Add(1)
		if n, _ := d.scan.engine.Submit(ctx, job[:]); n == 0 {
			d.busy.Add(-1)
			d.lobby.add(id) // it is still here
			return false, false
		}
	}
	return true, true
}

// waiting are the targets that were here when run had ended; those that the feeder had only just handed over, and that nobody ever
// dialled, are not among them. It is called by the collector.
func (d *dialer) waiting() iter.Seq[uint32] {
	d.takeAgain()
	return d.lobby.waiting()
}
