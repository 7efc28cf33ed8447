package runner

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sonde/engine"
	"sonde/internal/kernel/socket"
	"sonde/report"
	"sonde/target"
	"sonde/watch/schedule"
	"sonde/watch/track"
)

// turn begins what a turn of the schedule asks for, if the target's breaker lets it.
func (r *Runner) turn(now int64, t schedule.Turn) {
	w := r.watched.at(t.ID)
	pass, ok := r.options.Table.Allow(t.ID, now)
	if !ok {
		r.schedule.Hold(t.ID, r.options.Table.OpenUntil(t.ID))
		r.schedule.Done(t.ID)
		return
	}
	id, f := r.flights.take()
	f.use, f.row, f.due, f.pass = turned, t.ID, t.Due, pass
	f.start, f.module = w.target, w.job.Module
	r.asks(id, f)
	r.begin(now, id, f)
}

// skipped counts turns that the schedule did not hand out.
func (r *Runner) skipped(s schedule.Skip) {
	if s.Missed > 0 {
		r.options.Table.Skip(s.ID, track.SkipMissed, int(s.Missed))
	}
	if s.Overlap {
		r.options.Table.Skip(s.ID, track.SkipOverlap, 1)
	}
}

// begin asks a target from the start with the module that the flight has now.
func (r *Runner) begin(now int64, id uint32, f *flight) {
	f.target, f.probe, f.hops = f.start, f.module.Probe, nil
	if f.use == kept {
		f.probe, f.beat = f.module.Kept, f.module.Heartbeat
	}
	r.lead(now, id, f)
}

// lead finds the address of the flight's target, if it has none, and dials.
func (r *Runner) lead(now int64, id uint32, f *flight) {
	f.dns = report.Absent
	f.meet()
	if f.target.Addr.IsValid() {
		r.dial(now, id, f)
		return
	}
	f.stage = naming
	l := lookup{id, f.target.Domain, f.module.Family, f.use == request}
	if addrs, ok, err := r.names.cached(&l); ok {
		r.named(now, &answer{id, addrs, 0, err})
		return
	}
	r.names.ask(l)
}

// meet notes whom the first connection of an attempt is for.
func (f *flight) meet() {
	if len(f.hops) == 0 {
		f.peer = netip.AddrPortFrom(f.target.Addr, f.target.Port)
	}
}

// named goes on with the answer of a lookup.
func (r *Runner) named(now int64, a *answer) {
	f := r.flights.at(a.flight)
	if f.use != request {
		r.names.note(f.target.Domain, a.err)
	}
	f.stage = atRest
	switch {
	case r.stopped, f.isNobodys():
		r.abandon(now, a.flight)
		return
	case errors.Is(a.err, target.ErrNameNotFound) && f.module.AnyFamily && f.module.Family != target.AnyFamily && f.dns < 0:
		// None of the family that is preferred: one of the other will do.
		f.dns, f.stage = a.took, naming
		r.names.ask(lookup{a.flight, f.target.Domain, target.AnyFamily, f.use == request})
		return
	}
	f.dns = max(f.dns, 0) + a.took
	if f.first == 0 {
		f.named += a.took
	}
	if a.err != nil {
		side := report.SideLocal // our resolver, or our way to it
		if errors.Is(a.err, target.ErrNameNotFound) {
			side = report.SideRemote
		}
		r.fail(now, a.flight, f, report.DNSError, side, a.err.Error())
		return
	}
	f.target.Addr = a.addrs[0]
	f.meet()
	r.dial(now, a.flight, f)
}

// dial submits the flight's next connection, when its host may be dialled.
func (r *Runner) dial(now int64, id uint32, f *flight) {
	addr := f.target.Addr
	if f.use == request && !r.isAllowed(addr) {
		r.refuse(id, f)
		return
	}
	if !target.Routable(addr) {
		r.fail(now, id, f, report.InvalidInput, report.SideLocal, addr.String()+" is no address of a peer")
		return
	}
	if wait := r.pace(now, f); wait > 0 {
		f.due += int64(wait) // our own limit is nobody's lateness
		r.wait(id, f, now+int64(wait))
		return
	}
	f.paced = false // for the next one
	zone, err := target.Zone(addr)
	if err != nil {
		r.fail(now, id, f, report.InvalidInput, report.SideLocal, err.Error())
		return
	}
	if f.use == kept && r.keeping >= r.keepRoom() {
		r.tellFull()
		r.fail(now, id, f, report.LocalFDLimit, report.SideLocal, fmt.Sprintf("%d connections are kept, and no more can be", r.keeping))
		return
	}
	profile, err := r.profiles.take(r.mannerOf(f))
	if err != nil {
		r.fail(now, id, f, report.LocalError, report.SideLocal, err.Error())
		return
	}
	f.profile, f.stage = profile, inEngine
	j := engine.Job{
		ID: r.flights.job(id), Remote: socket.AddrFrom(netip.AddrPortFrom(addr, f.target.Port), zone), Profile: profile, Budget: f.left(now),
	}
	if f.use == kept {
		r.keeping++
		r.keeps = append(r.keeps, j)
		return
	}
	r.probing++
	r.pending = append(r.pending, j)
}

// pace takes the turn of the flight's host and of its subnet for a dial, and returns how long it is until then, when it is to be called
// again. Each has a turn of its own, in order: if all that wait looked whose it is, they would do little else.
func (r *Runner) pace(now int64, f *flight) (wait time.Duration) {
	if f.paced {
		return 0
	}
	for i, p := range r.paces {
		until, ok := p.Reserve(f.target.Addr, now)
		if !ok {
			for _, had := range r.paces[:i] {
				had.Give(f.target.Addr)
			}
			return until
		}
		wait = max(wait, until)
	}
	if f.paced = true; wait > 0 {
		r.counts.Paced++
	}
	return wait
}

// wait has the flight go on at a moment.
func (r *Runner) wait(id uint32, f *flight, at int64) {
	f.stage = waiting
	r.waits.Set(id, at)
}

// expire ends the wait of a flight.
func (r *Runner) expire(now int64, id uint32) {
	f := r.flights.at(id)
	if f.use == kept && r.giving {
		r.wait(id, f, now+int64(100*time.Millisecond))
		return
	}
	if f.again {
		f.again = false
		r.begin(now, id, f)
		return
	}
	r.dial(now, id, f)
}

// mannerOf is how the flight's next connection is treated.
func (r *Runner) mannerOf(f *flight) manner {
	m := manner{limits: f.module.Limits}
	if f.use == kept {
		m.kept = true
		if f.beat != nil {
			m.heartbeat = r.watched.at(f.row).job.Heartbeat
		}
	}
	return m
}

// budget is the whole time that the flight has from the first dial of its module; 0: no limit.
func (f *flight) budget() time.Duration {
	if f.asked != nil {
		return f.asked.timeout
	}
	return f.module.Timeout
}

// left is what remains of it for the next dial, as engine.Job has it: at least something.
func (f *flight) left(now int64) time.Duration {
	budget := f.budget()
	if budget <= 0 {
		return 0
	}
	if f.from != 0 {
		budget -= time.Duration(now - f.from)
	}
	return max(budget, tick)
}

// isAllowed reports whether somebody may ask for an address.
func (r *Runner) isAllowed(addr netip.Addr) bool {
	return r.limits.Allow != nil && r.limits.Allow.Contains(addr)
}
