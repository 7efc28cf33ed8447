package simkernel

import (
	"syscall"
	"testing"
	"time"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

func TestAddOwesAnEdgeForWhatIsReady(t *testing.T) {
	k := New(Options{})
	k.Peer(addr("10.0.0.1:80"), Script{AtOnce: true, Steps: []Step{Send([]byte("x"))}})
	fd, _, _ := k.Sockets().Connect(addr("10.0.0.1:80"), socket.Addr{})
	wantNothing(t, k, 10*time.Millisecond) // not watched yet
	if err := k.Add(fd, poller.MakeToken(1, 1)); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, k, "RW")
}

func TestAnEdgeIsReportedOnce(t *testing.T) {
	k, fd := dialScript(t, Options{}, Script{Steps: []Step{
		Wait(5 * time.Millisecond), Send([]byte("one")), Wait(100 * time.Millisecond), Send([]byte("two")), CloseWrite(), Hold(),
	}})
	wantOnly(t, k, "RW")
	wantNothing(t, k, 50*time.Millisecond) // a paused reader hears nothing
	wantOnly(t, k, "RWH")                  // until there is more
	wantNothing(t, k, time.Second)
	var b [10]byte
	if n, e := k.Sockets().Readv(fd, b[:], nil); string(b[:n]) != "onetwo" || e != 0 {
		t.Errorf("got %q, %v, want all that was unread", b[:n], e)
	}
	wantNothing(t, k, time.Second) // reading is no edge
}

func TestSeparateFiltersReportWhatIsNew(t *testing.T) {
	k, _ := dialScript(t, Options{SeparateFilters: true}, Script{Steps: []Step{
		Wait(5 * time.Millisecond), Send([]byte("one")), Wait(5 * time.Millisecond), CloseWrite(), Hold(),
	}})
	wantOnly(t, k, "R")
	wantOnly(t, k, "RH")
}

func TestRoomInTheSendBufferIsAnEdge(t *testing.T) {
	k, fd := dialScript(t, Options{SendBuffer: 1000}, Script{Window: 500, Steps: []Step{
		Wait(time.Second), Read(100), Wait(time.Second), Read(900), Wait(time.Second),
	}})
	s := k.Sockets()
	if n, e := s.Writev(fd, [][]byte{make([]byte, 600), make([]byte, 900)}); n != 1000 || e != 0 {
		t.Errorf("got %d, %v, want the 1000 bytes for which there is room", n, e)
	}
	if n, e := s.Writev(fd, [][]byte{make([]byte, 1)}); n != 0 || e != syscall.EAGAIN {
		t.Errorf("got %d, %v, want EAGAIN", n, e)
	}
	wantOnly(t, k, "W") // the peer's window took 500
	if n, e := s.Writev(fd, [][]byte{make([]byte, 600)}); n != 500 || e != 0 {
		t.Errorf("got %d, %v, want the 500 for which there is room", n, e)
	}
	wantNothing(t, k, 1500*time.Millisecond) // 100 bytes more room: not a third
	wantOnly(t, k, "W")
}

// TestAPollThatFindsNoRoomAsksForTheEdge: nobody got a short write, but a poll told that the socket is not writable.
func TestAPollThatFindsNoRoomAsksForTheEdge(t *testing.T) {
	k, fd := dialScript(t, Options{SendBuffer: 1000}, Script{Window: 1, Steps: []Step{
		Wait(time.Second), Send([]byte("x")), Wait(time.Second), Read(900),
	}})
	if n, e := k.Sockets().Writev(fd, [][]byte{make([]byte, 900)}); n != 900 || e != 0 {
		t.Errorf("got %d, %v, want all 900", n, e)
	}
	wantOnly(t, k, "R")
	wantOnly(t, k, "RW")
}

func TestHangupComesWithUnreadData(t *testing.T) {
	k, fd := dialScript(t, Options{}, Script{Steps: []Step{Wait(time.Millisecond), Send([]byte("bye")), Close()}})
	wantOnly(t, k, "RWH")
	var b [10]byte
	if n, e := k.Sockets().Readv(fd, b[:1], b[1:]); string(b[:n]) != "bye" || e != 0 {
		t.Errorf("got %q, %v, want the data first", b[:n], e)
	}
	if n, e := k.Sockets().Readv(fd, b[:], nil); n != 0 || e != 0 {
		t.Errorf("got %d, %v, want the end", n, e)
	}
}

