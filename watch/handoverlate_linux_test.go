package watch

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sonde/internal/testpeer/steady"
	"sonde/report"
	"sonde/watch/track"
)

// TestTakeoverLate hands over while a probe is under way: the old process brings it to its end, and the new one has the result, and has
// not asked a second time.
func TestTakeoverLate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var accepted atomic.Int64
	answer := make(chan struct{})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go func() {
				defer c.Close()
				<-answer
				_, _ = io.WriteString(c, "+PONG\r\n")
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	slow := l.Addr().String()
	r := newRelay(t, connects+"jobs:\n"+job("slow", "ping", handedEvery, "", slow))
	a := r.run(false, func(o *Options) { o.Drain = time.Minute })
	a.until("asked", func() bool { return accepted.Load() == 1 })
	b := r.run(true, nil)
	b.until("waiting for the answer", func() bool {
		v := b.views()[slow]
		return v.Counts().Skipped[track.SkipOverlap] > 2 // turns that come while it is under way
	})
	if n := accepted.Load(); n != 1 || !a.Given() {
		t.Errorf("asked %d times, given %v", n, a.Given())
	}
	close(answer)
	if err := <-a.done; err != nil {
		t.Errorf("the old one ended with %v", err)
	}
	b.until("recorded, and asked again", func() bool {
		v := b.views()[slow]
		return v.Counts().Probes >= 2 && v.Status() == report.Success
	})
	before := accepted.Load()
	v := b.views()[slow]
	if n, after := int64(v.Counts().Probes), accepted.Load(); n > after || n < before-1 {
		t.Errorf("%d probes are known, %d to %d were made", n, before, after)
	}
}

// TestTakeoverOfOthers has the new process' configuration keep only some of the connections, as they were: the others are released.
func TestTakeoverOfOthers(t *testing.T) {
	p := steady.Start(t, 4)
	keep := func(name, heartbeat string, addrs ...string) string {
		return job(name, "ping", 0, "mode: keep\n    heartbeat: "+heartbeat, addrs...)
	}
	r := newRelay(t, connects+"jobs:\n"+keep("same", "200ms", p.Addrs[0], p.Addrs[1])+keep("other", "200ms", p.Addrs[2:]...))
	a := r.run(false, nil)
	a.standing(4)
	next := newRelay(t, connects+"jobs:\n"+keep("same", "200ms", p.Addrs[0])+keep("other", "300ms", p.Addrs[2:]...))
	b := r.run(true, func(o *Options) { o.File = next.file }) // the old one would read its own again
	if err := <-a.done; err != nil {
		t.Fatal(err)
	}
	b.standing(3)
	if same := b.keptTo(p.Addrs[0]); same.Connects != 1 {
		t.Errorf("the one that is as it was: %+v", same)
	}
	for _, at := range p.Addrs[2:] {
		if k := b.keptTo(at); k.Connects != 2 || k.Drops[track.CauseReleased] != 1 {
			t.Errorf("one with another heartbeat: %+v", k)
		}
	}
	b.until("three ended", func() bool { return p.Ended() == 3 })
	if !strings.Contains(b.log.String(), "released=3") {
		t.Errorf("the log does not tell what was released:\n%s", b.log)
	}
}
