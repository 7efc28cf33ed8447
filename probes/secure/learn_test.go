package secure

import (
	"bytes"
	"crypto/tls"
	"testing"

	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// flight is what a server sends first.
func flight(t *testing.T, cfg *tls.Config) []byte {
	t.Helper()
	var flight []byte
	play(t, &flights{layer(t, options()).Exchange(here, nil, nil, true), &flight}, serves(cfg, nil), protocol.EndOfStream)
	return flight
}

// flights notes what the server said in the handshake.
type flights struct {
	protocol.Handshaker
	flight *[]byte
}

func (f *flights) OnHandshake(h *protocol.Handshake) bool {
	*f.flight = bytes.Clone(h.Flight)
	return f.Handshaker.OnHandshake(h)
}

// What is in the clear is read without crypto/tls, however much of it there is.
func TestClear(t *testing.T) {
	cfg := only(server(good(t)), tls.VersionTLS12)
	cfg.ClientAuth = tls.RequestClientCert
	whole := flight(t, cfg)
	var facts tlsfacts.Facts
	c := clear{facts: &facts, ticketsAsked: true}
	c.read(whole)
	if len(facts.Chain) != 2 || facts.Group != tlswire.X25519 || facts.ClientCert != tlsfacts.Yes || facts.SessionTicket != tlsfacts.Yes ||
		facts.Version != tlswire.TLS12 || !c.extendedMaster || c.broken.err != nil {
		t.Errorf("got %+v", facts)
	}
	for cut := range whole {
		var less tlsfacts.Facts
		c := clear{facts: &less}
		c.read(whole[:cut])
		if c.broken.err != nil || less.SessionTicket != tlsfacts.Unknown {
			t.Fatalf("cut at %d: got %+v", cut, less)
		}
	}
}

// Behind a HelloRetryRequest and the change_cipher_spec that may follow it, it is the ServerHello that counts.
func TestClearRetry(t *testing.T) {
	cfg := server(good(t))
	cfg.CurvePreferences = []tls.CurveID{tls.CurveP384}
	retried := flight(t, cfg)
	var records tlswire.RecordParser
	_, retry, err := records.ParseFrame(retried)
	if err != nil {
		t.Fatal(err)
	}
	_, change, err := records.ParseFrame(retried[retry:])
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := records.ParseFrame(retried[retry+change:])
	if err != nil {
		t.Fatal(err)
	}
	// Another suite, which no real server would choose now: it tells the two apart.
	changed := bytes.Clone(retried[:retry+change+second])
	suite := retry + change + tlswire.RecordHeaderSize + tlswire.HandshakeHeaderSize + 2 + 32 + 1 + 32
	changed[suite], changed[suite+1] = 0x13, 0x03
	for name, flight := range map[string][]byte{"whole": changed, "the request alone": changed[:retry]} {
		var facts tlsfacts.Facts
		c := clear{facts: &facts}
		c.read(flight)
		want := tlswire.CipherSuite(0x1303)
		if name != "whole" {
			want = 0x1301
		}
		if !facts.Retry || facts.Cipher != want || facts.Group != tlswire.SecP384R1 || facts.Version != tlswire.TLS13 {
			t.Errorf("%s: got %+v", name, facts)
		}
	}
}

// FuzzClear: no bytes of a server's make it panic.
func FuzzClear(f *testing.F) {
	f.Add([]byte("\x16\x03\x03\x00\x04\x02\x00\x00\x00"))
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x28\x16\x03\x03\x00\x04\x0e\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, flight []byte) {
		c := clear{facts: &tlsfacts.Facts{}}
		c.read(flight)
	})
}
