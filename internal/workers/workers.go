// Package workers runs worker processes: this same binary, started again, each with an assignment of its own. It is for
// what one process can't hold, such as more connections than it may have descriptors. It knows nothing of what workers
// do: assignments, commands and messages are bytes.
//
//	parent                                            worker
//	Start        -- stdin:  assignment, commands, stop -->  Serve
//	Group.Wait  <-- stdout: messages, the final one    --   Worker.Send, Worker.Finish
//	Options.Stderr <-- stderr: lines                   --   anything
//
// The parent's side: [Start] starts all workers, [Group.Wait] hands on what they say, in the order of each, until the last
// has ended. No worker goes missing: it ends well, which is a final message and exit code 0, or it is reported as a
// [Death]. When [Group.Wait] has returned no process, goroutine or descriptor of the group is left.
//
// The worker's side: [Serve]. A worker ends in order when it is told to, or when its parent is gone; one that does not is
// ended, by signals if need be (see [Options.StopGrace]).
//
// A frame on a pipe is the length of the payload in four bytes, big-endian, a kind in one byte, and the payload, of at
// most [MaxPayload] bytes. Both sides are one binary, so there is no version.
package workers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"sonde/internal/clock"
)

// How long a worker may take to end, unless [Options] says otherwise.
const (
	DefaultStopGrace = 10 * time.Second
	DefaultTermGrace = 2 * time.Second
)

// ErrEnded says that a worker has ended or been told to.
var ErrEnded = errors.New("the worker has ended")

// ErrBusy says that 64 commands wait already because the worker does not read.
var ErrBusy = errors.New("the worker takes no commands")

// Options says what workers to start. Only Count is required.
type Options struct {
	// Count is how many; they are numbered from 0. Each costs the parent four descriptors: three pipes and the process itself.
	Count int
	// Executable is the program; "" for this one (os.Executable).
	Executable string
	// Args are its arguments, without the program's name.
	Args []string
	// Env is added to this process's environment.
	Env []string
	// Assignment returns what a worker is told when it starts, at most MaxPayload bytes, which the group keeps. It is
	// called for each worker in turn before any process is started; its error ends Start. nil gives each no bytes.
	Assignment func(worker int) ([]byte, error)
	// Stderr receives what workers write to stderr, whole lines, one Write each and none at the same time as another,
	// behind "worker 3: ". A line above 64 KiB is cut into several. Write errors are ignored. nil throws the lines away.
	Stderr io.Writer
	// CPUs are the CPUs that each worker may run on: worker i on CPUs[i%len(CPUs)], anywhere if that or CPUs is empty.
	// See process.Pinned; where it is not supported Start fails.
	CPUs [][]int
	// StopGrace is how long a worker may live on after it was told to stop, has sent its final message or closed its
	// stdout. Then it is sent SIGTERM, and SIGKILL when it lives on for TermGrace. Zero for the defaults, 10 s and 2 s.
	StopGrace, TermGrace time.Duration
}

// validate checks o and fills in the defaults.
func (o *Options) validate() error {
	if o.Count < 1 {
		return fmt.Errorf("%d workers", o.Count)
	}
	if o.StopGrace < 0 || o.TermGrace < 0 {
		return fmt.Errorf("negative grace: %v, %v", o.StopGrace, o.TermGrace)
	}
	if o.StopGrace == 0 {
		o.StopGrace = DefaultStopGrace
	}
	if o.TermGrace == 0 {
		o.TermGrace = DefaultTermGrace
	}
	if o.Executable == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("own executable: %w", err)
		}
		o.Executable = self
	}
	return nil
}

// Event is what a group tells of a worker: a [Message] or its [Death].
type Event interface{ event() }

// Message is what a worker sent. Data is the receiver's, but if it is the worker's last message [End] has it too.
type Message struct {
	Worker int
	Data   []byte
	Final  bool // by Worker.Finish
}

// Death says that a worker ended otherwise than it should have; nothing of that worker comes after it. Err is as in [End].
type Death struct {
	Worker int
	Err    error
}

func (Message) event() {}
func (Death) event()   {}

