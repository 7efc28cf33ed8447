package track

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/probes"
	"sonde/report"
)

// Copy is what a Table knew at a moment, to be read without the Table by another goroutine, or by several. It may be filled again
// and again, and keeps its memory. The zero value is empty.
type Copy struct {
	Views []View // of all targets, by id
	Jobs  []Job  // of which some may have no targets

	edition uint64   // of the table, when the first slice was copied
	places  []uint32 // in Jobs, of the table's jobs
}

// View is what was known of one target.
type View struct {
	Target *Target

	facts
	shown    answer  // see Stale
	own      figures // that the last probe learned
	stale    bool    // shown is of an earlier one
	breaker  breaker.State
	id       uint32
	until    int64              // see OpenUntil
	failText *string            // of the last failure
	fallback *string            // of the last probe
	tls      *probes.TLSFigures // of the answer that is shown
	expect   *string            // likewise
}

// Copy copies the targets with ids from from on, so many at most, to the end of into; from 0 on, into is emptied first. It returns
// where to go on, which is at 0 again if the set of targets or of jobs has changed meanwhile, so that none is in there twice; done says
// that there are no more. now is the moment by the monotonic clock. While a copy is made the owner goes on in between:
//
//	for from, done := uint32(0), false; !done; {
//		from, done = table.Copy(into, from, 4096, now)
//		...
//	}
func (t *Table) Copy(into *Copy, from uint32, n int, now int64) (next uint32, done bool) {
	switch {
	case from == 0:
		into.edition = t.edition
		into.Views = slices.Grow(into.Views[:0], t.Len())
		into.placeJobs(t.jobs)
	case into.edition != t.edition:
		return 0, false
	}
	next = uint32(min(len(t.targets), int(from)+n))
	for id := from; id < next; id++ {
		if t.targets[id] != nil {
			into.Views = append(into.Views, View{})
			v := &into.Views[len(into.Views)-1]
			t.view(id, now, v)
			v.job = into.places[v.job]
		}
	}
	if int(next) < len(t.targets) {
		return next, false
	}
	into.Jobs = into.Jobs[:0]
	for _, job := range t.jobs {
		if job != nil {
			into.Jobs = append(into.Jobs, *job)
		}
	}
	return next, true
}

// placeJobs notes where jobs will be in Jobs, which has no holes.
func (c *Copy) placeJobs(jobs []*Job) {
	c.places = c.places[:0]
	n := uint32(0)
	for _, job := range jobs {
		c.places = append(c.places, n)
		if job != nil {
			n++
		}
	}
}

// View is what is known of one target at the moment now, by the monotonic clock; false if there is none of that id.
func (t *Table) View(id uint32, now int64) (v View, ok bool) {
	if t.Target(id) == nil {
		return View{}, false
	}
	t.view(id, now, &v)
	return v, true
}

func (t *Table) view(id uint32, now int64, v *View) {
	r := t.row(id)
	v.Target, v.id, v.facts, v.own, v.shown = t.targets[id], id, r.facts, r.own.has, r.own
	if v.stale = r.own.has&learned == 0 && r.good.has&learned != 0; v.stale {
		v.shown = r.good
	}
	v.breaker, v.until = r.breaker.State(now), r.breaker.Until()
	v.failText, v.fallback = t.texts.at(r.failure.text), t.texts.at(r.last.fallback)
	v.tls, v.expect = t.tls.at(v.shown.tls), t.texts.at(v.shown.expect)
}

// ID is the target's.
func (v *View) ID() uint32 { return v.id }

// JobIndex is the place of the target's job in the Jobs of the Copy that it is in.
func (v *View) JobIndex() int { return int(v.job) }

// Probed reports whether there was an outcome; without one, all that is said of the last probe is zero.
func (v *View) Probed() bool { return v.probed }

// At is when the last probe began.
func (v *View) At() time.Time { return moment(v.last.at) }

// Status is what the last probe came to, and Side whose fault that was.
func (v *View) Status() report.Status { return v.last.status }

// Side says whose fault the last failure was.
func (v *View) Side() report.Side { return v.last.side }

// Attempts is how many dials the last probe took.
func (v *View) Attempts() int { return int(v.last.attempts) }

// Fallback is the module that answered in the last probe in place of the target's own; empty if none did.
func (v *View) Fallback() string { return text(v.fallback) }

