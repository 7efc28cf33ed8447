package serve

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/report"
)

// trusting is a client's configuration for a target of f.
func trusting(t *testing.T, f *Fleet, e Endpoint) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(f.RootPEM()) {
		t.Fatalf("not a CA file: %q", f.RootPEM())
	}
	return &tls.Config{RootCAs: roots, ServerName: e.Name}
}

// statusOfTLS is what an honest prober would report of a handshake by crypto/tls.
func statusOfTLS(err error) string {
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case err == nil:
		return report.Success.String()
	case errors.As(err, &certificate):
		return report.CertificateError.String()
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return report.TLSTimeout.String()
	case errors.Is(err, syscall.ECONNRESET):
		return report.ConnectionReset.String()
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return report.ConnectionClosed.String()
	case errors.As(err, new(tls.RecordHeaderError)):
		return report.ProtocolError.String()
	case strings.Contains(err.Error(), "exceeds maximum"):
		return report.ByteLimit.String()
	case strings.Contains(err.Error(), "remote error: tls: "):
		return report.HandshakeError.String()
	}
	return err.Error()
}

// shake makes a handshake with e and returns its status. A target from which a timeout is expected gets little time.
func shake(t *testing.T, f *Fleet, e Endpoint) string {
	t.Helper()
	c, err := dial(e.Addr)
	if err != nil {
		return statusOfTLS(err)
	}
	defer c.Close()
	if e.Expect == report.TLSTimeout.String() {
		c.SetDeadline(time.Now().Add(100 * time.Millisecond))
	}
	return statusOfTLS(tls.Client(c, trusting(t, f, e)).Handshake())
}

// TestTLSFleet: each target gives the status that it promises, asked for by the name that it is listed with.
func TestTLSFleet(t *testing.T) {
	f := start(t, Config{TLS: true})
	kinds := map[testpeer.Kind]bool{}
	for _, e := range f.Targets() {
		kinds[e.Kind] = true
		if e.StartTLS != "" {
			continue // TestStartTLS
		}
		if got := shake(t, f, e); got != e.Expect {
			t.Errorf("%s: got %s, want %s", e.Kind, got, e.Expect)
		}
	}
	for _, a := range testpeer.Kinds() {
		if kinds[a.Kind] != a.TLS {
			t.Errorf("%s: in the fleet: %v, want %v", a.Kind, kinds[a.Kind], a.TLS)
		}
	}
}

// TestTLSDemo: a thousand targets, of which one in a hundred has each fault.
func TestTLSDemo(t *testing.T) {
	f := start(t, Config{TLS: true, Demo: 1000, Descriptors: 8000})
	count := map[testpeer.Kind]int{}
	var wg sync.WaitGroup
	turns := make(chan struct{}, 100)
	for _, e := range f.Targets() {
		if count[e.Kind]++; count[e.Kind] > 10 {
			continue // the first ten of each tell enough
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if got := shake(t, f, e); got != e.Expect {
				t.Errorf("%s: got %s, want %s", e.Name, got, e.Expect)
			}
		})
	}
	wg.Wait()
	for _, k := range []testpeer.Kind{testpeer.TLSSilent, testpeer.TLSHugeCertificate, testpeer.TLSResetFinished} {
		if count[k] != 10 {
			t.Errorf("got %d of %s, want 10", count[k], k)
		}
	}
	if count[testpeer.StartTLSSMTP] != 0 {
		t.Error("a demonstration has targets that no trigger can scan")
	}
}

func TestStartTLS(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.StartTLSPOP3, testpeer.POP3}})
	e := f.Targets()[1]
	if e.StartTLS != "pop3" || e.Expect != "success" || e.Probe != "tls" {
		t.Fatalf("got %+v, want pop3 to begin with", e)
	}
	if got := fmt.Sprint(f.Triggers()); got != "[pop3=pop3]" {
		t.Errorf("triggers: got %s, want none for what is asked to begin TLS", got)
	}
	c, err := dial(e.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "STLS\r\n")
	want := "+OK sondepeer ready\r\n+OK begin TLS\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
	if err := tls.Client(c, trusting(t, f, e)).Handshake(); err != nil {
		t.Error(err)
	}
}

// TestClientPEM: the certificate that the fleet gives away is one that it takes.
func TestClientPEM(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.TLSClientCert}})
	cert, key, err := f.ClientPEM()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	e := f.Targets()[0]
	c, err := dial(e.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cfg := trusting(t, f, e)
	cfg.Certificates = []tls.Certificate{pair}
	secured := tls.Client(c, cfg)
	fmt.Fprint(secured, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if r, err := http.ReadResponse(bufio.NewReader(secured), nil); err != nil || r.StatusCode != 200 {
		t.Errorf("got %v, %v; want an answer", r, err)
	}
}

func TestNoTLSNoCredentials(t *testing.T) {
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.Echo}})
	cert, key, err := f.ClientPEM()
	if f.RootPEM() != nil || cert != nil || key != nil || err != nil {
		t.Errorf("got %q, %q, %q, %v; want nothing", f.RootPEM(), cert, key, err)
	}
}

// TestTLSDelay: the delay holds for the TLS targets and for no other.
func TestTLSDelay(t *testing.T) {
	const delay = 100 * time.Millisecond
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.TLSAlert, testpeer.Echo}, Delay: delay})
	for _, e := range f.Targets() {
		if e.Kind == testpeer.Echo {
			if err := meet(e); err != nil {
				t.Error(err)
			}
			continue
		}
		start := time.Now()
		if got := shake(t, f, e); got != e.Expect || time.Since(start) < delay {
			t.Errorf("got %s after %v, want %s after at least %v", got, time.Since(start), e.Expect, delay)
		}
	}
}

// TestTLSCrowd: more clients wait at one target than a peer holds by default; all of them are let in.
func TestTLSCrowd(t *testing.T) {
	n := testpeer.DefaultMaxConns + 200
	f := start(t, Config{Kinds: []testpeer.Kind{testpeer.TLS13}, Delay: time.Hour, Descriptors: 2 * n})
	for range n {
		c, err := dial(f.Targets()[0].Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	peer := f.peers[0]
	for deadline := time.Now().Add(patience); peer.Clients() < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d clients are let in", peer.Clients(), n)
		}
	}
}

func TestConnLimits(t *testing.T) {
	site := func(kinds ...testpeer.Kind) (p plan) {
		for _, k := range kinds {
			p.sites = append(p.sites, site{kind: k})
		}
		return p
	}
	tests := []struct {
		name string
		plan plan
		want connLimits
	}{
		{"services", site(testpeer.Echo), connLimits{1000, 1000, 1000, 0}},
		{"TLS", site(testpeer.TLS13, testpeer.TLSSilent), connLimits{1000, 1000, 1000, 0}},
		{"services and TLS", site(testpeer.Echo, testpeer.TLS13, testpeer.StartTLSIMAP), connLimits{500, 500, 500, 0}},
		{"faulty peers too", site(testpeer.Echo, testpeer.TLS13, testpeer.Silent, testpeer.Drip), connLimits{375, 375, 375, 125}},
		{"peers for loads", site(testpeer.Echo, testpeer.Stall, testpeer.Late), connLimits{500, 500, 250, 0}},
	}
	for _, tt := range tests {
		if got := tt.plan.connLimits(1000); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
