package enumerate

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"testing"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// server answers one connection: what it says to a hello, and how the connection ends if that is not enough.
type server func(hello []byte) (said []byte, end protocol.End)

// play has the exchange ask the server, which says its part in pieces of so many bytes, until no connection is wanted.
func play(t testing.TB, o probes.TLSOptions, piece int, s server) (*tlsfacts.Facts, protocol.Conclusion) {
	t.Helper()
	var facts *tlsfacts.Facts
	e := New(o, "sonde.test", func(f *tlsfacts.Facts) protocol.Finding {
		facts = f
		return nil
	})
	connections := 0
	for again := true; again; again = e.Next() {
		if connections++; connections > maxConnections+1 {
			t.Fatalf("got %d connections, want at most %d", connections, maxConnections)
		}
		talk(t, e, piece, s)
	}
	c := e.Conclusion()
	return facts, c
}

func talk(t testing.TB, e *Exchange, piece int, s server) {
	t.Helper()
	if security, cfg := e.Handshake(); security != protocol.TLSOwn || cfg != nil {
		t.Fatalf("got security %d, want TLSOwn", security)
	}
	step := e.Begin()
	if step.Then == protocol.Done {
		return
	}
	said, end := s(bytes.Join(step.Send, nil))
	if end == protocol.EndNoConnection {
		e.OnEnd(end, nil, nil)
		return
	}
	var buf []byte
	for len(said) > 0 {
		n := min(piece, len(said))
		buf, said = append(bytes.Clone(buf), said[:n]...), said[n:]
		for len(buf) > 0 {
			parser := e.Parser()
			if len(buf) < parser.MinFrameSize() {
				break
			}
			f, n, err := parser.ParseFrame(buf)
			if err == protocol.ErrIncomplete {
				break
			}
			if err != nil {
				end := protocol.EndTooLarge
				if _, ok := err.(*protocol.MalformedError); ok {
					end = protocol.EndMalformed
				}
				e.OnEnd(end, buf, err)
				return
			}
			done := e.OnFrame(f).Then == protocol.Done
			for i := range n {
				buf[i] = 0xA5
			}
			if done {
				return
			}
			buf = buf[n:]
		}
	}
	e.OnEnd(end, buf, nil)
}

// policy is what a server of the tests takes.
type policy struct {
	versions    []tlswire.Version
	suites      map[tlswire.Version][]tlswire.CipherSuite // in its order
	clientOrder bool
	groups      []tlswire.Group // in its order
	dhe         []byte          // the prime of its suites of DHE
	// refuse is how it refuses; by default with handshake_failure, and with protocol_version for versions.
	refuse func(a tlswire.AlertDescription) ([]byte, protocol.End)
	seen   int // hellos
	most   int // the most suites in a hello
}

func (p *policy) no(a tlswire.AlertDescription) ([]byte, protocol.End) {
	if p.refuse != nil {
		return p.refuse(a)
	}
	return tlswire.AppendRecords(nil, tlswire.RecordAlert, tlswire.TLS12, []byte{byte(tlswire.AlertFatal), byte(a)}), protocol.EndOfStream
}

