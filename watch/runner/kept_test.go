package runner

import (
	"net"
	"net/netip"
	"regexp"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/policy/retry"
	"sonde/probes"
	"sonde/probes/banner"
	"sonde/probes/tcp"
	"sonde/report"
	"sonde/watch/track"
)

var never = regexp.MustCompile(`\x00never\x00`)

// TestKept has peers end connections that are kept, each in its way, and sees that they are noticed and come again.
func TestKept(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conns := make(chan *net.TCPConn)
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	p := start(t, Options{})
	j := fast("j", plain(tcp.Probe{}))
	j.Keep, j.Retries = true, retry.Settings{Delay: time.Millisecond}
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", netip.MustParseAddrPort(l.Addr().String())))
	})
	for _, reset := range []bool{false, true, false} {
		c := <-conns
		if r := p.next(); r.res.Status != report.Success {
			t.Fatalf("kept: %v %s", r.res.Status, r.res.Error)
		}
		want := report.ConnectionClosed
		if reset {
			want = report.ConnectionReset
			if err := c.SetLinger(0); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		if r := p.next(); r.res.Status != want {
			t.Errorf("ended: %v %s, want %v", r.res.Status, r.res.Error, want)
		}
	}
	c := <-conns
	defer c.Close()
	if r := p.next(); r.res.Status != report.Success {
		t.Errorf("kept again: %v", r.res.Status)
	}
	p.end() // with one that stands
}

// TestHeartbeats has kept connections asked, and one whose peer falls silent found out.
func TestHeartbeats(t *testing.T) {
	p := start(t, Options{})
	ask, err := (banner.Probe{}).Configure(probes.Options{Send: []byte("ask\n"), Expect: regexp.MustCompile("ask")})
	if err != nil {
		t.Fatal(err)
	}
	m := plain(ask)
	m.Heartbeat = m.Kept
	j := fast("j", m)
	j.Keep, j.Heartbeat, j.Retries = true, 100*time.Millisecond, retry.Settings{Delay: time.Millisecond}
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", testpeer.New(t, testpeer.Echo, testpeer.Options{}).Addr()))
	})
	if r := p.next(); r.res.Status != report.Success {
		t.Fatalf("%v %s", r.res.Status, r.res.Error)
	}
	for beats := 0; beats < 5; {
		p.do(func() {
			if j := p.options.Table; j.Len() != 1 {
				t.Fatal("no target")
			}
			beats = int(p.counts.Beats)
		})
	}
	p.do(func() { p.SetTargets("j", nil) })
}

// TestKeptAgain has a peer accept connections and close them at once: what did not stand for a heartbeat is waited for longer each
// time, and what did begins anew.
func TestKeptAgain(t *testing.T) {
	p := start(t, Options{})
	j := fast("j", plain(tcp.Probe{}))
	j.Keep, j.Heartbeat, j.Retries = true, time.Hour, retry.Settings{Delay: time.Millisecond, MaxDelay: 2 * time.Millisecond}
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", testpeer.New(t, testpeer.CloseAtOnce, testpeer.Options{}).Addr()))
	})
	drops := func() (n int) {
		p.do(func() { n = p.flights.at(p.watched.at(0).kept).drops })
		return n
	}
	for drops() < 5 {
		if r := p.next(); r.res.Status != report.Success && r.res.Status != report.ConnectionClosed && r.res.Status != report.ConnectionReset {
			t.Fatalf("%v %s", r.res.Status, r.res.Error)
		}
	}
	p.do(func() {
		j.Heartbeat = 0 // which every connection stands for
		p.SetJob(j)
	})
	for drops() > 1 {
		p.next()
	}
}

// TestStopReleases has kept connections end at once when the watch does: nothing is awaited of them.
func TestStopReleases(t *testing.T) {
	p := start(t, Options{Drain: time.Minute})
	j := fast("j", plain(tcp.Probe{}))
	j.Keep = true
	sink := testpeer.New(t, testpeer.Sink, testpeer.Options{}).Addr()
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", sink, sink, sink))
	})
	for range 3 {
		if r := p.next(); r.res.Status != report.Success {
			t.Fatalf("kept: %v %s", r.res.Status, r.res.Error)
		}
	}
	begun := time.Now()
	p.end()
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the end took %v: it waited for connections that stand", took)
	}
	if v, _ := p.options.Table.View(0, 1); v.Kept().Up || v.Kept().Drops[track.CauseReleased] != 1 {
		t.Errorf("got %+v, want it released", v.Kept())
	}
}
