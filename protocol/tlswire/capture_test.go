package tlswire

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// capture is one real handshake between a client and a server of crypto/tls, as its bytes went by.
type capture struct {
	client, server []byte // the two streams, records and all
	state          tls.ConnectionState
	hello          *tls.ClientHelloInfo // what the server understood
	clientErr      error
	secrets        map[string][]byte // NSS key log labels
}

// recorder keeps what is written through it.
type recorder struct {
	net.Conn
	mu   sync.Mutex
	sent bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	n, err := r.Conn.Write(b)
	r.mu.Lock()
	r.sent.Write(b[:n])
	r.mu.Unlock()
	return n, err
}

// stream returns what has been written.
func (r *recorder) stream() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.sent.Bytes())
}

// connect returns the two ends of a connection over loopback. A pipe would not do: the two sides of a handshake may
// write at the same time, and a pipe holds nothing.
func connect(t *testing.T) (near, far net.Conn) {
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
	for _, c := range []net.Conn{near, far} {
		c.SetDeadline(time.Now().Add(time.Minute))
	}
	return near, far
}

// handshake runs a handshake over loopback. The server sends one byte behind it, so that the client has seen its tickets.
func handshake(t *testing.T, serverConfig, clientConfig *tls.Config) *capture {
	t.Helper()
	near, far := connect(t)
	client, server := &recorder{Conn: near}, &recorder{Conn: far}
	c := &capture{secrets: map[string][]byte{}}
	serverConfig, clientConfig = serverConfig.Clone(), clientConfig.Clone()
	serverConfig.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c.hello = hello
		return nil, nil
	}
	var keys bytes.Buffer
	clientConfig.KeyLogWriter = &keys
	clientConfig.InsecureSkipVerify = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		conn := tls.Server(server, serverConfig)
		if conn.Handshake() == nil {
			conn.Write([]byte("x"))
			conn.Close()
		}
	}()
	conn := tls.Client(client, clientConfig)
	if c.clientErr = conn.Handshake(); c.clientErr == nil {
		io.Copy(io.Discard, conn)
		c.state = conn.ConnectionState()
	}
	near.Close()
	<-done
	c.client, c.server = client.stream(), server.stream()
	for line := range strings.Lines(keys.String()) {
		if words := strings.Fields(line); len(words) == 3 {
			c.secrets[words[0]], _ = hex.DecodeString(words[2])
		}
	}
	return c
}

// message is a handshake message of a capture.
type message struct {
	kind HandshakeType
	body []byte
	raw  []byte
}

// records takes a stream apart.
func records(t *testing.T, stream []byte) (out []rawRecord) {
	t.Helper()
	var p RecordParser
	for len(stream) > 0 {
		f, n, err := p.ParseFrame(stream)
		if err != nil {
			t.Fatalf("record %d: %v", len(out), err)
		}
		out = append(out, rawRecord{ContentType(f.Kind), stream[:RecordHeaderSize], f.Data})
		stream = stream[n:]
	}
	return out
}

type rawRecord struct {
	kind         ContentType
	header, data []byte
}

// messages returns the handshake messages of one side: those in the clear, and of TLS 1.3 also the server's protected
// ones, decrypted with the logged secrets.
func (c *capture) messages(t *testing.T, stream []byte, fromServer bool) []message {
	t.Helper()
	var out []message
	var a Assembler
	var keys []*opener
	if fromServer && c.state.Version == tls.VersionTLS13 {
		for _, label := range []string{"SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"} {
			keys = append(keys, newOpener(t, CipherSuite(c.state.CipherSuite), c.secrets[label]))
		}
	}
	for _, r := range records(t, stream) {
		kind, data := r.kind, r.data
		if kind == RecordApplicationData && len(keys) > 0 {
			var err error
			if data, kind, err = SplitInner(keys[0].open(t, r)); err != nil {
				t.Fatal(err)
			}
		}
		if kind == RecordChangeCipherSpec && (!fromServer || c.state.Version != tls.VersionTLS13) {
			break // what follows is protected
		}
		if kind != RecordHandshake {
			continue
		}
		a.Add(data)
		for {
			m, err := a.Next()
			if err != nil {
				break
			}
			raw := bytes.Clone(m.Raw)
			out = append(out, message{m.Type, raw[HandshakeHeaderSize:], raw})
			if m.Type == HandshakeFinished {
				keys = keys[1:]
			}
		}
	}
	if a.Pending() {
		t.Error("a message is left unfinished")
	}
	return out
}

