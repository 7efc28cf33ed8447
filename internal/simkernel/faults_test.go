package simkernel

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

// TestFaultsShow turns on one fault at a time and checks that it can be seen, and not seen when it is off.
func TestFaultsShow(t *testing.T) {
	data := slices.Repeat([]byte("x"), 100)
	script := Script{Steps: []Step{Wait(time.Millisecond), Send(data), Hold()}}
	cases := []struct {
		name   string
		faults Faults
		shows  func(t *testing.T, o Options) bool
	}{
		{"jitter", Faults{Jitter: time.Millisecond}, func(t *testing.T, o Options) bool {
			k := New(o)
			k.enter()
			return k.now > 1+callCost
		}},
		{"stall", Faults{Stall: 0.9, StallMax: time.Second}, func(t *testing.T, o Options) bool {
			k := New(o)
			k.enter()
			return k.now > 1+callCost
		}},
		{"late", Faults{Late: 0.9, LateMax: time.Second}, func(t *testing.T, o Options) bool {
			k := New(o)
			k.ArmTimer(ms)
			now, _ := poll(t, k)
			return now > ms+pollCost
		}},
		{"empty batch", Faults{EmptyBatch: 0.9}, func(t *testing.T, o Options) bool {
			k := New(o)
			k.ArmTimer(ms)
			now, _ := poll(t, k)
			return now < ms
		}},
		{"timer apart", Faults{TimerApart: 0.9}, func(t *testing.T, o Options) bool {
			k, _ := dialScript(t, o, script)
			k.ArmTimer(1)
			k.now = 10 * ms
			poll(t, k)
			return k.timer == 1
		}},
		{"shuffle", Faults{Shuffle: 0.9}, func(t *testing.T, o Options) bool {
			return !slices.IsSorted(slotsOf(manyReady(t, o, 20)))
		}},
		{"repeat", Faults{Repeat: 0.9}, func(t *testing.T, o Options) bool {
			return len(manyReady(t, o, 20)) > 20
		}},
		{"withhold", Faults{Withhold: 0.9}, func(t *testing.T, o Options) bool {
			return len(manyReady(t, o, 20)) < 20
		}},
		{"split", Faults{Split: 0.9}, func(t *testing.T, o Options) bool {
			parts := 0
			for _, e := range manyReady(t, o, 20) {
				if e.Ready != poller.Readable|poller.Writable {
					parts++
				}
			}
			return parts > 0
		}},
		{"spurious", Faults{Spurious: 0.9}, func(t *testing.T, o Options) bool {
			k := New(o)
			k.Peer(addr("10.0.0.1:80"), Script{Answer: BlackHole})
			fd := dial(t, k, addr("10.0.0.1:80"))
			k.Again()
			_, events := poll(t, k)
			connecting := k.Sockets().Info(fd).Connecting && k.Sockets().Error(fd) == 0
			if len(events) > 0 && (events[0].Ready != poller.Writable || !connecting) {
				t.Errorf("got %v, want a Writable that means nothing", events)
			}
			return len(events) > 0
		}},
		{"short read", Faults{ShortRead: 0.9}, func(t *testing.T, o Options) bool {
			k, fd := dialScript(t, o, script)
			wantOnly(t, k, "RW")
			n, _ := k.Sockets().Readv(fd, make([]byte, 200), nil)
			if n < 100 {
				wantOnly(t, k, "RW") // the rest has an edge of its own
			}
			return n < 100
		}},
		{"short write", Faults{ShortWrite: 0.9}, func(t *testing.T, o Options) bool {
			k, fd := dialScript(t, o, Script{})
			n, _ := k.Sockets().Writev(fd, [][]byte{data, data})
			if n < 200 {
				wantOnly(t, k, "W")
			}
			return n < 200
		}},
		{"surprise EAGAIN of read", Faults{SurpriseAgain: 0.9}, func(t *testing.T, o Options) bool {
			k, fd := dialScript(t, o, script)
			wantOnly(t, k, "RW")
			_, e := k.Sockets().Readv(fd, make([]byte, 200), nil)
			if e == syscall.EAGAIN {
				if _, again := k.Sockets().Readv(fd, make([]byte, 200), nil); again != e {
					t.Errorf("got %v at once after EAGAIN, want EAGAIN until the edge", again)
				}
				wantOnly(t, k, "RW")
			}
			return e == syscall.EAGAIN
		}},
		{"surprise EAGAIN of write", Faults{SurpriseAgain: 0.9}, func(t *testing.T, o Options) bool {
			k, fd := dialScript(t, o, Script{})
			_, e := k.Sockets().Writev(fd, [][]byte{data})
			if e == syscall.EAGAIN {
				wantOnly(t, k, "W")
			}
			return e == syscall.EAGAIN
		}},
		{"connect at once", Faults{AtOnce: 0.9}, func(t *testing.T, o Options) bool {
			k := New(o)
			k.Peer(addr("10.0.0.1:80"), Script{})
			k.Sockets().Connect(addr("10.0.0.1:80"), socket.Addr{})
			_, _, refused := k.Sockets().Connect(addr("10.0.0.2:80"), socket.Addr{})
			return k.Dials()[0].Established == k.Dials()[0].At && refused == syscall.ECONNREFUSED
		}},
		{"segments", Faults{Segment: 0.9}, func(t *testing.T, o Options) bool {
			k, fd := dialScript(t, o, script)
			poll(t, k)
			return k.fds.at(fd).segsIn > 2
		}},
		{"network jitter", Faults{NetJitter: time.Second}, func(t *testing.T, o Options) bool {
			k, _ := dialScript(t, o, script)
			now, _ := poll(t, k)
			return now > 10*ms
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.shows(t, Options{Seed: 2}) {
				t.Error("got it with the fault off")
			}
			for seed := range uint64(20) {
				if c.shows(t, Options{Seed: seed, Faults: c.faults}) {
					return
				}
			}
			t.Error("did not get it in 20 seeds with the fault on")
		})
	}
}

