package watch

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/internal/testlog"
	"sonde/internal/testpeer"
	"sonde/internal/testpeer/steady"
	"sonde/report"
	"sonde/watch/takeover"
	"sonde/watch/track"
)

// relay is a pair of Watches of one control socket.
type relay struct {
	t       *testing.T
	control string
	file    string
}

func newRelay(t *testing.T, configuration string) *relay {
	t.Helper()
	dir, err := os.MkdirTemp("", "sonde") // sun_path has 108 bytes, unix(7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &relay{t: t, control: filepath.Join(dir, "control"), file: filepath.Join(dir, "watch.yml")}
	if err := os.WriteFile(r.file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// member is a Watch of a relay.
type member struct {
	*play
	done chan error // what Run returned
}

// run starts a Watch, which takes over from the one before if it is to.
func (r *relay) run(takes bool, change func(*Options)) *member {
	r.t.Helper()
	m := &member{play: &play{t: r.t, file: r.file, log: &testlog.Log{}}, done: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(m.log, nil))
	ready := make(chan struct{})
	o := Options{
		File: r.file, Version: "test", Log: log, Ready: func() { close(ready) }, Drain: 2 * time.Second, Takeover: takes, Control: Control{Path: r.control},
	}
	o.Web.Reload = true
	if takes {
		o.Listen = func(taken []net.Listener) ([]net.Listener, error) {
			m.url = "http://" + taken[0].Addr().String()
			return taken, nil
		}
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			r.t.Fatal(err)
		}
		o.Listeners, m.url = []net.Listener{l}, "http://"+l.Addr().String()
	}
	if change != nil {
		change(&o)
	}
	var err error
	if m.Watch, err = New(o); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		m.done <- m.Run(ctx)
		close(ended)
	}()
	m.play.end = func() {
		cancel()
		<-ended
	}
	r.t.Cleanup(m.play.end)
	select {
	case <-ready:
	case <-ended:
	}
	return m
}

// kept counts the connections that stand, and those that were dropped.
func (m *member) kept() (up, drops int) {
	for _, v := range m.views() {
		if k := v.Kept(); v.Target.Keep {
			if k.Up {
				up++
			}
			for _, n := range k.Drops {
				drops += int(n)
			}
		}
	}
	return up, drops
}

// keptTo is what is known of the connection to an address.
func (m *member) keptTo(at string) track.Kept {
	v := m.views()[at]
	return v.Kept()
}

// probes is how many each target had.
func (m *member) probes(job string) map[string]uint32 {
	n := make(map[string]uint32)
	for at, v := range m.views() {
		if v.Target.Job == job {
			n[at] = v.Counts().Probes
		}
	}
	return n
}

const (
	handedPeers = 40
	handedEvery = 200 * time.Millisecond
)

// handed is a configuration by which connections to peers are kept, and others probed.
func handed(p *steady.Peers, sinks []string) string {
	return connects + "jobs:\n" + job("kept", "ping", 0, "mode: keep\n    heartbeat: 100ms", p.Addrs...) + job("probed", "connect", handedEvery, "", sinks...)
}

func sinks(t *testing.T, n int) []string {
	var all []string
	for range n {
		all = append(all, peer(t, testpeer.Sink))
	}
	return all
}

// standing waits until all connections are kept.
func (m *member) standing(n int) {
	m.t.Helper()
	m.until("all kept", func() bool { up, _ := m.kept(); return up == n })
}

