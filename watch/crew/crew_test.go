package crew

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sonde/internal/testlog"
	"sonde/internal/workers"
)

// roleEnv makes the test binary a worker.
const roleEnv = "SONDE_TEST_CREW"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "" {
		os.Exit(m.Run())
	}
	w, err := workers.Serve(os.Stdin, os.Stdout)
	if err == nil {
		err = work(w)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work(w *workers.Worker) error {
	if string(w.Assignment()) == "can't begin" {
		return errors.New("no such thing")
	}
	fmt.Fprintln(os.Stderr, "level=INFO msg=begun")
	if err := Serve(w, answer(w)); err != nil {
		return err
	}
	return w.Finish(nil)
}

func answer(w *workers.Worker) Handler {
	return func(ctx context.Context, word string, data []byte) ([]byte, error) {
		switch word {
		case "echo":
			return data, nil
		case "who":
			return fmt.Appendf(nil, "%s %d", w.Assignment(), os.Getpid()), nil
		case "fail":
			return nil, errors.New("so it goes")
		case "long":
			return bytes.Repeat([]byte("0123456789"), part/4), nil
		case "never":
			<-ctx.Done()
			return nil, ctx.Err()
		}
		fmt.Fprintln(os.Stderr, "unknown word", word)
		os.Exit(3)
		return nil, nil
	}
}

// start runs three workers until the test ends.
func start(t *testing.T, o Options) (c *Crew, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o.Count, o.Backoff = 3, 10*time.Millisecond
	o.Env = []string{roleEnv + "=worker", "GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=0"}
	if o.Assignment == nil {
		o.Assignment = func(worker int) ([]byte, error) { return fmt.Append(nil, "worker ", worker), nil }
	}
	c, err := Start(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		c.Wait()
	})
	t.Cleanup(stop)
	return c, stop
}

// until waits until ok holds.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for limit := time.After(time.Minute); !ok(); {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("%s: not after a minute", what)
		}
	}
}

func TestCall(t *testing.T) {
	c, _ := start(t, Options{})
	ctx := t.Context()
	for i := range c.Count() {
		got, err := c.Process(i).Call(ctx, "who", nil)
		if err != nil || !strings.HasPrefix(string(got), fmt.Sprint("worker ", i, " ")) {
			t.Errorf("got %q, %v from worker %d", got, err, i)
		}
	}
	p := c.Process(1)
	if got, err := p.Call(ctx, "long", nil); err != nil || len(got) != 10*(part/4) || !bytes.HasSuffix(got, []byte("0123456789")) {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, 10*(part/4))
	}
	if got, err := p.Call(ctx, "echo", nil); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v; want nothing", got, err)
	}
	if _, err := p.Call(ctx, "fail", nil); err == nil || err.Error() != "so it goes" {
		t.Errorf("got %v, want what the handler said", err)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := p.Call(short, "never", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

// TestManyCalls has more calls at once than the worker's pipe holds commands: none is refused and no worker dies of it.
func TestManyCalls(t *testing.T) {
	c, _ := start(t, Options{})
	p := c.Process(0)
	// These stay, so that what answers is not what makes room.
	ctx, cancel := context.WithCancel(t.Context())
	var waiting, asked sync.WaitGroup
	for range 100 {
		waiting.Go(func() { _, _ = p.Call(ctx, "never", nil) })
	}
	for i := range 500 {
		asked.Go(func() {
			want := strconv.Itoa(i)
			if got, err := p.Call(t.Context(), "echo", []byte(want)); err != nil || string(got) != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
	asked.Wait()
	cancel()
	waiting.Wait()
	if n := c.Restarts(0); n != 0 {
		t.Errorf("got %d restarts, want none", n)
	}
}

// TestKilled kills one of three in the middle of a call: the call fails, the others answer, and another takes its place.
func TestKilled(t *testing.T) {
	log, stderr := &testlog.Log{}, &testlog.Log{}
	again := make(chan int, 3)
	c, stop := start(t, Options{Again: func(worker int) { again <- worker }, Log: slog.New(slog.NewTextHandler(log, nil)), Stderr: stderr})
	old := c.Process(1)
	who, err := old.Call(t.Context(), "who", nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := old.Call(context.Background(), "never", nil)
		failed <- err
	}()
	pid, err := strconv.Atoi(strings.Fields(string(who))[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, ErrDown) {
		t.Errorf("got %v, want ErrDown", err)
	}
	if _, err := old.Call(t.Context(), "who", nil); !errors.Is(err, ErrDown) {
		t.Errorf("got %v of the dead one, want ErrDown", err)
	}
	if _, err := c.Process(2).Call(t.Context(), "who", nil); err != nil {
		t.Errorf("got %v of another", err)
	}
	until(t, "another takes its place", func() bool { return c.Process(1) != nil && c.Process(1) != old })
	if worker := <-again; worker != 1 {
		t.Errorf("got worker %d again, want 1", worker)
	}
	got, err := c.Process(1).Call(t.Context(), "who", nil)
	if err != nil || !strings.HasPrefix(string(got), "worker 1 ") || string(got) == string(who) || c.Restarts(1) != 1 {
		t.Errorf("got %q, %v, %d restarts", got, err, c.Restarts(1))
	}
	// One that ends by itself is told in the log as well, and its own words are under its own number.
	_, _ = c.Process(2).Call(t.Context(), "end", nil)
	until(t, "its end is told", func() bool { return strings.Contains(log.String(), "exit status 3") })
	stop()
	for _, want := range []string{"died", "worker=1", "signal: killed", "the worker process runs again"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if got := stderr.String(); !strings.Contains(got, "\nworker 2: unknown word end\n") || !strings.HasPrefix(got, "level=INFO msg=begun\n") {
		t.Errorf("got stderr %q", got)
	}
}

// TestCanNotBegin starts nothing if one of three can't begin.
func TestCanNotBegin(t *testing.T) {
	stderr := &testlog.Log{}
	c, err := Start(t.Context(), Options{
		Count: 3, Env: []string{roleEnv + "=worker", "GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=0"}, Stderr: stderr,
		Assignment: func(worker int) ([]byte, error) {
			if worker == 1 {
				return []byte("can't begin"), nil
			}
			return nil, nil
		},
	})
	if c != nil || err == nil || !strings.Contains(err.Error(), "worker 1: exit status 1") || !strings.Contains(stderr.String(), "worker 1: no such thing") {
		t.Errorf("got %v, stderr %q", err, stderr)
	}
}
