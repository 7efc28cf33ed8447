package workers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"sonde/internal/clock"
	kernel "sonde/internal/kernel/process"
)

// process is one worker as its parent sees it. run owns it; four goroutines work for it, and each field belongs to one of
// them until run has waited for all:
//
//	write   stdin: assignment, commands, stop, end
//	read    stdout: messages to Group.events
//	stderr  lines
//	end     out by itself, by SIGTERM or by SIGKILL
type process struct {
	worker               int
	cmd                  *exec.Cmd
	cpus                 []int
	stopGrace, termGrace time.Duration
	assignment           []byte
	stdin                *os.File // our ends of the pipes
	stdout, stderr       *remains

	commands chan []byte
	release  chan struct{} // closed by end: no more commands
	quiet    chan struct{} // closed by read: nothing more to come
	exited   chan struct{} // closed by run: the process has been reaped

	sent     syscall.Signal // by end
	finished bool           // by read: the final message came
	last     []byte         // by read
	fault    error          // by read: why reading ended, if not at the end of a frame
	ended    End            // by run
}

func newProcess(worker int, o *Options) (*process, error) {
	p := &process{
		worker:    worker,
		cmd:       exec.Command(o.Executable, o.Args...),
		stopGrace: o.StopGrace,
		termGrace: o.TermGrace,
		commands:  make(chan []byte, maxCommands),
		release:   make(chan struct{}),
		quiet:     make(chan struct{}),
		exited:    make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), o.Env...)
	p.cmd.SysProcAttr = kernel.Attributes()
	if len(o.CPUs) > 0 {
		p.cpus = o.CPUs[worker%len(o.CPUs)]
	}
	if o.Assignment == nil {
		return p, nil
	}
	var err error
	if p.assignment, err = o.Assignment(worker); err != nil {
		return nil, fmt.Errorf("assignment: %w", err)
	}
	if len(p.assignment) > MaxPayload {
		return nil, fmt.Errorf("assignment: %w: %d", ErrTooLarge, len(p.assignment))
	}
	return p, nil
}

// start starts the process. The pipes are ours and not exec's: Cmd.Wait would close them while there is still something
// to read.
func (p *process) start() (err error) {
	var ours, theirs [3]*os.File // stdin, stdout, stderr
	defer func() {
		closeAll(theirs[:])
		if err != nil {
			closeAll(ours[:])
		}
	}()
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("make a pipe: %w", err)
		}
		if ours[i], theirs[i] = r, w; i == 0 {
			ours[i], theirs[i] = w, r
		}
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	if err := kernel.Pinned(p.cpus, p.cmd.Start); err != nil {
		if p.cmd.Process != nil { // it runs, but our thread did not get its CPUs back
			p.kill()
		}
		return err
	}
	p.stdin, p.stdout, p.stderr = ours[0], &remains{file: ours[1]}, &remains{file: ours[2]}
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// kill ends and reaps a process that run does not see to.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// abandon undoes start.
func (p *process) abandon() {
	p.kill()
	closeAll([]*os.File{p.stdin, p.stdout.file, p.stderr.file})
}

// command queues a command; data is kept.
func (p *process) command(data []byte) error {
	select {
	case <-p.release:
		return ErrEnded
	case <-p.exited:
		return ErrEnded
	default:
	}
	select {
	case p.commands <- data:
		return nil
	default:
		return ErrBusy
	}
}

// run sees the process to its end and reports a death.
func (p *process) run(g *Group, stderr *lines, clk clock.Clock) {
	start := clk.Now()
	var workers sync.WaitGroup
	workers.Go(p.write)
	workers.Go(func() { p.read(g.events) })
	workers.Go(func() { stderr.copy(p.stderr, fmt.Sprintf("worker %d: ", p.worker)) })
	workers.Go(func() { p.end(g.stop) })

	err := p.cmd.Wait()
	close(p.exited)
	runtime := time.Duration(clk.Now() - start)
	p.stdin.Close() // a write that waits for room ends here
	p.stdout.interrupt()
	p.stderr.interrupt()
	workers.Wait()
	closeAll([]*os.File{p.stdout.file, p.stderr.file})

	p.ended = p.verdict(err, runtime)
	if p.ended.Err != nil {
		g.events <- Death{p.worker, p.ended.Err}
	}
}

// write sends the assignment and then commands, until the process ends or is to end. Errors are not looked at: the pipe
// breaks when the worker ends, and how it ended is told by verdict.
func (p *process) write() {
	defer p.stdin.Close()
	w := bufio.NewWriter(p.stdin)
	writeFrame(w, frame{kindAssignment, p.assignment})
	p.assignment = nil
	for {
		select {
		case data := <-p.commands:
			writeFrame(w, frame{kindCommand, data})
		case <-p.exited:
			return
		case <-p.release:
			for {
				select {
				case data := <-p.commands:
					writeFrame(w, frame{kindCommand, data})
					continue
				default:
				}
				writeFrame(w, frame{kind: kindStop})
				return
			}
		}
	}
}

// read hands messages on until there are no more. What is no message costs the worker its life: nothing behind it can be
// trusted.
func (p *process) read(events chan<- Event) {
	release := sync.OnceFunc(func() { close(p.quiet) })
	defer release()
	r := bufio.NewReader(p.stdout)
	for {
		f, err := readFrame(r)
		switch {
		case err == io.EOF:
			return
		case err != nil:
		case f.kind != kindMessage && f.kind != kindFinal:
			err = fmt.Errorf("%w: kind %d from a worker", ErrMalformed, f.kind)
		case p.finished:
			err = fmt.Errorf("%w: it comes after the final message", ErrMalformed)
		}
		if err != nil {
			p.fault = fmt.Errorf("read from stdout: %w", err)
			if errors.Is(err, ErrMalformed) {
				p.cmd.Process.Kill()
			}
			return
		}
		p.last, p.finished = f.payload, f.kind == kindFinal
		events <- Message{p.worker, f.payload, p.finished}
		if p.finished {
			release()
		}
	}
}

// end waits until the process has ended or has to, and then makes it.
func (p *process) end(stop <-chan struct{}) {
	select {
	case <-p.exited:
		return
	case <-stop:
	case <-p.quiet:
	}
	close(p.release)
	for _, step := range []struct {
		grace time.Duration
		then  syscall.Signal
	}{{p.stopGrace, syscall.SIGTERM}, {p.termGrace, syscall.SIGKILL}} {
		timer := time.NewTimer(step.grace)
		select {
		case <-p.exited:
			timer.Stop()
			return
		case <-timer.C:
		}
		// It can't hit another process that got the number since: os.Process knows that it has waited.
		if p.cmd.Process.Signal(step.then) == nil {
			p.sent = step.then
		}
	}
}

// remains reads a pipe of a process while it lives, and when it has ended what it left behind. The end of the pipe itself
// would come only when the last holder is gone, and a worker may have children.
type remains struct {
	file *os.File
	dead bool // the reader's alone
}

// interrupt ends a read that waits. It is called once, when the process has ended.
func (r *remains) interrupt() {
	// A moment long past; from here on read is told so by its error.
	r.file.SetReadDeadline(time.Unix(1, 0))
}

// Read implements [io.Reader].
func (r *remains) Read(b []byte) (int, error) {
	if !r.dead {
		n, err := r.file.Read(b)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		r.dead = true
		r.file.SetReadDeadline(time.Time{})
	}
	return kernel.ReadNow(r.file, b)
}
