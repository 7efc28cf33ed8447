package engine

import (
	"context"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"sonde/internal/clock"
	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/protocol/protocoltest"
)

// easyKernel is a poller, sockets and a clock at which every connect succeeds at once, and nothing allocates.
type easyKernel struct {
	now    int64
	next   int
	events []poller.Event
	calls  int
}

func (k *easyKernel) Now() int64               { k.now += 1000; return k.now }
func (k *easyKernel) Wall(int64) time.Time     { return time.Time{} }
func (k *easyKernel) Remove(int)               {}
func (k *easyKernel) Detach(int)               {}
func (k *easyKernel) ArmTimer(int64)           {}
func (k *easyKernel) Again()                   {}
func (k *easyKernel) Wake()                    {}
func (k *easyKernel) Run(poller.Handler) error { return nil }
func (k *easyKernel) Close() error             { return nil }
func (k *easyKernel) Add(_ int, t poller.Token) error {
	k.calls++
	k.events = append(k.events, poller.Event{Token: t, Ready: poller.Writable})
	return nil
}

type easySockets struct{ *easyKernel }

func (s easySockets) Connect(_, _ socket.Addr) (int, socket.Call, syscall.Errno) {
	s.calls++
	s.next++
	return s.next, socket.CallNone, 0
}
func (s easySockets) Info(int) socket.Info {
	s.calls++
	return socket.Info{Known: true, Established: true, RTTMicros: 7, SegsIn: 1}
}
func (s easySockets) Close(int, bool)                                { s.calls++ }
func (s easySockets) Error(int) syscall.Errno                        { panic("SO_ERROR is not needed") }
func (s easySockets) Local(int) socket.Addr                          { panic("getsockname is not needed") }
func (s easySockets) Readv(int, []byte, []byte) (int, syscall.Errno) { panic("readv is not needed") }
func (s easySockets) Timestamps(int) bool                            { return false }
func (s easySockets) ReadStamped(int, []byte, []byte) (int, int64, syscall.Errno) {
	panic("a stamp is not needed")
}
func (s easySockets) NoDelay(int)                               {}
func (s easySockets) Writev(int, [][]byte) (int, syscall.Errno) { panic("writev is not needed") }
func (s easySockets) CloseWrite(int) syscall.Errno              { panic("shutdown is not needed") }

var _ clock.Clock = (*easyKernel)(nil)

// easyLoop is a loop over an easyKernel, and a function that dials and ends so many connections of it.
func easyLoop() (k *easyKernel, round func(n int)) {
	k = &easyKernel{now: 1}
	cfg := Config{Loops: 1, Clock: k, Strict: true, Profiles: []Profile{{Reset: true}}}.withDefaults()
	l := newLoop(&cfg, newShared(&cfg), 0, k, easySockets{k})
	jobs := make([]Job, dialsPerRound)
	var events []poller.Event
	var outcomes []Outcome
	return k, func(n int) {
		l.shared.inbox.put(context.Background(), jobs[:n])
		for range 2 {
			events = append(events[:0], k.events...)
			k.events = k.events[:0]
			l.onBatch(k.Now(), events)
		}
		outcomes, _ = l.shared.outbox.take(outcomes[:0])
		if len(outcomes) != n {
			panic("an outcome is missing")
		}
	}
}

// TestConnectOnlyIsFree holds what a connection without an exchange costs: four calls of ours (connect, add, info, close)
// and not one allocation.
func TestConnectOnlyIsFree(t *testing.T) {
	k, round := easyLoop()
	for range 10 {
		round(dialsPerRound)
	}
	k.calls = 0
	round(dialsPerRound)
	if want := 4 * dialsPerRound; k.calls != want {
		t.Errorf("got %d calls for %d connections, want %d", k.calls, dialsPerRound, want)
	}
	if protocoltest.UnderRace() {
		return // which allocates on its own account
	}
	if n := testing.AllocsPerRun(1000, func() { round(dialsPerRound) }); n != 0 {
		t.Errorf("got %v allocations for %d connections, want 0", n, dialsPerRound)
	}
}

// BenchmarkLoop is one connection without an exchange, from the inbox to the outbox, without a kernel.
func BenchmarkLoop(b *testing.B) {
	_, round := easyLoop()
	b.ReportAllocs()
	for i := 0; i < b.N; i += dialsPerRound {
		round(dialsPerRound)
	}
}

