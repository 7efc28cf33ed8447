package testpeer_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testpeer"
)

// clientConfig trusts the peer and asks for it by a name that its certificate covers.
func clientConfig(p *testpeer.Peer) *tls.Config {
	return &tls.Config{ServerName: "a.sonde.test", RootCAs: p.Credentials().Roots()}
}

// handshake dials the peer and shakes hands.
func handshake(t *testing.T, p *testpeer.Peer, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c := tls.Client(dial(t, p), cfg)
	return c, c.Handshake()
}

// request asks for a page and wants the answer's status.
func request(c net.Conn) error {
	if _, err := io.WriteString(c, "GET /status/204 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != 204 {
		return fmt.Errorf("got %v, %v; want status 204", r, err)
	}
	return nil
}

// TestTLSPeers: every healthy kind shakes hands as it says, and serves over it.
func TestTLSPeers(t *testing.T) {
	tests := []struct {
		kind testpeer.Kind
		want string // what shakeDetails says
	}{
		{testpeer.TLS12, "TLS 1.2 ECDSA"},
		{testpeer.TLS13, "TLS 1.3 ECDSA"},
		{testpeer.TLSRSA, "TLS 1.3 RSA"},
		{testpeer.TLSECDSA, "TLS 1.3 ECDSA"},
		{testpeer.TLSEd25519, "TLS 1.3 Ed25519"},
		{testpeer.TLSClientCert, "TLS 1.3 ECDSA"},
		{testpeer.TLSALPN, "TLS 1.3 ECDSA http/1.1"},
		{testpeer.TLSStapled, "TLS 1.3 ECDSA stapled 2 timestamps"},
		{testpeer.TLSResume, "TLS 1.3 ECDSA"},
		{testpeer.TLSNoResume, "TLS 1.3 ECDSA"},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			p := testpeer.New(t, tt.kind, testpeer.Options{})
			cfg := clientConfig(p)
			cfg.NextProtos = []string{"http/1.1"}
			c, err := handshake(t, p, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := shakeDetails(c.ConnectionState()); got != tt.want {
				t.Errorf("handshake: got %s, want %s", got, tt.want)
			}
			if err := request(c); err != nil {
				t.Error(err)
			}
		})
	}
}

func shakeDetails(s tls.ConnectionState) string {
	words := []string{tls.VersionName(s.Version)}
	switch s.PeerCertificates[0].PublicKey.(type) {
	case *rsa.PublicKey:
		words = append(words, "RSA")
	case *ecdsa.PublicKey:
		words = append(words, "ECDSA")
	case ed25519.PublicKey:
		words = append(words, "Ed25519")
	}
	if s.NegotiatedProtocol != "" {
		words = append(words, s.NegotiatedProtocol)
	}
	if len(s.OCSPResponse) > 0 {
		words = append(words, "stapled")
	}
	if n := len(s.SignedCertificateTimestamps); n > 0 {
		words = append(words, fmt.Sprint(n, " timestamps"))
	}
	return strings.Join(words, " ")
}

// TestTLSVersions: a peer of one version wants no other.
func TestTLSVersions(t *testing.T) {
	for kind, version := range map[testpeer.Kind]uint16{testpeer.TLS12: tls.VersionTLS13, testpeer.TLS13: tls.VersionTLS12} {
		p := testpeer.New(t, kind, testpeer.Options{})
		cfg := clientConfig(p)
		cfg.MinVersion, cfg.MaxVersion = version, version
		_, err := handshake(t, p, cfg)
		if err == nil || !strings.Contains(err.Error(), "remote error: tls: protocol version not supported") {
			t.Errorf("%s: got %v, want the alert protocol_version", kind, err)
		}
	}
}

// TestBadCertificates: each is refused for its own reason, and for no other.
func TestBadCertificates(t *testing.T) {
	reasons := map[testpeer.Kind]func(error) bool{
		testpeer.TLSExpired: func(err error) bool {
			var invalid x509.CertificateInvalidError
			return errors.As(err, &invalid) && invalid.Reason == x509.Expired
		},
		testpeer.TLSWrongName:  func(err error) bool { return errors.As(err, new(x509.HostnameError)) },
		testpeer.TLSSelfSigned: func(err error) bool { return errors.As(err, new(x509.UnknownAuthorityError)) },
	}
	for kind, right := range reasons {
		p := testpeer.New(t, kind, testpeer.Options{})
		if _, err := handshake(t, p, clientConfig(p)); !right(err) {
			t.Errorf("%s: got %v", kind, err)
		}
		cfg := clientConfig(p)
		cfg.InsecureSkipVerify = true
		c, err := handshake(t, p, cfg)
		if err == nil {
			err = request(c)
		}
		if err != nil {
			t.Errorf("%s without verification: %v", kind, err)
		}
	}
}

