package runner

import (
	"time"

	"sonde/engine"
	"sonde/probes"
	"sonde/protocol"
	"sonde/report"
	"sonde/scan"
	"sonde/watch/track"
)

// land takes what the engine says of a flight.
func (r *Runner) land(now int64, o *engine.Outcome) {
	id := uint32(o.ID)
	f := r.flights.at(id)
	if f.use == kept && (o.Kept || o.Cause == engine.Parked) {
		if r.landKept(now, id, f, o) {
			return
		}
	}
	r.profiles.release(f.profile)
	if f.use == kept {
		if r.keeping--; r.keeping <= r.keepRoom()/2 {
			r.toldFull = false
		}
	} else {
		r.probing--
	}
	f.stage = atRest
	if o.DialedAt != 0 && f.from == 0 {
		f.from = o.DialedAt
	}
	if o.DialedAt != 0 && f.first == 0 {
		f.first = o.DialedAt
	}
	if o.DialedAt != 0 && len(f.hops) == 0 {
		f.asks++
	}
	if o.Cause == engine.NotDialed || o.Cause == engine.Cancelled || f.isNobodys() {
		r.abandon(now, id)
		return
	}
	if follower, ok := o.Conclusion.Finding.(probes.Follower); ok && !r.stopped {
		if next, probe, ok := follower.Follow(); ok {
			f.hops = append(f.hops, r.hopOf(f, o))
			f.target, f.probe = next, probe
			r.lead(now, id, f)
			return
		}
	}
	r.judge(now, id, f, r.resultOf(f, o))
}

// resultOf is what an outcome says of the target that the flight began with.
func (r *Runner) resultOf(f *flight, o *engine.Outcome) *track.Result {
	res := &r.result
	*res = track.Result{Attempts: f.asks, Addr: f.peer, Late: r.lateness(f)}
	limits := f.module.Limits.WithDefaults()
	limits.Target = f.budget()
	res.Status, res.Side, res.Error = scan.Judge(o, &limits)
	if c := &o.Conclusion; res.Status == report.IOTimeout && c.Verdict == protocol.Unfinished && c.Reason != "" {
		res.Error += ": " + c.Reason // such as the step of a conversation
	}
	if f.first != 0 {
		res.At = r.clk.Wall(f.first)
	} else {
		res.At = r.clk.Wall(o.EndedAt)
	}
	hop := r.hopOf(f, o)
	res.Dialed = hop.At
	res.Timing = report.Timing{
		SchedDelay: o.SchedDelay, DNS: hop.DNS, Connect: hop.Connect, KernelRTT: o.KernelRTT, TLS: hop.TLS,
		TLSCPU: report.Absent, TLSWait: o.TLSWait, FirstByte: hop.FirstByte, Total: hop.Total,
	}
	led(res, f.hops, hop)
	if m, ok := o.Conclusion.Finding.(probes.Measured); ok {
		res.Figures = new(probes.Figures)
		m.Figures(res.Figures)
	}
	res.Secure = f.target.TLS
	followed(res, len(f.hops))
	res.Finding = o.Conclusion.Finding
	return res
}

// led adds the hops that led to the last one, if there are any.
func led(res *track.Result, before []track.Hop, last track.Hop) {
	if len(before) == 0 {
		return
	}
	for _, h := range before {
		res.Timing.DNS = add(res.Timing.DNS, h.DNS)
		res.Timing.Connect = add(res.Timing.Connect, h.Connect)
		res.Timing.TLS = add(res.Timing.TLS, h.TLS)
		res.Timing.FirstByte = add(res.Timing.FirstByte, h.FirstByte)
		res.Timing.Total = add(res.Timing.Total, h.Total)
	}
	res.Hops = append(before, last)
}

// followed says of a result that was led elsewhere, and heard nothing there, that it was.
func followed(res *track.Result, hops int) {
	if hops == 0 || res.Figures != nil && res.Figures.HTTP != nil {
		return
	}
	if res.Figures == nil {
		res.Figures = new(probes.Figures)
	}
	res.Figures.HTTP = &probes.HTTPFigures{Redirects: hops}
}

func (r *Runner) hopOf(f *flight, o *engine.Outcome) track.Hop {
	at := o.DialedAt
	if at == 0 { // a kept connection, or a heartbeat of one
		at = o.EndedAt - int64(max(o.Total, 0))
	}
	return track.Hop{At: r.clk.Wall(at), DNS: f.dns, Connect: o.Connect, TLS: o.TLS, FirstByte: o.FirstByte, Total: o.Total, Secure: f.target.TLS}
}

