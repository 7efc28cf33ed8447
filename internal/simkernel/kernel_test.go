package simkernel

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

const ms = int64(time.Millisecond)

// poll runs k for one batch and returns its moment and a copy of its events.
func poll(t *testing.T, k *Kernel) (now int64, events []poller.Event) {
	t.Helper()
	err := k.Run(func(at int64, batch []poller.Event) bool {
		now, events = at, slices.Clone(batch)
		return false
	})
	if err != nil {
		t.Fatalf("poll: %v", err)
	}
	return now, events
}

// dial connects to remote and watches the socket with slot 1, generation 1.
func dial(t *testing.T, k *Kernel, remote socket.Addr) (fd int) {
	t.Helper()
	fd, call, errno := k.Sockets().Connect(remote, socket.Addr{})
	if errno != 0 {
		t.Fatalf("connect: %v of %v", errno, call)
	}
	if err := k.Add(fd, poller.MakeToken(1, 1)); err != nil {
		t.Fatalf("add: %v", err)
	}
	return fd
}

// dialScript is dial to a new kernel's peer with this script, polled until the connect has ended.
func dialScript(t *testing.T, o Options, s Script) (k *Kernel, fd int) {
	t.Helper()
	k = New(o)
	k.Peer(addr("10.0.0.1:80"), s)
	fd = dial(t, k, addr("10.0.0.1:80"))
	poll(t, k)
	return k, fd
}

// wantOnly polls once and checks that the batch holds one event, with this readiness.
func wantOnly(t *testing.T, k *Kernel, want string) {
	t.Helper()
	if _, events := poll(t, k); len(events) != 1 || readyLetters(events[0].Ready) != want {
		t.Errorf("got %v, want one event %s", events, want)
	}
}

// wantNothing checks that no edge is owed: the next batch is the timer's.
func wantNothing(t *testing.T, k *Kernel, within time.Duration) {
	t.Helper()
	k.ArmTimer(k.Now() + int64(within))
	if _, events := poll(t, k); len(events) != 0 {
		t.Errorf("got %v, want no event", events)
	}
}

func TestNowMovesOn(t *testing.T) {
	k := New(Options{})
	a, b := k.Now(), k.Now()
	if a <= 0 || b <= a {
		t.Errorf("got moments %d and %d, want them above zero and rising", a, b)
	}
	if d := k.Wall(b).Sub(k.Wall(a)); d != time.Duration(b-a) {
		t.Errorf("got wall times %v apart, want %v", d, time.Duration(b-a))
	}
}

func TestTimer(t *testing.T) {
	k := New(Options{})
	k.ArmTimer(5 * ms)
	k.ArmTimer(3 * ms)
	if now, _ := poll(t, k); now < 3*ms || now > 3*ms+pollCost {
		t.Errorf("got a batch at %d, want it at the later arming's moment, %d", now, 3*ms)
	}
	k.ArmTimer(1)
	if now, _ := poll(t, k); now > 4*ms {
		t.Errorf("got a batch at %d for a moment that had passed, want it at once", now)
	}
	k.ArmTimer(9 * ms)
	k.ArmTimer(0)
	var stuck *DeadlockError
	if err := k.Run(func(int64, []poller.Event) bool { return true }); !errors.As(err, &stuck) {
		t.Errorf("got %v from a poll without a timer, want a DeadlockError", err)
	}
}

func TestTimerIsNeverEarly(t *testing.T) {
	k := New(Options{Seed: 1, Faults: Faults{Late: 0.5, LateMax: time.Second, Jitter: time.Millisecond, TimerApart: 0.5}})
	at := int64(0)
	for range 1000 {
		at = k.Now() + k.upTo(time.Second)
		k.ArmTimer(at)
		if now, _ := poll(t, k); now < at {
			t.Fatalf("got a batch at %d, before the timer's %d", now, at)
		}
	}
}

func TestAgainAndWakeGiveABatchAtOnce(t *testing.T) {
	k := New(Options{})
	for name, ask := range map[string]func(){"again": k.Again, "wake": k.Wake} {
		ask()
		before := k.Now()
		if now, events := poll(t, k); now > before+pollCost+nowCost || len(events) != 0 {
			t.Errorf("%s: got %v after %d ns, want an empty batch at once", name, events, now-before)
		}
		if err := k.Run(func(int64, []poller.Event) bool { return true }); err == nil {
			t.Errorf("%s: got a second batch, want one", name)
		}
	}
}

