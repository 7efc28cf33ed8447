package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sonde/internal/workers"
	"sonde/watch/fleet"
	watchmetrics "sonde/watch/metrics"
)

// assignment is what a worker is told when it begins.
type assignment struct {
	File    string        `json:"file"`
	Text    []byte        `json:"text"` // that File holds as far as this watch goes
	Share   share         `json:"share"`
	Version string        `json:"version"`
	Drain   time.Duration `json:"drain"`
}

// Work is the side of a worker process of a Watch with Options.Workers: it watches its share of the targets until it is told to end.
func Work(w *workers.Worker, log *slog.Logger) error {
	var a assignment
	if err := json.Unmarshal(w.Assignment(), &a); err != nil {
		return fmt.Errorf("what this worker is to do: %w", err)
	}
	d := &desk{}
	var serving sync.WaitGroup
	var err error
	d.Watch, err = New(Options{
		File: a.File, Version: a.Version, Drain: a.Drain, Log: log.With("worker", a.Share.Worker), share: &a.Share, text: a.Text,
		Ready: func() {
			serving.Go(func() { _ = fleet.Serve(w, d, d.clk) }) // an error of it is the parent's end
		},
	})
	if err != nil {
		return err
	}
	if err := d.Run(w.Context()); err != nil && !errors.Is(err, workers.ErrStopped) {
		return err
	}
	serving.Wait()
	return w.Finish(nil)
}

// desk is a Watch as its parent sees it.
type desk struct {
	backend

	preparing sync.Mutex // guards next
	next      *loaded    // is ready to be taken
}

var _ fleet.Desk = (*desk)(nil)

// Process implements fleet.Desk.
func (d *desk) Process(ctx context.Context) (*watchmetrics.Process, error) { return d.process(ctx) }

// Prepare implements fleet.Desk.
func (d *desk) Prepare(text []byte) error {
	d.preparing.Lock()
	defer d.preparing.Unlock()
	var err error
	d.next, err = d.readText(text, d.now())
	return err
}

// Take implements fleet.Desk.
func (d *desk) Take(ctx context.Context) error {
	d.preparing.Lock()
	defer d.preparing.Unlock()
	if d.next == nil {
		return nil
	}
	d.loading.Lock()
	defer d.loading.Unlock()
	next := d.next
	d.next = nil
	return d.applyLocked(ctx, next)
}
