package track

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/probes"
	"sonde/report"
	"sonde/watch/history"
)

// Table has the rows of all targets. It belongs to one goroutine. Make one with [New].
type Table struct {
	pages   []*[pageRows]row
	targets []*Target // by id; nil where there is none
	free    []uint32
	jobs    []*Job // nil where there is none
	jobIDs  map[string]uint32
	texts   store[string]
	tls     store[probes.TLSFigures]
	history *history.History
	late    Histogram // see Late: of jobs that are gone
	edition uint64    // how often the set of targets or of jobs was changed
}

// pageRows is how many rows share a page: a table grows without being moved.
const pageRows = 256

// row is that of an id that was given.
func (t *Table) row(id uint32) *row { return &t.pages[id/pageRows][id%pageRows] }

// New returns a Table without targets, which keeps so many points of each target's history, from start on.
func New(start time.Time, points int) *Table {
	return &Table{
		jobIDs: make(map[string]uint32), texts: newStore[string](), tls: newStore[probes.TLSFigures](),
		history: history.New(start, points),
	}
}

// SetJob sets what the targets of a job share. A job that is never set has the zero settings.
func (t *Table) SetJob(name string, s JobSettings) { t.jobs[t.job(name)].Settings = s }

// RemoveJob forgets a job that has no targets, and its counts: one of the same name begins anew.
func (t *Table) RemoveJob(name string) {
	id, known := t.jobIDs[name]
	if !known {
		return
	}
	if n := t.jobs[id].Targets; n != 0 {
		panic(fmt.Sprintf("track: the job %q has %d targets", name, n))
	}
	t.late.Merge(&t.jobs[id].Phases[PhaseLate])
	delete(t.jobIDs, name)
	t.jobs[id] = nil
	t.edition++
}

// Late are by how much probes began after their turns, those of all jobs that there were.
func (t *Table) Late() Histogram {
	h := t.late
	for _, j := range t.jobs {
		if j != nil {
			h.Merge(&j.Phases[PhaseLate])
		}
	}
	return h
}

// job is the number of a job, which may be new.
func (t *Table) job(name string) uint32 {
	if id, known := t.jobIDs[name]; known {
		return id
	}
	at := slices.Index(t.jobs, nil)
	if at < 0 {
		at = len(t.jobs)
		t.jobs = append(t.jobs, nil)
	}
	t.jobs[at], t.jobIDs[name] = &Job{Name: name}, uint32(at)
	t.edition++
	return uint32(at)
}

// Add takes a target and returns its id: the smallest numbers, used again behind Remove. The target must not be changed any more.
func (t *Table) Add(target *Target) (id uint32) {
	if n := len(t.free); n > 0 {
		id, t.free = t.free[n-1], t.free[:n-1]
	} else {
		id = uint32(len(t.targets))
		t.targets = append(t.targets, nil)
		if id%pageRows == 0 {
			t.pages = append(t.pages, new([pageRows]row))
		}
	}
	job := t.job(target.Job)
	*t.row(id), t.targets[id] = row{facts: facts{job: job}}, target
	t.jobs[job].Targets++
	t.edition++
	return id
}

// Set changes what is said of a target; what is known of it stays.
func (t *Table) Set(id uint32, target *Target) {
	r := t.row(id)
	t.jobs[r.job].Targets--
	r.job = t.job(target.Job)
	t.jobs[r.job].Targets++
	if !target.Keep {
		r.kept = kept{}
	} else {
		r.breaker.Reset()
	}
	t.targets[id] = target
	t.edition++
}

// Remove forgets a target.
func (t *Table) Remove(id uint32) {
	r := t.row(id)
	t.texts.release(r.last.fallback)
	t.texts.release(r.failure.text)
	t.forget(&r.own)
	t.forget(&r.good)
	t.jobs[r.job].Targets--
	*r, t.targets[id] = row{}, nil
	t.history.Clear(id)
	t.free = append(t.free, id)
	t.edition++
}

// Target is what was said of a target; nil if there is none of that id.
func (t *Table) Target(id uint32) *Target {
	if int(id) >= len(t.targets) {
		return nil
	}
	return t.targets[id]
}

// Len is how many targets there are.
func (t *Table) Len() int { return len(t.targets) - len(t.free) }

// History has the points of the targets, by id.
func (t *Table) History() *history.History { return t.history }

