package workers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// forever is a grace that no test waits for.
const forever = time.Hour

// start starts a worker for each assignment. A test that hangs is stopped after a minute.
func start(t *testing.T, o Options, assignments ...string) *Group {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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

// TestKilled kills one of three in the middle, by the ID that it tells.
func TestKilled(t *testing.T) {
	g := start(t, Options{StopGrace: forever}, "echo 0", "echo 1", "echo 2")
	pids := map[int]int{}
	ends := wait(t, g, func(e Event) {
		switch e := e.(type) {
		case Message:
			if e.Final {
				return
			}
			pids[e.Worker], _ = strconv.Atoi(string(e.Data))
			if len(pids) == 3 {
				if group, err := syscall.Getpgid(pids[1]); group != pids[1] {
					t.Errorf("got process group %d of %d (%v), want its own: Ctrl-C is the parent's", group, pids[1], err)
				}
				if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
		case Death:
			if e.Worker != 1 {
				t.Errorf("got the death of worker %d, want that of 1", e.Worker)
			}
			g.Stop() // the others live on until here
		}
	})
	wellEnded(t, []End{ends[0], ends[2]})
	got := ends[1]
	var exit *exec.ExitError
	if got.PID != pids[1] || got.Signal != syscall.SIGKILL || got.ExitCode != -1 || got.Finished ||
		string(got.Last) != strconv.Itoa(pids[1]) || !errors.Is(got.Err, ErrUnfinished) || !errors.As(got.Err, &exit) || errors.Is(got.Err, ErrStuck) {
		t.Errorf("got end %+v, want that of process %d, killed, unfinished, its ID the last message", got, pids[1])
	}
}

// TestDeaths ends workers in each bad way and reads how that is told.
func TestDeaths(t *testing.T) {
	const short = 10 * time.Millisecond
	tests := map[string]struct {
		role  string
		stop  bool // when the first message comes
		grace [2]time.Duration
		want  End // Err is the sentinel
		text  string
	}{
		"exit code": {
			role: "exit3", want: End{ExitCode: 3, Last: []byte("half"), Err: ErrUnfinished},
			text: "exit status 3, no final message"},
		"exit code after the final message": {
			role: "exit4-finished", want: End{ExitCode: 4, Last: []byte("all"), Finished: true},
			text: "exit status 4"},
		"no final message": {
			role: "unfinished", want: End{Last: []byte("half"), Err: ErrUnfinished},
			text: "no final message"},
		"a frame cut off": {
			role: "cut", want: End{Err: ErrUnfinished},
			text: "no final message: read from stdout: frame cut off after 2 of 9 bytes: unexpected EOF"},
		// These do not wait for any grace.
		"a stray print": {
			role: "prints", want: End{ExitCode: -1, Signal: syscall.SIGKILL, Last: []byte("fine"), Err: ErrMalformed},
			text: `read from stdout: malformed frame: "a li" would be the length of`},
		"a frame of the parent's": {
			role: "wrong-kind", want: End{ExitCode: -1, Signal: syscall.SIGKILL, Err: ErrMalformed},
			text: "kind 2 from a worker"},
		"a message after the final one": {
			role: "says-more", want: End{ExitCode: -1, Signal: syscall.SIGKILL, Last: []byte("all"), Finished: true, Err: ErrMalformed},
			text: "after the final message"},
		// These are ended, by what their grace lets through.
		"deaf to a stop": {
			role: "slow", stop: true, grace: [2]time.Duration{short, forever},
			want: End{ExitCode: -1, Signal: syscall.SIGTERM, Last: []byte("ready"), Err: ErrStuck},
			text: "did not end by itself and was sent terminated: signal: terminated, no final message"},
		"deaf to SIGTERM": {
			role: "deaf", stop: true, grace: [2]time.Duration{short, short},
			want: End{ExitCode: -1, Signal: syscall.SIGKILL, Last: []byte("ready"), Err: ErrStuck},
			text: "was sent killed: signal: killed, no final message"},
		"on after the final message": {
			role: "lingers", grace: [2]time.Duration{short, forever},
			want: End{ExitCode: -1, Signal: syscall.SIGTERM, Last: []byte("all"), Finished: true, Err: ErrStuck},
			text: "was sent terminated: signal: terminated"},
		"on after its stdout": {
			role: "closes", grace: [2]time.Duration{short, forever},
			want: End{ExitCode: -1, Signal: syscall.SIGTERM, Err: ErrStuck},
			text: "no final message"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := Options{StopGrace: forever, TermGrace: forever}
			if tt.stop || tt.grace[0] != 0 {
				o.StopGrace, o.TermGrace = tt.grace[0], tt.grace[1]
			}
			var stderr bytes.Buffer
			o.Stderr = &stderr
			g := start(t, o, tt.role)
			got := wait(t, g, func(e Event) {
				if _, ok := e.(Message); ok && tt.stop {
					g.Stop()
				}
			})[0]
			if got.Err == nil || !strings.Contains(got.Err.Error(), tt.text) || tt.want.Err != nil && !errors.Is(got.Err, tt.want.Err) {
				t.Errorf("got error %v, want %v with %q", got.Err, tt.want.Err, tt.text)
			}
			got.Err, tt.want.Err = nil, nil
			got.PID, got.Runtime, got.User, got.System = 0, 0, 0, 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("end (-want +got):\n%s", diff)
			}
			if want := "worker 0: no such thing\nworker 0: last words\n"; tt.role == "exit3" && stderr.String() != want {
				t.Errorf("got stderr %q, want %q", stderr.String(), want)
			}
		})
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
			// One is here, one waits to be handed on, and the pipe and our buffer hold less than two.
			if sent, err := strconv.Atoi(line); err != nil || sent > 3 {
				t.Errorf("got %q messages sent while the first is handled, want 3 at most", line)
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

// TestStderr looks at the lines of several workers: whole, prefixed, in the order of each.
func TestStderr(t *testing.T) {
	stderr := &lineRecorder{}
	wellEnded(t, wait(t, start(t, Options{StopGrace: forever, Stderr: stderr}, "lines a", "lines b", "lines c"), nil))
	for i, name := range []string{"a", "b", "c"} {
		prefix := fmt.Sprintf("worker %d: ", i)
		var want []string
		for line := range 100 {
			want = append(want, fmt.Sprintf("%s%s line %d\n", prefix, name, line))
		}
		text := name + " long " + strings.Repeat("z", maxLine)
		want = append(want, prefix+text[:maxLine]+"\n", prefix+text[maxLine:]+"\n")
		var got []string
		for _, line := range stderr.writes {
			if strings.HasPrefix(line, prefix) {
				got = append(got, line)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lines of worker %d (-want +got):\n%s", i, diff)
		}
	}
	if got, want := len(stderr.writes), 3*102; got != want {
		t.Errorf("got %d writes, want %d", got, want)
	}
}

// lineRecorder keeps each write. It has no lock: the group promises that none is at the same time as another.
type lineRecorder struct{ writes []string }

func (r *lineRecorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, string(p))
	return 0, errors.New("ignored")
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

// peers is where processes that a test can't wait for connect to: their end is the connection's.
type peers struct {
	*net.TCPListener
	conns []net.Conn
}

func listen(t *testing.T) *peers {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peers{TCPListener: l.(*net.TCPListener)}
	t.Cleanup(func() {
		l.Close()
		for _, c := range p.conns {
			c.Close()
		}
	})
	return p
}

// accept waits for a process and returns its ID and connection.
func (p *peers) accept(t *testing.T) (pid int, conn net.Conn) {
	t.Helper()
	p.SetDeadline(time.Now().Add(time.Minute))
	conn, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p.conns = append(p.conns, conn)
	conn.SetDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return pid, conn
}

// TestParentDies kills a parent, which can do nothing then, and waits for the end of its workers. One looks at its
// context, the other at nothing.
func TestParentDies(t *testing.T) {
	peers := listen(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=parent", "SONDE_TEST_ADDRESS="+peers.Addr().String())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	defer kill()
	var conns []net.Conn
	for range 2 {
		_, conn := peers.accept(t)
		conns = append(conns, conn)
	}
	kill()
	for _, conn := range conns {
		var timeout net.Error
		if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("got %d bytes and error %v, want the end: a worker lives on", n, err)
		}
	}
}

// TestChildOfWorker ends although a worker has left a process behind that holds its pipes.
func TestChildOfWorker(t *testing.T) {
	peers := listen(t)
	ends := wait(t, start(t, Options{StopGrace: forever}, "leaves "+peers.Addr().String()), nil)
	wellEnded(t, ends)
	pid, conn := peers.accept(t)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("got %v for the worker's child, want it to be there: it is what this test is about", err)
	}
	conn.Close() // which ends it
}

func ExampleSplit() {
	fmt.Println(Split(50_000, 19_872))
	// Output: [16667 16667 16666]
}
