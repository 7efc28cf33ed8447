package workers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// forever is a grace that no test waits for.
const forever = time.Hour

// start starts a worker for each assignment. A test that hangs is stopped after some minutes.
func start(t *testing.T, o Options, assignments ...string) *Group {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	g, err := Start(ctx, options(o, assignments...))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func options(o Options, assignments ...string) Options {
	o.Count = len(assignments)
	o.Assignment = func(i int) ([]byte, error) { return []byte(assignments[i]), nil }
	if o.Env == nil {
		o.Env = workerEnv()
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	return o
}

// wait waits for the group and checks what holds of any: a death is reported once, as the last event of its worker, for
// those that Wait says died and no others; each process is gone, and not even a zombie is left.
func wait(t *testing.T, g *Group, handle func(Event)) []End {
	t.Helper()
	deaths := map[int]error{}
	ends := g.Wait(func(e Event) {
		switch e := e.(type) {
		case Message:
			if deaths[e.Worker] != nil {
				t.Errorf("got a message of worker %d after its death", e.Worker)
			}
		case Death:
			if deaths[e.Worker] != nil {
				t.Errorf("got a second death of worker %d: %v", e.Worker, e.Err)
			}
			deaths[e.Worker] = e.Err
		}
		if handle != nil {
			handle(e)
		}
	})
	for i, end := range ends {
		if end.Worker != i {
			t.Errorf("got the end of worker %d at %d", end.Worker, i)
		}
		if end.Err != deaths[i] {
			t.Errorf("worker %d: got death %v, want %v", i, deaths[i], end.Err)
		}
		if err := syscall.Kill(end.PID, 0); err != syscall.ESRCH {
			t.Errorf("worker %d: got %v from kill(%d, 0), want ESRCH: it is still there", i, err, end.PID)
		}
		if end.Runtime <= 0 {
			t.Errorf("worker %d: got runtime %v", i, end.Runtime)
		}
	}
	return ends
}

// wellEnded fails the test for each worker that died.
func wellEnded(t *testing.T, ends []End) {
	t.Helper()
	for _, e := range ends {
		if e.Err != nil || e.ExitCode != 0 || e.Signal != 0 || !e.Finished {
			t.Errorf("got end %+v, want a good one", e)
		}
	}
}

// TestMerge divides 5,000 numbers among 50 workers and adds up what they send.
func TestMerge(t *testing.T) {
	var assignments []string
	want, n := 0, 0
	for _, share := range Split(5000, 100) {
		var b strings.Builder
		b.WriteString("sum")
		for range share {
			n++
			want += n
			fmt.Fprintf(&b, " %d", n)
		}
		assignments = append(assignments, b.String())
	}
	if len(assignments) != 50 {
		t.Fatalf("got %d shares, want 50", len(assignments))
	}
	last, count, finals := map[int]int{}, 0, map[int]int{}
	ends := wait(t, start(t, Options{StopGrace: forever}, assignments...), func(e Event) {
		m := e.(Message)
		got, err := strconv.Atoi(string(m.Data))
		if err != nil || got < last[m.Worker] {
			t.Errorf("worker %d: got %q after %d, want a sum that grows", m.Worker, m.Data, last[m.Worker])
		}
		last[m.Worker] = got
		count++
		if m.Final {
			finals[m.Worker] = got
		}
	})
	wellEnded(t, ends)
	if want := 5000 + 50; count != want {
		t.Errorf("got %d messages, want %d", count, want)
	}
	got := 0
	for i, end := range ends {
		got += finals[i]
		if string(end.Last) != strconv.Itoa(finals[i]) {
			t.Errorf("worker %d: got last message %q, want %d", i, end.Last, finals[i])
		}
		if end.User+end.System <= 0 {
			t.Errorf("worker %d: got no CPU time", i)
		}
	}
	if got != want {
		t.Errorf("got sum %d, want %d", got, want)
	}
}

// TestCommands sends to one and to all, from the handler too.
func TestCommands(t *testing.T) {
	g := start(t, Options{StopGrace: forever}, "echo 0", "echo 1", "echo 2")
	heard := make([][]string, 3)
	ready := 0
	data := []byte("begin")
	ends := wait(t, g, func(e Event) {
		m := e.(Message)
		heard[m.Worker] = append(heard[m.Worker], string(m.Data))
		if len(heard[m.Worker]) > 1 {
			return
		}
		heard[m.Worker][0] = "pid"
		if ready++; ready < 3 {
			return
		}
		for _, err := range []error{g.Broadcast(data), g.Send(1, []byte("you"))} {
			if err != nil {
				t.Error(err)
			}
		}
		copy(data, "XXXXX") // it is not kept
		if err := g.Broadcast([]byte("end")); err != nil {
			t.Error(err)
		}
		g.Stop()
		g.Stop()
	})
	wellEnded(t, ends)
	want := [][]string{
		{"pid", "begin", "end", ErrStopped.Error()},
		{"pid", "begin", "you", "end", ErrStopped.Error()},
		{"pid", "begin", "end", ErrStopped.Error()},
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("what workers heard (-want +got):\n%s", diff)
	}
	if err := g.Send(1, nil); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v from Send afterwards, want ErrEnded", err)
	}
	if err := g.Broadcast(nil); err != nil {
		t.Errorf("got %v from Broadcast afterwards, want nothing: nobody is left to fail", err)
	}
	if err := g.Broadcast(make([]byte, MaxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v from Broadcast, want ErrTooLarge", err)
	}
	if diff := cmp.Diff(len(ends), len(g.Wait(nil))); diff != "" {
		t.Errorf("a second Wait (-want +got):\n%s", diff)
	}
}

func TestContextStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g, err := Start(ctx, options(Options{StopGrace: forever}, "echo 0", "echo 1", "echo 2"))
	if err != nil {
		t.Fatal(err)
	}
	ready := 0
	ends := wait(t, g, func(e Event) {
		if ready++; ready == 3 {
			cancel()
		}
	})
	wellEnded(t, ends)
	for i, end := range ends {
		if got := string(end.Last); got != ErrStopped.Error() {
			t.Errorf("worker %d: got last message %q, want %q", i, got, ErrStopped)
		}
	}
}

// TestLargest sends the most that there may be both ways, through pipes that hold a small part of it.
func TestLargest(t *testing.T) {
	assignment := "mirror " + strings.Repeat("m", MaxPayload-len("mirror "))
	ends := wait(t, start(t, Options{StopGrace: forever}, assignment, assignment), nil)
	wellEnded(t, ends)
	for i, end := range ends {
		if string(end.Last) != assignment {
			t.Errorf("worker %d: got %d other bytes back, want the same %d", i, len(end.Last), len(assignment))
		}
	}
}

// TestBackPressure holds the handler at the first message, and asks the worker again and again how many it has sent.
func TestBackPressure(t *testing.T) {
	progress, pings := &channelWriter{make(chan string)}, 0
	// One is being handled, one waits for that, and one lies in our buffer and the pipe, of 16 pages (pipe(7)).
	most := 2 + max(16*os.Getpagesize()/(64<<10), 1)
	g := start(t, Options{StopGrace: forever, Stderr: progress}, "flood")
	messages := 0
	ends := wait(t, g, func(e Event) {
		if m := e.(Message); !m.Final && !strings.HasSuffix(string(m.Data), "x"+strconv.Itoa(messages)) {
			t.Errorf("message %d: got another", messages)
		}
		messages++
		for ; pings < 30; pings++ {
			if err := g.Send(0, nil); err != nil {
				t.Fatal(err)
			}
			line := strings.TrimSpace(strings.TrimPrefix(<-progress.lines, "worker 0: "))
			if sent, err := strconv.Atoi(line); err != nil || sent > most {
				t.Errorf("got %q messages sent while the first is handled, want %d at most", line, most)
			}
		}
	})
	wellEnded(t, ends)
	if messages != 201 {
		t.Errorf("got %d messages, want 201", messages)
	}
}

// TestLeftBehind holds the handler until the worker is gone, with most of what it said still in the pipe.
func TestLeftBehind(t *testing.T) {
	g := start(t, Options{StopGrace: forever}, "bulk")
	sizes := []int{}
	ends := wait(t, g, func(e Event) {
		m := e.(Message)
		if len(sizes) == 0 {
			pid, err := strconv.Atoi(string(m.Data))
			if err != nil {
				t.Fatal(err)
			}
			for syscall.Kill(pid, 0) == nil {
				runtime.Gosched()
			}
		}
		sizes = append(sizes, len(m.Data))
	})
	wellEnded(t, ends)
	if diff := cmp.Diff([]int{10_000, 10_000, 10_000, 0}, sizes[1:]); diff != "" {
		t.Errorf("sizes of messages (-want +got):\n%s", diff)
	}
}

// channelWriter sends each write to a channel.
type channelWriter struct{ lines chan string }

func (w *channelWriter) Write(p []byte) (int, error) {
	w.lines <- string(p)
	return len(p), nil
}

// TestBusy broadcasts to workers that never read.
func TestBusy(t *testing.T) {
	g := start(t, Options{Env: []string{roleEnv + "=hung"}, StopGrace: time.Millisecond, TermGrace: forever}, "a", "b")
	var err error
	for range 1000 { // more than a pipe and a queue hold
		if err = errors.Join(err, g.Broadcast(make([]byte, 4<<10))); err != nil && strings.Contains(err.Error(), "worker 0") && strings.Contains(err.Error(), "worker 1") {
			break
		}
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy for both workers", err)
	}
	g.Stop() // a write that waits for room must not hold this up
	for _, end := range wait(t, g, nil) {
		if end.Signal != syscall.SIGTERM || !errors.Is(end.Err, ErrStuck) {
			t.Errorf("got end %+v, want one by SIGTERM", end)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	done, cancel := context.WithCancelCause(context.Background())
	no := errors.New("no")
	cancel(no)
	tests := map[string]struct {
		ctx  context.Context
		set  func(*Options)
		text string
		want error
	}{
		"no workers":        {set: func(o *Options) { o.Count = 0 }, text: "0 workers"},
		"a grace below 0":   {set: func(o *Options) { o.TermGrace = -1 }, text: "negative grace"},
		"no such program":   {set: func(o *Options) { o.Executable = "/no/such" }, text: "worker 0: ", want: os.ErrNotExist},
		"no assignment":     {set: func(o *Options) { o.Assignment = func(int) ([]byte, error) { return nil, no } }, want: no, text: "worker 0: assignment"},
		"a large one":       {set: func(o *Options) { o.Assignment = large }, want: ErrTooLarge, text: "worker 2"},
		"a context done":    {ctx: done, set: func(*Options) {}, want: no},
		"a CPU of no one's": {set: func(o *Options) { o.CPUs = [][]int{nil, nil, {1 << 20}} }, text: "worker 2: pin to CPUs [1048576]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := options(Options{}, "deaf", "deaf", "deaf")
			tt.set(&o)
			ctx := tt.ctx
			if ctx == nil {
				ctx = context.Background()
			}
			_, err := Start(ctx, o)
			if err == nil || !strings.Contains(err.Error(), tt.text) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v with %q", err, tt.want, tt.text)
			}
			// No test before this one has left any either.
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
				t.Errorf("got process %d and error %v from wait4, want ECHILD: a child is left", pid, err)
			}
		})
	}
}

func large(worker int) ([]byte, error) {
	if worker < 2 {
		return nil, nil
	}
	return make([]byte, MaxPayload+1), nil
}
