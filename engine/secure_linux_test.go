package engine

import (
	"bytes"
	"crypto/tls"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/testcert"
	"sonde/internal/testpeer"
	"sonde/internal/tlsclient"
	"sonde/protocol"
)

// securing is the test's exchange over TLS: it may ask for TLS in the clear first, then says a request line and wants an
// answer that begins with want.
type securing struct {
	cfg     *tls.Config
	clear   []clearTurn // what is said and heard in the clear
	request string
	want    string
	rounds  int // connections that are wanted; 0: one
	park    bool
	wait    time.Duration
	quiet   time.Duration
	profile uint16 // of its job

	shaken    bool
	handshake protocol.Handshake
	chain     int
	controls  int
	heard     []byte
	turn      int
	end       protocol.End
	ended     bool
	err       error
	opened    int
}

type clearTurn struct{ say, hear string }

func (x *securing) Handshake() (protocol.Security, *tls.Config) {
	if !x.shaken && x.turn < len(x.clear) {
		return protocol.TLSLater, nil
	}
	return protocol.TLSNow, x.cfg
}

func (x *securing) OnHandshake(h *protocol.Handshake) bool {
	x.shaken, x.handshake, x.chain = true, *h, len(h.State.PeerCertificates)
	x.handshake.Flight = bytes.Clone(h.Flight)
	return true
}

func (x *securing) OnControl() protocol.Step {
	x.controls++
	return protocol.Step{Wait: x.wait}
}

func (x *securing) Begin() protocol.Step {
	x.heard = nil
	if !x.shaken {
		return x.next()
	}
	x.opened++
	if x.quiet > 0 {
		return protocol.Step{Quiet: x.quiet}
	}
	if x.request == "" && x.wait == 0 {
		return protocol.Step{Then: protocol.Done}
	}
	if x.request == "" {
		return protocol.Step{Wait: x.wait}
	}
	return protocol.Step{Send: [][]byte{[]byte(x.request)}}
}

func (x *securing) next() protocol.Step {
	if x.turn == len(x.clear) {
		return protocol.Step{Then: protocol.StartTLS}
	}
	if say := x.clear[x.turn].say; say != "" {
		return protocol.Step{Send: [][]byte{[]byte(say)}}
	}
	return protocol.Step{}
}

func (x *securing) Parser() protocol.FrameParser { return simParser(1) }

func (x *securing) OnFrame(f protocol.Frame) protocol.Step {
	x.heard = append(x.heard, f.Data...)
	if !x.shaken {
		if strings.HasSuffix(string(x.heard), x.clear[x.turn].hear) {
			x.heard = nil
			x.turn++
			return x.next()
		}
		return protocol.Step{}
	}
	if x.want != "" && strings.HasSuffix(string(x.heard), x.want) {
		if x.park {
			return protocol.Step{Then: protocol.Park}
		}
		return protocol.Step{Then: protocol.Done}
	}
	return protocol.Step{Wait: x.wait, Quiet: x.quiet}
}

func (x *securing) OnEnd(end protocol.End, _ []byte, err error) {
	x.ended, x.end, x.err = true, end, err
}

func (x *securing) Conclusion() protocol.Conclusion {
	if x.ended && x.end != protocol.EndQuiet || x.handshake.Err != nil {
		return protocol.Conclusion{Verdict: protocol.Unfinished}
	}
	return protocol.Conclusion{}
}

func (x *securing) Next() bool {
	x.rounds--
	again := x.rounds > 0
	if again {
		x.shaken, x.turn, x.ended = false, 0, false
	}
	return again
}

// secureDialogue opens the exchange of each job.
type secureDialogue []*securing

func (d secureDialogue) Open(id uint64) protocol.Exchange { return d[id] }