func (p *policy) serve(t testing.TB) server {
	return func(hello []byte) ([]byte, protocol.End) {
		t.Helper()
		p.seen++
		if n := len(hello) - tlswire.RecordHeaderSize; n >= 256 && n < 512 {
			t.Errorf("hello %d has %d bytes, want none of 256 to 511", p.seen, n)
		}
		h, err := tlswire.ParseClientHello(hello[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
		if err != nil {
			t.Fatalf("hello %d: %v", p.seen, err)
		}
		p.most = max(p.most, len(h.CipherSuites))
		return p.answer(h)
	}
}

func (p *policy) answer(h *tlswire.ClientHello) ([]byte, protocol.End) {
	var version tlswire.Version
	offered, _ := h.Extension(tlswire.ExtSupportedVersions).(tlswire.SupportedVersions)
	for _, v := range p.versions {
		if len(offered) > 0 && slices.Contains(offered, v) || len(offered) == 0 && v <= min(h.LegacyVersion, tlswire.TLS12) {
			version = max(version, v)
		}
	}
	if version == 0 {
		return p.no(tlswire.AlertProtocolVersion)
	}
	groups, _ := h.Extension(tlswire.ExtSupportedGroups).(tlswire.SupportedGroups)
	group, ok := first(p.groups, groups)
	suites := slices.DeleteFunc(slices.Clone(p.suites[version]), func(s tlswire.CipherSuite) bool {
		return !ok && (version == tlswire.TLS13 || s.KeyExchange() == tlswire.KeyExchangeECDHE)
	})
	suite, ok := first(suites, h.CipherSuites)
	if p.clientOrder {
		suite, ok = first(h.CipherSuites, suites)
	}
	if !ok {
		return p.no(tlswire.AlertHandshakeFailure)
	}
	return p.flight(version, suite, group), protocol.EndTimeout
}

// first is the first of a that b has as well.
func first[T comparable](a, b []T) (T, bool) {
	for _, x := range a {
		if slices.Contains(b, x) {
			return x, true
		}
	}
	var none T
	return none, false
}

// retryRandom makes a ServerHello a HelloRetryRequest (RFC 8446 s.4.1.3).
const retryRandom = "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C"

func (p *policy) flight(v tlswire.Version, suite tlswire.CipherSuite, g tlswire.Group) []byte {
	body := append([]byte{3, byte(min(v, tlswire.TLS12))}, retryRandom...)
	body = append(body, 0, byte(suite>>8), byte(suite), 0)
	if v == tlswire.TLS13 {
		body = append(body, 0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, byte(g>>8), byte(g))
		return tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, tlswire.AppendMessage(nil, tlswire.HandshakeServerHello, body))
	}
	body[2]++ // no HelloRetryRequest
	flight := tlswire.AppendMessage(nil, tlswire.HandshakeServerHello, body)
	flight = tlswire.AppendMessage(flight, tlswire.HandshakeCertificate, []byte{0, 0, 0})
	var exchange []byte
	switch suite.KeyExchange() {
	case tlswire.KeyExchangeECDHE:
		exchange = []byte{3, byte(g >> 8), byte(g), 1, 4}
	case tlswire.KeyExchangeDHE:
		exchange = append([]byte{byte(len(p.dhe) >> 8), byte(len(p.dhe))}, p.dhe...)
		exchange = append(exchange, 0, 1, 2, 0, 1, 9)
	}
	if exchange != nil {
		if v == tlswire.TLS12 {
			exchange = append(exchange, 4, 1)
		}
		flight = tlswire.AppendMessage(flight, tlswire.HandshakeServerKeyExchange, append(exchange, 0, 1, 7))
	}
	flight = tlswire.AppendMessage(flight, tlswire.HandshakeServerHelloDone, nil)
	return tlswire.AppendRecords(nil, tlswire.RecordHandshake, v, flight)
}

// gone is a refusal without a word.
func gone(end protocol.End) func(tlswire.AlertDescription) ([]byte, protocol.End) {
	return func(tlswire.AlertDescription) ([]byte, protocol.End) { return nil, end }
}

// cryptoTLS is crypto/tls over memory: it reads the hello, writes its flight and then finds the end of the stream.
func cryptoTLS(cfg *tls.Config) server {
	return func(hello []byte) ([]byte, protocol.End) {
		c := &memory{in: bytes.NewReader(hello)}
		_ = tls.Server(c, cfg).Handshake()
		return c.out.Bytes(), protocol.EndOfStream
	}
}

type memory struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (m *memory) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

func (m *memory) Write(p []byte) (int, error) { return m.out.Write(p) }

func (m *memory) Close() error { return nil }