// TestIllegalEdges wants a panic under Strict, and else a count and a line in the log.
func TestIllegalEdges(t *testing.T) {
	var log strings.Builder
	cfg := Config{Loops: 1, Clock: &easyKernel{now: 1}, Profiles: []Profile{{}}, Log: slog.New(slog.NewTextHandler(&log, nil))}.withDefaults()
	l := newLoop(&cfg, newShared(&cfg), 0, nil, nil)
	slot := l.table.insert(1, socket.Addr{}, 0)
	l.transition(slot, Active)
	if got := l.shared.stats.illegal.Load(); got != 1 {
		t.Errorf("got %d illegal changes counted, want 1", got)
	}
	if !strings.Contains(log.String(), "from=INIT to=ACTIVE") {
		t.Errorf("got log %q, want the edge named", log.String())
	}
	if got := l.table.rows[slot].state; got != Active {
		t.Errorf("got state %v, want the change made all the same", got)
	}
	cfg.Strict = true
	defer func() {
		if recover() == nil {
			t.Error("no panic under Strict")
		}
	}()
	l.transition(slot, Init)
}

func TestShortage(t *testing.T) {
	var s shortage
	if s.isStuck(1<<40, 0) {
		t.Error("stuck without a shortage")
	}
	start := int64(time.Second)
	s.begin(start)
	if got, want := s.retryAt, start+retryFloor; got != want {
		t.Errorf("got the first retry at %d, want %d", got, want)
	}
	s.begin(start + 1) // within the backoff: nothing changes
	if got, want := s.retryAt, start+retryFloor; got != want {
		t.Errorf("got the retry moved to %d, want %d", got, want)
	}
	for range 20 {
		s.begin(s.retryAt)
	}
	if s.backoff != retryCeiling {
		t.Errorf("got a backoff of %v, want at most %v", time.Duration(s.backoff), time.Duration(retryCeiling))
	}
	if s.isStuck(start+noProgressLimit-1, 0) || !s.isStuck(start+noProgressLimit, 0) {
		t.Error("patience is not as long as it should be from the start of the shortage")
	}
	if moved := start + 5; s.isStuck(start+noProgressLimit, moved) || !s.isStuck(moved+noProgressLimit, moved) {
		t.Error("patience does not start anew when something moves")
	}
}

func TestWhatIsShort(t *testing.T) {
	for _, c := range []struct {
		call       socket.Call
		errno      syscall.Errno
		fds, ports bool
	}{
		{socket.CallSocket, syscall.EMFILE, true, false},
		{socket.CallSocket, syscall.ENFILE, true, false},
		{socket.CallConnect, syscall.ENOBUFS, true, false},
		{socket.CallPoll, syscall.ENOSPC, true, false},
		{socket.CallConnect, syscall.ENOSPC, false, false},
		{socket.CallConnect, syscall.EADDRNOTAVAIL, false, true},
		{socket.CallConnect, syscall.EAGAIN, false, true},
		{socket.CallBind, syscall.EADDRNOTAVAIL, false, false},
		{socket.CallConnect, syscall.ENETUNREACH, false, false},
	} {
		if got := isShortOfFDs(c.call, c.errno); got != c.fds {
			t.Errorf("%v %v: got short of descriptors %v, want %v", c.call, c.errno, got, c.fds)
		}
		if got := isShortOfPorts(c.call, c.errno); got != c.ports {
			t.Errorf("%v %v: got short of ports %v, want %v", c.call, c.errno, got, c.ports)
		}
	}
}

// TestStopBeforeFinish has a loop see Stop before the inbox is finished: it must go back to polling.
func TestStopBeforeFinish(t *testing.T) {
	cfg := Config{Loops: 1, Clock: &easyKernel{now: 1}, Profiles: []Profile{{}}}.withDefaults()
	l := newLoop(&cfg, newShared(&cfg), 0, nil, nil)
	l.shared.inbox.put(t.Context(), make([]Job, 200))
	l.turnAway()
	if len(l.outcomes) != 200 || l.isOver() {
		t.Errorf("got %d jobs turned away, over %v; want 200, and more may come", len(l.outcomes), l.isOver())
	}
	l.shared.inbox.finish()
	if l.turnAway(); !l.isOver() {
		t.Error("not over though the inbox is finished")
	}
}

// TestSpread has the first heartbeats of connections that were opened together come evenly over their interval.
func TestSpread(t *testing.T) {
	const connections, parts = 10_000, 10
	const interval = 60 * time.Second
	var in [parts]int
	for id := range uint64(connections) {
		at := spread(id, interval)
		if at <= 0 || at > interval {
			t.Fatalf("connection %d beats first after %v, want more than 0 and at most %v", id, at, interval)
		}
		in[(at-1)*parts/interval]++
	}
	for i, n := range in {
		if n < connections/parts*99/100 || n > connections/parts*101/100 {
			t.Errorf("%d connections beat first in tenth %d of the interval, want %d", n, i, connections/parts)
		}
	}
}
