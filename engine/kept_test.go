package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/protocol"
)

// pulse says "beat", hears it come back, and parks.
type pulse struct{ verdict protocol.Verdict }

func (*pulse) Begin() protocol.Step                 { return protocol.Step{Send: [][]byte{[]byte("beat")}} }
func (*pulse) Parser() protocol.FrameParser         { return simParser(4) }
func (*pulse) OnFrame(protocol.Frame) protocol.Step { return protocol.Step{Then: protocol.Park} }
func (x *pulse) OnEnd(protocol.End, []byte, error)  { x.verdict = protocol.Unfinished }
func (x *pulse) Conclusion() protocol.Conclusion    { return protocol.Conclusion{Verdict: x.verdict} }

type beater struct{}

func (beater) Open(uint64) protocol.Exchange { return &pulse{} }

// echoes is a server that sends back what it hears, and holds what it has accepted by the address of the other end.
type echoes struct {
	net.Listener
	serving sync.WaitGroup
	mu      sync.Mutex
	conns   map[string]net.Conn
	deaf    bool          // it answers the first of its only connection, and no more
	second  chan struct{} // closed when it has heard the second
}

func listen(t *testing.T, deaf bool) *echoes {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &echoes{Listener: ln, conns: make(map[string]net.Conn), deaf: deaf, second: make(chan struct{})}
	s.serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c.RemoteAddr().String()] = c
			s.mu.Unlock()
			s.serving.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *echoes) serve(c net.Conn) {
	if s.deaf {
		io.CopyN(c, c, 4)
		io.CopyN(io.Discard, c, 4)
		close(s.second)
		io.Copy(io.Discard, c)
		return
	}
	io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // by read and write: splice(2) would keep pipes
}

// stop closes all that it has; more than once does no harm.
func (s *echoes) stop() {
	s.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// peerOf is the server's end of a connection.
func (s *echoes) peerOf(fd int) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[socket.System{}.Local(fd).AddrPort().String()]
}

func (s *echoes) addr() socket.Addr {
	return socket.AddrFrom(s.Addr().(*net.TCPAddr).AddrPort(), 0)
}

