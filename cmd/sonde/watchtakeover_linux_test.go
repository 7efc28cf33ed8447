package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sonde/internal/testlag"
	"sonde/internal/testpeer/steady"
	"sonde/watch/takeover"
)

// turns is how many turns there were at least from the first connection of each to its last, when none came later than late.
func turns(p *steady.Peers, interval, late time.Duration) (n int) {
	for _, span := range p.Spans() {
		n += int((span+interval/2-late)/interval) + 1
	}
	return n
}

// upgrade is a sonde watch whose place others take.
type upgrade struct {
	t             *testing.T
	file, control string
	addr          string // where it answers; until it does, where it is to
}

func newUpgrade(t *testing.T, config string) *upgrade {
	t.Helper()
	dir, err := os.MkdirTemp("", "sonde") // sun_path has 108 bytes, unix(7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	u := &upgrade{t: t, file: filepath.Join(dir, "watch.yml"), control: filepath.Join(dir, "control"), addr: "127.0.0.1:0"}
	if err := os.WriteFile(u.file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return u
}

// process is a sonde watch, until the test ends.
type process struct {
	*exec.Cmd
	said lockedBuffer
	over chan struct{}
	err  error // of Wait; once over is closed
}

// lockedBuffer is what a process says.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (u *upgrade) start(more ...string) *process {
	u.t.Helper()
	args := append([]string{"watch", "--config", u.file, "--listen", u.addr, "--control", u.control}, more...)
	p := &process{Cmd: exec.Command("sonde", args...), over: make(chan struct{})}
	p.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=10 "+os.Getenv("GORACE"))
	p.Stderr = &p.said
	u.run(p)
	u.until("watching", func() bool {
		select {
		case <-p.over:
			u.t.Fatalf("it ended: %v\n%s", p.err, &p.said)
		default:
		}
		_, said, ok := strings.Cut(p.said.String(), "watching; http://")
		if !ok || !strings.HasSuffix(u.addr, ":0") { // the first one says which port it has
			return ok
		}
		u.addr, _, _ = strings.Cut(said, "/")
		return true
	})
	return p
}

func (u *upgrade) run(p *process) {
	u.t.Helper()
	if err := p.Start(); err != nil {
		u.t.Fatal(err)
	}
	go func() {
		p.err = p.Wait()
		close(p.over)
	}()
	u.t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		<-p.over
		if u.t.Failed() {
			u.t.Logf("%d: %v\n%s", p.Process.Pid, p.err, &p.said)
		}
	})
}

func (u *upgrade) until(what string, ok func() bool) {
	u.t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-poll.C {
		if time.Now().After(end) {
			u.t.Fatalf("not %s within a minute", what)
		}
	}
}

// lonely opens a connection for each request.
var lonely = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

