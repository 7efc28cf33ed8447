package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/report"

	"golang.org/x/sys/unix"
)

// errInterrupted is the cause with which the tests cancel.
var errInterrupted = errors.New("interrupted")

// endlessLines is a target list without an end: one line again and again.
type endlessLines struct {
	line string
	rest string
}

func (l *endlessLines) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if l.rest == "" {
			l.rest = l.line + "\n"
		}
		c := copy(p[n:], l.rest)
		n, l.rest = n+c, l.rest[c:]
	}
	return n, nil
}

// TestSinkFails has the sink take 100 records and no more, in the middle of a list without an end: the scan stops at once and
// says why.
func TestSinkFails(t *testing.T) {
	full := errors.New("no space left on device")
	addr := peers(t, testpeer.Sink)[0]
	for name, line := range map[string]string{
		"records of the engine": addr.String(),
		"records of bad lines":  "not a target",
		"records of names":      fmt.Sprintf("a.test:%d", addr.Port()),
	} {
		t.Run(name, func(t *testing.T) {
			sink := &memorySink{failAt: 100, fail: full}
			run, err := finish(t, t.Context(), open(t, Config{
				InputFiles: []string{"-"}, Stdin: &endlessLines{line: line}, Sink: sink, Lookup: answering,
			}))
			if !errors.Is(err, full) {
				t.Errorf("got error %v, want %v", err, full)
			}
			if got := run.Summary.Records(); got != 100 || len(sink.records) != 100 {
				t.Errorf("got %d records in the summary and %d written, want 100", got, len(sink.records))
			}
			if !strings.Contains(run.Stopped, full.Error()) {
				t.Errorf("got stopped %q, want it to say %q", run.Stopped, full)
			}
		})
	}
	noGoroutines(t)
}

// TestLastFlushFails: the trouble of the very last write is told as any other.
func TestLastFlushFails(t *testing.T) {
	full := errors.New("no space left on device")
	run, err := finish(t, t.Context(), open(t, Config{
		Args: []string{peers(t, testpeer.Sink)[0].String()}, Sink: flushFails{&memorySink{}, full},
	}))
	if !errors.Is(err, full) || !strings.Contains(run.Stopped, full.Error()) {
		t.Errorf("got error %v and stopped %q, want both to say %v", err, run.Stopped, full)
	}
}

type flushFails struct {
	*memorySink
	err error
}

func (s flushFails) Flush() error { return s.err }

// TestInputFails: a list that can't be read to its end ends the scan with an error, but what was read is scanned.
func TestInputFails(t *testing.T) {
	addr := peers(t, testpeer.Sink)[0]
	torn := errors.New("input/output error")
	sink := &memorySink{}
	run, err := finish(t, t.Context(), open(t, Config{
		InputFiles: []string{"-"}, Sink: sink,
		Stdin: io.MultiReader(strings.NewReader(fmt.Sprintf("%v\n%v\n", addr, addr)), readerFunc(func([]byte) (int, error) { return 0, torn })),
	}))
	if !errors.Is(err, torn) || !strings.Contains(run.Stopped, torn.Error()) {
		t.Errorf("got error %v and stopped %q, want both to say %v", err, run.Stopped, torn)
	}
	if len(sink.records) != 2 {
		t.Errorf("got %v, want the two targets that were read", sink.records)
	}
	noGoroutines(t)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestCancel stops a scan without an end in its middle: it writes a record for what was dialled, nothing twice, and tells
// the cause.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	sink := &memorySink{onWrite: func(n int) {
		if n == 1000 {
			cancel(errInterrupted)
		}
	}}
	run, err := finish(t, ctx, open(t, Config{
		InputFiles: []string{"-"}, Stdin: &endlessLines{line: peers(t, testpeer.Sink)[0].String()}, Sink: sink,
	}))
	if err != nil || run.Stopped != errInterrupted.Error() {
		t.Errorf("got error %v and stopped %q, want none and %q", err, run.Stopped, errInterrupted)
	}
	for i := range sink.records {
		want(t, &sink.records[i], report.Success, report.SideNone)
	}
	if got := run.Engine.Opened; got != uint64(len(sink.records)) {
		t.Errorf("got %d records of %d dials", len(sink.records), got)
	}
	noGoroutines(t)
}