// offer is the client's configuration that trusts nobody and takes everything.
func offer(t testing.TB, o tlsclient.Offer) *tls.Config {
	t.Helper()
	cfg, err := o.Config()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// patient are limits that a busy machine does not reach.
var patient = Limits{Connect: time.Minute, Handshake: time.Minute, Read: time.Minute}

// runSecure has each exchange meet the peer of the same index once, and returns the outcomes by index. It fails the test on
// any leak.
func runSecure(t *testing.T, cfg Config, peers []*testpeer.Peer, talks []*securing) []Outcome {
	t.Helper()
	cfg.Strict = true
	for i := range cfg.Profiles {
		cfg.Profiles[i].Dialogue = secureDialogue(talks)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	jobs := make([]Job, len(talks))
	for i := range jobs {
		jobs[i] = Job{ID: uint64(i), Remote: socket.AddrFrom(peers[i].Addr(), 0), Profile: talks[i].profile}
	}
	if n, err := e.Submit(t.Context(), jobs); n != len(jobs) || err != nil {
		t.Fatalf("got %d jobs taken, %v; want all %d", n, err, len(jobs))
	}
	e.Finish()
	ends := make([]Outcome, len(jobs))
	var outcomes []Outcome
	for more := true; more; {
		<-e.Ready()
		outcomes, more = e.Outcomes(outcomes[:0])
		for _, o := range outcomes {
			if ends[o.ID].EndedAt != 0 && ends[o.ID].Cause != Parked {
				t.Errorf("job %d has two ends", o.ID)
			}
			ends[o.ID] = o
		}
	}
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
	if s := e.Stats(); s.Opened != s.Closed || s.InFlight != 0 || s.Illegal != 0 || s.Buffers.InUseRings != 0 {
		t.Errorf("opened %d, closed %d, in flight %d, illegal %d, rings %d", s.Opened, s.Closed, s.InFlight, s.Illegal, s.Buffers.InUseRings)
	}
	if left := coroutines(); left != "" {
		t.Errorf("handshakes are left:\n%s", left)
	}
	return ends
}

// coroutines is the stacks of handshakes that are parked.
func coroutines() string {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for ; n == len(buf); n = runtime.Stack(buf, true) {
		buf = make([]byte, 2*len(buf))
	}
	var left []string
	for _, g := range bytes.Split(buf[:n], []byte("\n\n")) {
		if bytes.Contains(g, []byte("tlsdrive.(*Driver)")) {
			left = append(left, string(g))
		}
	}
	return strings.Join(left, "\n\n")
}

const httpRequest = "GET / HTTP/1.1\r\nHost: sonde.test\r\nConnection: close\r\n\r\n"

// TestSecure meets every TLS peer over loopback, several times at once.
func TestSecure(t *testing.T) {
	tests := map[testpeer.Kind]struct {
		cause Cause
		state State
	}{
		testpeer.TLS12: {Answered, Active}, testpeer.TLS13: {Answered, Active}, testpeer.TLSRSA: {Answered, Active},
		testpeer.TLSECDSA: {Answered, Active}, testpeer.TLSEd25519: {Answered, Active}, testpeer.TLSStapled: {Answered, Active},
		testpeer.TLSResume: {Answered, Active}, testpeer.TLSExpired: {Answered, Active}, testpeer.TLSWrongName: {Answered, Active},
		testpeer.TLSSilent: {HandshakeTimeout, Handshaking}, testpeer.TLSDrip: {HandshakeTimeout, Handshaking},
		testpeer.TLSAlert: {Answered, Handshaking}, testpeer.TLSGarbage: {Answered, Handshaking},
		testpeer.TLSHugeCertificate: {Answered, Handshaking}, testpeer.TLSHalfRecord: {Answered, Handshaking},
		testpeer.TLSCloseHello: {Answered, Handshaking}, testpeer.TLSResetHello: {Reset, Handshaking},
		testpeer.TLSResetCertificate: {Reset, Handshaking},
	}
	for _, reset := range []bool{true, false} {
		var peers []*testpeer.Peer
		var talks []*securing
		for kind, want := range tests {
			peer := testpeer.New(t, kind, testpeer.Options{})
			for range 5 {
				x := &securing{cfg: offer(t, tlsclient.Offer{ServerName: "sonde.test"}), request: httpRequest, want: "\r\n\r\n"}
				if want.cause == HandshakeTimeout {
					x.profile = 1
				}
				peers, talks = append(peers, peer), append(talks, x)
			}
		}
		long, short := patient, patient
		long.Close, short.Close, short.Handshake = time.Second, time.Second, 700*time.Millisecond
		cfg := Config{Loops: 2, Connections: 50, Profiles: []Profile{{Reset: reset, Limits: long}, {Reset: reset, Limits: short}}}
		for i, o := range runSecure(t, cfg, peers, talks) {
			kind, x := peers[i].Kind(), talks[i]
			want := tests[kind]
			if o.Cause != want.cause || o.State != want.state {
				t.Errorf("%s: got cause %d in %v (%v), want %d in %v", kind, o.Cause, o.State, o.Errno, want.cause, want.state)
			}
			switch {
			case want.state == Active:
				if x.handshake.Err != nil || x.chain == 0 || !strings.HasPrefix(string(x.heard), "HTTP/1.1 200") {
					t.Errorf("%s: handshake %v, %d certificates, heard %q", kind, x.handshake.Err, x.chain, x.heard)
				}
				if o.TLS <= 0 || o.TLSWait < 0 || o.TLSWait > o.TLS || o.FirstByte == Absent || len(x.handshake.Flight) < 50 {
					t.Errorf("%s: TLS %v of which %v waited, first byte %v, flight of %d", kind, o.TLS, o.TLSWait, o.FirstByte, len(x.handshake.Flight))
				}
			case x.handshake.Err == nil:
				t.Errorf("%s: the handshake has no error", kind)
			}
		}
	}
}

// TestSecureDelay: what the peer takes is told as its time, not as ours.
func TestSecureDelay(t *testing.T) {
	const delay = 300 * time.Millisecond
	peer := testpeer.New(t, testpeer.TLS13, testpeer.Options{Delay: delay})
	var peers []*testpeer.Peer
	var talks []*securing
	for range 30 {
		peers, talks = append(peers, peer), append(talks, &securing{cfg: offer(t, tlsclient.Offer{})})
	}
	for _, o := range runSecure(t, Config{Loops: 1, Profiles: []Profile{{Reset: true, Limits: patient}}}, peers, talks) {
		if o.Total < o.Connect+o.TLS {
			t.Errorf("total %v, but connect %v and TLS %v", o.Total, o.Connect, o.TLS)
		}
		if o.TLSWait < delay || o.TLS < o.TLSWait || o.TLS == Absent {
			t.Errorf("TLS took %v of which %v waited, want at least %v", o.TLS, o.TLSWait, delay)
		}
	}
}

// TestSecureQuiet: silence counts from the first byte of the exchange's, not from the handshake's last.
func TestSecureQuiet(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := testcert.NewAuthority("sonde test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Issue(testcert.Leaf{Names: []string{"a.test"}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- func() error {
			c, err := ln.Accept()
			if err != nil {
				return err
			}
			defer c.Close()
			tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			if err := tc.Handshake(); err != nil {
				return err
			}
			<-time.After(200 * time.Millisecond)
			if _, err := tc.Write([]byte("late")); err != nil {
				return err
			}
			_, _ = tc.Read(make([]byte, 1)) // until the client goes
			return nil
		}()
	}()
	x := &securing{cfg: offer(t, tlsclient.Offer{}), quiet: 50 * time.Millisecond}
	e, err := New(Config{Loops: 1, Strict: true, Profiles: []Profile{{Reset: true, Limits: patient, Dialogue: single{x}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Submit(t.Context(), []Job{{Remote: socket.AddrFrom(ln.Addr().(*net.TCPAddr).AddrPort(), 0)}}); err != nil {
		t.Fatal(err)
	}
	e.Finish()
	for more := true; more; {
		<-e.Ready()
		_, more = e.Outcomes(nil)
	}
	if err := <-served; err != nil || string(x.heard) != "late" || x.end != protocol.EndQuiet {
		t.Errorf("served %v, heard %q, end %d", err, x.heard, x.end)
	}
}

// TestStartTLS asks for TLS in the clear, in SMTP, and goes on over it.
func TestStartTLS(t *testing.T) {
	peer := testpeer.New(t, testpeer.StartTLSSMTP, testpeer.Options{})
	x := &securing{
		cfg:     offer(t, tlsclient.Offer{}),
		clear:   []clearTurn{{"", "\r\n"}, {"STARTTLS\r\n", "\r\n"}},
		request: "NOOP\r\n", want: "\r\n",
	}
	o := runSecure(t, Config{Loops: 1, Profiles: []Profile{{Reset: true, Limits: patient}}}, []*testpeer.Peer{peer}, []*securing{x})[0]
	if o.Cause != Answered || x.handshake.Err != nil || !strings.HasPrefix(string(x.heard), "250") || o.TLS == Absent {
		t.Errorf("cause %d, handshake %v, heard %q, TLS %v", o.Cause, x.handshake.Err, x.heard, o.TLS)
	}
}

// TestSecureSeries makes three connections for one job. With a Session the later ones are resumed: a ticket comes as a
// record that holds nothing for the exchange.
func TestSecureSeries(t *testing.T) {
	for _, kind := range []testpeer.Kind{testpeer.TLSResume, testpeer.TLS12} {
		peer := testpeer.New(t, kind, testpeer.Options{})
		session := &tlsclient.Session{}
		x := &securing{cfg: offer(t, tlsclient.Offer{ServerName: "sonde.test", Session: session}), wait: 100 * time.Millisecond, rounds: 3}
		o := runSecure(t, Config{Loops: 1, Connections: 1, Profiles: []Profile{{Reset: true, Limits: patient}}}, []*testpeer.Peer{peer}, []*securing{x})[0]
		if o.Cause != Answered || x.opened != 3 || !session.Held() || !x.handshake.State.DidResume {
			t.Errorf("%s: cause %d, %d connections, ticket %v, resumed %v", kind, o.Cause, x.opened, session.Held(), x.handshake.State.DidResume)
		}
		if kind == testpeer.TLSResume && x.controls == 0 {
			t.Error("no record of a ticket was told")
		}
		// Each connection waits for 100 ms, of which nothing is in the first one's connect.
		if o.Connect == Absent || o.Total-o.Connect < 3*x.wait {
			t.Errorf("%s: total %v, connect %v", kind, o.Total, o.Connect)
		}
	}
}

// TestSeriesGoneDead: the peer is gone when the second connection is wanted. The first one's phases are kept.
func TestSeriesGoneDead(t *testing.T) {
	peer := testpeer.New(t, testpeer.TLS13, testpeer.Options{})
	x := &securing{cfg: offer(t, tlsclient.Offer{}), rounds: 2}
	gone := &closing{securing: x, peer: peer}
	e, err := New(Config{Loops: 1, Strict: true, Profiles: []Profile{{Reset: true, Limits: patient, Dialogue: single{gone}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Submit(t.Context(), []Job{{Remote: socket.AddrFrom(peer.Addr(), 0)}}); err != nil {
		t.Fatal(err)
	}
	e.Finish()
	var outcomes []Outcome
	for more := true; more; {
		<-e.Ready()
		outcomes, more = e.Outcomes(outcomes)
	}
	if err := e.Wait(); err != nil || len(outcomes) != 1 {
		t.Fatalf("%v, %d outcomes", err, len(outcomes))
	}
	if o := outcomes[0]; o.Cause != ConnectFailed || o.Connect == Absent || o.TLS == Absent || !x.ended || x.end != protocol.EndNoConnection {
		t.Errorf("cause %d, connect %v, TLS %v, end %d", o.Cause, o.Connect, o.TLS, x.end)
	}
}

// closing closes its peer between two connections.
type closing struct {
	*securing
	peer *testpeer.Peer
}

func (x *closing) Next() bool {
	x.peer.Close()
	return x.securing.Next()
}

type single struct{ ex protocol.Exchange }

func (d single) Open(uint64) protocol.Exchange { return d.ex }

// TestSecureKept parks connections over TLS: heartbeats go over the same session, no second handshake is made, and tickets
// that come while nobody listens are heeded. The peer's close ends them.
func TestSecureKept(t *testing.T) {
	peer := testpeer.New(t, testpeer.TLS13, testpeer.Options{})
	x := &securing{cfg: offer(t, tlsclient.Offer{}), request: strings.Replace(httpRequest, "Connection: close\r\n", "", 1), want: "\r\n\r\n", park: true}
	beats := make(chan struct{}, 5)
	e, err := New(Config{Loops: 1, Strict: true, DrainLimit: time.Millisecond, Profiles: []Profile{{
		Dialogue: beating{single{x}, x, beats}, Heartbeat: 20 * time.Millisecond,
		Limits: Limits{Connect: time.Minute, Handshake: time.Minute, Read: time.Minute, Idle: time.Minute, Close: time.Second},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Submit(t.Context(), []Job{{Remote: socket.AddrFrom(peer.Addr(), 0)}}); err != nil {
		t.Fatal(err)
	}
	e.Finish()
	for range 5 {
		select {
		case <-beats:
		case <-time.After(time.Minute):
			t.Fatal("no heartbeat")
		}
	}
	peer.Close()
	var outcomes []Outcome
	for more := true; more; {
		<-e.Ready()
		outcomes, more = e.Outcomes(outcomes)
	}
	if err := e.Wait(); err != nil || len(outcomes) != 2 {
		t.Fatalf("%v, %d outcomes", err, len(outcomes))
	}
	if first, last := outcomes[0], outcomes[1]; first.Cause != Parked || last.Cause != Reset && last.Cause != PeerClosed && last.Cause != Answered {
		t.Errorf("causes %d and %d", first.Cause, last.Cause)
	}
	if s := e.Stats(); s.Opened != 1 || s.Closed != 1 || s.HandshakesMax != 1 {
		t.Errorf("opened %d, closed %d, handshakes %d at once", s.Opened, s.Closed, s.HandshakesMax)
	}
}

// beating opens an exchange without a handshake for each heartbeat and tells of it.
type beating struct {
	single
	first *securing
	beats chan struct{}
}

func (d beating) Open(id uint64) protocol.Exchange {
	if !d.first.shaken {
		return d.first
	}
	select {
	case d.beats <- struct{}{}:
	default: // nobody counts just now
	}
	return &securing{shaken: true, request: d.first.request, want: d.first.want, park: true}
}

// TestStopInHandshake: a stop in the middle of many handshakes leaves none.
func TestStopInHandshake(t *testing.T) {
	peer := testpeer.New(t, testpeer.TLSSilent, testpeer.Options{})
	const n = 200
	talks := make([]*securing, n)
	for i := range talks {
		talks[i] = &securing{cfg: offer(t, tlsclient.Offer{})}
	}
	e, err := New(Config{Loops: 2, Strict: true, DrainLimit: 50 * time.Millisecond, Profiles: []Profile{{Reset: true, Limits: patient, Dialogue: secureDialogue(talks)}}})
	if err != nil {
		t.Fatal(err)
	}
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = Job{ID: uint64(i), Remote: socket.AddrFrom(peer.Addr(), 0)}
	}
	if _, err := e.Submit(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); peer.Clients() < 50; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the clients do not come")
		}
	}
	e.Stop()
	var outcomes []Outcome
	for more := true; more; {
		<-e.Ready()
		outcomes, more = e.Outcomes(outcomes)
	}
	if err := e.Wait(); err != nil || len(outcomes) != n {
		t.Fatalf("%v, %d outcomes", err, len(outcomes))
	}
	for _, o := range outcomes {
		if o.Cause != Cancelled && o.Cause != NotDialed {
			t.Errorf("job %d: cause %d", o.ID, o.Cause)
		}
	}
	if left := coroutines(); left != "" {
		t.Errorf("handshakes are left:\n%s", left)
	}
}