func (u *upgrade) ask(method, path string) (code int, body string, err error) {
	req, err := http.NewRequest(method, "http://"+u.addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := lonely.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// sums are those of all series of a name.
func (u *upgrade) sums() map[string]float64 {
	u.t.Helper()
	_, body, err := u.ask("GET", "/metrics")
	if err != nil {
		u.t.Fatal(err)
	}
	m := make(map[string]float64)
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil && !strings.HasPrefix(line, "#") {
			name, _, _ := strings.Cut(line[:at], "{")
			m[name] += v
		}
	}
	return m
}

// bother asks again and again until end, and fails the test if somebody refuses to listen.
func (u *upgrade) bother(method, path string, every time.Duration) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			if _, _, err := u.ask(method, path); err != nil {
				u.t.Errorf("%s %s: %v", method, path, err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-over }
}

const (
	upgradeKept  = 300
	upgradeEvery = 500 * time.Millisecond
)

// upgraded is a configuration that keeps connections to some, and probes others.
func upgraded(kept, probed *steady.Peers) string {
	return fmt.Sprintf(`
modules: {ping: {probe: redis, timeout: 10s}, connect: {probe: tcp, timeout: 10s}}
jobs:
- {name: kept, module: ping, mode: keep, heartbeat: 500ms, targets: [%s]}
- {name: probed, module: connect, interval: %v, targets: [%s]}
`, "\""+strings.Join(kept.Addrs, "\", \"")+"\"", upgradeEvery, "\""+strings.Join(probed.Addrs, "\", \"")+"\"")
}

// TestWatchTakeover upgrades a sonde watch that is reloaded and asked all the time: no connection is dropped, no probe is lost or made
// twice, and nobody who asks is refused.
func TestWatchTakeover(t *testing.T) {
	t.Parallel()
	lag := testlag.Watch()
	kept, probed := steady.Start(t, upgradeKept), steady.Start(t, 200)
	u := newUpgrade(t, upgraded(kept, probed))
	a := u.start()
	u.until("all kept", func() bool { return u.sums()["probe_kept_connection_up"] == upgradeKept })
	endReloads := u.bother("POST", "/-/reload", 100*time.Millisecond)
	endScrapes := u.bother("GET", "/metrics", 50*time.Millisecond)
	b := u.start("--takeover")
	select {
	case <-a.over:
		if a.err != nil {
			t.Errorf("the old process: %v", a.err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the old process goes on")
	}
	accepted := probed.Accepted()
	u.until("probing on", func() bool { return probed.Accepted() > accepted+1000 })
	u.start("--takeover")
	<-b.over
	endReloads()
	endScrapes()
	accepted = probed.Accepted()
	u.until("probing on", func() bool { return probed.Accepted() > accepted+500 })

	before := probed.Accepted()
	m := u.sums()
	if known := m["sonde_probes_total"] - upgradeKept; known > float64(probed.Accepted()) || known < float64(before)-200 {
		t.Errorf("%v probes are known, the peers saw %d", known, before)
	}
	if m["probe_kept_connection_up"] != upgradeKept || m["probe_kept_connection_drops_total"] != 0 {
		t.Errorf("%v of %d kept, %v dropped", m["probe_kept_connection_up"], upgradeKept, m["probe_kept_connection_drops_total"])
	}
	if n, ended := kept.Accepted(), kept.Ended(); n != upgradeKept || ended != 0 {
		t.Errorf("the peers of kept connections accepted %d, of which %d ended; want %d, 0", n, ended, upgradeKept)
	}
	turns, n := turns(probed, upgradeEvery, lag()), probed.Accepted()
	if skipped := u.sums()["sonde_turns_skipped_total"]; float64(n)+skipped < float64(turns) { // those that were skipped until then
		t.Errorf("%d probes and %v skipped turns of %d", n, skipped, turns)
	}
}

// TestWatchTakeoverKilled kills the new process (kill -9) when it has been given everything and is about to begin: the old one goes on.
func TestWatchTakeoverKilled(t *testing.T) {
	if path := os.Getenv("SONDE_TEST_DESERTER"); path != "" {
		desert(path)
	}
	t.Parallel()
	kept, probed := steady.Start(t, upgradeKept), steady.Start(t, 20)
	u := newUpgrade(t, upgraded(kept, probed))
	a := u.start()
	u.until("all kept", func() bool { return u.sums()["probe_kept_connection_up"] == upgradeKept })
	for range 2 {
		p := &process{Cmd: exec.Command(os.Args[0], "-test.run=^TestWatchTakeoverKilled$"), over: make(chan struct{})}
		p.Env = append(os.Environ(), "SONDE_TEST_DESERTER="+u.control)
		p.Stdout, p.Stderr = &p.said, &p.said
		u.run(p)
		u.until("in the middle", func() bool { return strings.Contains(p.said.String(), "given everything") })
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.over
		accepted := probed.Accepted()
		u.until("probing on", func() bool { return probed.Accepted() > accepted+40 })
	}
	m := u.sums()
	if m["probe_kept_connection_up"] != upgradeKept || m["probe_kept_connection_drops_total"] != 0 || kept.Ended() != 0 {
		t.Errorf("%v of %d kept, %v dropped, %d ended", m["probe_kept_connection_up"], upgradeKept, m["probe_kept_connection_drops_total"], kept.Ended())
	}
	u.start("--takeover")
	<-a.over
	if n, ended := kept.Accepted(), kept.Ended(); a.err != nil || n != upgradeKept || ended != 0 {
		t.Errorf("the old process: %v; the peers accepted %d, of which %d ended", a.err, n, ended)
	}
}

// desert takes over up to the last message before the commit, and waits there to be killed.
func desert(path string) {
	_, err := takeover.Take(context.Background(), path, "deserter", deserter{})
	fmt.Println(err)
	os.Exit(1)
}

type deserter struct{}

func (deserter) Rows([]byte) error { return nil }

func (deserter) Ready(*takeover.State, []net.Listener) error {
	fmt.Println("given everything")
	select {}
}

func (deserter) Live([]takeover.Connection) {}

func (deserter) Late([]byte) {}
