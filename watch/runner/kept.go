package runner

import (
	"syscall"
	"time"

	"sonde/engine"
	"sonde/watch/track"
)

// noFlight is the flight of a target that keeps none.
const noFlight = ^uint32(0)

// keep begins the connection of a target that is to be kept, a while from now: many that begin together are spread.
func (r *Runner) keep(now int64, row uint32, within time.Duration) {
	w := r.watched.at(row)
	id, f := r.flights.take()
	f.use, f.row, f.start, f.module, f.again = kept, row, w.target, w.job.Module, true
	w.kept = id
	r.wait(id, f, now+r.rng.Int64N(int64(max(within, tick))))
}

// landKept takes what the engine says of a connection that stands or stood. It reports false when it stands no more.
func (r *Runner) landKept(now int64, id uint32, f *flight, o *engine.Outcome) (stands bool) {
	if f.row == noRow {
		return o.Cause == engine.Parked || o.Cause == engine.HeartbeatAnswered
	}
	switch o.Cause {
	case engine.Parked:
		f.stood, f.since, f.first, f.asks = true, o.EndedAt, o.DialedAt, f.asks+1
		res := r.resultOf(f, o)
		f.first, f.asks = 0, 0
		r.options.Table.Connected(f.row, r.clk.Wall(o.EndedAt))
		r.record(now, f.row, res)
		return true
	case engine.HeartbeatAnswered:
		r.counts.Beats++
		r.options.Table.Beat(f.row, o.Total, r.clk.Wall(o.EndedAt))
		return true
	}
	f.cause = causeOf(o)
	return false
}

// unconnected takes the end of a connection that was kept, or the failure of one that was to be, and has it come again. One that did
// not stand for a heartbeat counts as a failure, too: a peer that accepts and closes at once is not dialled in a circle.
func (r *Runner) unconnected(now int64, id uint32, f *flight, res *track.Result) {
	if f.stood {
		r.options.Table.Dropped(f.row, res.At, f.cause)
		f.stood = false
		if now-f.since >= int64(r.watched.at(f.row).job.Heartbeat) {
			f.drops = 0
		}
	}
	f.drops++
	f.asks, f.first, f.from, f.again = 0, 0, 0, true
	row := f.row
	if r.stopped {
		r.abandon(now, id)
	} else {
		r.wait(id, f, now+int64(max(r.watched.at(row).job.Retries.Delayed(r.rng, f.drops), tick)))
	}
	r.record(now, row, res)
}

// keepRoom is how many connections may be kept. A tenth, or a thousand, is left for probes, which would wait for ever otherwise.
func (r *Runner) keepRoom() int { return r.room - min(r.room/10, 1000) }

// tellFull tells, once until half of them are gone, that not all connections can be kept.
func (r *Runner) tellFull() {
	if !r.toldFull {
		r.toldFull = true
		r.log.Warn("more connections are to be kept than this process can have; raise the limit of open files, or share them among workers",
			"kept", r.keeping, "limit", r.keepRoom())
	}
}

// causeOf says who ended a kept connection, and how.
func causeOf(o *engine.Outcome) track.Cause {
	switch o.Cause {
	case engine.PeerClosed:
		return track.CauseFIN
	case engine.Reset:
		if o.Errno == syscall.ETIMEDOUT {
			return track.CauseTimeout
		}
		return track.CauseRST
	case engine.ReadTimeout, engine.TargetTimeout, engine.IdleTimeout:
		return track.CauseSilence
	case engine.Answered:
		return track.CauseProtocol
	}
	return track.CauseLocal
}
