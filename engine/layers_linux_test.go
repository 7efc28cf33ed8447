package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/simkernel"
	"sonde/protocol"
)

// meddling are sockets of the simulated kernel, of which a test answers some calls itself; nil functions leave it to the
// kernel, and so does an ok of false.
type meddling struct {
	socket.Sockets
	connect func() (call socket.Call, errno syscall.Errno, ok bool)
	writev  func() (errno syscall.Errno, ok bool)
	stamp   func() int64  // of what is read, in nanoseconds of CLOCK_REALTIME
	lasts   time.Duration // until Finish: a run that waits for FINs only does not wait for long
}

func (m meddling) Connect(remote, source socket.Addr) (int, socket.Call, syscall.Errno) {
	if m.connect != nil {
		if call, errno, ok := m.connect(); ok {
			return -1, call, errno
		}
	}
	return m.Sockets.Connect(remote, source)
}

func (m meddling) Writev(fd int, bufs [][]byte) (int, syscall.Errno) {
	if m.writev != nil {
		if errno, ok := m.writev(); ok {
			return 0, errno
		}
	}
	return m.Sockets.Writev(fd, bufs)
}

func (m meddling) ReadStamped(fd int, a, b []byte) (int, int64, syscall.Errno) {
	n, errno := m.Readv(fd, a, b)
	return n, m.stamp(), errno
}

// playOne runs one job against one peer without faults and returns its outcomes.
func playOne(t *testing.T, p Profile, job simJob, script simkernel.Script, m meddling) (*world, []Outcome) {
	t.Helper()
	w := &world{kernel: simkernel.New(simkernel.Options{})}
	if p.Dialogue == nil {
		p.Dialogue = w
	}
	w.cfg = Config{Loops: 1, Clock: w.kernel, Strict: true, Profiles: []Profile{p}}.withDefaults()
	w.engine = &Engine{cfg: w.cfg, shared: newShared(&w.cfg)}
	w.engine.shared.wake = w.kernel.Wake
	m.Sockets = w.kernel.Sockets()
	w.loop = newLoop(&w.engine.cfg, w.engine.shared, 0, w.kernel, m)
	job.addr = address(0)
	w.jobs = []simJob{job}
	w.kernel.Peer(job.addr, script, job.later...)
	w.submit(Job{Remote: job.addr})
	w.kernel.At(int64(m.lasts), w.engine.Finish)
	err := w.loop.run()
	for _, s := range w.servers {
		s.stop()
	}
	if err != nil {
		t.Fatal(err)
	}
	w.checkRemains()
	for _, p := range w.problems {
		t.Error(p)
	}
	outcomes, _ := w.engine.Outcomes(nil)
	return w, outcomes
}

// secured is a job over TLS, and its server, which says hello and then does what then says.
func secured(keeps int, hello string, then func(s *simServer, c *tls.Conn, k *updater) error) (simJob, simkernel.Script) {
	cfg := simTLS().server13.Clone()
	cfg.SessionTicketsDisabled = true
	job := simJob{kind: "secured", keeps: keeps, layers: layers{handshaker: true, tls: simTLS().client}}
	job.talk.turns = []turn{{hear: []byte(hello)}}
	w := &world{} // only its list of servers, of which playOne makes its own
	step := w.serve(cfg, 0, func(s *simServer, c *tls.Conn) error {
		if err := c.Handshake(); err != nil {
			return err
		}
		before := len(s.out)
		if _, err := c.Write([]byte(hello)); err != nil {
			return err
		}
		return then(s, c, newUpdater(s.keys.Bytes(), c.ConnectionState().CipherSuite, countRecords(s.out[before:])))
	})
	return job, simkernel.Script{Steps: []simkernel.Step{step}}
}

// onThanks does something when the client's last word is there, with which it has parked. What comes before that is the end
// of the handshake.
func onThanks(do func(*simServer)) func(*simServer, []byte) {
	pieces := 0
	return func(s *simServer, _ []byte) {
		if pieces++; pieces == 2 {
			do(s)
		}
	}
}