// Allow reports whether the breaker of a target lets a probe through at the moment now, by the monotonic clock; if not, the turn is
// counted as skipped. Who is allowed reports the outcome by Record, or takes it back by Forget, with the pass that he got.
func (t *Table) Allow(id uint32, now int64) (p breaker.Pass, ok bool) {
	r := t.row(id)
	if t.jobs[r.job].Settings.Breaker.Window == 0 {
		r.breaker.Reset() // it may have been open when the breaker was taken out of the configuration
		return 0, true
	}
	if p, ok = r.breaker.Allow(now); !ok {
		t.Skip(id, SkipBreaker, 1)
	}
	return p, ok
}

// Forget takes back an Allow of which nothing came that says anything of the target.
func (t *Table) Forget(id uint32, p breaker.Pass) { t.row(id).breaker.Forget(p) }

// OpenUntil is when an open breaker of a target lets a trial through, by the monotonic clock; 0 if it is not open.
func (t *Table) OpenUntil(id uint32) int64 { return t.row(id).breaker.Until() }

// Skip counts n turns of a target that were not taken.
func (t *Table) Skip(id uint32, why Skip, n int) {
	r := t.row(id)
	r.counts.Skipped[why] += uint32(n)
	t.jobs[r.job].Skipped[why] += uint64(n)
}

// Change is what an outcome changed of a target's state.
type Change struct {
	From, To               flap.State    // equal: it did not turn
	BreakerFrom, BreakerTo breaker.State // likewise
	Since                  time.Time     // when it became From; zero if that is not known
}

// Record takes the outcome of a probe at the moment now, by the monotonic clock. A cancelled probe says nothing and leaves no trace. A
// failure of this machine's or by the user's rules is shown and counted, but says nothing of the target: whether it is up, and
// its breaker, stay.
func (t *Table) Record(id uint32, res *Result, now int64) Change {
	r := t.row(id)
	c := Change{From: r.flap.State(), To: r.flap.State(), BreakerFrom: r.breaker.State(now), BreakerTo: r.breaker.State(now), Since: moment(r.turned)}
	if res.Status == report.Cancelled {
		r.breaker.Forget(res.Pass)
		return c
	}
	job, success := t.jobs[r.job], res.Status == report.Success
	t.note(r, res)
	t.count(r, job, res)
	t.history.Add(id, history.Point{
		At: res.At, Status: res.Status, Total: res.Timing.Total, Connect: res.Timing.Connect, TLS: res.Timing.TLS,
	})
	if !success && res.Side != report.SideRemote {
		r.breaker.Forget(res.Pass)
		return c
	}
	if r.flap.Record(&job.Settings.Flap, success) {
		r.turned, c.To = res.At.UnixNano(), r.flap.State()
	}
	if t.targets[id].Keep {
		return c // nobody asks its breaker whether to connect again
	}
	r.breaker.Record(&job.Settings.Breaker, now, res.Pass, success)
	c.BreakerTo = r.breaker.State(now)
	return c
}

// note keeps what the last probe came to and what it learned.
func (t *Table) note(r *row, res *Result) {
	addr := res.Addr.Addr().Unmap()
	o := outcome{
		at: res.At.UnixNano(), v4: addr.Is4(), status: res.Status, side: res.Side,
		attempts: uint8(min(max(res.Attempts, 0), 255)), transfer: spanOf(res.Transfer()),
		fallback: t.texts.replace(r.last.fallback, res.Fallback),
	}
	if addr.IsValid() {
		o.addr, o.port = addr.As16(), res.Addr.Port() // of a name that did not resolve the port alone is known
	}
	for phase, d := range res.phases() {
		o.phases[phase] = spanOf(d)
	}
	r.last, r.probed = o, true

	own := answer{tls: r.own.tls, expect: r.own.expect}
	t.learn(&own, res)
	r.own = own
	if res.Status == report.Success {
		t.tls.swap(r.good.tls, own.tls)
		t.texts.swap(r.good.expect, own.expect)
		r.good, r.goodAt = own, o.at
		return
	}
	r.failure = failure{
		at: o.at, total: spanOf(res.Timing.Total), status: o.status, side: o.side, text: t.texts.replace(r.failure.text, cut(res.Error, maxError)),
	}
}

