package secure

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
)

// epoch is the time within a bubble of testing/synctest, in which every conversation is held: quiet times cost nothing.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// authority is the one that the tests' clients trust.
var authority = sync.OnceValue(func() *testcert.Authority {
	a, err := testcert.NewAuthority("test", epoch)
	if err != nil {
		panic(err)
	}
	return a
})

// leaves keeps what was issued: keys are dear.
var leaves sync.Map

func issue(t testing.TB, l testcert.Leaf, as string) tls.Certificate {
	t.Helper()
	if c, ok := leaves.Load(as); ok {
		return c.(tls.Certificate)
	}
	c, err := authority().Issue(l)
	if err != nil {
		t.Fatal(err)
	}
	leaves.Store(as, c)
	return c
}

// good is a certificate for a.test.
func good(t testing.TB) tls.Certificate {
	return issue(t, testcert.Leaf{Names: []string{"a.test", "192.0.2.1"}}, "good")
}

// server is the configuration of a server that has TLS 1.0 to 1.3 and certificate c.
func server(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS10}
}

// only bounds the versions of cfg to v.
func only(cfg *tls.Config, v uint16) *tls.Config {
	cfg.MinVersion, cfg.MaxVersion = v, v
	return cfg
}

// options are those of a client that trusts the authority.
func options() probes.TLSOptions {
	return probes.TLSOptions{Roots: authority().Pool(), Now: func() time.Time { return epoch }}
}

// layer is New without an error.
func layer(t testing.TB, o probes.TLSOptions) *Layer {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var here = &target.Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 443, Domain: "a.test"}

// peer is the server's part: one connection after the other, each to be served until it returns.
type peer func(connection int, c net.Conn)

// serves is a peer that makes a handshake and then does the rest, if there is one, until the client is gone.
func serves(cfg *tls.Config, rest func(c *tls.Conn)) peer {
	return func(_ int, c net.Conn) {
		conn := tls.Server(c, cfg)
		if conn.Handshake() != nil {
			return
		}
		if rest != nil {
			rest(conn)
		}
		_, _ = io.Copy(io.Discard, conn)
	}
}

// result is what became of an exchange.
type result struct {
	protocol.Conclusion
	connections int
	json        string
	object      map[string]any
}

// play is the engine's part, over pipes: it lets ex talk to p until it is over. fin is how a connection ends that the peer
// closes: EndOfStream or EndReset.
func play(t *testing.T, ex protocol.Handshaker, p peer, fin protocol.End) result {
	t.Helper()
	var got result
	synctest.Test(t, func(t *testing.T) {
		for again := true; again; {
			near, far := net.Pipe()
			go func(i int) {
				defer far.Close()
				p(i, far)
			}(got.connections)
			got.connections++
			e := &engine{t: t, ex: ex, fin: fin, wire: wire{Conn: near, blocking: true, out: make(chan []byte, 64)}}
			go e.wire.flush()
			e.run()
			near.Close()
			close(e.wire.out)
			series, ok := ex.(protocol.Series)
			again = ok && series.Next()
		}
		got.Conclusion = ex.Conclusion()
	})
	if got.Finding != nil {
		got.json = string(got.Finding.AppendJSON(nil))
		if err := json.Unmarshal([]byte(got.json), &got.object); err != nil {
			t.Fatalf("finding is no JSON object: %v: %s", err, got.json)
		}
	}
	return got
}

// engine drives one connection.
type engine struct {
	t    *testing.T
	ex   protocol.Handshaker
	fin  protocol.End
	wire wire
	conn *tls.Conn // nil in the clear
	buf  []byte
	over bool
}

func (e *engine) run() {
	security, cfg := e.ex.Handshake()
	if security == protocol.TLSNow && !e.shake(cfg) {
		e.over = true
		return
	}
	e.wire.blocking = false
	e.step(e.ex.Begin())
}

// shake makes the handshake, and reports whether the exchange goes on.
func (e *engine) shake(cfg *tls.Config) bool {
	e.conn = tls.Client(&e.wire, cfg)
	begun := time.Now()
	err := e.conn.Handshake()
	cut := e.wire.ended && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe))
	if cut {
		err = protocol.ErrHandshakeCut
	}
	goOn := e.ex.OnHandshake(&protocol.Handshake{
		State: e.conn.ConnectionState(), Err: err, Flight: e.wire.flight, Took: time.Since(begun) + 1500*time.Microsecond,
	})
	if cut {
		e.ex.OnEnd(e.fin, nil, nil)
	}
	return goOn && err == nil
}

