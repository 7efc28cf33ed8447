package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"sonde/watch/crew"
	watchmetrics "sonde/watch/metrics"
	"sonde/watch/track"
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

// fleet has the targets of a Watch in worker processes.
type fleet struct {
	watch *Watch
	crew  atomic.Pointer[crew.Crew] // nil before the first configuration is taken
	turn  atomic.Uint64             // of who is asked next by /probe

	assigning sync.Mutex // guards what follows
	text      []byte     // the configuration that new workers begin by
	given     [][]byte   // and that by which each began

	copying sync.Mutex // guards what follows
	remotes []remote
}

// remote is what is known of a worker.
type remote struct {
	track.Remote
	process *crew.Process // of which that is; nil: none
	figures watchmetrics.Process
	past    watchmetrics.Process // the counters of processes that are no more
}

// endGrace is how much longer than its probes a worker may take to end.
const endGrace = 5 * time.Second

// defaultDrain is that of the runner.
const defaultDrain = 10 * time.Second

func newFleet(w *Watch) *fleet {
	n := w.options.Workers.Count
	return &fleet{watch: w, given: make([][]byte, n), remotes: make([]remote, n)}
}

// start starts the workers, which begin by l.
func (f *fleet) start(ctx context.Context, l *loaded) error {
	o := &f.watch.options
	drain := o.Drain
	if drain == 0 {
		drain = defaultDrain
	}
	f.setText(l.text)
	c, err := crew.Start(ctx, crew.Options{
		Count: o.Workers.Count, Args: o.Workers.Args, Env: o.Workers.Env, Stderr: o.Workers.Stderr, Grace: drain + endGrace,
		Log: f.watch.log, Clock: f.watch.clk, Again: func(worker int) { go f.catchUp(ctx, worker) },
		Assignment: func(worker int) ([]byte, error) {
			f.assigning.Lock()
			defer f.assigning.Unlock()
			f.given[worker] = f.text
			return json.Marshal(assignment{
				File: o.File, Text: f.text, Version: o.Version, Drain: drain,
				Share: share{Worker: worker, Count: o.Workers.Count, Loopback: f.watch.onLoopback()},
			})
		},
	})
	if err != nil {
		return err
	}
	f.crew.Store(c)
	return nil
}

// wait waits for the workers to end, after Run's context has; there may be none.
func (f *fleet) wait() {
	if f == nil {
		return
	}
	if c := f.crew.Load(); c != nil {
		c.Wait()
	}
}

func (f *fleet) setText(text []byte) {
	f.assigning.Lock()
	defer f.assigning.Unlock()
	f.text = text
}

// work has all workers work by l, or none. It is called by one load at a time.
func (f *fleet) work(ctx context.Context, l *loaded) error {
	if _, err := newFinders(f.watch, l); err != nil {
		return err
	}
	if f.crew.Load() == nil {
		return f.start(ctx, l)
	}
	if err := f.call(ctx, wordPrepare, l.text, nil); err != nil {
		return err
	}
	before := f.text
	f.setText(l.text)
	ctx = f.watch.life // whoever asked may go: from here on it is all or none
	err := f.call(ctx, wordTake, nil, nil)
	if err != nil {
		f.setText(before)
		_ = f.call(ctx, wordPrepare, before, nil) // those that took l go back; what went wrong is told by err
		_ = f.call(ctx, wordTake, nil, nil)
	}
	return err
}

// catchUp has a worker that began by an older configuration work by that of the others.
func (f *fleet) catchUp(ctx context.Context, worker int) {
	f.watch.loading.Lock()
	defer f.watch.loading.Unlock()
	f.assigning.Lock()
	given, text := f.given[worker], f.text
	f.assigning.Unlock()
	p := f.crew.Load().Process(worker)
	if p == nil || &given[0] == &text[0] { // no configuration is empty
		return
	}
	_, err := p.Call(ctx, wordPrepare, text)
	if err == nil {
		_, err = p.Call(ctx, wordTake, nil)
	}
	if err != nil && !errors.Is(err, crew.ErrDown) && ctx.Err() == nil {
		f.watch.log.Error("a worker does not work by the configuration of the others", "worker", worker, "error", err)
	}
}

// call calls all workers that are up, at once, and hands their answers to take in their order, if it is not nil. One that dies meanwhile
// is left out. It returns the first error.
func (f *fleet) call(ctx context.Context, word string, data []byte, take func(worker int, answer []byte) error) error {
	return f.callEach(ctx, word, func(int, *crew.Process) []byte { return data }, take)
}

// callEach is call with data for each; none is called without.
func (f *fleet) callEach(ctx context.Context, word string, data func(int, *crew.Process) []byte, take func(worker int, answer []byte) error) error {
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

// isOf notes which process is the worker, nil for none: what another one counted is of the past, and what else is known of it is lost.
func (r *remote) isOf(p *crew.Process) {
	if r.process == p {
		return
	}
	r.Lost()
	addCounters(&r.past, &r.figures)
	r.figures, r.process = watchmetrics.Process{}, p
}

// idBits is how many bits of an id tell the row; those above tell the worker.
func (f *fleet) idBits() int { return 32 - bits.Len32(uint32(len(f.remotes)-1)) }
