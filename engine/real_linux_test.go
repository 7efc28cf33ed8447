package engine

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
	"sonde/protocol"
)

// TestRealKernel meets the cast of internal/testpeer over loopback with real loops: every job ends once and as its peer
// wants it, opened equals closed, and no descriptor is left.
func TestRealKernel(t *testing.T) {
	causes := map[testpeer.Kind][]Cause{
		testpeer.Refuse:      {ConnectFailed},
		testpeer.Reset:       {Reset},
		testpeer.CloseAtOnce: {Answered},
		testpeer.Silent:      {ReadTimeout},
		testpeer.HalfClose:   {Answered},
		testpeer.IgnoreFIN:   {Answered},
		testpeer.BannerReset: {Answered, Reset},
		testpeer.SSH:         {Answered},
		testpeer.Endless:     {Answered},
	}
	testpeer.New(t, testpeer.Sink, testpeer.Options{}).Close() // the runtime's own poller is open from now on
	before := countFDs(t)
	var peers []*testpeer.Peer
	var kinds []testpeer.Kind
	var jobs []Job
	for kind := range causes {
		peer := testpeer.New(t, kind, testpeer.Options{})
		peers = append(peers, peer)
		for range 20 {
			profile := len(jobs) % 2
			if kind != testpeer.Silent { // only whose limit is to pass has a short one: a busy machine takes its time
				profile += 2
			}
			jobs = append(jobs, Job{ID: uint64(len(jobs)), Remote: socket.AddrFrom(peer.Addr(), 0), Profile: uint16(profile)})
			kinds = append(kinds, kind)
		}
	}
	short := Limits{Connect: time.Minute, Read: 300 * time.Millisecond, Close: 300 * time.Millisecond}
	long := Limits{Connect: time.Minute, Read: time.Minute, Close: 300 * time.Millisecond}
	e, err := New(Config{Loops: 2, Connections: 50, Descriptors: 40, Strict: true, Profiles: []Profile{
		{Dialogue: listener{}, Limits: short, Reset: true}, {Dialogue: listener{}, Limits: short},
		{Dialogue: listener{}, Limits: long, Reset: true}, {Dialogue: listener{}, Limits: long},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := e.Submit(t.Context(), jobs); n != len(jobs) || err != nil {
		t.Fatalf("got %d jobs taken, %v; want all %d", n, err, len(jobs))
	}
	e.Finish()
	seen := make([]int, len(jobs))
	var outcomes []Outcome
	for more := true; more; {
		<-e.Ready()
		outcomes, more = e.Outcomes(outcomes[:0])
		for _, o := range outcomes {
			seen[o.ID]++
			ok := false
			for _, want := range causes[kinds[o.ID]] {
				ok = ok || o.Cause == want
			}
			if !ok {
				t.Errorf("%s: got cause %d, %v: %v; want one of %v", kinds[o.ID], o.Cause, o.Call, o.Errno, causes[kinds[o.ID]])
			}
		}
	}
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("job %d has %d outcomes, want 1", id, n)
		}
	}
	if s := e.Stats(); s.Opened != s.Closed || s.InFlight != 0 || s.Illegal != 0 || s.Buffers.InUseRings != 0 {
		t.Errorf("opened %d, closed %d, in flight %d, illegal %d, rings %d", s.Opened, s.Closed, s.InFlight, s.Illegal, s.Buffers.InUseRings)
	}
	for _, p := range peers { // they hold descriptors of this process too
		p.Close()
	}
	if after := countFDs(t); after != before {
		t.Errorf("got %d descriptors, want %d as before", after, before)
	}
}

// TestOutcomesDoNotWait: an outcome that waits for others to go with is handed on while a slow peer is still in flight.
func TestOutcomesDoNotWait(t *testing.T) {
	slow := testpeer.New(t, testpeer.Silent, testpeer.Options{})
	quick := testpeer.New(t, testpeer.SSH, testpeer.Options{})
	e, err := New(Config{Loops: 1, Strict: true, Profiles: []Profile{{Dialogue: listener{}, Reset: true, Limits: Limits{Connect: time.Minute, Read: time.Minute}}}})
	if err != nil {
		t.Fatal(err)
	}
	jobs := []Job{{ID: 1, Remote: socket.AddrFrom(slow.Addr(), 0)}, {ID: 2, Remote: socket.AddrFrom(quick.Addr(), 0)}}
	if _, err := e.Submit(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Ready():
	case <-time.After(time.Minute):
		t.Error("the quick peer's outcome is held back")
	}
	outcomes, _ := e.Outcomes(nil)
	if len(outcomes) != 1 || outcomes[0].ID != 2 {
		t.Errorf("got %d outcomes, want that of the quick peer", len(outcomes))
	}
	e.Abort()
	for more := true; more; {
		<-e.Ready()
		_, more = e.Outcomes(nil)
	}
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestUrgentData: a read stops short at the mark of urgent data (tcp(7)), and what is behind that makes no edge of its own.
func TestUrgentData(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	send := func() {
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { conn.Close() })
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Error(err)
			return
		}
		err = raw.Control(func(fd uintptr) {
			for _, part := range []struct {
				data  string
				flags int
			}{{"SSH", 0}, {"!", unix.MSG_OOB}, {"-2", 0}} {
				if err := unix.Sendto(int(fd), []byte(part.data), part.flags, nil); err != nil {
					t.Error(err)
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
	const limit = 10 * time.Second
	e, err := New(Config{Loops: 1, Strict: true, Profiles: []Profile{{Dialogue: beforehand(send), Reset: true, Limits: Limits{Read: limit}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Submit(t.Context(), []Job{{Remote: socket.AddrFrom(ln.Addr().(*net.TCPAddr).AddrPort(), 0)}}); err != nil {
		t.Fatal(err)
	}
	e.Finish()
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
	outcomes, _ := e.Outcomes(nil)
	if o := outcomes[0]; o.Cause != Answered || o.Conclusion.Verdict != protocol.Success || o.Total > limit/2 {
		t.Errorf("got cause %d after %v, want an answer at once", o.Cause, o.Total)
	}
}

// beforehand is a listener whose peer has sent all before the loop polls.
type beforehand func()

func (send beforehand) Open(uint64) protocol.Exchange {
	send()
	return &listening{}
}