// Addr is where the last probe went; invalid if it had no address.
func (v *View) Addr() netip.AddrPort { return v.last.address() }

// Phase is how long a phase of the last probe took, in whole microseconds; report.Absent if it did not happen.
func (v *View) Phase(p Phase) time.Duration {
	if p == PhaseHeartbeat {
		return v.kept.rtt.duration()
	}
	return v.last.phases[p].duration()
}

// Transfer is the time from the first byte of the last answer to its end; report.Absent if no byte came.
func (v *View) Transfer() time.Duration { return v.last.transfer.duration() }

// State is whether the target is up, after rise and fall; Turned is since when, zero if it is not known yet.
func (v *View) State() flap.State { return v.flap.State() }

// Turned is when State became what it is.
func (v *View) Turned() time.Time { return moment(v.turned) }

// Breaker is the state of the target's breaker.
func (v *View) Breaker() breaker.State { return v.breaker }

// OpenUntil is when the target's breaker, while it is open, lets a trial through, by the monotonic clock; 0 if it is not open.
func (v *View) OpenUntil() int64 { return v.until }

// Failure is the last outcome that was none of success.
type Failure struct {
	At     time.Time // of the first dial
	Status report.Status
	Side   report.Side
	Error  string        // for a person
	Total  time.Duration // report.Absent if nothing was dialled
}

// Failure is the last failure; false if there was none. It is that of the last probe if its Status is not report.Success.
func (v *View) Failure() (f Failure, ok bool) {
	r := &v.failure
	return Failure{At: moment(r.at), Status: r.status, Side: r.side, Error: text(v.failText), Total: r.total.duration()}, r.at != 0
}

// Counts are those of the target.
func (v *View) Counts() Counts { return v.counts }

// LastGood is when the last probe began that succeeded; zero if none did.
func (v *View) LastGood() time.Time { return moment(v.goodAt) }

// HasFigures reports whether there are any figures to show, and Stale whether they are of a probe before the last one, which learned
// none: then they are those of the last that succeeded.
func (v *View) HasFigures() bool { return v.shown.has&learned != 0 }

// Stale reports whether the figures are not of the last probe.
func (v *View) Stale() bool { return v.stale }

// HTTP are the figures of the answer; false if it has none.
func (v *View) HTTP() (h probes.HTTPFigures, ok bool) {
	a := &v.shown
	if a.has&hasHTTP == 0 {
		return h, false
	}
	h = probes.HTTPFigures{
		StatusCode: int(a.statusCode), Version: float64(a.httpVersion) / 10, ContentLength: a.contentLength, BodyLength: a.bodyLength,
		Redirects: int(a.redirects), TLS: a.has&httpOverTLS != 0,
	}
	if a.has&hasModified != 0 {
		h.LastModified = time.Unix(int64(a.lastModified), 0)
	}
	return h, true
}

// TLS are the figures of the handshake; nil if there are none. They are not to be changed.
func (v *View) TLS() *probes.TLSFigures { return v.tls }

// Expect are the captures of the line that was expected; false if none was.
func (v *View) Expect() (iter.Seq[probes.Capture], bool) {
	if v.shown.has&hasExpect == 0 {
		return nil, false
	}
	return captures(text(v.expect)), true
}

// RegexpFailed is whether a regular expression failed the last probe; false, false if none could.
func (v *View) RegexpFailed() (failed, ok bool) {
	has := v.own
	return has&regexpFailed != 0, has&hasRegexp != 0
}

// Kept is what is known of a kept connection.
type Kept struct {
	Up bool
	// Since is when it became what it is, up or down; zero if there never was one.
	Since time.Time
	// Connects is how many there were, Drops how many of them ended, by Cause.
	Connects uint32
	Drops    [NumCauses]uint32
	Cause    Cause // of the last drop, if there was one
	// RTT is that of the last heartbeat, at the moment Beat; report.Absent and zero if none was answered.
	RTT  time.Duration
	Beat time.Time
}

// Kept is what is known of the kept connection; of a target of which none is kept, it is zero.
func (v *View) Kept() Kept {
	k := &v.kept
	return Kept{
		Up: k.up, Since: moment(k.since), Connects: k.connects, Drops: k.drops, Cause: k.cause, RTT: k.rtt.duration(), Beat: moment(k.beat),
	}
}

// moment is a time since the Unix epoch; zero stands for the zero Time.
func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// text is a text of a store.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