// learn fills a with the figures of a result. Its references are those of the answer before.
func (t *Table) learn(a *answer, res *Result) {
	var f probes.Figures
	if res.Figures != nil {
		f = *res.Figures
	}
	if h := f.HTTP; h != nil && h.StatusCode != 0 { // 0: redirects, and no answer at their end
		a.has |= hasHTTP
		if h.TLS {
			a.has |= httpOverTLS
		}
		a.statusCode, a.httpVersion = uint16(h.StatusCode), uint8(math.Round(h.Version*10))
		a.contentLength, a.bodyLength, a.redirects = h.ContentLength, h.BodyLength, uint16(h.Redirects)
		if at := h.LastModified.Unix(); at >= 0 && at <= math.MaxUint32 { // to 2106; a zero time is before
			a.has |= hasModified
			a.lastModified = uint32(at)
		}
	}
	var seen probes.TLSFigures
	if f.TLS != nil {
		a.has |= hasTLS
		seen = *f.TLS
		seen.EarliestExpiry, seen.LastChainExpiry = seen.EarliestExpiry.UTC(), seen.LastChainExpiry.UTC()
	}
	a.tls = t.tls.replace(a.tls, seen)
	if f.Expect != nil {
		a.has |= hasExpect
	}
	a.expect = t.texts.replace(a.expect, packCaptures(f.Expect))
	if f.RegexpFailed != nil {
		a.has |= hasRegexp
		if *f.RegexpFailed {
			a.has |= regexpFailed
		}
	}
}

// forget lets go of what an answer refers to.
func (t *Table) forget(a *answer) {
	t.tls.release(a.tls)
	t.texts.release(a.expect)
}

// count counts an outcome for the target and for its job.
func (t *Table) count(r *row, job *Job, res *Result) {
	r.counts.Probes++
	job.Probes[res.Status]++
	if res.Status == report.Success {
		r.counts.InARow = 0
	} else {
		r.counts.Failed[res.Side]++
		r.counts.InARow++
	}
	for phase, d := range res.phases() {
		if d >= 0 {
			job.Phases[phase].Add(d, 1)
		}
	}
}

// phases are the phases of a result that it has a duration of, or report.Absent.
func (res *Result) phases() [NumPhases]time.Duration {
	return [NumPhases]time.Duration{
		PhaseDNS: res.Timing.DNS, PhaseConnect: res.Timing.Connect, PhaseTLS: res.Timing.TLS, PhaseFirstByte: res.Timing.FirstByte,
		PhaseTotal: res.Timing.Total, PhaseLate: res.Late, PhaseHeartbeat: report.Absent,
	}
}

// Transfer is the time from the first byte of the last hop's answer to its end; report.Absent if no byte came.
func (res *Result) Transfer() time.Duration {
	last := Hop{Connect: res.Timing.Connect, TLS: res.Timing.TLS, FirstByte: res.Timing.FirstByte, Total: res.Timing.Total}
	if n := len(res.Hops); n > 0 {
		last = res.Hops[n-1]
	}
	if last.FirstByte < 0 || last.Total < 0 {
		return report.Absent
	}
	return max(last.Total-max(last.Connect, 0)-max(last.TLS, 0)-last.FirstByte, 0)
}

// Connected says that a connection to a target is kept since at.
func (t *Table) Connected(id uint32, at time.Time) {
	k := &t.row(id).kept
	k.up, k.since = true, at.UnixNano()
	k.connects++
}

// Beat says that a heartbeat that was sent at the moment at was answered after rtt.
func (t *Table) Beat(id uint32, rtt time.Duration, at time.Time) {
	r := t.row(id)
	r.kept.beat, r.kept.rtt = at.UnixNano(), spanOf(rtt)
	t.jobs[r.job].Phases[PhaseHeartbeat].Add(max(rtt, 0), 1)
	t.history.Add(id, history.Point{At: at, Status: report.Success, Total: rtt, Connect: report.Absent, TLS: report.Absent})
}

// Dropped says that the kept connection to a target ended at the moment at. Whether the target is up, only Record says.
func (t *Table) Dropped(id uint32, at time.Time, cause Cause) {
	k := &t.row(id).kept
	k.up, k.since, k.cause = false, at.UnixNano(), cause
	k.drops[cause]++
	t.jobs[t.row(id).job].Drops[cause]++
}

// address is where the last probe went; invalid if it had no address.
func (o *outcome) address() netip.AddrPort {
	if o.addr == [16]byte{} && o.port == 0 {
		return netip.AddrPort{}
	}
	addr := netip.AddrFrom16(o.addr)
	if o.v4 {
		addr = addr.Unmap()
	}
	return netip.AddrPortFrom(addr, o.port)
}