// manyReady gives the first batch of n connections that are all connected and have data, watched with slots 0 to n-1.
func manyReady(t *testing.T, o Options, n int) []poller.Event {
	t.Helper()
	k := New(o)
	k.Otherwise(func(socket.Addr) Script { return Script{Steps: []Step{Send([]byte("x"))}} })
	for i := range n {
		fd, _, _ := k.Sockets().Connect(addr("10.0.0.1:80"), socket.Addr{})
		if err := k.Add(fd, poller.MakeToken(uint32(i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	k.now += 10 * ms
	_, events := poll(t, k)
	return events
}

func slotsOf(events []poller.Event) []uint32 {
	slots := make([]uint32, len(events))
	for i, e := range events {
		slots[i] = e.Token.Slot()
	}
	return slots
}

// TestSplitLosesNothing checks that what is split over two batches comes in full.
func TestSplitLosesNothing(t *testing.T) {
	for seed := range uint64(200) {
		k, fd := dialScript(t, Options{Seed: seed, Faults: Faults{Split: 0.9}},
			Script{AtOnce: true, Steps: []Step{Send([]byte("x")), Reset()}})
		k.ArmTimer(time.Second.Nanoseconds())
		seen := poller.Ready(0)
		for k.now < time.Second.Nanoseconds() {
			_, events := poll(t, k)
			for _, e := range events {
				seen |= e.Ready
			}
		}
		if seen != everything {
			t.Fatalf("seed %d: got %s of fd %d over all batches, want RWHF", seed, readyLetters(seen), fd)
		}
	}
}

// TestSegmentsKeepTheirOrder writes in two goes and closes; the peer sends it all back, all of it under jitter.
func TestSegmentsKeepTheirOrder(t *testing.T) {
	for seed := range uint64(50) {
		o := Options{Seed: seed, Faults: Faults{NetJitter: time.Second, Segment: 0.5}}
		k, fd := dialScript(t, o, Script{Steps: []Step{Expect([]byte("hello world")), Send([]byte("dlrow olleh")), Close()}})
		s := k.Sockets()
		s.Writev(fd, [][]byte{[]byte("hello ")})
		s.Writev(fd, [][]byte{[]byte("world")})
		s.CloseWrite(fd)
		k.now += time.Minute.Nanoseconds()
		b := make([]byte, 20)
		n, e := s.Readv(fd, b, nil)
		if string(b[:n]) != "dlrow olleh" || e != 0 || len(k.Violations()) != 0 {
			t.Fatalf("seed %d: got %q, %v, violations %q", seed, b[:n], e, k.Violations())
		}
	}
}

// TestStaleEvents removes each socket at its first event; a repeated event then names a registration that is gone.
func TestStaleEvents(t *testing.T) {
	k := New(Options{Faults: Faults{Repeat: 0.5}})
	fds := make([]int, 20)
	for i := range fds {
		k.Peer(addr("10.0.0.1:80"), Script{})
		fds[i], _, _ = k.Sockets().Connect(addr("10.0.0.1:80"), socket.Addr{})
		if err := k.Add(fds[i], poller.MakeToken(uint32(i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	k.now += 10 * ms
	stale := 0
	for range 2 {
		k.Again()
		_, events := poll(t, k)
		for _, e := range events {
			fd := fds[e.Token.Slot()]
			if fd < 0 {
				stale++
				continue
			}
			k.Remove(fd)
			k.Sockets().Close(fd, true)
			fds[e.Token.Slot()] = -1
		}
		if stale == 0 {
			t.Error("got no stale event in the batch")
		}
		stale = -1000 // none may come in a later batch
	}
	if stale != -1000 {
		t.Errorf("got %d stale events in a later batch, want none", stale+1000)
	}
}

// TestErrnosShow turns on one failure at a time and checks where it comes out, that its dial names it, and what it may be.
func TestErrnosShow(t *testing.T) {
	cases := []struct {
		name   string
		errnos Errnos
		call   socket.Call
		legal  []syscall.Errno
	}{
		{"socket", Errnos{Socket: 1}, socket.CallSocket, socketErrnos},
		{"bind", Errnos{Bind: 1}, socket.CallBind, bindErrnos},
		{"connect", Errnos{Connect: 1}, socket.CallConnect, connectErrnos},
		{"poll", Errnos{Poll: 1}, socket.CallPoll, pollErrnos},
		{"so_error", Errnos{ConnectFails: 1}, socket.CallSOError, connectFailures},
		{"write", Errnos{Write: 1}, socket.CallWrite, writeErrnos},
		{"read", Errnos{Dies: 1}, socket.CallRead, deathErrnos},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var seen []syscall.Errno
			for seed := range uint64(100) {
				call, errno, fault := firstErrno(t, Options{Seed: seed, Errnos: c.errnos})
				if call != c.call || !slices.Contains(c.legal, errno) || fault == "" {
					t.Fatalf("seed %d: got %v of %v, fault %q, want one of %v of %v", seed, errno, call, fault, c.legal, c.call)
				}
				if !slices.Contains(seen, errno) {
					seen = append(seen, errno)
				}
			}
			if len(seen) != len(c.legal) {
				t.Errorf("got only %v in 100 seeds, want all of %v", seen, c.legal)
			}
		})
	}
}

// firstErrno has a simple exchange and returns the first errno but EAGAIN.
func firstErrno(t *testing.T, o Options) (socket.Call, syscall.Errno, string) {
	t.Helper()
	k := New(o)
	k.Peer(addr("10.0.0.1:80"), Script{Steps: []Step{Hold()}})
	fault := func() string { return k.Dials()[0].Fault }
	fd, call, errno := k.Sockets().Connect(addr("10.0.0.1:80"), addr("192.0.2.9:0"))
	if errno != 0 {
		return call, errno, fault()
	}
	if err := k.Add(fd, poller.MakeToken(1, 1)); err != nil {
		return socket.CallPoll, err.(syscall.Errno), fault()
	}
	poll(t, k)
	if e := k.Sockets().Error(fd); e != 0 {
		return socket.CallSOError, e, fault()
	}
	if _, e := k.Sockets().Writev(fd, [][]byte{[]byte("x")}); e != 0 {
		return socket.CallWrite, e, fault()
	}
	poll(t, k)
	_, e := k.Sockets().Readv(fd, make([]byte, 1), nil)
	return socket.CallRead, e, fault()
}
