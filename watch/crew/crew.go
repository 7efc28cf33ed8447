// Package crew runs worker processes that answer calls: each is this binary again ([sonde/internal/workers]), is started anew when it
// dies, and ends with its parent. It knows nothing of what is asked: a call is a word and bytes, its answer is bytes.
//
//	parent                               worker
//	Start        -- assignment       --> Serve
//	             <-- ready           --  Serve's handler may be called
//	Process.Call -- number, word, data -->
//	             <-- taken           --  another call may be sent
//	             <-- parts, the last --  the handler's answer
package crew

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/clock"
	"sonde/internal/workers"
)

// ErrDown says that a worker is not there to answer, or ended before it had.
var ErrDown = errors.New("the worker process is down")

// Options says what workers to run.
type Options struct {
	Count int
	// Args and Env make this binary a worker; see [workers.Options].
	Args, Env []string
	// Assignment is asked for at each start of a worker.
	Assignment func(worker int) ([]byte, error)
	// Stderr receives the lines that workers write there; nil: nobody.
	Stderr io.Writer
	// Grace is how long a worker may take to end in order; default 10 s.
	Grace time.Duration
	// Again is called when a worker that was started again is ready; nil: it is not. It must not wait for the worker.
	Again func(worker int)
	Log   *slog.Logger
	Clock clock.Clock
	// Backoff is how long it takes until a worker that has died is started again; twice that the next time, up to 32 times. Default
	// 1 s.
	Backoff time.Duration
}

// Crew is workers that run. Its methods are safe for concurrent use.
type Crew struct {
	options Options
	members []*member
	ended   sync.WaitGroup
}

// settled is how long a worker has to run for its next death to be a first one again.
const settled = time.Minute

// Start starts all workers and returns when each is ready. They run until ctx ends; then they are told to end, and Wait returns when
// they have. An error is that of the first one that can't begin; none is left then.
func Start(ctx context.Context, o Options) (*Crew, error) {
	if o.Backoff == 0 {
		o.Backoff = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.NewSystem()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c := &Crew{options: o}
	first := make(chan error, o.Count)
	for i := range o.Count {
		m := &member{crew: c, worker: i}
		c.members = append(c.members, m)
		c.ended.Go(func() { m.run(ctx, first) })
	}
	for range o.Count {
		if err := <-first; err != nil {
			cancel(err) // the others have to begin no more
		}
	}
	if err := context.Cause(ctx); err != nil {
		cancel(err)
		c.ended.Wait()
		return nil, err
	}
	context.AfterFunc(ctx, func() { cancel(nil) })
	return c, nil
}

// Wait returns when all workers have ended, after the end of Start's context.
func (c *Crew) Wait() { c.ended.Wait() }

// Count is how many workers there are.
func (c *Crew) Count() int { return len(c.members) }

// Process is the one that is a worker now; nil while none is ready.
func (c *Crew) Process(worker int) *Process { return c.members[worker].now.Load() }

// Restarts is how often a worker was started again.
func (c *Crew) Restarts(worker int) uint64 { return c.members[worker].restarts.Load() }

// member is one worker through all its processes.
type member struct {
	crew     *Crew
	worker   int
	now      atomic.Pointer[Process] // nil: none is ready
	restarts atomic.Uint64
}

// run has a process be the worker, and another when it dies, until ctx ends. first hears once whether the first one could begin.
func (m *member) run(ctx context.Context, first chan<- error) {
	o := &m.crew.options
	begun := false // the first one did
	for wait := o.Backoff; ; wait = min(2*wait, 32*o.Backoff) {
		start := o.Clock.Now()
		err := m.process(ctx, func() {
			if begun {
				o.Log.Info("the worker process runs again", "worker", m.worker)
				if o.Again != nil {
					o.Again(m.worker)
				}
				return
			}
			begun = true
			first <- nil
		})
		switch {
		case !begun && ctx.Err() != nil:
			first <- context.Cause(ctx)
			return
		case !begun:
			first <- fmt.Errorf("worker %d: %w", m.worker, err)
			return
		case ctx.Err() != nil:
			if err != nil {
				o.Log.Warn("a worker process did not end in order", "worker", m.worker, "error", err)
			}
			return
		}
		if time.Duration(o.Clock.Now()-start) >= settled {
			wait = o.Backoff
		}
		o.Log.Error("a worker process died; its targets are not watched until it runs again", "worker", m.worker, "error", err, "wait", wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		m.restarts.Add(1)
	}
}

// errEnded is said of a process that ended in order, but was not told to.
var errEnded = errors.New("it ended by itself")

// process runs one process to its end. ready is called once it answers.
func (m *member) process(ctx context.Context, ready func()) error {
	o := &m.crew.options
	group, err := workers.Start(ctx, workers.Options{
		Count: 1, Args: o.Args, Env: o.Env, Stderr: &renamed{to: o.Stderr, worker: m.worker}, StopGrace: o.Grace,
		Assignment: func(int) ([]byte, error) { return o.Assignment(m.worker) },
	})
	if err != nil {
		return err
	}
	p := newProcess(group)
	ends := group.Wait(func(e workers.Event) {
		if message, ok := e.(workers.Message); ok && p.take(message.Data) {
			m.now.Store(p)
			ready()
		}
	})
	m.now.Store(nil)
	close(p.gone)
	if err := ends[0].Err; err != nil || ctx.Err() != nil {
		return err
	}
	return errEnded
}

// renamed writes the lines of a worker, which its group calls worker 0, under its own number. A line of a log says by itself whose it is.
type renamed struct {
	to     io.Writer
	worker int
}

// Write implements io.Writer; it is given whole lines.
func (r *renamed) Write(line []byte) (int, error) {
	if r.to == nil {
		return len(line), nil
	}
	text := bytes.TrimPrefix(line, []byte("worker 0: "))
	if !bytes.HasPrefix(text, []byte("time=")) && !bytes.HasPrefix(text, []byte("level=")) {
		text = append(fmt.Appendf(nil, "worker %d: ", r.worker), text...)
	}
	_, err := r.to.Write(text)
	return len(line), err
}
