package poller

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sonde/internal/clock"
	"sonde/internal/kernel/socket"
)

// open returns a poller that runs h in a goroutine, and a function that ends it.
func open(t *testing.T, h func(p Poller, now int64, events []Event) bool) (Poller, func()) {
	t.Helper()
	p, err := Open(clock.NewSystem())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- p.Run(func(now int64, events []Event) bool { return h(p, now, events) })
	}()
	return p, func() {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("the poller did not end")
		}
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		p.Wake() // does nothing now
	}
}

func TestTokens(t *testing.T) {
	tok := MakeToken(1<<31, 1<<32-1)
	if tok.Slot() != 1<<31 || tok.Generation() != 1<<32-1 {
		t.Errorf("got slot %d, generation %d", tok.Slot(), tok.Generation())
	}
}

func TestReadiness(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	remote := socket.AddrFrom(ln.Addr().(*net.TCPAddr).AddrPort(), 0)
	const tok = Token(7<<32 | 1)
	fd := -1
	var peer net.Conn
	step := 0
	p, wait := open(t, func(p Poller, now int64, events []Event) bool {
		if fd < 0 {
			var errno syscall.Errno
			if fd, _, errno = (socket.System{}).Connect(remote, socket.Addr{}); errno != 0 {
				t.Errorf("connect: %v", errno)
				return false
			}
			if err := p.Add(fd, tok); err != nil {
				t.Errorf("add: %v", err)
				return false
			}
		}
		for _, ev := range events {
			if ev.Token != tok {
				t.Errorf("got token %x, want %x", ev.Token, tok)
			}
			switch {
			case step == 0 && ev.Ready&Writable != 0:
				step++
				if peer, err = ln.Accept(); err != nil {
					t.Errorf("accept: %v", err)
					return false
				}
				peer.Write([]byte("x"))
			case step == 1 && ev.Ready&Readable != 0:
				step++
				if ev.Ready&Hangup != 0 {
					t.Errorf("got %b before the FIN, want no Hangup", ev.Ready)
				}
				peer.Close()
			case step == 2 && ev.Ready&Hangup != 0:
				p.Remove(fd)
				socket.System{}.Close(fd, true)
				return false
			}
		}
		return true
	})
	p.Wake()
	wait()
	if step != 2 {
		t.Errorf("ended at step %d, want 2", step)
	}
}

// TestRefusal sees the end of a connect that fails.
func TestRefusal(t *testing.T) {
	fd := -1
	p, wait := open(t, func(p Poller, _ int64, events []Event) bool {
		if fd < 0 {
			var errno syscall.Errno
			// On Linux the refusal comes within connect(2) on loopback; elsewhere the poller tells.
			fd, _, errno = socket.System{}.Connect(socket.AddrFrom(netip.MustParseAddrPort("127.0.0.1:1"), 0), socket.Addr{})
			if errno == syscall.ECONNREFUSED {
				return false
			}
			if err := p.Add(fd, 1); err != nil {
				t.Error(err)
				return false
			}
		}
		if len(events) == 0 {
			return true
		}
		if e := (socket.System{}).Error(fd); e != syscall.ECONNREFUSED {
			t.Errorf("got %v, want ECONNREFUSED", e)
		}
		p.Remove(fd)
		socket.System{}.Close(fd, false)
		return false
	})
	p.Wake()
	wait()
}

// TestTimerIsNeverEarly arms the timer for moments ahead, at once and in the past.
func TestTimerIsNeverEarly(t *testing.T) {
	delays := []int64{int64(3 * time.Millisecond), 1, -5, int64(20 * time.Millisecond), int64(500 * time.Microsecond)}
	at := int64(0)
	p, wait := open(t, func(p Poller, now int64, _ []Event) bool {
		if at != 0 {
			if now < at {
				t.Errorf("the batch came %v early", time.Duration(at-now))
			}
			if len(delays) == 0 {
				return false
			}
		}
		at = max(now+delays[0], 1)
		delays = delays[1:]
		p.ArmTimer(now + int64(time.Hour)) // replaced at once
		p.ArmTimer(at)
		return true
	})
	p.Wake()
	wait()
}

func TestAgainGivesABatchAtOnce(t *testing.T) {
	batches := 0
	p, wait := open(t, func(p Poller, _ int64, _ []Event) bool {
		batches++
		p.Again()
		return batches < 1000
	})
	p.Wake()
	wait()
}

