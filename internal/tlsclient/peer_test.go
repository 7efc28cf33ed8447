package tlsclient

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"sonde/internal/testcert"
)

var epoch = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

func authority(t testing.TB) *testcert.Authority {
	t.Helper()
	a, err := testcert.NewAuthority("test", epoch)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t testing.TB, a *testcert.Authority, l testcert.Leaf) tls.Certificate {
	t.Helper()
	c, err := a.Issue(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// doctored is a server's side of a connection whose first flight is changed on its way.
type doctored struct {
	net.Conn
	doctor func([]byte) []byte
}

func (d *doctored) Write(p []byte) (int, error) {
	out := p
	if d.doctor != nil {
		out, d.doctor = d.doctor(bytes.Clone(p)), nil
	}
	if _, err := d.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// handshake makes a client's handshake against serve, which has the other end of the connection and loses it when it returns.
func handshake(t testing.TB, o Offer, serve func(net.Conn)) error {
	t.Helper()
	cfg, err := o.Config()
	if err != nil {
		t.Fatal(err)
	}
	near, far := connection(t)
	served := make(chan struct{})
	go func() {
		defer close(served)
		serve(far)
		far.Close()
	}()
	err = tls.Client(near, cfg).Handshake()
	near.Close()
	<-served
	return err
}

// connection is a TCP connection on loopback: a pipe without buffers would have both sides wait in a write.
func connection(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{near, far} { // a test that waits for what does not come fails, and does not hang
		if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return near, far
}

// against is a crypto/tls server whose first flight is doctored.
func against(cfg *tls.Config, doctor func([]byte) []byte) func(net.Conn) {
	return func(c net.Conn) {
		server := tls.Server(&doctored{c, doctor}, cfg)
		_ = server.Handshake()
		_, _ = io.Copy(io.Discard, c)
	}
}

// says is a server that hears the hello and answers with bytes of its own; it hangs up after them if it is told to.
func says(answer []byte, hangUp bool) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 16<<10))
		_, _ = c.Write(answer)
		if !hangUp {
			_, _ = io.Copy(io.Discard, c)
		}
	}
}

// echConfig is an ECHConfigList of one configuration, X25519 with HKDF-SHA256 and AES-128-GCM (RFC 9849 s.4), and what a
// server needs to take it.
func echConfig(t testing.TB, public string) ([]byte, tls.EncryptedClientHelloKey) {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u16 := binary.BigEndian.AppendUint16
	pub := private.PublicKey().Bytes()
	body := u16([]byte{7}, 0x0020) // config_id, DHKEM(X25519, HKDF-SHA256): RFC 9180 s.7.1
	body = append(u16(body, uint16(len(pub))), pub...)
	body = u16(u16(u16(body, 4), 1), 1)                                 // HKDF-SHA256, AES-128-GCM
	body = append(append(body, 0, byte(len(public))), public...)        // maximum_name_length, public_name
	body = u16(body, 0)                                                 // no extensions
	config := append(u16(u16(nil, 0xfe0d), uint16(len(body))), body...) // version
	key := tls.EncryptedClientHelloKey{Config: config, PrivateKey: private.Bytes(), SendAsRetry: true}
	return append(u16(nil, uint16(len(config))), config...), key
}