// TestKeyUpdatesUnread has a server ask for key updates without end, with a byte of data each, and a kernel that takes none
// of the answers: what waits must have a bound, on a connection with an exchange and on a parked one.
func TestKeyUpdatesUnread(t *testing.T) {
	for _, parked := range []bool{false, true} {
		deaf := false
		keeps := 0
		if parked {
			keeps = -1
		}
		job, script := secured(keeps, "hello", func(s *simServer, c *tls.Conn, k *updater) error {
			if k == nil {
				t.Skip("crypto/tls prefers another suite here")
			}
			flood := func(s *simServer) {
				deaf = true
				for range 5000 {
					s.out = append(append(s.out, k.say([]byte("x"))...), k.update()...)
				}
			}
			if s.react = onThanks(flood); !parked {
				s.react = nil
				flood(s)
			}
			return hold(c)
		})
		job.talk.last = []byte("thanks")
		if !parked {
			job.talk.turns[0].hear = append([]byte("hello"), make([]byte, 6000)...)
			for i := range 6000 {
				job.talk.turns[0].hear[5+i] = 'x'
			}
		}
		w, outcomes := playOne(t, Profile{Reset: true}, job, script, meddling{writev: func() (syscall.Errno, bool) { return syscall.EAGAIN, deaf }})
		last := outcomes[len(outcomes)-1]
		x := w.jobs[0].exchanges[0]
		switch {
		case parked && (last.Cause != Reset || last.Errno != syscall.EPROTO || last.State != Idle):
			t.Errorf("parked: got cause %d in %v, %v; want a protocol error", last.Cause, last.State, last.Errno)
		case !parked && (last.Cause != Answered || x.end != protocol.EndMalformed || !errors.Is(x.err, errDeaf)):
			t.Errorf("got cause %d, end %d, %v; want %v", last.Cause, x.end, x.err, errDeaf)
		}
	}
}

// TestKeyUpdatesMoveNoLimit has a server ask for a key update each second and say a byte with it, and a kernel that takes
// each answer at the second try: the read limit runs from the request all the same.
func TestKeyUpdatesMoveNoLimit(t *testing.T) {
	tries := 0
	shaken := false
	job, script := secured(0, "hello", func(s *simServer, c *tls.Conn, k *updater) error {
		if k == nil {
			t.Skip("crypto/tls prefers another suite here")
		}
		shaken = true
		s.react = func(s *simServer, _ []byte) { s.out = append(append(s.out, k.say([]byte("x"))...), k.update()...) }
		return hold(c)
	})
	job.talk.turns[0].hear = []byte("helloxxxxxxxxxxxxxxxxxxxxxxxx")
	script.RTT = time.Second
	_, outcomes := playOne(t, Profile{Reset: true, Limits: Limits{Read: 5 * time.Second}}, job, script, meddling{writev: func() (syscall.Errno, bool) {
		if shaken {
			tries++
		}
		return syscall.ENOBUFS, tries%2 == 1
	}})
	o := outcomes[0]
	if got, want := o.Total-o.Connect-o.TLS, 5*time.Second; o.Cause != ReadTimeout || got < want || got > want+10*time.Millisecond {
		t.Errorf("got cause %d after %v from the handshake, want the read limit after %v", o.Cause, got, want)
	}
	if tries < 6 {
		t.Errorf("%d writes of answers were tried, want several", tries)
	}
}

// TestControlEndsNoPause: a record that holds nothing for the exchange comes while that rests. It begins again all the same,
// and not before its time.
func TestControlEndsNoPause(t *testing.T) {
	const rest = 500 * time.Millisecond
	job, script := secured(0, "hello", func(s *simServer, c *tls.Conn, k *updater) error {
		if k == nil {
			t.Skip("crypto/tls prefers another suite here")
		}
		s.out = append(s.out, k.update()...)                                            // is answered with the hello
		s.react = onThanks(func(s *simServer) { s.out = append(s.out, k.update()...) }) // comes alone
		if _, err := io.ReadFull(c, make([]byte, len("more?"))); err != nil {
			return err
		}
		s.out = append(s.out, k.say([]byte("more"))...)
		return hold(c)
	})
	job.talk.turns = append(job.talk.turns, turn{pause: rest, send: []byte("more?"), hear: []byte("more")})
	w, outcomes := playOne(t, Profile{Reset: true}, job, script, meddling{})
	o, heard := outcomes[0], w.jobs[0].exchanges[0].heard
	if o.Cause != Answered || string(heard) != "hellomore" || o.Total < rest || o.Total > rest+100*time.Millisecond {
		t.Errorf("got cause %d and %q after %v, want all of the talk with a rest of %v in it", o.Cause, heard, o.Total, rest)
	}
}