// keeper is an engine whose connections to s are kept.
func keeper(t *testing.T, profile Profile) *Engine {
	t.Helper()
	profile.Dialogue, profile.Reset = beater{}, true
	e, err := New(Config{Loops: 2, Connections: 2000, Strict: true, Profiles: []Profile{profile}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// park has n connections opened and parked, with the ids from 0 on.
func park(t *testing.T, e *Engine, s *echoes, n int) (ids []uint64) {
	t.Helper()
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = Job{ID: uint64(i), Remote: s.addr()}
		ids = append(ids, jobs[i].ID)
	}
	if _, err := e.Submit(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	for parked := 0; parked < n; {
		for _, o := range outcomesOf(e, 1) {
			switch o.Cause {
			case Parked:
				parked++
			case HeartbeatAnswered:
			default:
				t.Fatalf("job %d: got cause %d, %v: %v; want it parked", o.ID, o.Cause, o.Call, o.Errno)
			}
		}
	}
	return ids
}

// TestExportAdopt moves a thousand connections to another engine, in the middle of their heartbeats. Of each three peers one ends its
// connection while nobody has it, and one says what nobody asked for; the adopter notices the one and beats on with the others.
func TestExportAdopt(t *testing.T) {
	const connections = 1000
	s := listen(t, false)
	profile := Profile{Heartbeat: 20 * time.Millisecond, TellHeartbeats: true, Limits: Limits{Connect: time.Minute, Read: time.Minute, Idle: time.Hour}}
	from, to := keeper(t, profile), keeper(t, profile)
	kept := from.Export(t.Context(), park(t, from, s, connections))
	if len(kept) != connections {
		t.Fatalf("got %d connections, want all %d", len(kept), connections)
	}
	end(t, from) // wants nothing left there
	const closes, talks = 1, 2
	for _, k := range kept {
		switch peer := s.peerOf(k.FD); k.ID % 3 {
		case closes:
			peer.Close()
		case talks:
			if _, err := peer.Write([]byte("by the way")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for len(kept) > 0 {
		n, err := to.Adopt(kept[:min(len(kept), 253)])
		if err != nil {
			t.Fatal(err)
		}
		kept = kept[n:]
	}
	seen := make(map[uint64]Cause, connections)
	for len(seen) < connections {
		for _, o := range outcomesOf(to, 1) {
			want := HeartbeatAnswered
			if o.ID%3 == closes {
				want = PeerClosed
			}
			if seen[o.ID] = o.Cause; o.Cause != want || !o.Kept || o.Conclusion.Verdict != protocol.Success {
				t.Fatalf("job %d: got cause %d (kept %v), verdict %d, %v: %v; want cause %d", o.ID, o.Cause, o.Kept, o.Conclusion.Verdict, o.Call, o.Errno, want)
			}
		}
	}
	end(t, to)
}

// TestExportAndBack has connections go out of an engine and back into it many times, from several goroutines at once.
func TestExportAndBack(t *testing.T) {
	const connections, parts, rounds = 60, 3, 20
	s := listen(t, false)
	e := keeper(t, Profile{Heartbeat: 5 * time.Millisecond, Limits: Limits{Connect: time.Minute, Read: time.Minute, Idle: time.Hour}})
	ids := park(t, e, s, connections)
	var running sync.WaitGroup
	for part := range parts {
		running.Go(func() {
			mine := ids[part*connections/parts : (part+1)*connections/parts]
			for range rounds {
				kept := e.Export(t.Context(), mine)
				if n, err := e.Adopt(kept); n != len(mine) || err != nil {
					t.Errorf("adopted %d, %v; want all %d", n, err, len(mine))
					return
				}
			}
		})
	}
	running.Wait()
	e.Stop()
	if n, err := e.Adopt([]Kept{{}}); n != 0 || !errors.Is(err, ErrStopped) {
		t.Errorf("adopted %d, %v after the stop; want ErrStopped", n, err)
	}
	e.Abort()
	got := outcomesOf(e, connections+1)
	if len(got) != connections {
		t.Errorf("got %d outcomes, want one of each of %d connections", len(got), connections)
	}
	for _, o := range got {
		if o.Cause != Cancelled {
			t.Errorf("job %d: got cause %d, want it there until the end", o.ID, o.Cause)
		}
	}
	end(t, e)
	if kept := e.Export(t.Context(), ids); len(kept) != 0 {
		t.Errorf("got %d connections of an engine that has ended", len(kept))
	}
}

// TestExportTwice: who exports what another waits for has it; the other waits no more.
func TestExportTwice(t *testing.T) {
	s := listen(t, true)
	e := keeper(t, Profile{Heartbeat: time.Millisecond, Limits: Limits{Connect: time.Minute, Read: time.Minute, Idle: time.Hour}})
	ids := park(t, e, s, 1)
	<-s.second // the heartbeat is on its way
	first, second := e.export(ids), e.export(ids)
	<-first.done
	if kept := first.take(); len(kept) != 0 {
		t.Errorf("got %d connections for the first, want none", len(kept))
	}
	for _, c := range s.conns {
		if _, err := c.Write([]byte("beat")); err != nil {
			t.Fatal(err)
		}
	}
	<-second.done
	kept := second.take()
	if len(kept) != 1 {
		t.Fatalf("got %d connections for the second, want the only one", len(kept))
	}
	socket.System{}.Close(kept[0].FD, true)
	end(t, e)
}

// TestExportLeaves: what is busy is waited for no longer than the caller has time, and goes on as if nobody had asked; what is not kept,
// and what is not known, is left alone.
func TestExportLeaves(t *testing.T) {
	s := listen(t, true)
	e := keeper(t, Profile{Heartbeat: time.Millisecond, Limits: Limits{Connect: time.Minute, Read: 3 * time.Second, Idle: time.Hour}})
	ids := park(t, e, s, 1)
	<-s.second // the heartbeat is on its way, and is not answered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if kept := e.Export(ctx, append(ids, 77)); len(kept) != 0 {
		t.Errorf("got %d connections of which the only one waits for an answer", len(kept))
	}
	if o := outcomesOf(e, 1)[0]; o.Cause != ReadTimeout || !o.Kept {
		t.Errorf("got cause %d, want the read limit of the heartbeat", o.Cause)
	}
	if kept := e.Export(t.Context(), ids); len(kept) != 0 {
		t.Errorf("got %d connections that have ended", len(kept))
	}
	if _, err := e.Adopt([]Kept{{Profile: 1}}); err == nil {
		t.Error("adopted by a profile that is none")
	}
	if _, err := e.Adopt([]Kept{{FD: -1}}); err == nil {
		t.Error("adopted a descriptor that is none")
	}
	end(t, e)
}