// TestClientCertificate: one is asked for; a good one and none at all are taken, a strange one is not.
func TestClientCertificate(t *testing.T) {
	p := testpeer.New(t, testpeer.TLSClientCert, testpeer.Options{})
	good, err := p.Credentials().Client()
	if err != nil {
		t.Fatal(err)
	}
	others, err := testpeer.NewCredentials()
	if err != nil {
		t.Fatal(err)
	}
	strange, err := others.Client()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cert *tls.Certificate
		ok   bool
	}{"none": {&tls.Certificate{}, true}, "good": {&good, true}, "strange": {&strange, false}} {
		cfg, asked := clientConfig(p), false
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return tt.cert, nil
		}
		c, err := handshake(t, p, cfg)
		if err == nil {
			err = request(c) // in TLS 1.3 the refusal comes after the client's handshake
		}
		if !asked || (err == nil) != tt.ok {
			t.Errorf("%s: asked %v, got %v; want success %v", name, asked, err, tt.ok)
		}
	}
}

// TestHTTP2: net/http, as a client that knows the protocol well, is content with the answers.
func TestHTTP2(t *testing.T) {
	p := testpeer.New(t, testpeer.TLSALPN, testpeer.Options{})
	transport := &http.Transport{TLSClientConfig: clientConfig(p), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: patience}
	for _, body := range []string{"", strings.Repeat("x", 30_000)} {
		r, err := client.Post("https://"+p.Addr().String()+"/", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.ProtoMajor != 2 || r.StatusCode != 200 {
			t.Errorf("got HTTP/%d and status %d, want HTTP/2 and 200", r.ProtoMajor, r.StatusCode)
		}
	}
}

func TestResumption(t *testing.T) {
	for _, tt := range []struct {
		kind testpeer.Kind
		want bool
	}{{testpeer.TLSResume, true}, {testpeer.TLSNoResume, false}} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			p := testpeer.New(t, tt.kind, testpeer.Options{})
			cfg := clientConfig(p)
			cfg.MaxVersion, cfg.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
			var got []bool
			for range 2 {
				c, err := handshake(t, p, cfg)
				if err != nil {
					t.Fatal(err)
				}
				if err := request(c); err != nil { // its read takes the ticket of TLS 1.3
					t.Fatal(err)
				}
				got = append(got, c.ConnectionState().DidResume)
			}
			if diff := cmp.Diff([]bool{false, tt.want}, got); diff != "" {
				t.Errorf("%s with %s: resumed (-want +got):\n%s", tt.kind, tls.VersionName(version), diff)
			}
		}
	}
}

// TestBrokenHandshakes: what crypto/tls makes of each fault. A dial that meets a reset before it is done is done again.
func TestBrokenHandshakes(t *testing.T) {
	// crypto/tls does not export what an alert of the other side is.
	says := func(text string) func(error) bool {
		return func(err error) bool { return err != nil && strings.Contains(err.Error(), text) }
	}
	isReset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	faults := map[testpeer.Kind]func(error) bool{
		testpeer.TLSAlert:            says("remote error: tls: handshake failure"),
		testpeer.TLSGarbage:          func(err error) bool { return errors.As(err, new(tls.RecordHeaderError)) },
		testpeer.TLSHalfRecord:       func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) },
		testpeer.TLSCloseHello:       func(err error) bool { return errors.Is(err, io.EOF) },
		testpeer.TLSHugeCertificate:  says("exceeds maximum"),
		testpeer.TLSResetHello:       isReset,
		testpeer.TLSResetCertificate: isReset,
		testpeer.TLSResetFinished:    isReset,
	}
	for kind, right := range faults {
		t.Run(string(kind), func(t *testing.T) {
			p := testpeer.New(t, kind, testpeer.Options{})
			for range 5 {
				if _, err := handshake(t, p, clientConfig(p)); !right(err) {
					t.Fatalf("got %v", err)
				}
			}
		})
	}
}

