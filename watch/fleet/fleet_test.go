package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/clock"
	"sonde/internal/workers"
	"sonde/watch/web"
)

// roleEnv makes the test binary a worker.
const roleEnv = "SONDE_TEST_FLEET"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "" {
		os.Exit(m.Run())
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work() error {
	w, err := workers.Serve(os.Stdin, os.Stdout)
	if err != nil {
		return err
	}
	d := &clerk{}
	if err := json.Unmarshal(w.Assignment(), d); err != nil {
		return err
	}
	if err := Serve(w, d, clock.NewSystem()); err != nil {
		return err
	}
	return w.Finish(nil)
}

// clerk is a Desk that knows by which configuration it works. One that says "refuse N" is refused by worker N, and "fail N" is not taken.
type clerk struct {
	Desk
	Worker int
	Text   string
	next   string
}

func (c *clerk) Prepare(text []byte) error {
	c.next = string(text)
	if c.next == fmt.Sprint("refuse ", c.Worker) {
		return errors.New("no")
	}
	return nil
}

func (c *clerk) Take(context.Context) error {
	if c.next == fmt.Sprint("fail ", c.Worker) {
		return errors.New("can't")
	}
	c.Text = c.next
	return nil
}

func (c *clerk) Failures(context.Context) ([]web.Failure, error) {
	return []web.Failure{{Job: c.Text, At: time.Unix(int64(-c.Worker), 0)}}, nil
}

func (c *clerk) Probe(context.Context, *web.ProbeRequest) (*web.ProbeAnswer, error) {
	return nil, &web.Problem{Code: 400, Text: fmt.Sprint("asked ", c.Worker)}
}

// start returns a Fleet of so many workers, and what ends them.
func start(t *testing.T, n int) (f *Fleet, ctx context.Context) {
	f = New(Options{
		Count: n, Env: []string{roleEnv + "=worker", "GORACE=" + os.Getenv("GORACE") + " atexit_sleep_ms=0"}, Stderr: os.Stderr,
		Log: slog.New(slog.DiscardHandler), Clock: clock.NewSystem(),
		Assignment: func(worker int, text []byte) ([]byte, error) {
			return json.Marshal(clerk{Worker: worker, Text: string(text)})
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		f.Wait()
	})
	return f, ctx
}

// texts are by what the workers work.
func texts(t *testing.T, f *Fleet) string {
	t.Helper()
	all, err := f.Failures(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i := range all {
		texts = append(texts, all[i].Job)
	}
	return strings.Join(texts, ", ")
}

// TestAllOrNone has all workers work by a configuration, or none.
func TestAllOrNone(t *testing.T) {
	f, ctx := start(t, 3)
	for _, c := range []struct{ text, want, err string }{
		{"a", "a, a, a", ""},
		{"b", "b, b, b", ""},
		{"refuse 1", "b, b, b", "worker 1: no"},
		{"fail 2", "b, b, b", "worker 2: can't"},
		{"c", "c, c, c", ""},
	} {
		err := f.Work(ctx, []byte(c.text))
		if (err != nil) != (c.err != "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: got %v, want %q", c.text, err, c.err)
		}
		if got := texts(t, f); got != c.want {
			t.Errorf("%s: they work by %s, want %s", c.text, got, c.want)
		}
	}
}

// TestLateWorker has one that began by an older configuration work by that of the others.
func TestLateWorker(t *testing.T) {
	f, ctx := start(t, 2)
	if err := f.Work(ctx, []byte("a")); err != nil {
		t.Fatal(err)
	}
	f.setText([]byte("b")) // as if the processes had begun before
	f.catchUp(ctx, 1)
	if got := texts(t, f); got != "a, b" {
		t.Errorf("they work by %s, want a, b", got)
	}
}

// TestTurns has the workers asked in turn, and nobody where there is none.
func TestTurns(t *testing.T) {
	f, ctx := start(t, 2)
	var problem *web.Problem
	if _, err := f.Probe(ctx, &web.ProbeRequest{}); f.Up() || !errors.As(err, &problem) || problem.Code != 503 {
		t.Errorf("before there are workers: up %v, %v", f.Up(), err)
	}
	if err := f.Work(ctx, []byte("a")); err != nil {
		t.Fatal(err)
	}
	asked := make(map[string]int)
	for range 4 {
		_, err := f.Probe(ctx, &web.ProbeRequest{})
		if errors.As(err, &problem) {
			asked[problem.Text]++
		}
	}
	if diff := cmp.Diff(map[string]int{"asked 0": 2, "asked 1": 2}, asked); diff != "" || !f.Up() {
		t.Errorf("up %v (-want +got):\n%s", f.Up(), diff)
	}
}
