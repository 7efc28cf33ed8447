package watch

import (
	"context"
	"errors"

	"sonde/watch/config"
	watchmetrics "sonde/watch/metrics"
	"sonde/watch/otlp"
	"sonde/watch/runner"
	"sonde/watch/track"
)

// export is what is sent to an OpenTelemetry collector that a configuration names.
type export struct {
	settings config.OTLP
	exporter *otlp.Exporter
	cancel   context.CancelFunc
	over     chan struct{} // closed when it sends no more
}

// newExport is ready to begin; nil if the configuration names no collector.
func (w *Watch) newExport(c *config.OTLP) (*export, error) {
	if c == nil {
		return nil, nil
	}
	exporter, err := otlp.New(otlp.Options{Settings: *c, Version: w.options.Version, Read: w.measure, Log: w.log, Clock: w.clk})
	if err != nil {
		return nil, err
	}
	return &export{settings: *c, exporter: exporter, over: make(chan struct{})}, nil
}

// exportBy has next send from here on, unless what sends now does the same. What waits for another collector has 2 s.
func (w *Watch) exportBy(next *export) {
	old := w.export.Load()
	if next == old || next != nil && old != nil && next.settings == old.settings {
		return
	}
	if next != nil {
		// It outlives the runner, whose last results it is to send.
		var ctx context.Context
		ctx, next.cancel = context.WithCancel(context.WithoutCancel(w.life))
		go func() {
			defer close(next.over)
			next.exporter.Run(ctx)
		}()
	}
	w.export.Store(next)
	old.end()
}

// end sends what is left, within 2 s; nothing of a nil one.
func (e *export) end() {
	if e != nil {
		e.cancel()
		<-e.over
	}
}

// trace is called by the runner's owner with each result.
func (w *Watch) trace(id uint32, res *track.Result) {
	e := w.export.Load()
	if e == nil || !e.exporter.Wants(id, res) {
		return
	}
	entry, module := w.runner.Entry(id)
	e.exporter.Add(otlp.Probe{ID: id, Target: w.table.Target(id), Entry: entry, Probing: module.Probing, Result: *res})
}

// measure hands to use what /metrics is made of.
func (w *Watch) measure(ctx context.Context, use func(*track.Copy, *watchmetrics.Process)) error {
	w.scraping.Lock()
	defer w.scraping.Unlock()
	b := backend{w}
	if err := b.Copy(ctx, &w.scrape.copy); err != nil {
		return err
	}
	p, err := b.process(ctx)
	if err != nil {
		return err
	}
	use(&w.scrape.copy, p)
	return nil
}

// visit has do called by the runner's owner, or by us once there is none any more: only the last metrics are read then.
func (w *Watch) visit(ctx context.Context, do func()) error {
	err := w.runner.Visit(ctx, do)
	if errors.Is(err, runner.ErrEnded) {
		w.ended.Lock()
		defer w.ended.Unlock()
		do()
		return nil
	}
	return err
}