// TestResetFlights: each reset comes after the flight that it should come after, seen from what the client has got by then.
func TestResetFlights(t *testing.T) {
	// certificateSeen is called with the server's Certificate, before the client's Finished.
	seen := map[testpeer.Kind]bool{testpeer.TLSResetHello: false, testpeer.TLSResetCertificate: false, testpeer.TLSResetFinished: true}
	for kind, want := range seen {
		p := testpeer.New(t, kind, testpeer.Options{})
		cfg, got := clientConfig(p), false
		cfg.VerifyConnection = func(tls.ConnectionState) error { got = true; return nil }
		_, err := handshake(t, p, cfg)
		if got != want || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: got certificate %v and %v, want %v and a reset", kind, got, err, want)
		}
	}
	// crypto/tls wants ServerKeyExchange before it looks at a chain, so the middle one is looked at by bytes.
	p := testpeer.New(t, testpeer.TLSResetCertificate, testpeer.Options{})
	c := dial(t, p)
	c.Write(clientHello(t))
	got, err := io.ReadAll(c)
	if !errors.Is(err, syscall.ECONNRESET) || len(handshakeTypes(got)) != 2 || !bytes.Contains(got, []byte("*.sonde.test")) {
		t.Errorf("got %d bytes with messages %v, %v; want ServerHello, Certificate and a reset", len(got), handshakeTypes(got), err)
	}
}

// clientHello is one of crypto/tls's, as it goes over the wire.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		tls.Client(theirs, &tls.Config{ServerName: "a.sonde.test", CurvePreferences: []tls.CurveID{tls.X25519}}).Handshake()
		theirs.Close()
	}()
	hello := make([]byte, 16<<10)
	n, err := ours.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

// handshakeTypes lists the types of handshake messages that begin a record.
func handshakeTypes(b []byte) (types []byte) {
	for len(b) > 5 {
		types = append(types, b[5])
		b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):]
	}
	return types
}

func TestHugeCertificate(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.TLSHugeCertificate, testpeer.Options{}))
	c.Write(clientHello(t))
	r, handshakeBytes, messages := bufio.NewReaderSize(c, 64<<10), 0, 0
	for handshakeBytes < 4*(4+1<<24-1) {
		head := make([]byte, 9)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatalf("after %d bytes: %v", handshakeBytes, err)
		}
		size := int(head[3])<<8 | int(head[4])
		switch {
		case head[5] == 2 && messages == 0: // ServerHello
		case head[5] == 11:
			messages++
			if !bytes.Equal(head[6:9], []byte{0xff, 0xff, 0xff}) {
				t.Errorf("declares %x bytes, want 0xffffff", head[6:9])
			}
			fallthrough
		default:
			handshakeBytes += size
		}
		if _, err := r.Discard(size - 4); err != nil {
			t.Fatal(err)
		}
	}
	if messages != 4 {
		t.Errorf("got %d certificate messages, want 4", messages)
	}
	expectQuiet(t, c)
}

func TestTLSDrip(t *testing.T) {
	const interval = 20 * time.Millisecond
	c := dial(t, testpeer.New(t, testpeer.TLSDrip, testpeer.Options{Interval: interval}))
	hello := clientHello(t)
	c.Write(hello[:3]) // it waits for a whole ClientHello
	expectQuiet(t, c)
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c.Write(hello[3:])
	got := readN(t, c, 10)
	if got[:3] != "\x16\x03\x03" || got[5] != 2 {
		t.Errorf("got %x, want the start of a record with a ServerHello", got)
	}
	if d := time.Since(start); d < 9*interval {
		t.Errorf("10 bytes took %v, want at least %v", d, 9*interval)
	}
}

func TestTLSSilent(t *testing.T) {
	c := dial(t, testpeer.New(t, testpeer.TLSSilent, testpeer.Options{}))
	c.Write(clientHello(t))
	expectQuiet(t, c)
}

// TestNoHello: what is not a ClientHello ends the connection, and a peer does not wait for a hello larger than any.
func TestNoHello(t *testing.T) {
	p := testpeer.New(t, testpeer.TLSDrip, testpeer.Options{})
	for name, say := range map[string]string{
		"HTTP":            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"another message": "\x16\x03\x01\x00\x04\x02\x00\x00\x00",
		"empty record":    "\x16\x03\x01\x00\x00",
		"huge hello":      "\x16\x03\x01\x40\x00\x01\xff\xff\xff" + strings.Repeat("\x00", 16380) + strings.Repeat("\x16\x03\x01\x40\x00"+strings.Repeat("\x00", 16384), 4),
	} {
		c := dial(t, p)
		io.WriteString(c, say)
		// Bytes that the peer has not read make its close a reset.
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: got %d bytes, %v; want none and a close", name, n, err)
		}
	}
	// In two records, as a client with a large hello sends it (RFC 8446 s.5.1).
	c := dial(t, testpeer.New(t, testpeer.TLSAlert, testpeer.Options{}))
	hello := clientHello(t)[5:]
	rest := binary.BigEndian.AppendUint16([]byte("\x16\x03\x01"), uint16(len(hello)-2))
	c.Write(slices.Concat([]byte("\x16\x03\x01\x00\x02"), hello[:2], rest, hello[2:]))
	if got := readN(t, c, 7); got != "\x15\x03\x03\x00\x02\x02\x28" {
		t.Errorf("got %x, want the alert handshake_failure", got)
	}
}

