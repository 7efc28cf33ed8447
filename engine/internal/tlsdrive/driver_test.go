package tlsdrive

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"sonde/internal/tlsclient"

	"github.com/google/go-cmp/cmp"
)

var versions = []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}

// facts are the parts of a state that two handshakes with one server have in common.
type facts struct {
	Version, Suite     uint16
	Group              tls.CurveID
	ALPN, Name         string
	Complete, Resumed  bool
	Retried            bool
	Certs, SCTs        [][]byte
	OCSP               []byte
	HasUnique, Mutual  bool
	ECH                bool
	VerifiedChainCount int
}

func factsOf(s tls.ConnectionState) facts {
	f := facts{
		Version: s.Version, Suite: s.CipherSuite, Group: s.CurveID, ALPN: s.NegotiatedProtocol, Name: s.ServerName,
		Complete: s.HandshakeComplete, Resumed: s.DidResume, Retried: s.HelloRetryRequest,
		SCTs: s.SignedCertificateTimestamps, OCSP: s.OCSPResponse,
		HasUnique: len(s.TLSUnique) > 0, ECH: s.ECHAccepted, VerifiedChainCount: len(s.VerifiedChains),
	}
	//lint:ignore SA1019 it is one of the fields
	f.Mutual = s.NegotiatedProtocolIsMutual
	for _, c := range s.PeerCertificates {
		f.Certs = append(f.Certs, c.Raw)
	}
	return f
}

// overPipe is what a plain client learns from the same server.
func overPipe(t *testing.T, client, server *tls.Config) facts {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	served := make(chan error, 1)
	go func() {
		defer b.Close()
		served <- tls.Server(b, server).Handshake()
	}()
	c := tls.Client(a, client)
	if err := c.Handshake(); err != nil {
		t.Fatalf("plain client: %v", err)
	}
	// A server of TLS 1.3 ends with its tickets.
	_, _ = c.Read(make([]byte, 1))
	if err := <-served; err != nil {
		t.Fatalf("plain server: %v", err)
	}
	return factsOf(c.ConnectionState())
}

// splits are the ways in which the tests deliver bytes. The name holds the seed.
func splits() map[string]func() splitter {
	m := map[string]func() splitter{
		"whole":      func() splitter { return whole },
		"one by one": func() splitter { return oneByOne },
	}
	for seed := range uint64(4) {
		m[fmt.Sprintf("seed %d", seed)] = func() splitter { return pieces(seed) }
	}
	return m
}

// Every version with every kind of key, in every split: the state is that of a plain client, 40,000 bytes come back
// from an echo, and the end is the server's close_notify.
func TestAsPlainClient(t *testing.T) {
	sent := bytes.Repeat([]byte("0123456789abcdef"), 2500)
	for _, v := range versions {
		for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
			if kind == "ed25519" && v < tls.VersionTLS12 {
				continue // RFC 8422 s.5.10: from TLS 1.2 on
			}
			server := serverConfig(t, v, kind)
			server.NextProtos = []string{"h2", "http/1.1"}
			server.Certificates[0].OCSPStaple = []byte("staple")
			server.Certificates[0].SignedCertificateTimestamps = [][]byte{[]byte("sct")}
			offer := tlsclient.Offer{ServerName: "a.test", ALPN: []string{"http/1.1"}}
			want := overPipe(t, config(t, offer), server)
			for name, split := range splits() {
				t.Run(tls.VersionName(v)+" "+kind+" "+name, func(t *testing.T) {
					split := split()
					d, p := start(t, offer), newPeer(t, server, echo)
					rest, err := shake(t, d, p, split)
					if err != nil {
						t.Fatal(err)
					}
					if d.wire.co != nil {
						t.Error("the coroutine outlived the handshake")
					}
					if diff := cmp.Diff(want, factsOf(d.State())); diff != "" {
						t.Errorf("state, plain client to driver:\n%s", diff)
					}
					if n, err := d.Write(sent); n != len(sent) || err != nil {
						t.Fatalf("Write: got %d, %v", n, err)
					}
					if err := d.CloseNotify(); err != nil {
						t.Fatal(err)
					}
					got, err := receive(d, append(rest, flush(d, p, split)...), split, 1000)
					if err != io.EOF || !bytes.Equal(got, sent) {
						t.Errorf("got %d bytes and %v, want the %d sent and EOF", len(got), err, len(sent))
					}
					if _, _, err := d.Read(make([]byte, 1), nil); err != io.EOF {
						t.Errorf("after the end: got %v, want EOF again", err)
					}
					if p.err != nil {
						t.Errorf("server: %v", p.err)
					}
					d.Close()
					if diff := cmp.Diff(want, factsOf(d.State())); diff != "" {
						t.Errorf("state after Close, plain client to driver:\n%s", diff)
					}
				})
			}
		}
	}
}