func TestAtRunsBetweenBatches(t *testing.T) {
	k := New(Options{})
	fd := 0
	k.Peer(addr("10.0.0.1:80"), Script{Answer: BlackHole})
	ran := 0
	k.At(3*callCost, func() {
		if ran++; k.now < 3*callCost {
			t.Errorf("ran at %d, want not before %d", k.now, 3*callCost)
		}
		k.Wake()
	})
	fd = dial(t, k, addr("10.0.0.1:80"))
	for range 5 {
		k.Sockets().Error(fd)
	}
	if ran != 0 {
		t.Error("got a callback within a call, want it between batches")
	}
	poll(t, k)
	if ran != 1 {
		t.Errorf("ran %d times, want once", ran)
	}
	k.Remove(fd)
	k.Sockets().Close(fd, true)
	k.At(time.Hour.Nanoseconds(), k.Wake)
	if now, _ := poll(t, k); now < time.Hour.Nanoseconds() {
		t.Errorf("got a batch at %d, want it in an hour", now)
	}
}

func TestDeadlockNamesWhatIsOpen(t *testing.T) {
	k, fd := dialScript(t, Options{}, Script{Steps: []Step{Wait(time.Millisecond), Send([]byte("hello")), Hold()}})
	wantOnly(t, k, "RW") // and forget to read
	err := k.Run(func(int64, []poller.Event) bool { return true })
	want := "deadlock: nothing can happen after 3.002001ms, no timer is armed, 1 descriptors open: " +
		"fd=7 10.0.0.1:80 established, 5 bytes unread, its peer is to hold"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if fd != firstFD {
		t.Errorf("got fd %d, want %d", fd, firstFD)
	}
}

func TestLivelock(t *testing.T) {
	k := New(Options{MaxBatches: 10})
	k.Again()
	err := k.Run(func(int64, []poller.Event) bool { k.Again(); return true })
	if err == nil || !strings.HasPrefix(err.Error(), "livelock") {
		t.Errorf("got %v, want a livelock", err)
	}
}

func TestSameSeedSameRun(t *testing.T) {
	trace := func(seed uint64) []string {
		c, _ := storm(seed, 50, true)
		c.k.opts.Trace = true
		if err := c.run(); err != nil {
			t.Fatal(err)
		}
		return c.k.Trace()
	}
	first := trace(7)
	if len(first) < 500 {
		t.Errorf("got a trace of %d lines, want some hundred", len(first))
	}
	if d := cmp.Diff(first, trace(7)); d != "" {
		t.Errorf("the same seed gave another run (-first +second):\n%s", d)
	}
	if slices.Equal(first, trace(8)) {
		t.Error("another seed gave the same run")
	}
}

func TestTraceTimesRise(t *testing.T) {
	c, _ := storm(3, 50, true)
	c.k.opts.Trace = true
	if err := c.run(); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(c.k.trace); i++ {
		if a, b := c.k.trace[i-1], c.k.trace[i]; b.at < a.at {
			t.Errorf("time went back: %v, then %v", a.String(), b.String())
		}
	}
}

func TestTrace(t *testing.T) {
	k, fd := dialScript(t, Options{Trace: true}, Script{Steps: []Step{Read(2), Send([]byte("hello")), Close()}})
	s := k.Sockets()
	s.Writev(fd, [][]byte{[]byte("hi")})
	poll(t, k)
	s.Readv(fd, make([]byte, 3), make([]byte, 3))
	s.Readv(fd, make([]byte, 3), make([]byte, 3))
	k.Remove(fd)
	s.Close(fd, true)
	want := []string{
		"1.001µs connect fd=7 10.0.0.1:80 -> EINPROGRESS",
		"2.001µs add fd=7 token=1/1 -> ok",
		"1.001001ms net established fd=7 10.0.0.1:80",
		"1.001001ms batch 1/1=W",
		"1.002001ms writev fd=7 2 bytes",
		"2.002001ms net data fd=7 10.0.0.1:80 5 bytes",
		"2.002001ms net fin fd=7 10.0.0.1:80",
		"2.002001ms batch 1/1=RWH",
		"2.003001ms readv fd=7 5 bytes",
		"2.004001ms readv fd=7 0 bytes",
		"2.005001ms remove fd=7 token=1/1",
		"2.006001ms close by reset fd=7",
	}
	if d := cmp.Diff(want, k.Trace()); d != "" {
		t.Errorf("trace (-want +got):\n%s", d)
	}
}

func TestSimulatedHoursAreCheap(t *testing.T) {
	k, _ := dialScript(t, Options{}, Script{Steps: []Step{Hold()}})
	beats := 0
	day := k.Now() + 24*time.Hour.Nanoseconds()
	k.ArmTimer(day)
	for now := k.Now(); now < day; beats++ {
		k.ArmTimer(now + time.Second.Nanoseconds())
		now, _ = poll(t, k)
	}
	if beats < 86390 || beats > 86401 {
		t.Errorf("got %d beats in a day of one a second", beats)
	}
}