// TestTakeover hands over in the middle of it all: the connections stay, no turn is lost or taken twice, what was known is known, and
// who asks over HTTP is answered throughout.
func TestTakeover(t *testing.T) {
	p, s := steady.Start(t, handedPeers), sinks(t, 20)
	r := newRelay(t, handed(p, s))
	a := r.run(false, nil)
	a.standing(handedPeers)
	a.until("probed", func() bool { return a.probes("probed")[s[0]] >= 3 })
	since := a.keptTo(p.Addrs[0]).Since

	asking, stop := context.WithCancel(context.Background())
	var asked sync.WaitGroup
	asked.Go(func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for asking.Err() == nil {
			res, err := client.Get(a.url + "/-/ready")
			if err != nil {
				t.Errorf("HTTP: %v", err)
				return
			}
			res.Body.Close()
		}
	})
	b := r.run(true, nil)
	select {
	case err := <-a.done:
		if err != nil {
			t.Errorf("the old one ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatalf("the old one goes on; its log:\n%s\nand the other's:\n%s", a.log, b.log)
	}
	if !a.Given() {
		t.Error("the old one does not know that it gave all away")
	}
	before := b.probes("probed")
	b.until("probed on", func() bool {
		for at, n := range b.probes("probed") {
			if n < before[at]+5 {
				return false
			}
		}
		return true
	})
	stop()
	asked.Wait()
	up, drops := b.kept()
	if up != handedPeers || drops != 0 || p.Accepted() != handedPeers || p.Ended() != 0 {
		t.Errorf("%d of %d kept, %d drops; the peers accepted %d and lost %d; logs:\n%s\n%s", up, handedPeers, drops, p.Accepted(), p.Ended(), a.log, b.log)
	}
	if k := b.keptTo(p.Addrs[0]); !k.Since.Equal(since) || k.Connects != 1 {
		t.Errorf("kept since %v, %d connects; want since %v", k.Since, k.Connects, since)
	}
	b.until("heartbeats go on", func() bool { return b.keptTo(p.Addrs[0]).Beat.After(a.start.Add(time.Second)) })
	for _, at := range s {
		b.checkTurns(at)
	}
}

// checkTurns looks for a turn that was lost or taken twice in the history of a target.
func (m *member) checkTurns(at string) {
	m.t.Helper()
	v := m.views()[at]
	var moments []time.Time
	if err := m.runner.Visit(context.Background(), func() { // all of one moment
		v, _ = m.table.View(v.ID(), m.clk.Now())
		for _, p := range m.table.History().Points(v.ID(), nil) {
			moments = append(moments, p.At)
		}
	}); err != nil {
		m.t.Fatal(err)
	}
	if len(moments) < 5 {
		m.t.Errorf("%s: %d points of history", at, len(moments))
		return
	}
	turns := turnsOf(moments)
	// Those that a busy machine was late for are counted as such.
	skipped, all := v.Counts().Skipped, turns[len(turns)-1]-turns[0]+1
	if n := len(moments) + int(skipped[track.SkipMissed]+skipped[track.SkipOverlap]); n < all || uint32(len(moments)) != v.Counts().Probes {
		m.t.Errorf("%s: %d probes, %d points and %v skipped in %d turns: %v", at, v.Counts().Probes, len(moments), skipped, all, moments)
	}
	for i, turn := range turns[1:] {
		if turn == turns[i] {
			m.t.Errorf("%s: a turn was taken twice: %v", at, moments)
		}
	}
	if v.Status() != report.Success {
		m.t.Errorf("%s: %v", at, v.Status())
	}
}

// turnsOf numbers the turns that probes of these moments had. One that was late, for up to an interval, may come right before the next:
// the turns are where they are the least late for in all.
func turnsOf(moments []time.Time) (turns []int) {
	var phase time.Time
	late := func(at time.Time) time.Duration { return (at.Sub(phase)%handedEvery + handedEvery) % handedEvery }
	best, least := phase, time.Duration(0)
	for i, first := range moments {
		phase = first
		sum := time.Duration(0)
		for _, at := range moments {
			sum += late(at)
		}
		if i == 0 || sum < least {
			best, least = first, sum
		}
	}
	phase = best
	for _, at := range moments {
		turns = append(turns, int((at.Sub(phase)-late(at))/handedEvery))
	}
	return turns
}

// TestTakeoverBreaks ends the new process' side after each number of messages: the old one goes on with all its connections, answers over
// HTTP, and hands over to the next that asks.
func TestTakeoverBreaks(t *testing.T) {
	p, s := steady.Start(t, handedPeers), sinks(t, 5)
	r := newRelay(t, handed(p, s))
	a := r.run(false, nil)
	a.standing(handedPeers)
	for messages := range 6 {
		_, err := takeover.Take(context.Background(), r.control, "test", &deserter{t: t, left: messages})
		if err == nil {
			t.Fatal("the deserter has taken over")
		}
		before := a.probes("probed")[s[0]]
		a.until("probing on", func() bool { return a.probes("probed")[s[0]] > before+1 })
		if code, _ := a.get("/-/ready"); code != 200 {
			t.Errorf("%d messages: /-/ready answers %d", messages, code)
		}
	}
	up, drops := a.kept()
	if up != handedPeers || drops != 0 || p.Accepted() != handedPeers || p.Ended() != 0 {
		t.Errorf("%d of %d kept, %d drops; the peers accepted %d and lost %d; log:\n%s", up, handedPeers, drops, p.Accepted(), p.Ended(), a.log)
	}
	b := r.run(true, nil)
	b.standing(handedPeers)
	if p.Accepted() != handedPeers {
		t.Errorf("the peers accepted %d", p.Accepted())
	}
	b.checkTurns(s[0])
}

// deserter refuses one of the steps of a takeover.
type deserter struct {
	t    *testing.T
	left int
}

func (d *deserter) step() error {
	if d.left--; d.left < 0 {
		return io.ErrClosedPipe
	}
	return nil
}

func (d *deserter) Rows([]byte) error { return d.step() }

func (d *deserter) Ready(_ *takeover.State, listeners []net.Listener) error {
	for _, l := range listeners {
		l.Close()
	}
	return io.ErrClosedPipe
}

func (d *deserter) Live([]takeover.Connection) { d.t.Error("the deserter lives") }

func (d *deserter) Late([]byte) {}

// TestTakeoverOfNobody fails: who upgrades is to hear of it.
func TestTakeoverOfNobody(t *testing.T) {
	r := newRelay(t, connects)
	b := r.run(true, nil)
	if err := <-b.done; err == nil || !strings.Contains(err.Error(), "no running process") {
		t.Errorf("got %v", err)
	}
}