func TestEverySuite(t *testing.T) {
	for _, id := range tlsclient.Suites() {
		t.Run(tls.CipherSuiteName(id), func(t *testing.T) {
			kinds := []string{"rsa", "ecdsa"}
			for _, kind := range kinds {
				server := serverConfig(t, tls.VersionTLS12, kind)
				server.CipherSuites = []uint16{id}
				d, p := start(t, tlsclient.Offer{}), newPeer(t, server, handshakeOnly)
				if _, err := shake(t, d, p, whole); err != nil {
					continue // a suite is for one kind of key
				}
				if got := d.State().CipherSuite; got != id {
					t.Errorf("got suite %s", tls.CipherSuiteName(got))
				}
				return
			}
			t.Errorf("no handshake with keys %v", kinds)
		})
	}
}

func TestHelloRetryRequest(t *testing.T) {
	server := serverConfig(t, tls.VersionTLS13, "ecdsa")
	server.CurvePreferences = []tls.CurveID{tls.CurveP384}
	for name, split := range splits() {
		t.Run(name, func(t *testing.T) {
			d, p := start(t, tlsclient.Offer{}), newPeer(t, server, handshakeOnly)
			if _, err := shake(t, d, p, split()); err != nil {
				t.Fatal(err)
			}
			if s := d.State(); !s.HelloRetryRequest || s.CurveID != tls.CurveP384 {
				t.Errorf("got retry %v and group %v, want a retry and P-384", s.HelloRetryRequest, s.CurveID)
			}
		})
	}
}

func TestClientCertificate(t *testing.T) {
	for _, v := range versions {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			server := serverConfig(t, v, "rsa")
			server.ClientAuth = tls.RequireAnyClientCert

			offer := tlsclient.Offer{Certificates: []tls.Certificate{certify(t, "ecdsa", nil, nil)}}
			d, p := start(t, offer), newPeer(t, server, handshakeOnly)
			if _, err := shake(t, d, p, oneByOne); err != nil {
				t.Fatal(err)
			}
			if got := len(p.conn.ConnectionState().PeerCertificates); got != 1 {
				t.Errorf("the server saw %d certificates, want 1", got)
			}

			d, p = start(t, tlsclient.Offer{}), newPeer(t, server, handshakeOnly)
			rest, err := shake(t, d, p, oneByOne)
			if v == tls.VersionTLS13 {
				if err != nil {
					t.Fatalf("got %v before the server could judge", err)
				}
				_, err = receive(d, rest, oneByOne, 100)
			}
			var op *net.OpError
			if !errors.As(err, &op) || op.Op != "remote error" {
				t.Errorf("without a certificate: got %v, want the server's alert", err)
			}
		})
	}
}

func TestResumption(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, split := range splits() {
			t.Run(tls.VersionName(v)+" "+name, func(t *testing.T) {
				split := split()
				server := serverConfig(t, v, "ecdsa")
				session := &tlsclient.Session{}
				// No name: what crypto/tls would take for the key is the same for all targets.
				offer := tlsclient.Offer{Session: session}
				for i, want := range []bool{false, true} {
					d, p := start(t, offer), newPeer(t, server, handshakeOnly)
					if session.Held() != want {
						t.Fatalf("before connection %d: ticket held %v", i, session.Held())
					}
					rest, err := shake(t, d, p, split)
					if err != nil {
						t.Fatal(err)
					}
					if got := d.State().DidResume; got != want {
						t.Errorf("connection %d: resumed %v, want %v", i, got, want)
					}
					if plain, err := receive(d, rest, split, 100); len(plain) != 0 || err != nil {
						t.Errorf("tickets: got %q, %v", plain, err)
					}
				}
				other := start(t, tlsclient.Offer{Session: &tlsclient.Session{}})
				p := newPeer(t, server, handshakeOnly)
				if _, err := shake(t, other, p, split); err != nil || other.State().DidResume {
					t.Errorf("another target: resumed %v, %v", other.State().DidResume, err)
				}
			})
		}
	}
}

