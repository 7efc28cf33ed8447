package watch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"sonde/watch/fleet"
	"sonde/watch/history"
	watchmetrics "sonde/watch/metrics"
	"sonde/watch/track"
	"sonde/watch/web"
)

// Workers says which processes share the targets. Each is a Watch of its own, by [Work], with no web server; this one has the
// configuration, the web server and no targets.
type Workers struct {
	// Count is how many; 0: this process has the targets.
	Count int
	// Args and Env make this binary call Work.
	Args, Env []string
	// Stderr receives the workers' logs.
	Stderr io.Writer
}

// endGrace is how much longer than its probes a worker may take to end.
const endGrace = 5 * time.Second

// defaultDrain is that of the runner.
const defaultDrain = 10 * time.Second

// newFleet is the workers that Options name.
func (w *Watch) newFleet() *fleet.Fleet {
	o := &w.options
	drain := o.Drain
	if drain == 0 {
		drain = defaultDrain
	}
	return fleet.New(fleet.Options{
		Count: o.Workers.Count, Args: o.Workers.Args, Env: o.Workers.Env, Stderr: o.Workers.Stderr, Grace: drain + endGrace, Log: w.log, Clock: w.clk,
		Assignment: func(worker int, text []byte) ([]byte, error) {
			return json.Marshal(assignment{
				File: o.File, Text: text, Version: o.Version, Drain: drain,
				Share: share{Worker: worker, Count: o.Workers.Count, Loopback: w.onLoopback()},
			})
		},
	})
}

// workElsewhere is work by the workers.
func (w *Watch) workElsewhere(ctx context.Context, l *loaded) error {
	if _, err := newFinders(w, l); err != nil {
		return err
	}
	return w.fleet.Work(ctx, l.text)
}

// fleetBackend is a Watch whose targets are in worker processes, as the web server sees it. What the configuration says it knows itself.
type fleetBackend struct{ backend }

// backend is the Watch as the web server sees it.
func (w *Watch) backend() web.Backend {
	if w.fleet != nil {
		return fleetBackend{backend{w}}
	}
	return backend{w}
}

// Ready implements web.Backend: one worker that runs is enough for it.
func (b fleetBackend) Ready() error {
	if err := b.backend.Ready(); err != nil {
		return err
	}
	if !b.fleet.Up() {
		return errors.New("no worker process runs")
	}
	return nil
}

// WriteMetrics implements web.Backend.
func (b fleetBackend) WriteMetrics(ctx context.Context, w io.Writer, f watchmetrics.Format) error {
	return b.writeMetrics(ctx, w, f, b)
}

// Copy implements web.Backend.
func (b fleetBackend) Copy(ctx context.Context, into *track.Copy) error {
	return b.fleet.Copy(ctx, into, b.isJob)
}

// Points implements web.Backend.
func (b fleetBackend) Points(ctx context.Context, of []web.Ref) ([][]history.Point, error) {
	return b.fleet.Points(ctx, of)
}

// Failures implements web.Backend.
func (b fleetBackend) Failures(ctx context.Context) ([]web.Failure, error) {
	return b.fleet.Failures(ctx, maxFailures)
}

// Status implements web.Backend.
func (b fleetBackend) Status(ctx context.Context) (*web.Status, error) {
	s := &web.Status{Version: b.options.Version, Start: b.start}
	b.mu.Lock()
	s.Config = b.config
	b.mu.Unlock()
	return s, b.fleet.AddStatus(ctx, s)
}

// Probe implements web.Backend.
func (b fleetBackend) Probe(ctx context.Context, q *web.ProbeRequest) (*web.ProbeAnswer, error) {
	return b.fleet.Probe(ctx, q)
}