func TestDataStaysReadableAfterAReset(t *testing.T) {
	k, fd := dialScript(t, Options{}, Script{Steps: []Step{Wait(time.Millisecond), Send([]byte("banner")), Reset()}})
	s := k.Sockets()
	wantOnly(t, k, "RWHF")
	if i := s.Info(fd); !i.Known || i.Established || i.Connecting {
		t.Errorf("got %+v, want neither established nor connecting", i)
	}
	var b [10]byte
	if n, e := s.Readv(fd, b[:], nil); string(b[:n]) != "banner" || e != 0 {
		t.Errorf("got %q, %v, want the banner", b[:n], e)
	}
	if _, e := s.Readv(fd, b[:], nil); e != syscall.ECONNRESET {
		t.Errorf("got %v, want ECONNRESET", e)
	}
	if n, e := s.Readv(fd, b[:], nil); n != 0 || e != 0 {
		t.Errorf("got %d, %v, want 0 once the error is told", n, e)
	}
	if _, e := s.Writev(fd, [][]byte{b[:]}); e != syscall.EPIPE {
		t.Errorf("got %v, want EPIPE", e)
	}
}

func TestResetAfterTheFinIsEPIPE(t *testing.T) {
	k, fd := dialScript(t, Options{}, Script{Steps: []Step{Wait(time.Millisecond), Close()}})
	s := k.Sockets()
	wantOnly(t, k, "RWH")
	if n, e := s.Writev(fd, [][]byte{[]byte("too late")}); n != 8 || e != 0 {
		t.Errorf("got %d, %v, want the kernel to take the bytes", n, e)
	}
	wantOnly(t, k, "RWHF")
	if n, e := s.Readv(fd, make([]byte, 1), nil); n != 0 || e != 0 {
		t.Errorf("got %d, %v, want the end of the stream", n, e)
	}
	if e := s.Error(fd); e != syscall.EPIPE {
		t.Errorf("got %v, want EPIPE", e)
	}
	if e := s.Error(fd); e != 0 {
		t.Errorf("got %v, want SO_ERROR to clear what it returns", e)
	}
}

func TestConnectFailureIsReportedByAllBits(t *testing.T) {
	k := New(Options{})
	k.Peer(addr("10.0.0.1:80"), Script{Answer: Refuse})
	fd := dial(t, k, addr("10.0.0.1:80"))
	s := k.Sockets()
	if i := s.Info(fd); !i.Connecting || i.Established {
		t.Errorf("got %+v, want connecting", i)
	}
	if _, e := s.Readv(fd, make([]byte, 1), nil); e != syscall.EAGAIN {
		t.Errorf("read while connecting: got %v, want EAGAIN", e)
	}
	if _, e := s.Writev(fd, [][]byte{{1}}); e != syscall.EAGAIN {
		t.Errorf("write while connecting: got %v, want EAGAIN", e)
	}
	wantOnly(t, k, "RWHF")
	if e := s.Error(fd); e != syscall.ECONNREFUSED {
		t.Errorf("got %v, want ECONNREFUSED", e)
	}
}

func TestNoEventAfterRemove(t *testing.T) {
	k, fd := dialScript(t, Options{}, Script{Steps: []Step{Wait(time.Millisecond), Send([]byte("x")), Hold()}})
	k.Remove(fd)
	wantNothing(t, k, time.Second)
	k.Sockets().Close(fd, true)

	k, fd = dialScript(t, Options{}, Script{Steps: []Step{Send([]byte("x")), Hold()}})
	k.ArmTimer(k.Now() + 5*ms)
	k.now += 2 * ms // the edge is owed already
	k.enter()
	k.Remove(fd)
	if _, events := poll(t, k); len(events) != 0 {
		t.Errorf("got %v of a removed registration", events)
	}
}

func TestEventsAreValidDuringTheCallOnly(t *testing.T) {
	k := New(Options{})
	k.Peer(addr("10.0.0.1:80"), Script{})
	dial(t, k, addr("10.0.0.1:80"))
	var kept []poller.Event
	if err := k.Run(func(_ int64, events []poller.Event) bool { kept = events; return false }); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 1 || kept[0].Token != noToken {
		t.Errorf("got %v kept after the batch, want it overwritten", kept)
	}
}

func TestMaxBatch(t *testing.T) {
	k := New(Options{MaxBatch: 2})
	for i := range 5 {
		fd, _, _ := k.Sockets().Connect(addr("10.0.0.1:80"), socket.Addr{})
		if err := k.Add(fd, poller.MakeToken(uint32(i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	k.ArmTimer(10 * ms)
	k.now = 5 * ms
	var slots []uint32
	for _, want := range []int{2, 2, 1} {
		_, events := poll(t, k)
		if len(events) != want {
			t.Errorf("got %d events, want %d", len(events), want)
		}
		for _, e := range events {
			slots = append(slots, e.Token.Slot())
		}
	}
	for i, slot := range slots {
		if slot != uint32(i) {
			t.Errorf("got slots %v, want each once and in order", slots)
			break
		}
	}
}
