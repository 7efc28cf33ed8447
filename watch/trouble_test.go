package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sonde/internal/clock"
	"sonde/internal/testlog"
	"sonde/internal/testpeer"
	"sonde/report"
	"sonde/watch/runner"
	"sonde/watch/track"
)

// stats are the runner's figures.
func (p *play) stats() (s runner.Stats) {
	p.t.Helper()
	if err := p.runner.Visit(context.Background(), func() { s = p.runner.Stats() }); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// rounds waits until each target was probed so many times more.
func (p *play) rounds(n int) {
	p.t.Helper()
	before := p.views()
	p.until("probed again", func() bool {
		views := p.views()
		for name, v := range views {
			was := before[name]
			if int(v.Counts().Probes-was.Counts().Probes) < n {
				return false
			}
		}
		return len(views) > 0
	})
}

// lines is how many lines of the log have all of these.
func (p *play) lines(have ...string) (n int) {
	for line := range strings.Lines(p.log.String()) {
		all := true
		for _, h := range have {
			all = all && strings.Contains(line, h)
		}
		if all {
			n++
		}
	}
	return n
}

// TestTroubleWithTargets: a list that vanishes, entries that are there twice and targets of two jobs are told once, and probes go on.
func TestTroubleWithTargets(t *testing.T) {
	sink := peer(t, testpeer.Sink)
	list := filepath.Join(t.TempDir(), "targets.json")
	if err := os.WriteFile(list, fmt.Appendf(nil, `[{"targets": [%q, %q]}]`, sink, sink), 0o600); err != nil {
		t.Fatal(err)
	}
	text := connects + "jobs:\n" + job("twice", "connect", 100*time.Millisecond, "", sink, sink) +
		"  - {name: listed, module: connect, interval: 100ms, file_sd: [" + list + "]}\n"
	p := start(t, text)
	asked := func() uint64 { return p.stats().Schedule.Turns }
	more := func() {
		was := asked()
		p.until("probing both", func() bool { return asked() >= was+6 })
	}
	p.until("told of both", func() bool { return p.lines("listed already") == 2 })
	more()
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	p.until("told that it is gone", func() bool { return p.lines("level=WARN", list, "no such file") == 1 })
	for range 3 {
		if err := p.Reload(context.Background()); err != nil {
			t.Error(err)
		}
		more()
	}
	var c track.Copy
	if err := p.backend().Copy(context.Background(), &c); err != nil || len(c.Views) != 2 {
		t.Errorf("%d targets, %v", len(c.Views), err)
	}
	if a, b := p.lines("listed already"), p.lines(list, "no such file"); a != 2 || b != 1 {
		t.Errorf("twins are told %d times, want 2, and the list that is gone %d times, want 1:\n%s", a, b, p.log)
	}
}

// TestBadFileIsToldOnce: a bad file is told once, however often something happens beside it, and probes go on.
func TestBadFileIsToldOnce(t *testing.T) {
	p := start(t, connects+"jobs:\n"+job("a", "connect", 100*time.Millisecond, "", peer(t, testpeer.Sink)))
	const bad = "jobs: [\n"
	p.write(bad)
	p.until("refused", func() bool { return p.lines("refused") == 1 })
	for range 3 {
		p.write(bad)
		p.rounds(3)
	}
	if n := p.lines("refused"); n != 1 {
		t.Errorf("the bad file is told %d times:\n%s", n, p.log)
	}
}

// jumping is a clock whose wall clock is set again and again.
type jumping struct {
	clock.Clock
	by atomic.Int64
}

// Wall implements clock.Clock.
func (j *jumping) Wall(moment int64) time.Time {
	return j.Clock.Wall(moment).Add(time.Duration(j.by.Load()))
}

// TestClockJumps: however the wall clock is set, each target has a turn an interval.
func TestClockJumps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "watch.yml")
	const every = 100 * time.Millisecond
	text := connects + "jobs:\n" + job("a", "connect", every, "", peer(t, testpeer.Sink))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	clk := &jumping{Clock: clock.NewSystem()}
	began := clk.Now()
	w, err := New(Options{File: file, Clock: clk, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	p := &play{Watch: w, t: t, log: &testlog.Log{}}
	for turns, step := uint64(0), int64(time.Hour); turns < 20; step = -3 * step {
		clk.by.Store(step)
		p.until("taking a turn", func() bool { s := p.stats().Schedule; return s.Turns+s.Missed > turns })
		turns = p.stats().Schedule.Turns + p.stats().Schedule.Missed
		if most := uint64((clk.Now()-began)/int64(every)) + 1; turns > most {
			t.Fatalf("%d turns with the clock set by %v, want %d at most", turns, time.Duration(step), most)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestClockWasWrong: certificates are held against the date as it is, though the clock was years off when the process began.
func TestClockWasWrong(t *testing.T) {
	secure := testpeer.New(t, testpeer.TLS13, testpeer.Options{})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, secure.Credentials().RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	clk := &jumping{Clock: clock.NewSystem()}
	clk.by.Store(-int64(20 * 365 * 24 * time.Hour))
	text := fmt.Sprintf("modules:\n  tls: {probe: tls, timeout: 5s, tls: {ca_file: %q, server_name: sonde.test}}\njobs:\n", ca)
	p := startWith(t, text+job("a", "tls", 100*time.Millisecond, "", secure.Addr().String()), func(o *Options) { o.Clock = clk })
	p.rounds(1)
	for _, v := range p.views() {
		if v.Status() != report.Success {
			t.Errorf("%v", v.Status())
		}
	}
}

// TestReloadAtTheEnds: a reload before the first configuration runs, or behind the end, does nothing; one whose caller went away is whole.
func TestReloadAtTheEnds(t *testing.T) {
	text := connects + "events: {url: \"http://127.0.0.1:1/\"}\njobs:\n"
	p := start(t, text+job("a", "connect", 100*time.Millisecond, "", peer(t, testpeer.Sink)))
	early, err := New(Options{File: p.file})
	if err != nil {
		t.Fatal(err)
	}
	if err := early.Reload(context.Background()); err == nil {
		t.Error("reloaded before it ran")
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := early.Run(ended); err != nil {
		t.Error(err)
	}
	gone, leave := context.WithCancel(context.Background())
	leave()
	p.write(text + job("b", "connect", 100*time.Millisecond, "", peer(t, testpeer.Sink)))
	for range 20 { // a Visit may be lucky
		if err := p.Reload(gone); err != nil {
			t.Fatal(err)
		}
	}
	p.end()
	if err := p.Reload(context.Background()); err == nil || p.lines("configuration refused") > 0 {
		t.Errorf("reloaded behind the end: %v\n%s", err, p.log)
	}
}

// TestLastEvents: what the last probes bring is delivered, though the end had begun before.
func TestLastEvents(t *testing.T) {
	told := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var events []struct{ Instance, To string }
		_ = json.NewDecoder(r.Body).Decode(&events)
		for _, e := range events {
			told <- e.Instance + " " + e.To
		}
	}))
	defer hook.Close()
	accepted := make(chan net.Conn, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			accepted <- c
		}
	}()
	text := fmt.Sprintf("events: {url: %q}\nmodules:\n  ask: {probe: redis, timeout: 1m}\njobs:\n", hook.URL) + job("a", "ask", 100*time.Millisecond, "", l.Addr().String())
	p := startWith(t, text, func(o *Options) { o.Drain = 20 * time.Second })
	c := <-accepted
	go func() { // once it is ending
		p.until("ending", func() bool { return backend{p.Watch}.Ready() != nil })
		c.Close()
	}()
	p.end()
	select {
	case got := <-told:
		if got != l.Addr().String()+" down" {
			t.Errorf("got %q", got)
		}
	default:
		t.Errorf("the hook was not told; the log:\n%s", p.log)
	}
}

// TestSlowerThanTheInterval: probes that take longer than their interval, with and without overlap, take no more and more.
func TestSlowerThanTheInterval(t *testing.T) {
	silent := peer(t, testpeer.Sink)
	text := "connections: 8\nmodules:\n  ask: {probe: redis, timeout: 1h}\njobs:\n" +
		job("one", "ask", 100*time.Millisecond, "", silent) + job("many", "ask", 100*time.Millisecond, "overlap: true", silent)
	p := start(t, text)
	p.until("full, and going on", func() bool { return p.stats().Schedule.Overlap > 3 && p.stats().Schedule.Turns > 15 })
	if in := p.stats().Engine.InFlight; in > 8 {
		t.Errorf("%d are in flight, want 8 at most", in)
	}
}
