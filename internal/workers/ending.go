package workers

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	kernel "sonde/internal/kernel/process"
)

// ErrUnfinished says that a worker ended without its final message: of its share only what it had sent is known.
var ErrUnfinished = errors.New("no final message")

// ErrStuck says that a worker did not end when it had to, so that it was sent a signal.
var ErrStuck = errors.New("did not end by itself")

// End is how a worker ended.
type End struct {
	Worker, PID int
	// ExitCode is -1 if a signal ended the worker, Signal 0 if none did.
	ExitCode int
	Signal   syscall.Signal
	// Last is the data of the last message that came, nil if none did; Finished tells whether it was the final one. The
	// bytes are those that the handler was given.
	Last     []byte
	Finished bool
	// Runtime is how long the process ran; User and System are the CPU time that it took (getrusage(2)).
	Runtime, User, System time.Duration
	// Err is nil if the worker ended well: with the final message and exit code 0. Otherwise it wraps what applies of
	// ErrMalformed, ErrStuck, ErrUnfinished and *exec.ExitError.
	Err error
}

// verdict tells how the process ended: err is what Cmd.Wait returned.
func (p *process) verdict(err error, runtime time.Duration) End {
	state := p.cmd.ProcessState
	e := End{Worker: p.worker, PID: p.cmd.Process.Pid, ExitCode: -1, Last: p.last, Finished: p.finished, Runtime: runtime}
	if state != nil {
		e.ExitCode, e.Signal, e.User, e.System = state.ExitCode(), kernel.Signal(state), state.UserTime(), state.SystemTime()
	}
	if errors.Is(p.fault, ErrMalformed) {
		e.Err = p.fault // the rest follows from it: we killed the worker
		return e
	}
	if err != nil && p.sent != 0 {
		err = fmt.Errorf("%w and was sent %v: %w", ErrStuck, p.sent, err)
	}
	var missing error
	switch {
	case p.finished:
	case p.fault != nil:
		missing = fmt.Errorf("%w: %w", ErrUnfinished, p.fault)
	default:
		missing = ErrUnfinished
	}
	switch {
	case err == nil:
		e.Err = missing
	case missing == nil:
		e.Err = err
	default:
		e.Err = fmt.Errorf("%w, %w", err, missing)
	}
	return e
}