// TestParkedWriteFails: a parked connection whose answer to a key update can't be written has failed, and the kernel says
// so once only.
func TestParkedWriteFails(t *testing.T) {
	broken := false
	job, script := secured(-1, "hello", func(s *simServer, c *tls.Conn, k *updater) error {
		if k == nil {
			t.Skip("crypto/tls prefers another suite here")
		}
		s.react = onThanks(func(s *simServer) {
			broken = true
			s.out = append(s.out, k.update()...)
		})
		return hold(c)
	})
	job.talk.last = []byte("thanks")
	_, outcomes := playOne(t, Profile{Reset: true}, job, script, meddling{writev: func() (syscall.Errno, bool) { return syscall.ECONNRESET, broken }})
	if o := outcomes[len(outcomes)-1]; o.Cause != Reset || o.Call != socket.CallWrite || o.Errno != syscall.ECONNRESET || o.State != Idle {
		t.Errorf("got cause %d in %v, %v: %v; want the reset of a parked connection", o.Cause, o.State, o.Call, o.Errno)
	}
}

// TestSeriesRedialsAtOnce: a second dial that waited for a local port fails in another way, and the third is wanted at once.
// Nothing else is left that could wake the loop.
func TestSeriesRedialsAtOnce(t *testing.T) {
	dials := 0
	job := simJob{kind: "series", talk: simTalk{turns: []turn{{hear: []byte("hello")}}}, layers: layers{connections: 3}}
	greet := simkernel.Script{Steps: []simkernel.Step{simkernel.Send([]byte("hello"))}}
	w, outcomes := playOne(t, Profile{Reset: true}, job, greet, meddling{connect: func() (socket.Call, syscall.Errno, bool) {
		dials++
		switch dials {
		case 2, 3: // at once, and for what the first connection left
			return socket.CallConnect, syscall.EADDRNOTAVAIL, true
		case 4:
			return socket.CallConnect, syscall.ENETUNREACH, true
		}
		return 0, 0, false
	}})
	if o := outcomes[0]; len(outcomes) != 1 || o.Cause != Answered || dials != 5 || w.jobs[0].exchanges[0].connection != 3 {
		t.Errorf("got cause %d, %d dials, %d outcomes; want an answer after 5 dials", o.Cause, dials, len(outcomes))
	}
	if o := outcomes[0]; o.Total > 100*time.Millisecond {
		t.Errorf("it took %v, want it at once", o.Total)
	}
}

// TestStartTLSAtTheEnd: the agreement to TLS comes without its newline, by the peer's FIN. No handshake is to be had any
// more: the exchange hears of the end.
func TestStartTLSAtTheEnd(t *testing.T) {
	x := &endsInTheClear{}
	_, outcomes := playOne(t, Profile{Reset: true, Dialogue: single{x}}, simJob{}, simkernel.Script{Steps: []simkernel.Step{
		simkernel.Send([]byte("ready")), simkernel.CloseWrite(), simkernel.Hold(),
	}}, meddling{})
	if len(outcomes) != 1 || outcomes[0].Cause != Answered || x.asked != 1 || x.ends != 1 {
		t.Errorf("%d outcomes, asked for TLS %d times, %d ends; want one each", len(outcomes), x.asked, x.ends)
	}
}

// endsInTheClear takes whatever came by the end of the stream for the agreement to TLS.
type endsInTheClear struct {
	simHandshaker
	asked, ends int
}

func (x *endsInTheClear) Handshake() (protocol.Security, *tls.Config) { return protocol.TLSLater, nil }
func (x *endsInTheClear) Begin() protocol.Step                        { return protocol.Step{} }
func (x *endsInTheClear) Parser() protocol.FrameParser                { return toTheEnd{simParser(1 << 10)} }
func (x *endsInTheClear) OnEnd(protocol.End, []byte, error)           { x.ends++ }
func (x *endsInTheClear) Conclusion() protocol.Conclusion             { return protocol.Conclusion{} }
func (x *endsInTheClear) OnFrame(protocol.Frame) protocol.Step {
	x.asked++
	return protocol.Step{Then: protocol.StartTLS}
}