// TestCancelledBefore scans nothing when it is too late already.
func TestCancelledBefore(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	sink := &memorySink{}
	run, err := finish(t, ctx, open(t, Config{Args: []string{peers(t, testpeer.Sink)[0].String()}, Sink: sink}))
	if err != nil || run.Stopped != errInterrupted.Error() || run.Engine.Opened != 0 || len(sink.records) != 0 {
		t.Errorf("got error %v, stopped %q, %d dials, %d records; want nothing done", err, run.Stopped, run.Engine.Opened, len(sink.records))
	}
	noGoroutines(t)
}

// startSilent runs a scan of targets that never answer and returns when all of them are in flight, with a function that
// waits for the end.
func startSilent(t *testing.T, ctx context.Context, n int, cfg Config) (s *Scan, sink *memorySink, wait func() (*report.Run, error)) {
	t.Helper()
	addr := peers(t, testpeer.Silent)[0]
	sink = &memorySink{}
	cfg.Sink, cfg.Probes, cfg.Limits = sink, []string{"banner"}, engine.Limits{Read: time.Hour, Target: -1}
	for range n {
		cfg.Args = append(cfg.Args, addr.String())
	}
	s = open(t, cfg)
	var run *report.Run
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		run, err = s.Run(ctx)
	}()
	within(t, "the dialling", func() {
		for s.Snapshot().InFlight != uint64(n) {
			runtime.Gosched()
		}
	})
	return s, sink, func() (*report.Run, error) {
		t.Helper()
		within(t, "the scan", func() { <-done })
		return run, err
	}
}

// TestAbort cancels what is in flight at once: each target has its record.
func TestAbort(t *testing.T) {
	s, sink, wait := startSilent(t, t.Context(), 10, Config{})
	s.Abort()
	s.Abort() // again, for nothing
	run, err := wait()
	if err != nil || run.Stopped != "aborted" {
		t.Errorf("got error %v and stopped %q, want none and aborted", err, run.Stopped)
	}
	if len(sink.records) != 10 {
		t.Errorf("got %d records, want 10", len(sink.records))
	}
	for i := range sink.records {
		want(t, &sink.records[i], report.Cancelled, report.SideLocal)
	}
	noGoroutines(t)
}

// TestAbortAfterCancel is the second signal: the cause stays that of the first.
func TestAbortAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	s, sink, wait := startSilent(t, ctx, 10, Config{})
	cancel(errInterrupted)
	s.Abort()
	run, err := wait()
	if err != nil || run.Stopped != errInterrupted.Error() || len(sink.records) != 10 {
		t.Errorf("got error %v, stopped %q, %d records", err, run.Stopped, len(sink.records))
	}
	noGoroutines(t)
}

// TestMaxRuntime stops a list without an end.
func TestMaxRuntime(t *testing.T) {
	sink := &memorySink{}
	run, err := finish(t, t.Context(), open(t, Config{
		InputFiles: []string{"-"}, Stdin: &endlessLines{line: peers(t, testpeer.Sink)[0].String()}, Sink: sink,
		MaxRuntime: 50 * time.Millisecond,
	}))
	if err != nil || run.Stopped != ErrMaxRuntime.Error() {
		t.Errorf("got error %v and stopped %q, want none and %q", err, run.Stopped, ErrMaxRuntime)
	}
	if run.Duration() < 50*time.Millisecond {
		t.Errorf("got a run of %v, want 50ms at least", run.Duration())
	}
	noGoroutines(t)
}