func TestTLSDelay(t *testing.T) {
	const delay = 60 * time.Millisecond
	for _, kind := range []testpeer.Kind{testpeer.TLS13, testpeer.TLSAlert, testpeer.TLSSilent, testpeer.StartTLSSMTP} {
		p := testpeer.New(t, kind, testpeer.Options{Delay: delay})
		c := dial(t, p)
		if kind == testpeer.StartTLSSMTP {
			readN(t, c, len("220 sonde.test ESMTP sondepeer\r\n"))
			io.WriteString(c, "STARTTLS\r\n")
			readN(t, c, len("220 2.0.0 ready to start TLS\r\n"))
		}
		start := time.Now()
		if kind == testpeer.TLSSilent {
			continue // started with a delay all the same
		}
		c.Write(clientHello(t))
		readN(t, c, 1)
		if d := time.Since(start); d < delay {
			t.Errorf("%s answered after %v, want at least %v", kind, d, delay)
		}
	}
}

// manyClients is how many clients the tests of crowds have: two descriptors each, both ends being here.
func manyClients(t *testing.T, most int) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	return min(most, int(min(l.Cur, 1<<20)-200)/2)
}

// crowd dials p n times and says hello each time.
func crowd(t *testing.T, p *testpeer.Peer, n int) []*net.TCPConn {
	t.Helper()
	hello, conns := clientHello(t), make([]*net.TCPConn, n)
	for i := range conns {
		conns[i] = dial(t, p)
		if err := conns[i].SetLinger(0); err != nil { // no TIME_WAIT of thousands of ports
			t.Fatal(err)
		}
		if _, err := conns[i].Write(hello); err != nil {
			t.Fatal(err)
		}
	}
	return conns
}

// TestDelayedCrowd: 5,000 handshakes wait at once for a ServerHello that is an hour away. They cost little, and none is left
// when the peer closes.
func TestDelayedCrowd(t *testing.T) {
	n := manyClients(t, 5000)
	p := testpeer.New(t, testpeer.TLS13, testpeer.Options{Delay: time.Hour, MaxConns: n})
	before := memory()
	crowd(t, p, n)
	for deadline := time.Now().Add(patience); p.Clients() < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("got %d clients, want %d", p.Clients(), n)
		}
	}
	// Both ends of each connection: 6 KB as measured, with and without the race detector.
	each := (memory() - before) / n
	t.Logf("%d connections wait, %d bytes each", n, each)
	if each > 12<<10 {
		t.Errorf("each waiting connection takes %d bytes, want at most 12 KiB", each)
	}
	p.Close()
	noGoroutines(t)
}

// memory is how many bytes heap and stacks take, garbage aside.
func memory() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestDelayedCrowdIsServed: 1,000 clients wait together and every one of them gets its ServerHello. More would not wait together:
// their dials would stand behind the signatures of those who are served, milliseconds of CPU time each under the race detector.
func TestDelayedCrowdIsServed(t *testing.T) {
	n := manyClients(t, 1000)
	p := testpeer.New(t, testpeer.TLS13, testpeer.Options{Delay: 500 * time.Millisecond, MaxConns: n})
	var wg sync.WaitGroup
	for i, c := range crowd(t, p, n) {
		wg.Go(func() {
			var head [6]byte
			c.SetDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(c, head[:]); err != nil || string(head[:3]) != "\x16\x03\x03" || head[5] != 2 {
				t.Errorf("client %d: got %x, %v; want a ServerHello", i, head, err)
			}
			c.Close()
		})
	}
	wg.Wait()
}

func TestSlots(t *testing.T) {
	slots := testpeer.NewSlots(1)
	one := testpeer.New(t, testpeer.SSH, testpeer.Options{Slots: slots})
	two := testpeer.New(t, testpeer.SSH, testpeer.Options{Slots: slots})
	first := dial(t, one)
	readN(t, first, 4)
	c, err := net.DialTimeout("tcp", two.Addr().String(), patience)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one above the limit: got %v, want ECONNRESET", err)
	}
	first.Close()
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		c, err := net.DialTimeout("tcp", two.Addr().String(), patience)
		if err == nil {
			c.SetDeadline(time.Now().Add(patience))
			_, err = io.ReadFull(c, make([]byte, 4))
			c.Close()
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the first has gone: %v", err)
		}
	}
}
