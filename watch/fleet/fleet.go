// Package fleet is what a watch and its worker processes say to each other. The parent has the configuration and no targets; each worker has
// a share of them. [Fleet] is the parent's side: it has all workers work by one configuration, and makes one of what they know. [Desk] is
// a worker's. How processes are run and called is package crew's.
//
//	parent                     worker
//	prepare: a configuration ─►  is made ready, or refused
//	take                     ─►  is put to work, by all or by none
//	copy, points, ...        ─►  what it knows
//	probe                    ─►  asks, for somebody
package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/clock"
	"sonde/watch/crew"
)

// Options says what workers there are.
type Options struct {
	Count int // at least 1
	// Args and Env make this binary a worker, and Stderr receives their logs; see crew.Options.
	Args, Env []string
	Stderr    io.Writer
	// Grace is how long a worker may take to end in order.
	Grace time.Duration
	// Assignment is what a worker is told when it begins, by a configuration that says text.
	Assignment func(worker int, text []byte) ([]byte, error)
	Log        *slog.Logger
	Clock      clock.Clock
}

// Fleet has the targets in worker processes. Its methods are safe for concurrent use; what asks the workers leaves out those that are
// down, before the first Work all of them.
type Fleet struct {
	options Options
	crew    atomic.Pointer[crew.Crew] // nil before the first configuration is taken
	turn    atomic.Uint64             // of who is asked next by Probe

	working sync.Mutex // held while workers are told by what to work

	assigning sync.Mutex // guards what follows
	text      []byte     // the configuration that new workers begin by
	given     [][]byte   // and that by which each began

	copying sync.Mutex // guards what follows
	remotes []remote
}

// New returns a Fleet whose workers do not run yet.
func New(o Options) *Fleet {
	return &Fleet{options: o, given: make([][]byte, o.Count), remotes: make([]remote, o.Count)}
}

// Work has all workers work by the configuration that says text, which is not empty, or none. The first call starts them, and they run until its
// ctx ends.
func (f *Fleet) Work(ctx context.Context, text []byte) error {
	f.working.Lock()
	defer f.working.Unlock()
	if f.crew.Load() == nil {
		return f.start(ctx, text)
	}
	if err := f.call(ctx, wordPrepare, text, nil); err != nil {
		return err
	}
	before := f.text
	f.setText(text)
	err := f.call(ctx, wordTake, nil, nil)
	if err != nil {
		f.setText(before)
		_ = f.call(ctx, wordPrepare, before, nil) // those that took it go back; what went wrong is told by err
		_ = f.call(ctx, wordTake, nil, nil)
	}
	return err
}

// start starts the workers.
func (f *Fleet) start(ctx context.Context, text []byte) error {
	o := &f.options
	f.setText(text)
	c, err := crew.Start(ctx, crew.Options{
		Count: o.Count, Args: o.Args, Env: o.Env, Stderr: o.Stderr, Grace: o.Grace, Log: o.Log, Clock: o.Clock,
		Again: func(worker int) { go f.catchUp(ctx, worker) },
		Assignment: func(worker int) ([]byte, error) {
			f.assigning.Lock()
			defer f.assigning.Unlock()
			f.given[worker] = f.text
			return o.Assignment(worker, f.text)
		},
	})
	if err != nil {
		return err
	}
	f.crew.Store(c)
	return nil
}

func (f *Fleet) setText(text []byte) {
	f.assigning.Lock()
	defer f.assigning.Unlock()
	f.text = text
}

// catchUp has a worker that began by an older configuration work by that of the others.
func (f *Fleet) catchUp(ctx context.Context, worker int) {
	f.working.Lock()
	defer f.working.Unlock()
	f.assigning.Lock()
	given, text := f.given[worker], f.text
	f.assigning.Unlock()
	c := f.crew.Load()
	if c == nil || &given[0] == &text[0] { // nil: not all could be started
		return
	}
	p := c.Process(worker)
	if p == nil {
		return
	}
	_, err := p.Call(ctx, wordPrepare, text)
	if err == nil {
		_, err = p.Call(ctx, wordTake, nil)
	}
	if err != nil && !errors.Is(err, crew.ErrDown) && ctx.Err() == nil {
		f.options.Log.Error("a worker does not work by the configuration of the others", "worker", worker, "error", err)
	}
}

// Wait waits for the workers to end, after the context of the first Work has. There may be none; nothing of a nil Fleet.
func (f *Fleet) Wait() {
	if f == nil {
		return
	}
	if c := f.crew.Load(); c != nil {
		c.Wait()
	}
}

// Up reports whether a worker runs.
func (f *Fleet) Up() bool {
	if c := f.crew.Load(); c != nil {
		for i := range c.Count() {
			if c.Process(i) != nil {
				return true
			}
		}
	}
	return false
}

// call calls all workers that are up, at once, and hands their answers to take in their order, if it is not nil. One that dies meanwhile
// is left out. It returns the first error.
func (f *Fleet) call(ctx context.Context, word string, data []byte, take func(worker int, answer []byte) error) error {
	return f.callEach(ctx, word, func(int, *crew.Process) []byte { return data }, take)
}

// callEach is call with data for each.
func (f *Fleet) callEach(ctx context.Context, word string, data func(int, *crew.Process) []byte, take func(worker int, answer []byte) error) error {
	c := f.crew.Load()
	if c == nil {
		return nil
	}
	answers, errs := make([][]byte, c.Count()), make([]error, c.Count())
	var calls sync.WaitGroup
	for i := range answers {
		p := c.Process(i)
		errs[i] = crew.ErrDown
		if p == nil {
			continue
		}
		request := data(i, p)
		calls.Go(func() { answers[i], errs[i] = p.Call(ctx, word, request) })
	}
	calls.Wait()
	for i, err := range errs {
		if err == nil && take != nil {
			err = take(i, answers[i])
		}
		if err != nil && !errors.Is(err, crew.ErrDown) {
			return fmt.Errorf("worker %d: %w", i, err)
		}
	}
	return nil
}

// idBits is how many bits of an id tell the row; those above tell the worker.
func (f *Fleet) idBits() int { return 32 - bits.Len32(uint32(len(f.remotes)-1)) }