// TestBlockedInput cancels a scan whose input has nothing to say for now. Run returns all the same, and Close leaves alone
// what the feeder still reads from.
func TestBlockedInput(t *testing.T) {
	addr := peers(t, testpeer.Sink)[0]
	inputs := map[string]func(t *testing.T) (Config, io.WriteCloser){
		"stdin": func(t *testing.T) (Config, io.WriteCloser) {
			r, w := io.Pipe()
			return Config{InputFiles: []string{"-"}, Stdin: r}, w
		},
		"fifo": func(t *testing.T) (Config, io.WriteCloser) {
			name := filepath.Join(t.TempDir(), "fifo")
			if err := unix.Mkfifo(name, 0o600); err != nil {
				t.Fatal(err)
			}
			w, err := os.OpenFile(name, os.O_RDWR, 0) // fifo(7): does not wait for a reader
			if err != nil {
				t.Fatal(err)
			}
			return Config{InputFiles: []string{name}}, w
		},
	}
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) {
			cfg, w := input(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			sink := &memorySink{onWrite: func(int) { cancel(errInterrupted) }}
			cfg.Sink = sink
			s, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			go fmt.Fprintln(w, addr)
			run, err := finish(t, ctx, s)
			if err != nil || run.Stopped != errInterrupted.Error() || len(sink.records) != 1 {
				t.Errorf("got error %v, stopped %q, %d records; want one record", err, run.Stopped, len(sink.records))
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			go func() {
				fmt.Fprintln(w, addr) // the feeder comes back, finds that it is over, and closes its input
				w.Close()
			}()
			noGoroutines(t)
		})
	}
}

// TestEngineFails breaks the pollers of a running scan. The scan ends with an error, though its input is silent and would
// be so for ever, and there is a record for what was in flight.
func TestEngineFails(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("finds the pollers by /proc/self/fd")
	}
	if !alone(t) {
		return
	}
	addr := peers(t, testpeer.Silent)[0]
	runtimes := pollers(t) // package net has begun, so the runtime's own is there
	r, w := io.Pipe()
	sink := &memorySink{}
	s := open(t, Config{
		InputFiles: []string{"-"}, Stdin: r, Sink: sink,
		Probes: []string{"banner"}, Limits: engine.Limits{Read: time.Hour, Target: -1},
	})
	go func() {
		fmt.Fprintln(w, addr)
		for s.Snapshot().InFlight != 1 {
			runtime.Gosched()
		}
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Error(err)
		}
		for fd := range pollers(t) {
			if !runtimes[fd] {
				if err := unix.Dup2(int(null.Fd()), fd); err != nil {
					t.Error(err)
				}
			}
		}
		fmt.Fprintln(w, addr) // wakes the loops
	}()
	run, err := finish(t, t.Context(), s)
	if err == nil || !strings.Contains(err.Error(), "engine: loop") || !strings.Contains(run.Stopped, "engine: loop") {
		t.Errorf("got error %v and stopped %q, want both to name the loop", err, run.Stopped)
	}
	if !slices.ContainsFunc(sink.records, func(r kept) bool { return r.Status == report.Cancelled }) { // the second target may have one too
		t.Errorf("got records %v, want the first target's to say cancelled", sink.records)
	}
}

// pollers are the descriptors of this process that are an epoll(7).
func pollers(t *testing.T) map[int]bool {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]bool{}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == "anon_inode:[eventpoll]" {
			var fd int
			fmt.Sscan(e.Name(), &fd)
			found[fd] = true
		}
	}
	return found
}

// aloneEnv names, in the environment of a test that runs in a process of its own, the test that it is.
const aloneEnv = "SONDE_SCAN_ALONE"

// alone runs the calling test again in a process of its own, for what concerns a whole process. It returns true there,
// and here false when that is done.
func alone(t *testing.T, env ...string) bool {
	t.Helper()
	if os.Getenv(aloneEnv) == t.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v=true")
	cmd.Env = append(append(os.Environ(), aloneEnv+"="+t.Name(), "GORACE=atexit_sleep_ms=0"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}
