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
	"sonde/watch/crew"
	"sonde/watch/history"
	"sonde/watch/track"
	"sonde/watch/web"
)

// assignment is what a worker is told when it begins.
type assignment struct {
	File    string        `json:"file"`
	Text    []byte        `json:"text"` // that File holds as far as this watch goes
	Share   share         `json:"share"`
	Version string        `json:"version"`
	Drain   time.Duration `json:"drain"`
}

// The words by which a parent calls its workers.
const (
	wordCopy     = "copy"     // the edition that it has -> track.Copy.AppendBinary
	wordPoints   = "points"   // []web.Ref -> [][]history.Point
	wordFailures = "failures" // -> []web.Failure
	wordStatus   = "status"   // -> web.Status
	wordProcess  = "process"  // -> watchmetrics.Process
	wordProbe    = "probe"    // web.ProbeRequest -> probed
	wordPrepare  = "prepare"  // a configuration is made ready
	wordTake     = "take"     // and put to work
)

// probed is what came of a probe: an answer, or what is wrong with the question.
type probed struct {
	Answer  *web.ProbeAnswer `json:"answer,omitempty"`
	Problem *web.Problem     `json:"problem,omitempty"`
}

// Work is the side of a worker process of a Watch with Options.Workers: it watches its share of the targets until it is told to end.
func Work(w *workers.Worker, log *slog.Logger) error {
	var a assignment
	if err := json.Unmarshal(w.Assignment(), &a); err != nil {
		return fmt.Errorf("what this worker is to do: %w", err)
	}
	d := &desk{worker: w}
	var serving sync.WaitGroup
	var err error
	d.Watch, err = New(Options{
		File: a.File, Version: a.Version, Drain: a.Drain, Log: log.With("worker", a.Share.Worker), share: &a.Share, text: a.Text,
		Ready: func() {
			serving.Go(func() { _ = crew.Serve(w, d.answer) }) // an error of it is the parent's end
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

// desk is where the calls of the parent are answered.
type desk struct {
	*Watch
	worker *workers.Worker

	copying sync.Mutex // guards copy
	copy    track.Copy

	preparing sync.Mutex // guards next
	next      *loaded    // is ready to be taken
}

// answer is a crew.Handler.
func (d *desk) answer(ctx context.Context, word string, data []byte) ([]byte, error) {
	b := backend{d.Watch}
	switch word {
	case wordCopy:
		return d.copyFor(ctx, data)
	case wordPoints:
		return reply(d.points(ctx, data))
	case wordFailures:
		return reply(b.Failures(ctx))
	case wordStatus:
		return reply(b.Status(ctx))
	case wordProcess:
		return reply(b.process(ctx))
	case wordProbe:
		return reply(d.probe(ctx, data))
	case wordPrepare:
		return nil, d.prepare(data)
	case wordTake:
		return nil, d.take(ctx)
	}
	return nil, fmt.Errorf("no call %q", word)
}

// reply is an answer as JSON.
func reply(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func (d *desk) copyFor(ctx context.Context, data []byte) ([]byte, error) {
	var known uint64
	if err := json.Unmarshal(data, &known); err != nil {
		return nil, err
	}
	d.copying.Lock()
	defer d.copying.Unlock()
	if err := (backend{d.Watch}).Copy(ctx, &d.copy); err != nil {
		return nil, err
	}
	return d.copy.AppendBinary(nil, known, d.clk.Now()), nil
}

func (d *desk) points(ctx context.Context, data []byte) ([][]history.Point, error) {
	var of []web.Ref
	if err := json.Unmarshal(data, &of); err != nil {
		return nil, err
	}
	// The parent's targets say what ours say, but are others.
	err := d.visit(ctx, func() {
		for i := range of {
			if t := d.table.Target(of[i].ID); t != nil && of[i].Target != nil && t.Equal(of[i].Target) {
				of[i].Target = t
			} else {
				of[i].Target = &track.Target{} // nobody's
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return backend{d.Watch}.Points(ctx, of)
}

func (d *desk) probe(ctx context.Context, data []byte) (*probed, error) {
	var q web.ProbeRequest
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, err
	}
	a, err := backend{d.Watch}.Probe(ctx, &q)
	var problem *web.Problem
	if errors.As(err, &problem) {
		return &probed{Problem: problem}, nil
	}
	return &probed{Answer: a}, err
}

// prepare makes a configuration ready, or says what is wrong with it.
func (d *desk) prepare(text []byte) error {
	d.preparing.Lock()
	defer d.preparing.Unlock()
	var err error
	d.next, err = d.readText(text, d.now())
	return err
}

// take puts to work what was prepared last. Of a process that has begun since then nothing was: its parent sees to that (fleet.catchUp).
func (d *desk) take(ctx context.Context) error {
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
