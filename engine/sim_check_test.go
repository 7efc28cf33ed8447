package engine

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"sonde/internal/rate"
	"sonde/internal/simkernel"
	"sonde/protocol"
)

// checkOutcome holds one outcome against its job.
func (w *world) checkOutcome(o *Outcome) {
	job := &w.jobs[o.ID]
	if o.Cause == Parked {
		job.parked++
		if job.ended > 0 {
			w.problem("job %d (%s) is parked after its end", o.ID, job.kind)
		}
		return
	}
	job.ended++
	job.last = *o
	hit := w.wasHit(o.ID)
	switch {
	case o.Cause == NotDialed:
		if !w.wasUnwanted(o) || !hit && w.wasDialed(o.ID) {
			w.problem("job %d (%s) came back as not dialled", o.ID, job.kind)
		}
	case o.Cause == Cancelled:
		if !w.wasUnwanted(o) {
			w.problem("job %d (%s) was cancelled and nobody stopped us or it", o.ID, job.kind)
		}
	case w.wild && hit:
	default:
		if o.DialedAt != 0 && !job.noLimit {
			w.checkLimit(o)
		}
		if problem := job.want(o); problem != "" {
			w.problem("job %d (%s): %s", o.ID, job.kind, problem)
		}
	}
	if late := o.EndedAt - job.endedAt - int64(w.options.Faults.LateMax) - w.slack(); job.endedAt != 0 && late > 0 {
		w.problem("job %d (%s) went on for %v after its End", o.ID, job.kind, time.Duration(late))
	}
	if end := w.stoppedAt + int64(worldDrain+w.options.Faults.LateMax) + 2*w.slack(); w.stoppedAt != 0 && o.EndedAt > end {
		w.problem("job %d (%s) ended %v after the drain limit", o.ID, job.kind, time.Duration(o.EndedAt-end))
	}
}

// wasUnwanted reports whether a job ended after it was told to End, or all of us to stop.
func (w *world) wasUnwanted(o *Outcome) bool {
	told := earlier(w.stoppedAt, w.jobs[o.ID].endedAt)
	return told != 0 && o.EndedAt >= told
}

// checkJob counts the outcomes of a job.
func (w *world) checkJob(id int) {
	job := &w.jobs[id]
	if job.lost && job.ended == 0 {
		return
	}
	if job.taken && job.ended != 1 || !job.taken && (job.ended != 0 || w.stoppedAt == 0) {
		w.problem("job %d (%s) ended %d times (taken %v), want once", id, job.kind, job.ended, job.taken)
	}
	if job.parked > 1 || job.parked == 1 && job.keeps == 0 {
		w.problem("job %d (%s) was parked %d times", id, job.kind, job.parked)
	}
	for i, x := range job.exchanges {
		if x.concluded != 1 {
			w.problem("exchange %d of job %d (%s) was concluded %d times, want once", i, id, job.kind, x.concluded)
		}
	}
}

// checkDials holds the dials against the rate and the sources.
func (w *world) checkDials() {
	var sent []int64
	for _, d := range w.kernel.Dials() {
		if w.cfg.Sources != nil && d.FD >= 0 && d.Local != d.Remote && !slices.Contains(w.cfg.Sources, d.Local.AddrPort().Addr()) {
			w.problem("a dial from %v, which is none of the sources", d.Local.AddrPort())
		}
		if !isShortOfFDs(d.Call, d.Errno) && !isShortOfPorts(d.Call, d.Errno) && d.Fault == "" { // else no SYN left
			sent = append(sent, d.At)
		}
	}
	if w.cfg.Rate != nil {
		w.checkRate(sent)
	}
}

// checkRate looks at every stretch of the dials: no more of them than the limiter promises to let through when it catches
// up, but for what the loop's own lag can bunch together.
func (w *world) checkRate(sent []int64) {
	burst := 2 + max(w.perSecond*rate.Burst.Seconds(), 1+w.perSecond*0.002)
	for i := range sent {
		for j := i + 1; j < len(sent); j++ {
			seconds := float64(sent[j]-sent[i]+w.slack()) / 1e9
			if most := rate.CatchUp*w.perSecond*seconds + burst; float64(j-i+1) > most {
				w.problem("%d dials in %.3f s, want at most %.1f at %.1f a second", j-i+1, seconds, most, w.perSecond)
				return
			}
		}
	}
}

// lag is how late the loop was at most.
func (w *world) lag() time.Duration {
	if told := w.engine.shared.stats.lag; told != nil {
		return max(told.Max(), w.loop.lag.Max())
	}
	return w.loop.lag.Max()
}

// slack is how late a deadline may be served: a tick and the loop's own lag, which is told in whole microseconds.
func (w *world) slack() int64 { return int64(time.Millisecond + w.lag() + time.Microsecond) }

// wasHit reports whether a failure out of the blue may have touched the job.
func (w *world) wasHit(id uint64) bool {
	for _, d := range w.kernel.Dials() {
		if d.Fault != "" && d.Remote == w.jobs[id].addr {
			return true
		}
	}
	return false
}

// wasDialed reports whether a SYN left for the job.
func (w *world) wasDialed(id uint64) bool {
	return w.jobs[id].addr != address(crowdHost) && w.dialOf(&Outcome{ID: id}).FD > 0
}