// TestWakeFromManyGoroutines loses no wake-up: after the last Wake there is a batch that begins after it.
func TestWakeFromManyGoroutines(t *testing.T) {
	var mu sync.Mutex
	said, heard, goal := 0, 0, 4*500
	p, wait := open(t, func(_ Poller, _ int64, _ []Event) bool {
		mu.Lock()
		defer mu.Unlock()
		heard = said
		return heard < goal
	})
	for range 4 {
		go func() {
			for range 500 {
				mu.Lock()
				said++
				mu.Unlock()
				p.Wake()
			}
		}()
	}
	wait()
	if heard != goal {
		t.Errorf("heard of %d, want %d", heard, goal)
	}
}

// TestRemovedSocketsAreSilent closes one of two sockets that are ready in the same batch and opens another in its place.
func TestRemovedSocketsAreSilent(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	remote := socket.AddrFrom(ln.Addr().(*net.TCPAddr).AddrPort(), 0)
	sys := socket.System{}
	var fds []int
	round := 0
	dial := func(p Poller, tok Token) int {
		fd, _, errno := sys.Connect(remote, socket.Addr{})
		if errno != 0 {
			t.Errorf("connect: %v", errno)
		}
		if err := p.Add(fd, tok); err != nil {
			t.Error(err)
		}
		return fd
	}
	reborn := Token(0)
	p, wait := open(t, func(p Poller, _ int64, events []Event) bool {
		if len(fds) == 0 {
			fds = []int{dial(p, 1), dial(p, 2)}
			return true
		}
		for _, ev := range events {
			if reborn != 0 && ev.Token != 1 && ev.Token != 2 {
				round++
			} else if reborn != 0 && ev.Token == 2 {
				t.Error("an event of a removed socket came in a later batch")
			}
		}
		if reborn == 0 && len(events) > 0 {
			p.Remove(fds[1])
			sys.Close(fds[1], true)
			reborn = 3
			if fd := dial(p, reborn); fd != fds[1] {
				t.Logf("descriptor %d was not used again at once (got %d)", fds[1], fd)
			} else {
				fds[1] = fd
			}
		}
		if round > 0 {
			for _, fd := range fds {
				p.Remove(fd)
				sys.Close(fd, true)
			}
			return false
		}
		return true
	})
	p.Wake()
	wait()
}

// TestTimerIsNotLost arms the timer anew only once its moment has passed, as the loop does, and wakes the poller once shortly
// before that moment. A batch gathers the events of two polls: one that holds the timer's event must not bear the time
// of the first poll, or nobody arms the timer again.
func TestTimerIsNotLost(t *testing.T) {
	const rounds = 20_000
	clk := clock.NewSystem()
	p, err := Open(clk)
	if err != nil {
		t.Fatal(err)
	}
	armed := make(chan int64, 1)
	go func() {
		round := int64(0)
		for at := range armed {
			round++
			for clk.Now() < at-round%16*1000 {
			}
			p.Wake()
		}
	}()
	var lost atomic.Bool
	const silence = 30 * time.Second // a busy machine may take long for all rounds, but not for one
	watchdog := time.AfterFunc(silence, func() { lost.Store(true); p.Wake() })
	fired, at := 0, int64(0)
	p.Wake()
	err = p.Run(func(now int64, _ []Event) bool {
		if at == 0 || now >= at {
			fired++
			watchdog.Reset(silence)
			at = now + int64(20*time.Microsecond)
			p.ArmTimer(at)
			select {
			case armed <- at:
			default: // still at the last one
			}
		}
		if lost.Load() {
			t.Errorf("the timer was lost after %d rounds", fired)
		}
		return fired < rounds && !lost.Load()
	})
	watchdog.Stop()
	close(armed)
	if err := errors.Join(err, p.Close()); err != nil {
		t.Error(err)
	}
}

// TestDetach takes a socket away from a poller, gives it back, and wants an edge for what came in between, but none meanwhile.
func TestDetach(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	fd, _, errno := socket.System{}.Connect(socket.AddrFrom(ln.Addr().(*net.TCPAddr).AddrPort(), 0), socket.Addr{})
	if errno != 0 {
		t.Fatal(errno)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	const first, second = Token(1<<32 | 1), Token(1<<32 | 2)
	detached, added := false, false
	p, wait := open(t, func(p Poller, _ int64, events []Event) bool {
		if !detached { // the first batch
			if err := p.Add(fd, first); err != nil {
				t.Error(err)
				return false
			}
			p.Detach(fd)
			detached = true
			if _, err := peer.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			p.Again()
			return true
		}
		for _, ev := range events {
			if ev.Token == first {
				t.Errorf("got an event of a socket that is detached: %b", ev.Ready)
			}
			if ev.Token == second && ev.Ready&Readable != 0 {
				p.Remove(fd)
				socket.System{}.Close(fd, true)
				return false
			}
		}
		if !added {
			added = true
			if err := p.Add(fd, second); err != nil {
				t.Error(err)
				return false
			}
		}
		return true
	})
	p.Wake()
	wait()
}