// one returns the body of the only message of a kind.
func one(t *testing.T, messages []message, kind HandshakeType) []byte {
	t.Helper()
	var body []byte
	n := 0
	for _, m := range messages {
		if m.kind == kind {
			body, n = m.body, n+1
		}
	}
	if n != 1 {
		t.Fatalf("%v: got %d messages, want 1", kind, n)
	}
	return body
}

// opener decrypts the records under one traffic secret (RFC 8446 s.5.2, s.5.3 and s.7.3).
type opener struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

func newOpener(t *testing.T, suite CipherSuite, secret []byte) *opener {
	t.Helper()
	h, keySize := func() hash.Hash { return sha256.New() }, 16
	switch suite {
	case AES128GCMSHA256:
	case AES256GCMSHA384:
		h, keySize = func() hash.Hash { return sha512.New384() }, 32
	default:
		t.Skipf("crypto/tls chose %v, which it does without AES in hardware; the test decrypts AES only", suite)
	}
	block, err := aes.NewCipher(expandLabel(t, h, secret, "key", keySize))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return &opener{aead: aead, iv: expandLabel(t, h, secret, "iv", 12)}
}

func expandLabel(t *testing.T, h func() hash.Hash, secret []byte, label string, size int) []byte {
	t.Helper()
	info := append([]byte{0, byte(size), byte(len("tls13 " + label))}, "tls13 "+label...)
	out, err := hkdf.Expand(h, secret, string(append(info, 0)), size)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (o *opener) open(t *testing.T, r rawRecord) []byte {
	t.Helper()
	nonce := bytes.Clone(o.iv)
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], o.seq)
	for i, b := range seq {
		nonce[4+i] ^= b
	}
	o.seq++
	plain, err := o.aead.Open(nil, nonce, r.data, r.header)
	if err != nil {
		t.Fatalf("record %d: %v", o.seq-1, err)
	}
	return plain
}

// certificate makes a chain of two with extras, valid for the years of any test machine's clock.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var chain [][]byte
	var parent *x509.Certificate
	for i, name := range []string{"root.test", "server.test"} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: i == 0, BasicConstraintsValid: true,
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, crypto.Signer(key))
		if err != nil {
			t.Fatal(err)
		}
		chain = append([][]byte{der}, chain...)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key}
}

// answer sends a hello to a server of crypto/tls and returns its ServerHello, or its alert in words.
func answer(t *testing.T, config *tls.Config, hello *ClientHello) (ServerHello, string) {
	t.Helper()
	out, err := hello.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	near, far := connect(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		tls.Server(far, config).Handshake()
	}()
	if _, err := near.Write(out); err != nil {
		t.Fatal(err)
	}
	defer func() {
		near.Close()
		<-done
	}()
	var p RecordParser
	var buf []byte
	for {
		f, _, err := p.ParseFrame(buf)
		if err == nil && ContentType(f.Kind) == RecordAlert {
			alert, err := ParseAlert(f.Data)
			if err != nil {
				t.Fatal(err)
			}
			return ServerHello{}, alert.String()
		}
		if err == nil {
			var a Assembler
			a.Add(f.Data)
			m, err := a.Next()
			if err != nil || m.Type != HandshakeServerHello {
				t.Fatalf("got %v, %v, want server_hello", m.Type, err)
			}
			h, err := ParseServerHello(m.Body())
			if err != nil {
				t.Fatal(err)
			}
			return h, ""
		}
		if err != nil && len(buf) > MaxFragment {
			t.Fatal(err)
		}
		more := make([]byte, 4096)
		n, err := near.Read(more)
		if err != nil {
			t.Fatal(err)
		}
		buf = append(buf, more[:n]...)
	}
}
