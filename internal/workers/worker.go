package workers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Why a [Worker]'s context is done (context.Cause).
var (
	// ErrStopped: the parent asks the worker to come to an end.
	ErrStopped = errors.New("stopped by the parent")
	// ErrOrphaned: the parent's end of the pipe is gone, and most likely the parent.
	ErrOrphaned = errors.New("the parent is gone")
	// ErrOverrun: more commands came than the worker took (see [Worker.Commands]).
	ErrOverrun = errors.New("too many commands wait")
)

// ErrFinished says that the final message has been sent.
var ErrFinished = errors.New("after the final message")

// maxCommands is how many commands may wait at each end: they are few, such as "begin", and a worker that leaves so many
// unread is stuck.
const maxCommands = 64

// Worker is a worker process's side of the pipes to its parent. Its methods are safe for concurrent use.
type Worker struct {
	ctx        context.Context
	assignment []byte
	commands   chan []byte

	mu       sync.Mutex // guards what follows
	out      *bufio.Writer
	finished bool
}

// Serve reads the assignment from stdin, which must be the first thing there, and returns the worker. From then on both
// belong to it: nothing else may read stdin or write to stdout, and a stray print to stdout costs the worker its life.
// The caller works until it is done, or Context is; then it calls Finish and exits with 0.
//
// A goroutine reads stdin to its end, which comes when the parent has the final message, or ends.
func Serve(stdin io.Reader, stdout io.Writer) (*Worker, error) {
	in := bufio.NewReader(stdin)
	first, err := readFrame(in)
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("read the assignment: %w: %w", ErrOrphaned, io.ErrUnexpectedEOF)
	case err != nil:
		return nil, fmt.Errorf("read the assignment: %w", err)
	case first.kind != kindAssignment:
		return nil, fmt.Errorf("read the assignment: %w: kind %d", ErrMalformed, first.kind)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	w := &Worker{
		ctx:        ctx,
		assignment: first.payload,
		commands:   make(chan []byte, maxCommands),
		out:        bufio.NewWriter(stdout),
	}
	go func() {
		defer close(w.commands)
		cancel(w.listen(in))
	}()
	return w, nil
}

// listen hands on commands and returns why there will be no more.
func (w *Worker) listen(in *bufio.Reader) error {
	for {
		f, err := readFrame(in)
		switch {
		case err == io.EOF:
			return ErrOrphaned
		case err != nil:
			return fmt.Errorf("read a command: %w", err)
		case f.kind == kindStop:
			return ErrStopped
		case f.kind != kindCommand:
			return fmt.Errorf("read a command: %w: kind %d", ErrMalformed, f.kind)
		}
		// Never wait for the taker: behind this command may be the stop, or the end of the parent.
		select {
		case w.commands <- f.payload:
		default:
			return fmt.Errorf("%w: %d", ErrOverrun, maxCommands)
		}
	}
}

// Assignment returns what [Options.Assignment] gave for this worker. The bytes are the caller's.
func (w *Worker) Assignment() []byte { return w.assignment }

// Commands returns the commands of the parent, in its order; the bytes are the receiver's. The channel is closed when no
// more can come; Context is done by then. If it is full, 64 waiting, the next command ends the worker's context with
// [ErrOverrun]: take commands as they come.
func (w *Worker) Commands() <-chan []byte { return w.commands }

// Context returns a context that is done when the worker has to come to an end. Its cause is [ErrStopped], [ErrOrphaned],
// [ErrOverrun] or a wrapped [ErrMalformed]. After ErrStopped there is still a parent to send to.
func (w *Worker) Context() context.Context { return w.ctx }

// Send sends a message to the parent and waits until the pipe has taken it, which it does not while the parent is busy
// with earlier ones. data is not kept. After an error of the pipe no later message is sent. See [ErrTooLarge],
// [ErrFinished].
func (w *Worker) Send(data []byte) error { return w.send(kindMessage, data) }

// Finish sends the last message, without which the worker counts as dead. See [Worker.Send].
func (w *Worker) Finish(data []byte) error { return w.send(kindFinal, data) }

func (w *Worker) send(k kind, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return fmt.Errorf("send to the parent: %w", ErrFinished)
	}
	if err := writeFrame(w.out, frame{k, data}); err != nil {
		return fmt.Errorf("send to the parent: %w", err)
	}
	w.finished = k == kindFinal
	return nil
}