// add is the sum of two phases, either of which may not have happened.
func add(a, b time.Duration) time.Duration {
	if a < 0 || b < 0 {
		return max(a, b)
	}
	return a + b
}

// lateness is by how much the first dial came after the turn: what is ours, without the lookup of its name.
func (r *Runner) lateness(f *flight) time.Duration {
	if f.first == 0 || f.use != turned {
		return 0
	}
	return max(time.Duration(f.first-f.due)-f.named, 0)
}

// fail judges an attempt that came to nothing before it was dialled.
func (r *Runner) fail(now int64, id uint32, f *flight, status report.Status, side report.Side, text string) {
	f.stage = atRest
	res := &r.result
	*res = track.Result{
		At: r.clk.Wall(now), Addr: f.peer, Status: status, Side: side, Error: text,
		Attempts: f.asks, Timing: report.NoTiming, Late: r.lateness(f), Dialed: r.clk.Wall(now), Secure: f.target.TLS,
	}
	if f.first != 0 {
		res.At = r.clk.Wall(f.first)
	}
	res.Timing.DNS = f.dns
	led(res, f.hops, track.Hop{
		At: res.Dialed, DNS: f.dns, Connect: report.Absent, TLS: report.Absent, FirstByte: report.Absent, Total: report.Absent, Secure: f.target.TLS,
	})
	followed(res, len(f.hops))
	r.judge(now, id, f, res)
}

// judge decides whether a result stands, or whether the target is asked once more: the same way, or by its module's fallback.
func (r *Runner) judge(now int64, id uint32, f *flight, res *track.Result) {
	if f.use == kept {
		r.unconnected(now, id, f, res)
		return
	}
	if res.Status == report.Success || r.stopped {
		r.conclude(now, id, f, res)
		return
	}
	if f.use == turned {
		if wait, again := r.again(now, f, res); again {
			f.again = true
			r.wait(id, f, now+int64(wait))
			return
		}
		if fallback := r.watched.at(f.row).job.Fallback; fallback != nil && f.failed == nil {
			kept := *res
			f.failed, f.module, f.from = &kept, fallback, 0 // it has its own time
			r.begin(now, id, f)
			return
		}
	}
	r.conclude(now, id, f, res)
}

// again says whether an attempt is repeated, and when.
func (r *Runner) again(now int64, f *flight, res *track.Result) (time.Duration, bool) {
	settings := r.watched.at(f.row).job.Retries
	if limit := f.budget(); settings.Budget == 0 || limit > 0 && limit < settings.Budget {
		settings.Budget = limit
	}
	since := time.Duration(0)
	if f.first != 0 {
		since = time.Duration(now - f.first)
	}
	if f.failed != nil {
		return 0, false // the fallback has one try
	}
	return settings.Next(r.rng, res.Status, max(f.asks, 1), since)
}

// conclude hands a result to who wants it, and ends the flight.
func (r *Runner) conclude(now int64, id uint32, f *flight, res *track.Result) {
	if f.failed != nil {
		res = ofFallback(f.failed, res, f.module.Name)
	}
	if f.asked != nil {
		f.asked.answer(res, nil)
		r.flights.release(id)
		return
	}
	row := f.row
	res.Pass = f.pass
	r.answered(id, f)
	r.flights.release(id)
	r.schedule.Done(row)
	if !r.isLate(row, res) {
		r.record(now, row, res)
	}
}

// ofFallback joins why the module failed with what its fallback learned, if it did.
func ofFallback(failed, res *track.Result, fallback string) *track.Result {
	if res.Status == report.Success {
		failed.Fallback = fallback
	}
	failed.Attempts = res.Attempts // of both
	return failed
}

func (r *Runner) record(now int64, row uint32, res *track.Result) {
	change := r.options.Table.Record(row, res, now)
	if r.options.Told != nil {
		r.options.Told(row, res)
	}
	if r.options.Changed != nil && (change.From != change.To || change.BreakerFrom != change.BreakerTo) {
		r.options.Changed(row, change, res)
	}
}

// abandon ends a flight of which there is nothing to tell: we stop, or its target is gone.
func (r *Runner) abandon(now int64, id uint32) {
	f := r.flights.at(id)
	if f.asked != nil {
		f.asked.answer(nil, ErrEnded)
	}
	if f.row != noRow {
		switch f.use {
		case turned:
			r.answered(id, f)
			r.options.Table.Forget(f.row, f.pass)
			r.schedule.Done(f.row)
		case kept:
			r.watched.at(f.row).kept = noFlight
		}
	}
	r.flights.release(id)
}
