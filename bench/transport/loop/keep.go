package loop

import (
	"time"

	"sonde/engine"
	"sonde/report"
)

// collectEchoes counts what failed of the conversations, and has a connection that failed opened again while there are
// operations left; the exchanges themselves count what went well.
//
// A connection that is submitted holds the right to one operation.
func (r *run) collectEchoes(again chan<- uint64) {
	left := r.job.Connections
	for o := range r.outcomes {
		status := statusOf(o)
		if status != report.Success && o.Cause != engine.NotDialed {
			r.tally.Fail(int(o.ID), status)
			if _, ok := r.tally.Take(); ok && !r.over.Load() {
				again <- o.ID // there is room: as many as there are connections
				continue
			}
		}
		if left--; left == 0 {
			close(again)
		}
	}
	if left > 0 { // an aborted engine gave no outcome for jobs that it did not take
		close(again)
	}
}

// collectHeld counts the connections until all stand or have failed, has them measured, and ends them when the time is
// over; the exchanges themselves count the pings.
func (r *run) collectHeld() error {
	parked := make([]bool, r.job.Connections)
	held, settled := 0, 0
	var err error
	var rest *time.Timer
	ended := make(chan struct{})
	for o := range r.outcomes {
		switch {
		case o.Cause == engine.Parked:
			parked[o.ID] = true
			held++
			settled++
		case r.over.Load(): // it was ours to end
		case parked[o.ID]:
			held--
			r.tally.Fail(int(o.ID), statusOf(o))
		default:
			settled++
			r.tally.Fail(int(o.ID), statusOf(o))
		}
		if settled == r.job.Connections && rest == nil && err == nil && !r.over.Load() {
			if err = r.meter.AllHeld(held); err != nil {
				r.end()
				continue
			}
			rest = time.AfterFunc(r.job.Duration, func() { r.end(); close(ended) })
		}
	}
	if rest == nil {
		return err
	}
	select { // the time is not shorter for a run that has lost every connection
	case <-ended:
	case <-r.ctx.Done():
		rest.Stop()
	}
	return nil
}
