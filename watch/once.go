package watch

import (
	"context"
	"errors"

	"sonde/report"
	"sonde/watch/track"
)

// once is a Watch that asks each target one time.
type once struct {
	write  func(*report.Record) error
	done   context.CancelCauseFunc
	lists  int // jobs whose targets are not known yet
	told   map[uint32]bool
	failed int
}

// errAllTold is why a Watch ends that asks once.
var errAllTold = errors.New("every target was asked")

// Once asks each target one time and ends. write is called with each record, by one goroutine; an error of it ends all. It
// returns how many targets failed. To be called instead of Run, of a Watch whose Options
// say Once.
func (w *Watch) Once(ctx context.Context, write func(*report.Record) error) (targets, failed int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.once = &once{write: write, done: cancel, lists: len(w.current.config.Jobs), told: make(map[uint32]bool)}
	if w.once.lists == 0 {
		return 0, 0, nil
	}
	err = w.Run(ctx)
	if errors.Is(err, errAllTold) {
		err = nil
	}
	return len(w.once.told), w.once.failed, err
}

// listed is called by the owner when the targets of one more job are known.
func (o *once) listed(table *track.Table) {
	o.lists--
	o.check(table)
}

// take is called by the owner with each result.
func (o *once) take(table *track.Table, id uint32, r *report.Record) {
	if o.told[id] {
		return
	}
	o.told[id] = true
	if r.Status != report.Success {
		o.failed++
	}
	if err := o.write(r); err != nil {
		o.done(err)
		return
	}
	o.check(table)
}

func (o *once) check(table *track.Table) {
	if o.lists == 0 && len(o.told) == table.Len() {
		o.done(errAllTold)
	}
}

// recordOf is a result as a scan would tell it.
func (w *Watch) recordOf(id uint32, res *track.Result) *report.Record {
	entry, module := w.runner.Entry(id)
	r := &report.Record{
		Timestamp: res.At, IP: res.Addr.Addr(), Port: entry.Port, Domain: entry.Domain, Tag: entry.Tag, Probe: module.Probing,
		Status: res.Status, Side: res.Side, Error: res.Error, Attempts: res.Attempts, Timing: res.Timing,
	}
	if res.Finding != nil {
		r.Result = res.Finding
	}
	return r
}
