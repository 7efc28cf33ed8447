package flight

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"sonde/internal/testcert"
	"sonde/probes"
	"sonde/probes/probetest"
	"sonde/protocol"
)

// replay has a new exchange hear what was recorded.
func replay(b testing.TB, c *Client, turns []probetest.Turn) {
	e := c.open()
	e.Begin()
	for _, turn := range turns {
		for says := []byte(turn.Says); len(says) > 0; {
			f, n, err := e.Parser().ParseFrame(says)
			if err != nil {
				b.Fatal(err)
			}
			if e.OnFrame(f).Then == protocol.Done {
				break
			}
			says = says[n:]
		}
	}
	if done := e.Conclusion(); done.Verdict != protocol.Success {
		b.Fatalf("verdict %d (%s)", done.Verdict, done.Reason)
	}
}

// BenchmarkExchange is what one target costs without its connection.
func BenchmarkExchange(b *testing.B) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, depth := range depths {
			b.Run(tls.VersionName(v)+"/"+depth.String(), func(b *testing.B) {
				c := newClient(b, probes.TLSOptions{Depth: depth})
				cfg := (&server{config: &tls.Config{MaxVersion: v}}).ready(b)
				e := c.open()
				turns := converse(b, e, cfg)
				e.Conclusion()
				b.ReportAllocs()
				for b.Loop() {
					replay(b, c, turns)
				}
			})
		}
	}
}

// BenchmarkHandshake is what crypto/tls' client costs for the same, with X25519 and a chain that is verified: the yardstick
// of the depth certs. The server's share is taken out of the time.
func BenchmarkHandshake(b *testing.B) {
	cfg := &tls.Config{Certificates: []tls.Certificate{issue(b, testcert.Leaf{})}, SessionTicketsDisabled: true}
	client := &tls.Config{ServerName: testName, RootCAs: authority(b).Pool(), Time: func() time.Time { return testNow },
		CurvePreferences: []tls.CurveID{tls.X25519}}
	b.ReportAllocs()
	for b.Loop() {
		s := &serverSide{cfg: cfg}
		if err := tls.Client(&clientConn{s: s, b: b}, client).Handshake(); err != nil {
			b.Fatal(err)
		}
	}
}

// serverSide is a server of crypto/tls that runs while the clock stands still.
type serverSide struct {
	cfg *tls.Config
	in  []byte
	out []byte
}

// clientConn is the client's end: it asks the server when it waits.
type clientConn struct {
	net.Conn // nil: nothing else is asked of it
	s        *serverSide
	b        *testing.B
	answered bool
}

func (c *clientConn) Write(p []byte) (int, error) {
	c.s.in = append(c.s.in, p...)
	return len(p), nil
}

func (c *clientConn) Read(p []byte) (int, error) {
	if !c.answered {
		c.answered = true
		c.b.StopTimer()
		_ = tls.Server(c.s, c.s.cfg).Handshake() // ends for want of the client's Finished
		c.b.StartTimer()
	}
	if len(c.s.out) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.s.out)
	c.s.out = c.s.out[n:]
	return n, nil
}

func (c *clientConn) Close() error                     { return nil }
func (c *clientConn) SetDeadline(time.Time) error      { return nil }
func (c *clientConn) SetWriteDeadline(time.Time) error { return nil }

// serverSide is the server's net.Conn as well.
func (s *serverSide) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}
func (s *serverSide) Write(p []byte) (int, error)      { s.out = append(s.out, p...); return len(p), nil }
func (s *serverSide) Close() error                     { return nil }
func (s *serverSide) LocalAddr() net.Addr              { return nil }
func (s *serverSide) RemoteAddr() net.Addr             { return nil }
func (s *serverSide) SetDeadline(time.Time) error      { return nil }
func (s *serverSide) SetReadDeadline(time.Time) error  { return nil }
func (s *serverSide) SetWriteDeadline(time.Time) error { return nil }

// TestAllocations: beyond the Finding, which is two, the depth hello needs no new memory with TLS 1.3.
func TestAllocations(t *testing.T) {
	c := newClient(t, probes.TLSOptions{Depth: probes.DepthHello})
	e := c.open()
	turns := converse(t, e, (&server{}).ready(t))
	e.Conclusion()
	// What is spare is for a pool that a collection has emptied in between.
	if n := testing.AllocsPerRun(100, func() { replay(t, c, turns) }); n > 4 {
		t.Errorf("got %v allocations, want 2", n)
	}
}