func TestLife(t *testing.T) {
	panics := func(name string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", name)
			}
		}()
		f()
	}
	panics("a configuration that renegotiates", func() {
		New(&tls.Config{InsecureSkipVerify: true, Renegotiation: tls.RenegotiateOnceAsClient})
	})

	d := New(config(t, tlsclient.Offer{}))
	panics("Read before the handshake", func() { _, _, _ = d.Read(make([]byte, 1), nil) })
	panics("Write before the handshake", func() { _, _ = d.Write(nil) })
	if _, _, err := d.Handshake(nil); err != nil || len(d.Outgoing()) == 0 {
		t.Fatalf("got a hello of %d bytes, %v", len(d.Outgoing()), err)
	}
	panics("Write within the handshake", func() { _, _ = d.Write(nil) })
	if used, done, err := d.Handshake(nil); used != 0 || done || err != nil {
		t.Errorf("no bytes: got %d, %v, %v", used, done, err)
	}
	d.State() // must not wait for the lock that the handshake holds
	d.Close()
	d.Close()
	if _, _, err := d.Handshake(nil); err != net.ErrClosed {
		t.Errorf("Handshake after Close: got %v", err)
	}
	if _, _, err := d.Read(make([]byte, 1), nil); err != net.ErrClosed {
		t.Errorf("Read after Close: got %v", err)
	}
	if _, err := d.Write([]byte("x")); err != net.ErrClosed {
		t.Errorf("Write after Close: got %v", err)
	}
	if len(d.Outgoing()) != 0 {
		t.Errorf("after Close: %d bytes to send", len(d.Outgoing()))
	}

	unused := New(config(t, tlsclient.Offer{}))
	unused.Close()
	if unused.State().Version != 0 {
		t.Error("an unused driver has a version")
	}
}

// A panic of a callback reaches the loop, and Close works after it.
func TestPanicInCallback(t *testing.T) {
	cfg := config(t, tlsclient.Offer{})
	cfg.VerifyConnection = func(tls.ConnectionState) error { panic("bug") }
	d := New(cfg)
	p := newPeer(t, serverConfig(t, tls.VersionTLS13, "ecdsa"), handshakeOnly)
	func() {
		defer func() {
			if r := recover(); r != "bug" {
				t.Errorf("recovered %v", r)
			}
		}()
		_, err := shake(t, d, p, whole)
		t.Errorf("no panic, but %v", err)
	}()
	if _, done, err := d.Handshake([]byte{0}); done || err != errUnfinished {
		t.Errorf("going on: got %v, %v", done, err)
	}
	d.Close()
	if got := d.State().Version; got != tls.VersionTLS13 {
		t.Errorf("got version %#x", got)
	}
}

// Nothing that is empty is kept, and reading allocates no more than crypto/tls does: a reader for each record.
func TestBuffersGivenUp(t *testing.T) {
	d, p := start(t, tlsclient.Offer{}), newPeer(t, serverConfig(t, tls.VersionTLS13, "ecdsa"), handshakeOnly)
	rest, err := shake(t, d, p, whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receive(d, rest, whole, 100); err != nil {
		t.Fatal(err)
	}
	if d.wire.out != nil || d.wire.in != nil {
		t.Errorf("kept %d and %d bytes", cap(d.wire.out), cap(d.wire.in))
	}
	const rounds = 100
	var records [][]byte
	for range rounds + 1 {
		if _, err := p.conn.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		records = append(records, p.wire.out)
		p.wire.out = nil
	}
	buf := make([]byte, 100)
	if allocs := testing.AllocsPerRun(rounds, func() {
		n, used, err := d.Read(buf, records[0])
		if n != 5 || used != len(records[0]) || err != nil {
			t.Fatalf("got %d, %d, %v", n, used, err)
		}
		records = records[1:]
	}); allocs > 1 {
		t.Errorf("Read allocates %v times, want 1", allocs)
	}
}
