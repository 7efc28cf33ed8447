package watch

import (
	"context"
	"time"

	"sonde/watch/config"
	"sonde/watch/events"
	"sonde/watch/track"
)

// delivery has changes of state delivered to the web hook that a configuration names.
type delivery struct {
	settings config.Events
	queue    *events.Queue
	cancel   context.CancelFunc
	over     chan struct{} // closed when it delivers no more
}

// deliverTo has changes delivered to what c names from here on; nil: nowhere. What waits for another hook has 2 s.
func (w *Watch) deliverTo(c *config.Events) error {
	old := w.delivery.Load()
	switch {
	case c == nil && old == nil, c != nil && old != nil && *c == old.settings:
		return nil
	}
	var next *delivery
	if c != nil {
		o := events.Options{URL: string(c.URL), Queue: c.Queue, Spool: w.options.share.file(c.Spool), Log: w.log, Clock: w.clk}
		if old != nil {
			o.Before = old.queue
		}
		queue, err := events.Open(o)
		if err != nil {
			return err
		}
		next = &delivery{settings: *c, queue: queue, over: make(chan struct{})}
	}
	w.delivery.Store(next)
	old.end() // first: both may have one spool
	if next != nil {
		var ctx context.Context
		ctx, next.cancel = context.WithCancel(context.WithoutCancel(w.life)) // for what the last probes bring
		go func() {
			defer close(next.over)
			next.queue.Run(ctx)
		}()
	}
	return nil
}

// end delivers no more; nothing of a nil one.
func (d *delivery) end() {
	if d != nil {
		d.cancel()
		<-d.over
	}
}

// tell is called by the runner's owner when a target's state is another.
func (w *Watch) tell(t *track.Target, c track.Change, res *track.Result) {
	d := w.delivery.Load()
	if d == nil {
		return
	}
	e := events.Event{
		Time: res.At, Job: t.Job, Instance: t.Instance, Labels: t.Labels, Status: res.Status, Side: res.Side, Reason: res.Error, Since: c.Since,
	}
	if c.From != c.To {
		e.From, e.To = events.Flap(c.From), events.Flap(c.To)
		d.queue.Add(e)
	}
	if c.BreakerFrom != c.BreakerTo {
		e.From, e.To, e.Since = events.Breaker(c.BreakerFrom), events.Breaker(c.BreakerTo), time.Time{} // of the breaker that is not known
		d.queue.Add(e)
	}
}