// toTheEnd makes a frame of all there is.
type toTheEnd struct{ simParser }

func (toTheEnd) ParseEnd(buf []byte) (protocol.Frame, int, error) {
	return protocol.Frame{Data: buf}, len(buf), nil
}

// TestPacing: while handshakes are under way, a turn of the loop that has taken long opens one connection, be it a job's or a
// Series' next; a short turn opens all, and so does a long one without handshakes.
func TestPacing(t *testing.T) {
	const jobs, redials = 5, 3
	for _, test := range []struct {
		name       string
		handshakes int
		took       time.Duration
		want       int
	}{
		{"long, with handshakes", 1, time.Duration(handshakeTurn) + time.Microsecond, 1},
		{"short, with handshakes", 1, 0, jobs + redials},
		{"long, without", 0, time.Duration(handshakeTurn) + time.Microsecond, jobs + redials},
	} {
		for first := range 3 { // redials at hand first, waiters, or neither
			k := &easyKernel{now: int64(time.Second)}
			cfg := Config{Loops: 1, Clock: k, Strict: true, Profiles: []Profile{{Reset: true}}}.withDefaults()
			l := newLoop(&cfg, newShared(&cfg), 0, k, easySockets{k})
			l.shared.inbox.put(t.Context(), make([]Job, jobs))
			want := min(test.want, jobs)
			series := make([]waiter, redials)
			for i := range series {
				series[i].carried = &carried{exchange: simSeries{}, first: &phases{}, budget: off}
			}
			switch first {
			case 1:
				l.admission.redials, want = series, test.want
			case 2:
				l.admission.waiters, l.admission.freed, want = series, redials, test.want
			}
			l.handshakes = test.handshakes
			l.now = k.Now() - int64(test.took)
			l.admit()
			if got := l.admission.inFlight; got != want {
				t.Errorf("%s, %d: %d connections in one turn, want %d", test.name, first, got, want)
			}
			if want == 1 && !l.admission.again {
				t.Errorf("%s, %d: the next turn does not come by itself", test.name, first)
			}
		}
	}
}

// TestHandshakeWait: what passes until the poll that told of the answer is the peer's time, and not what our calls take, but
// for the write that gives it the turn: a microsecond here.
func TestHandshakeWait(t *testing.T) {
	job, script := secured(0, "hello", func(_ *simServer, c *tls.Conn, _ *updater) error { return hold(c) })
	script.RTT = time.Second
	_, outcomes := playOne(t, Profile{Reset: true}, job, script, meddling{})
	o := outcomes[0]
	if off := o.TLSWait - script.RTT; o.Cause != Answered || off < 0 || off > 1500 || o.TLS <= o.TLSWait {
		t.Errorf("got cause %d, %v of %v waited; want a round trip of %v", o.Cause, o.TLSWait, o.TLS, script.RTT)
	}
}

// TestNoRecordBehindHalfOne: a request that is half written when its limit passes is given up within a record; a
// close_notify behind it would be no record.
func TestNoRecordBehindHalfOne(t *testing.T) {
	var end error
	hello := 0
	job, script := secured(0, "hello", func(s *simServer, c *tls.Conn, _ *updater) error {
		hello = s.hello
		end = hold(c)
		return end
	})
	job.talk.turns[0] = turn{send: make([]byte, 100<<10), hear: []byte("hello and more")}
	script.RTT = 20 * time.Second // so that the send buffer stays full
	w, outcomes := playOne(t, Profile{Limits: Limits{Connect: time.Minute, Handshake: time.Minute, Close: 2 * time.Minute}}, job, script, meddling{lasts: 5 * time.Minute})
	if o := outcomes[0]; o.Cause != ReadTimeout || !errors.Is(end, io.ErrUnexpectedEOF) {
		t.Errorf("got cause %d, and the server's reads ended by %v; want a stream that ends within a record", o.Cause, end)
	}
	if got := w.kernel.Dials()[0].Written - hello; got != simkernel.DefaultBuffer {
		t.Errorf("%d bytes were written behind the hello, want no more than the send buffer's %d", got, simkernel.DefaultBuffer)
	}
}
