package secure

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"sonde/protocol"
)

// recording keeps what a server sends.
type recording struct {
	net.Conn
	flight []byte
}

func (r *recording) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.flight = append(r.flight, p[:n]...)
	return n, err
}

// recorded is a handshake that went well with a server of TLS 1.3, to be shown to exchanges.
func recorded(b *testing.B, cfg *tls.Config) *protocol.Handshake {
	b.Helper()
	near, far := net.Pipe()
	defer far.Close()
	go func() { _ = tls.Server(far, server(good(b))).Handshake() }()
	r := &recording{Conn: near}
	c := tls.Client(r, cfg)
	if err := c.Handshake(); err != nil {
		b.Fatal(err)
	}
	near.Close()
	return &protocol.Handshake{State: c.ConnectionState(), Flight: r.flight[:min(len(r.flight), protocol.FlightSize)], Took: time.Millisecond}
}

// BenchmarkExchange is all that the layer does for a target of the tls probe but the handshake itself, and writing the
// result: what it adds to a client loop of crypto/tls.
func BenchmarkExchange(b *testing.B) {
	l := layer(b, options())
	_, cfg := l.Exchange(here, nil, nil, true).Handshake()
	h := recorded(b, cfg)
	b.ReportAllocs()
	for b.Loop() {
		e := l.Exchange(here, nil, nil, true)
		e.Handshake()
		if !e.OnHandshake(h) || e.Begin().Then != protocol.Done {
			b.Fatal(errors.New("the exchange goes on"))
		}
		if c := e.Conclusion(); c.Verdict != protocol.Success {
			b.Fatal(c.Reason)
		}
	}
}

// BenchmarkConfig is the part of it that makes the connection's configuration.
func BenchmarkConfig(b *testing.B) {
	l := layer(b, options())
	e := l.Exchange(here, nil, nil, true)
	b.ReportAllocs()
	for b.Loop() {
		e.Handshake()
	}
}

// BenchmarkHello is a client's part up to its hello, by the layer's configuration and by crypto/tls' plainest.
func BenchmarkHello(b *testing.B) {
	_, ours := layer(b, options()).Exchange(here, nil, nil, true).Handshake()
	plain := &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", CurvePreferences: []tls.CurveID{tls.X25519}}
	for name, cfg := range map[string]*tls.Config{"layer": ours, "plain": plain} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = tls.Client(deaf{}, cfg).Handshake()
			}
		})
	}
}

// deaf takes everything and answers nothing.
type deaf struct{ net.Conn }

func (deaf) Read([]byte) (int, error)    { return 0, net.ErrClosed }
func (deaf) Write(p []byte) (int, error) { return len(p), nil }
func (deaf) Close() error                { return nil }