// Group is a number of started workers. Its methods are safe for concurrent use.
type Group struct {
	processes []*process
	events    chan Event // not buffered: a worker may be ahead of Wait's handler by what its pipe holds
	stop      chan struct{}
	stopOnce  sync.Once
	ended     chan struct{} // closed when all processes have been reaped and events is closed
}

// Start starts the workers. It returns when all run, or with an error and no process left. When ctx is done the group is
// stopped as by [Group.Stop]. Every started group must be waited for with [Group.Wait].
func Start(ctx context.Context, o Options) (*Group, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("start workers: %w", err)
	}
	g := &Group{
		events: make(chan Event),
		stop:   make(chan struct{}),
		ended:  make(chan struct{}),
	}
	for i := range o.Count {
		p, err := newProcess(i, &o)
		if err != nil {
			return nil, fmt.Errorf("start workers: worker %d: %w", i, err)
		}
		g.processes = append(g.processes, p)
	}
	started := make(chan error)
	go g.run(ctx, &o, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start workers: %w", err)
	}
	return g, nil
}

// run starts the processes, tells how that went, and sees them to their end. To Linux the thread that started a process
// is its parent, and the process is killed when that thread ends (see process.Attributes). So one goroutine starts them
// all and keeps its thread until they are gone.
func (g *Group) run(ctx context.Context, o *Options, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	if err := g.startAll(ctx); err != nil {
		started <- err
		return
	}
	started <- nil

	// A context that is done already stops the group right away.
	forget := context.AfterFunc(ctx, g.Stop)
	defer forget()
	stderr := &lines{w: o.Stderr}
	clk := clock.NewSystem()
	var all sync.WaitGroup
	for _, p := range g.processes {
		all.Go(func() { p.run(g, stderr, clk) })
	}
	all.Wait()
	close(g.events)
	close(g.ended)
}

// startAll starts all processes or none.
func (g *Group) startAll(ctx context.Context) error {
	for i, p := range g.processes {
		err := context.Cause(ctx)
		if err == nil {
			err = p.start()
		}
		if err == nil {
			continue
		}
		for _, p := range slices.Backward(g.processes[:i]) {
			p.abandon()
		}
		return fmt.Errorf("worker %d: %w", i, err)
	}
	return nil
}

// Broadcast sends a command to each worker that has not ended and not been told to. It does not wait for the workers: they
// get it behind earlier commands, and may end before. It fails with [ErrTooLarge] for all of them, or with [ErrBusy] for
// those that it names; the others get the command. data is not kept.
func (g *Group) Broadcast(data []byte) error {
	data, err := command(data)
	var errs []error
	for i, p := range g.processes {
		if err != nil {
			return err
		}
		if err := p.command(data); err != nil && !errors.Is(err, ErrEnded) {
			errs = append(errs, fmt.Errorf("worker %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// Send sends a command to one worker, see [Group.Broadcast]. It fails with [ErrEnded] if the worker has ended or been
// told to, and panics if there is no worker of that number.
func (g *Group) Send(worker int, data []byte) error {
	data, err := command(data)
	if err == nil {
		err = g.processes[worker].command(data)
	}
	if err != nil {
		return fmt.Errorf("worker %d: %w", worker, err)
	}
	return nil
}

// command checks a command and returns a copy to keep.
func command(data []byte) ([]byte, error) {
	if len(data) > MaxPayload {
		return nil, fmt.Errorf("%w: %d", ErrTooLarge, len(data))
	}
	return slices.Clone(data), nil
}

// Stop tells all workers to come to an end, behind the commands that they were sent, and sees to it that they do (see
// [Options.StopGrace]). It does not wait for it.
func (g *Group) Stop() { g.stopOnce.Do(func() { close(g.stop) }) }

// Wait calls handle, if it is not nil, with each event, one at a time and those of a worker in their order, and returns how
// each worker ended when all have, by their numbers. While handle is busy the pipes fill and the workers wait; it must not
// call Wait. Events go to one handler only: of two Waits at once each gets some.
func (g *Group) Wait(handle func(Event)) []End {
	for e := range g.events {
		if handle != nil {
			handle(e)
		}
	}
	<-g.ended
	ends := make([]End, len(g.processes))
	for i, p := range g.processes {
		ends[i] = p.ended
	}
	return ends
}
