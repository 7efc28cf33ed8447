package flight

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/probes/probetest"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// testNow is when all tests take place.
var testNow = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const (
	testName  = "server.sonde.test"
	otherName = "other.sonde.test"
)

var testAuthority = sync.OnceValues(func() (*testcert.Authority, error) { return testcert.NewAuthority("flight", testNow) })

// authority is the one that the tests trust.
func authority(t testing.TB) *testcert.Authority {
	t.Helper()
	a, err := testAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a certificate for testName unless the leaf has names of its own.
func issue(t testing.TB, l testcert.Leaf) tls.Certificate {
	t.Helper()
	if l.Names == nil {
		l.Names = []string{testName}
	}
	c, err := authority(t).Issue(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newClient makes a Client that trusts the test's authority at the test's time.
func newClient(t testing.TB, o probes.TLSOptions) *Client {
	t.Helper()
	o.Roots, o.Now = authority(t).Pool(), func() time.Time { return testNow }
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// open opens an exchange with the test server.
func (c *Client) open() *exchange {
	return c.Exchange(Names{Server: testName, Certificate: testName}).(*exchange)
}

// serverConn is the server's end of a connection in memory, all in one goroutine: when the server waits for bytes, the
// exchange is given what it wrote.
type serverConn struct {
	net.Conn // nil: nothing else is asked of it
	e        *exchange
	buf      []byte // for the exchange
	toServer []byte
	turns    []probetest.Turn
	over     bool
}

func (c *serverConn) Read(b []byte) (int, error) {
	if len(c.toServer) == 0 {
		c.talk()
	}
	if len(c.toServer) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.toServer)
	c.toServer = c.toServer[n:]
	return n, nil
}

func (c *serverConn) Write(b []byte) (int, error) {
	c.buf = append(c.buf, b...)
	c.turns[len(c.turns)-1].Says += string(b)
	return len(b), nil
}

func (c *serverConn) Close() error                     { return nil }
func (c *serverConn) SetDeadline(time.Time) error      { return nil }
func (c *serverConn) SetReadDeadline(time.Time) error  { return nil }
func (c *serverConn) SetWriteDeadline(time.Time) error { return nil }

// hear takes a step of the exchange's.
func (c *serverConn) hear(s protocol.Step) {
	var sent []byte
	for _, b := range s.Send {
		sent = append(sent, b...)
	}
	if len(sent) > 0 {
		c.turns = append(c.turns, probetest.Turn{Hears: string(sent)})
		c.toServer = append(c.toServer, sent...)
	}
	c.over = s.Then != protocol.Read
}

// talk gives the exchange what there is for it.
func (c *serverConn) talk() {
	for !c.over && len(c.buf) > 0 {
		f, n, err := c.e.Parser().ParseFrame(c.buf)
		if err != nil {
			return
		}
		c.hear(c.e.OnFrame(f))
		c.buf = c.buf[n:]
	}
}

// converse has e talk with a server of crypto/tls until it is over, and returns what was said. The Conclusion is left to
// the caller.
func converse(t testing.TB, e *exchange, cfg *tls.Config) []probetest.Turn {
	t.Helper()
	c := &serverConn{e: e}
	c.hear(e.Begin())
	err := tls.Server(c, cfg).Handshake()
	c.talk()
	if !c.over {
		t.Fatalf("the exchange is not over; the server says %v", err)
	}
	return c.turns
}

// handshake has a client of crypto/tls make a whole handshake with the server, over loopback, and returns what it learned.
func handshake(t testing.TB, client, server *tls.Config) tls.ConnectionState {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.(*tls.Conn).Handshake()
			defer c.Close()
		}
		done <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		t.Fatalf("crypto/tls: %v", err)
	}
	defer c.Close()
	if err := <-done; err != nil {
		t.Fatalf("crypto/tls server: %v", err)
	}
	return c.ConnectionState()
}

// facts are those of an exchange that is over and not concluded.
func facts(t testing.TB, e *exchange) tlsfacts.Facts {
	t.Helper()
	if e.facts == nil {
		t.Fatal("nothing was heard")
	}
	return *e.facts
}

// serverHello builds the body of a ServerHello by hand.
type serverHello struct {
	legacy    tlswire.Version // 0 is TLS 1.2
	random    [32]byte
	sessionID []byte
	cipher    tlswire.CipherSuite
	compress  byte
	ext       []byte // extensions, each with its header
}

func (h serverHello) record() []byte {
	if h.legacy == 0 {
		h.legacy = tlswire.TLS12
	}
	b := []byte{byte(h.legacy >> 8), byte(h.legacy)}
	b = append(b, h.random[:]...)
	b = append(append(b, byte(len(h.sessionID))), h.sessionID...)
	b = append(b, byte(h.cipher>>8), byte(h.cipher), h.compress)
	if h.ext != nil {
		b = append(append(b, byte(len(h.ext)>>8), byte(len(h.ext))), h.ext...)
	}
	return messageRecord(tlswire.HandshakeServerHello, b)
}

// messageRecord is a record with one handshake message.
func messageRecord(t tlswire.HandshakeType, body []byte) []byte {
	return tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, tlswire.AppendMessage(nil, t, body))
}

// extension is one extension with its header.
func extension(t tlswire.ExtensionType, content ...byte) []byte {
	return append([]byte{byte(t >> 8), byte(t), byte(len(content) >> 8), byte(len(content))}, content...)
}
