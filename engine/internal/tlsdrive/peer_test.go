package tlsdrive

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"iter"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"sonde/internal/tlsclient"
)

// peer is a crypto/tls server that runs as a coroutine for its whole life, so that a test is one thread and every byte
// goes where the test says.
type peer struct {
	wire wire
	conn *tls.Conn
	over bool
	err  error // what the script ended with
}

// newPeer starts a server; script runs once it is fed.
func newPeer(t testing.TB, cfg *tls.Config, script func(*tls.Conn) error) *peer {
	p := &peer{}
	p.run(cfg, script)
	t.Cleanup(p.wire.co.stop)
	return p
}

// run starts the server; the caller stops its coroutine.
func (p *peer) run(cfg *tls.Config, script func(*tls.Conn) error) {
	p.conn = tls.Server(&p.wire, cfg)
	co := &coroutine{}
	co.resume, co.stop = iter.Pull(func(park func(struct{}) bool) {
		co.park = park
		p.err = script(p.conn)
	})
	p.wire.co = co
}

// feed hands the server bytes and returns what it writes.
func (p *peer) feed(in []byte) []byte {
	if !p.over {
		p.wire.in = in
		_, parked := p.wire.co.resume()
		p.over = !parked
	}
	out := p.wire.out
	p.wire.out = nil
	return out
}

// handshakeOnly is the script of a server that says nothing afterwards, but reads.
func handshakeOnly(c *tls.Conn) error {
	if err := c.Handshake(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c)
	return err
}

// echo is the script of a server that sends back what it gets until close_notify, and answers with its own.
func echo(c *tls.Conn) error {
	if _, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}); err != nil {
		return err
	}
	return c.CloseWrite()
}

// splitter says how many of n bytes are delivered next.
type splitter func(n int) int

func whole(n int) int    { return n }
func oneByOne(n int) int { return 1 }

// pieces are random, from a seed that the test names.
func pieces(seed uint64) splitter {
	r := mathrand.New(mathrand.NewPCG(seed, seed))
	return func(n int) int { return 1 + r.IntN(min(n, 1<<r.IntN(12))) }
}

// flush moves what the driver wants to send to the server, piece by piece, and returns the server's answer.
func flush(d *Driver, p *peer, split splitter) []byte {
	var answer []byte
	for len(d.Outgoing()) > 0 {
		n := split(len(d.Outgoing()))
		answer = append(answer, p.feed(d.Outgoing()[:n])...)
		d.Sent(n)
	}
	return answer
}

// shake runs a handshake to its end. It returns what the server sent and the handshake did not take.
func shake(t testing.TB, d *Driver, p *peer, split splitter) (rest []byte, err error) {
	t.Helper()
	if used, done, err := d.Handshake(nil); used != 0 || done || err != nil {
		return nil, err
	}
	for {
		rest = append(rest, flush(d, p, split)...)
		if len(rest) == 0 {
			t.Fatalf("the handshake stands still; the server says %v", p.err)
		}
		for len(rest) > 0 && len(d.Outgoing()) == 0 {
			n := split(len(rest))
			used, done, err := d.Handshake(rest[:n])
			if used != n && !done && err == nil {
				t.Fatalf("Handshake took %d bytes of %d and wants more", used, n)
			}
			rest = rest[used:]
			if err != nil {
				flush(d, p, split)
				return nil, err
			}
			if done {
				return append(rest, flush(d, p, split)...), nil
			}
		}
	}
}

// receive has the driver decrypt all of in, in pieces, with a buffer of size bytes.
func receive(d *Driver, in []byte, split splitter, size int) (plain []byte, err error) {
	buf := make([]byte, size)
	for len(in) > 0 {
		part := in[:split(len(in))]
		in = in[len(part):]
		for {
			n, used, err := d.Read(buf, part)
			plain = append(plain, buf[:n]...)
			part = part[used:]
			if err != nil {
				return plain, err
			}
			if n < len(buf) {
				break
			}
		}
	}
	return plain, nil
}

// keys are made once: RSA takes its time.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, d, err3 := ed25519.GenerateKey(rand.Reader)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			panic(err)
		}
	}
	return map[string]crypto.Signer{"rsa": r, "ecdsa": e, "ed25519": d}
})

// epoch is the moment at which the tests' certificates are valid.
var epoch = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// certify makes a certificate for the named kind of key; a nil parent makes it sign itself.
func certify(t testing.TB, kind string, change func(*x509.Certificate), parent *tls.Certificate) tls.Certificate {
	t.Helper()
	key := keys()[kind]
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: kind},
		NotBefore:             epoch.AddDate(-1, 0, 0),
		NotAfter:              epoch.AddDate(9, 0, 0),
		DNSNames:              []string{"a.test"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(tmpl)
	}
	issuer, signer := tmpl, crypto.PrivateKey(key)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	if parent != nil {
		c.Certificate = append(c.Certificate, parent.Certificate...)
	}
	return c
}

// serverConfig is a server of one version, with every suite.
func serverConfig(t testing.TB, version uint16, kind string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certify(t, kind, nil, nil)},
		MinVersion:   version,
		MaxVersion:   version,
		CipherSuites: tlsclient.Suites(),
	}
}

// config is the offer's configuration.
func config(t testing.TB, o tlsclient.Offer) *tls.Config {
	t.Helper()
	cfg, err := o.Config()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start makes a driver for the offer that the test closes.
func start(t testing.TB, o tlsclient.Offer) *Driver {
	t.Helper()
	d := New(config(t, o))
	t.Cleanup(d.Close)
	return d
}