// checkLimit holds the time of the verdict against the limits. Waiting for a buffer stops the clocks, so runs that had
// to wait are left to the count of outcomes.
func (w *world) checkLimit(o *Outcome) {
	if w.engine.shared.stats.bufferWaits.Load() > 0 {
		return
	}
	limit := worldLimits.Connect
	if o.Connect != Absent {
		limit = o.Connect + worldLimits.Read
		for _, t := range w.jobs[o.ID].talk.turns {
			if len(t.send) > 0 {
				limit += worldLimits.Read // it starts anew when the last byte of a request is out
			}
		}
	}
	slack := time.Duration(w.slack())
	if o.Total > limit+slack {
		w.problem("job %d ended after %v, want at most %v and %v", o.ID, o.Total, limit, slack)
	}
	timedOut := o.Cause == ConnectTimeout && o.Total < worldLimits.Connect || o.Cause == ReadTimeout && o.Total < o.Connect+worldLimits.Read-w.lag()
	if timedOut {
		w.problem("job %d timed out early: after %v of which %v to connect", o.ID, o.Total, o.Connect)
	}
}

// differs says how an outcome differs from what the simulator foretold; empty if it does not.
func (w *world) differs(o *Outcome, p simkernel.Prediction) string {
	fate := fateOf(o)
	if w.options.NoInfo && fate == simkernel.NoRoute && w.dialOf(o).Established != 0 {
		return "" // without TCP_INFO it can't be told that the handshake had succeeded before the connection failed
	}
	if fate&p.Fates == 0 {
		return fmt.Sprintf("got cause %d, errno %v in %v (fate %b), want fate %b", o.Cause, o.Errno, o.State, fate, p.Fates)
	}
	if fate&(simkernel.NoRoute|simkernel.Lost) != 0 && o.Errno != p.Errno {
		return fmt.Sprintf("got %v, want %v", o.Errno, p.Errno)
	}
	if fate == simkernel.Refused && o.DialedAt == 0 {
		return "refused without a dial"
	}
	return ""
}

// differsKept says what is wrong with the end of a kept connection whose peer answered so many times.
func (w *world) differsKept(o *Outcome, answered int, end keptEnd) string {
	if w.stalled(o) || w.options.Faults.LateMax == worldStall && o.Cause == IdleTimeout {
		return "" // one of the two may not have got all that the other had to say
	}
	job := &w.jobs[o.ID]
	last := job.exchanges[len(job.exchanges)-1]
	since := last.concludedAt
	var ok bool
	limit := worldHeartbeat + HeartbeatGrid(worldHeartbeat)
	switch end {
	case keptSilent, keptDeaf:
		// The heartbeat that is not answered is the one that finds out.
		ok, since, limit = o.Cause == ReadTimeout && o.State == Active, last.openedAt, 2*worldLimits.Read
		if len(job.exchanges) != answered+1 {
			return fmt.Sprintf("%d exchanges, want %d", len(job.exchanges), answered+1)
		}
		want := worldHeartbeat
		if answered == 1 {
			want = spread(uint64(o.ID), worldHeartbeat)
		}
		if gap := last.openedAt - job.exchanges[answered-1].concludedAt; gap < int64(want) || gap > int64(want+HeartbeatGrid(worldHeartbeat))+w.slack()+job.away {
			return fmt.Sprintf("a heartbeat %v after the exchange before, want %v", time.Duration(gap), want)
		}
	case keptClosed:
		ok = o.Cause == PeerClosed && o.State == Idle || o.Cause == Answered && o.Conclusion.Verdict == protocol.Closed && o.State == Active ||
			o.Cause == Reset && o.State == Active && (o.Errno == syscall.ECONNRESET || o.Errno == syscall.EPIPE) // it could not take our beat
		limit = worldIdle - 1
	case keptReset:
		ok = o.Cause == Reset && (o.Errno == syscall.ECONNRESET || o.Errno == syscall.EPIPE)
		limit = worldIdle - 1
	case keptFailed:
		ok = o.Cause == Reset && o.Errno == syscall.ETIMEDOUT
	case keptDone:
		ok = wantAnswer(o) == "" && len(job.exchanges) == answered
	case keptExpired:
		ok, limit = o.Cause == IdleTimeout && o.State == Idle, worldIdle
		if early := since + int64(limit) - o.EndedAt; early > 0 {
			return fmt.Sprintf("idle limit %v early", time.Duration(early))
		}
	}
	if !ok {
		return fmt.Sprintf("got cause %d, errno %v in %v after %d exchanges of %d, want end %d", o.Cause, o.Errno, o.State, len(job.exchanges), answered, end)
	}
	if (job.parked == 1) != (len(job.exchanges) > 1 || job.keeps != 0 && o.State == Idle) {
		return fmt.Sprintf("parked %d times, %d exchanges", job.parked, len(job.exchanges))
	}
	if late := o.EndedAt - since - int64(limit) - w.slack() - job.away; late > 0 && w.engine.shared.stats.bufferWaits.Load() == 0 {
		return fmt.Sprintf("found out %v late", time.Duration(late))
	}
	return ""
}

// fateOf is the outcome in the simulator's words.
func fateOf(o *Outcome) simkernel.Fate {
	switch o.Cause {
	case Answered:
		switch o.Conclusion.Verdict {
		case protocol.Success:
			return simkernel.Answered
		case protocol.Closed:
			return simkernel.WasClosed
		}
	case ConnectFailed:
		if o.Errno == syscall.ECONNREFUSED {
			return simkernel.Refused
		}
		return simkernel.NoRoute
	case ConnectTimeout:
		return simkernel.Unanswered
	case ReadTimeout, HandshakeTimeout:
		return simkernel.Silence
	case Reset:
		if o.Errno == syscall.ECONNRESET || o.Errno == syscall.EPIPE {
			return simkernel.WasReset
		}
		return simkernel.Lost
	}
	return 0
}