// step does what the exchange wants, and what follows.
func (e *engine) step(s protocol.Step) {
	for _, b := range s.Send {
		var err error
		if e.conn != nil {
			_, err = e.conn.Write(b)
		} else {
			_, err = e.wire.Write(b)
		}
		if err != nil {
			e.end(e.fin, nil)
			return
		}
	}
	if s.Then == protocol.StartTLS {
		e.wire.blocking = true
		e.run()
		return
	}
	if s.Then != protocol.Read {
		e.over = true
	}
	for !e.over && e.frame() {
	}
	if !e.over {
		e.receive(max(s.Quiet, s.Wait))
	}
}

// frame gives the exchange a frame if there is one.
func (e *engine) frame() bool {
	parser := e.ex.Parser()
	if len(e.buf) < parser.MinFrameSize() {
		return false
	}
	f, n, err := parser.ParseFrame(e.buf)
	if err == protocol.ErrIncomplete {
		return false
	}
	if err != nil {
		end := protocol.EndMalformed
		if errors.Is(err, protocol.ErrTooLarge) {
			end = protocol.EndTooLarge
		}
		e.end(end, err)
		return false
	}
	e.buf = e.buf[n:]
	e.step(e.ex.OnFrame(f))
	return !e.over
}

// receive waits for bytes: five seconds, or quiet if that is above 0.
func (e *engine) receive(quiet time.Duration) {
	limit, end := 5*time.Second, protocol.EndTimeout
	if quiet > 0 {
		limit, end = quiet, protocol.EndQuiet
	}
	var plain [4096]byte
	if e.conn != nil {
		n, err := e.conn.Read(plain[:])
		if n > 0 || err != errAgain {
			e.received(plain[:n], err)
			return
		}
	}
	_ = e.wire.Conn.SetReadDeadline(time.Now().Add(limit))
	n, err := e.wire.Conn.Read(plain[:])
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.end(end, nil)
	case err != nil:
		e.end(e.fin, nil)
	case e.conn == nil:
		e.received(plain[:n], nil)
	default:
		e.wire.in = append(e.wire.in, plain[:n]...)
		n, err := e.conn.Read(plain[:])
		if n == 0 && err == errAgain {
			e.step(e.ex.OnControl())
			return
		}
		e.received(plain[:n], err)
	}
}

// received takes plaintext, and what ended it.
func (e *engine) received(plain []byte, err error) {
	e.buf = append(e.buf, plain...)
	switch {
	case len(plain) > 0:
		for e.frame() {
		}
		if !e.over {
			e.receive(0)
		}
	case err == io.EOF:
		e.end(protocol.EndOfStream, nil)
	case err != nil:
		e.end(protocol.EndMalformed, err)
	}
}

func (e *engine) end(end protocol.End, err error) {
	e.over = true
	e.ex.OnEnd(end, e.buf, err)
}

// wire is the client's end. It keeps the first that the server says; it blocks in the handshake and says errAgain after it.
type wire struct {
	net.Conn
	blocking bool
	ended    bool // the peer closed: an io.EOF that comes without is crypto/tls' word for close_notify
	flight   []byte
	in       []byte
	out      chan []byte
}

// Write never blocks, as a socket does not: both ends may be writing.
func (w *wire) Write(p []byte) (int, error) {
	w.out <- bytes.Clone(p)
	return len(p), nil
}

// flush writes what is in out, until that is closed.
func (w *wire) flush() {
	for p := range w.out {
		_, _ = w.Conn.Write(p)
	}
}

func (w *wire) Read(p []byte) (int, error) {
	if w.blocking {
		n, err := w.Conn.Read(p)
		w.ended = w.ended || err != nil
		if room := protocol.FlightSize - len(w.flight); room > 0 {
			w.flight = append(w.flight, p[:min(n, room)]...)
		}
		return n, err
	}
	if len(w.in) == 0 {
		return 0, errAgain
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// errAgain is temporary, so that crypto/tls does not keep it.
var errAgain error = again{}

type again struct{}

func (again) Error() string   { return "no bytes yet" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }
