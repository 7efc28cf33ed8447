package flight

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testcert"
	"sonde/internal/tlsclient"
	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/probes/probetest"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// server is a server of crypto/tls and what is to be learned of it.
type server struct {
	name   string
	leaf   testcert.Leaf
	config *tls.Config
	offer  probes.TLSOptions
	// retry says that the server asks for another share.
	retry bool
	// alike says that what it says has the shape of another one's: its conversation is not played again.
	alike bool
}

// config13 is a server of TLS 1.3 alone, config12 one of TLS 1.2 alone.
func config13(groups ...tls.CurveID) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: groups}
}

func config12(suites ...uint16) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: suites}
}

// servers are one of each sort.
func servers() []server {
	list := []server{
		{name: "1.0", config: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}},
		{name: "1.1", config: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}},
		{name: "1.2", config: config12()},
		{name: "1.3", config: config13()},
		{name: "1.2 asked of a newer", config: &tls.Config{}, offer: probes.TLSOptions{MaxVersion: tlswire.TLS12}},
		{name: "1.3 and nothing else", config: &tls.Config{}, offer: probes.TLSOptions{MinVersion: tlswire.TLS13}},
		{name: "1.3 no tickets", config: &tls.Config{SessionTicketsDisabled: true}},
		{name: "1.2 no tickets", config: &tls.Config{SessionTicketsDisabled: true, MaxVersion: tls.VersionTLS12}},
	}
	for _, key := range []struct {
		name string
		alg  testcert.Algorithm
	}{{"ECDSA P-384", testcert.ECDSAP384}, {"RSA", testcert.RSA2048}, {"Ed25519", testcert.Ed25519}} {
		list = append(list,
			server{name: "1.2 " + key.name, leaf: testcert.Leaf{Key: key.alg}, config: config12()},
			server{name: "1.3 " + key.name, leaf: testcert.Leaf{Key: key.alg}, config: config13()})
	}
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		at := tls.VersionName(v)
		base := &tls.Config{MinVersion: v, MaxVersion: v}
		withALPN, wanting := base.Clone(), base.Clone()
		withALPN.NextProtos = []string{"h2", "http/1.1"}
		wanting.ClientAuth = tls.RequestClientCert
		list = append(list,
			server{name: at + " ALPN", config: withALPN, offer: probes.TLSOptions{ALPN: []string{"http/1.1", "nothing"}}},
			server{name: at + " client certificate", config: wanting},
			server{name: at + " stapled", config: base, leaf: testcert.Leaf{Staple: testcert.StapleGood}},
			server{name: at + " timestamps", config: base, leaf: testcert.Leaf{Timestamps: 2}},
			server{name: at + " large chain", config: base, leaf: testcert.Leaf{ChainBytes: 40 << 10}})
	}
	for _, g := range []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.CurveP521} {
		list = append(list,
			server{name: fmt.Sprintf("1.3 retry for %v", g), config: config13(g), retry: true, alike: g != tls.CurveP256},
			server{name: fmt.Sprintf("1.2 %v", g), alike: true, config: &tls.Config{MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{g}}})
	}
	for _, g := range []tlswire.Group{tlswire.SecP256R1, tlswire.X25519MLKEM768, tlswire.SecP256R1MLKEM768, tlswire.SecP384R1MLKEM1024} {
		list = append(list, server{name: fmt.Sprintf("1.3 share for %v", g), config: config13(tls.CurveID(g)), offer: probes.TLSOptions{Groups: []tlswire.Group{g}}})
	}
	for _, id := range tlsclient.Suites() {
		s := server{name: "1.2 " + tls.CipherSuiteName(id), config: config12(id), alike: true}
		if strings.Contains(s.name, "_RSA_") {
			s.leaf.Key = testcert.RSA2048
		}
		list = append(list, s)
	}
	return list
}

// ready returns the server's configuration with its certificate.
func (s *server) ready(t testing.TB) *tls.Config {
	t.Helper()
	cfg := &tls.Config{}
	if s.config != nil {
		cfg = s.config.Clone()
	}
	cfg.Certificates = []tls.Certificate{issue(t, s.leaf)}
	return cfg
}

var depths = []probes.Depth{probes.DepthHello, probes.DepthCerts}

// TestConversations plays what servers of crypto/tls said, whole and cut at every byte.
func TestConversations(t *testing.T) {
	for _, s := range servers() {
		if s.alike {
			continue
		}
		cfg := s.ready(t)
		for _, depth := range depths {
			if depth == probes.DepthHello && s.offer.MaxVersion == 0 && s.config.MaxVersion == 0 && s.leaf.Key != 0 {
				continue // its end is before anything that tells keys apart
			}
			s.offer.Depth = depth
			c := newClient(t, s.offer)
			e := c.open()
			turns := converse(t, e, cfg)
			whole := e.Conclusion()
			if whole.Verdict != protocol.Success {
				t.Errorf("%s, %v: got verdict %d (%s)", s.name, depth, whole.Verdict, whole.Reason)
				continue
			}
			probetest.Run(t, probes.About{Reports: tlsfacts.Fields()}, probetest.Case{
				Name: fmt.Sprintf("%s/%v", s.name, depth), Open: func() protocol.Exchange { return c.open() },
				Turns:  turns,
				Result: string(whole.Finding.AppendJSON(nil)), Brief: whole.Finding.Brief(),
			})
		}
	}
}

// TestDifferential has the same server read by hello, certs and a client of crypto/tls: what each of them can see is equal.
func TestDifferential(t *testing.T) {
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			cfg := s.ready(t)
			offer := tlsclient.Offer{ServerName: testName, ALPN: s.offer.ALPN, MinVersion: uint16(s.offer.MinVersion), MaxVersion: uint16(s.offer.MaxVersion)}
			for _, g := range s.offer.Groups {
				offer.Groups = append(offer.Groups, tls.CurveID(g))
			}
			client, err := offer.Config()
			if err != nil {
				t.Fatal(err)
			}
			state := handshake(t, client, cfg)
			for _, depth := range depths {
				s.offer.Depth = depth
				e := newClient(t, s.offer).open()
				converse(t, e, cfg)
				if diff := cmp.Diff(seen(state, depth), told(facts(t, e))); diff != "" {
					t.Errorf("%v differs from crypto/tls (-crypto/tls +%v):\n%s", depth, depth, diff)
				}
				if got := facts(t, e).Retry; got != s.retry {
					t.Errorf("%v: retry: got %t, want %t", depth, got, s.retry)
				}
				e.Conclusion()
			}
		})
	}
}

// learned is what a depth and crypto/tls can both tell.
type learned struct {
	Version, Cipher, Group uint16
	ALPN                   string
	Chain, SCTs            [][]byte
	OCSP                   []byte
}

// seen is what crypto/tls learned, as far as the depth sees it.
func seen(s tls.ConnectionState, d probes.Depth) learned {
	l := learned{Version: s.Version, Cipher: s.CipherSuite, Group: uint16(s.CurveID)}
	if d == probes.DepthHello && s.Version == tls.VersionTLS13 {
		return l
	}
	l.ALPN, l.OCSP, l.SCTs = s.NegotiatedProtocol, s.OCSPResponse, s.SignedCertificateTimestamps
	for _, c := range s.PeerCertificates {
		l.Chain = append(l.Chain, c.Raw)
	}
	return l
}

func told(f tlsfacts.Facts) learned {
	return learned{uint16(f.Version), uint16(f.Cipher), uint16(f.Group), f.ALPN, f.Chain, f.SCTs, f.OCSP}
}

// TestSuites13 has each suite of TLS 1.3 be the only one on offer.
func TestSuites13(t *testing.T) {
	cfg := (&server{}).ready(t)
	for _, s := range suites(probes.DepthCerts, tlswire.TLS13, tlswire.TLS13) {
		c := newClient(t, probes.TLSOptions{Depth: probes.DepthCerts})
		c.offer.suites = []tlswire.CipherSuite{s}
		e := c.open()
		converse(t, e, cfg)
		if f := facts(t, e); f.Cipher != s || len(f.Chain) != 2 {
			t.Errorf("%v: got %v and %d certificates, want 2", s, f.Cipher, len(f.Chain))
		}
		if done := e.Conclusion(); done.Verdict != protocol.Success {
			t.Errorf("%v: got verdict %d (%s)", s, done.Verdict, done.Reason)
		}
	}
}

// TestFacts checks what crypto/tls' client does not tell.
func TestFacts(t *testing.T) {
	for _, c := range []struct {
		name              string
		config            *tls.Config
		depth             probes.Depth
		ticket, wantsCert tlsfacts.Tri
	}{
		{"1.2", config12(), probes.DepthHello, tlsfacts.Yes, tlsfacts.No},
		{"1.2 no tickets", &tls.Config{MaxVersion: tls.VersionTLS12, SessionTicketsDisabled: true}, probes.DepthHello, tlsfacts.No, tlsfacts.No},
		{"1.2 client certificate", &tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}, probes.DepthCerts, tlsfacts.Yes, tlsfacts.Yes},
		{"1.3", config13(), probes.DepthHello, tlsfacts.Unknown, tlsfacts.Unknown},
		{"1.3 certs", config13(), probes.DepthCerts, tlsfacts.Unknown, tlsfacts.No},
		{"1.3 client certificate", &tls.Config{ClientAuth: tls.RequireAnyClientCert}, probes.DepthCerts, tlsfacts.Unknown, tlsfacts.Yes},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newClient(t, probes.TLSOptions{Depth: c.depth, PEM: true}).Exchange(Names{Server: testName, StartTLS: "smtp"}).(*exchange)
			converse(t, e, (&server{config: c.config}).ready(t))
			f := facts(t, e)
			if f.SessionTicket != c.ticket || f.ClientCert != c.wantsCert {
				t.Errorf("ticket, client certificate: got %d, %d, want %d, %d", f.SessionTicket, f.ClientCert, c.ticket, c.wantsCert)
			}
			if f.Depth != c.depth || f.SNI != testName || f.StartTLS != "smtp" || !f.PEM || len(f.JA3S) != 32 {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// TestJudgement: a certificate that is not to be believed is a failure at both depths, and data with Insecure.
func TestJudgement(t *testing.T) {
	for _, c := range []struct {
		name, certificate, reason string
		leaf                      testcert.Leaf
	}{
		{"expired", testName, "expired", testcert.Leaf{Validity: testcert.Expired}},
		{"wrong name", otherName, otherName, testcert.Leaf{}},
		{"self-signed", testName, "self-signed", testcert.Leaf{SelfSigned: true}},
		{"for an address", "192.0.2.1", "192.0.2.1", testcert.Leaf{}},
	} {
		for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, insecure := range []bool{false, true} {
				s := server{leaf: c.leaf, config: &tls.Config{MaxVersion: v}}
				e := newClient(t, probes.TLSOptions{Depth: probes.DepthCerts, Insecure: insecure}).Exchange(Names{Server: testName, Certificate: c.certificate}).(*exchange)
				converse(t, e, s.ready(t))
				got := e.Conclusion()
				want := protocol.Untrusted
				if insecure {
					want = protocol.Success
				}
				if got.Verdict != want || !insecure && !strings.Contains(got.Reason, c.reason) {
					t.Errorf("%s, %s, insecure %t: got verdict %d (%s), want %d", c.name, tls.VersionName(v), insecure, got.Verdict, got.Reason, want)
				}
				if result := string(got.Finding.AppendJSON(nil)); !strings.Contains(result, `"verified":false`) || !strings.Contains(result, `"chain":[`) {
					t.Errorf("%s: got %s", c.name, result)
				}
			}
		}
	}
}

// TestNotJudged: without a clock certificates are read and not judged.
func TestNotJudged(t *testing.T) {
	c, err := New(probes.TLSOptions{Depth: probes.DepthCerts})
	if err != nil {
		t.Fatal(err)
	}
	e := c.open()
	converse(t, e, (&server{leaf: testcert.Leaf{Validity: testcert.Expired}}).ready(t))
	got := e.Conclusion()
	if result := string(got.Finding.AppendJSON(nil)); got.Verdict != protocol.Success || strings.Contains(result, `"verified"`) {
		t.Errorf("got verdict %d, %s", got.Verdict, result)
	}
}

// TestNamesAreNotShared: each hello has the name of its own target, or none.
func TestNamesAreNotShared(t *testing.T) {
	c := newClient(t, probes.TLSOptions{Depth: probes.DepthHello})
	want := []string{"a.test", "b.test", "", "a.test", strings.Repeat("x.", 126) + "y"}
	for i := range 3 * maxHellos / 2 {
		want = append(want, fmt.Sprintf("n%d.test", i))
	}
	for _, name := range want {
		e := c.Exchange(Names{Server: name})
		hello := e.Begin().Send[0]
		e.Conclusion()
		h, err := tlswire.ParseClientHello(hello[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		got, _ := h.Extension(tlswire.ExtServerName).(tlswire.ServerName)
		if string(got) != name {
			t.Fatalf("got %q, want %q", got, name)
		}
		if len(c.hellos) > maxHellos {
			t.Fatalf("%d hellos are kept, at most %d", len(c.hellos), maxHellos)
		}
	}
	if one, other := c.hello("b.test"), c.hello("b.test"); &one[0] != &other[0] {
		t.Error("the hello for a name is made twice")
	}
}

// TestOffer: what is offered by default, and what the bounds leave.
func TestOffer(t *testing.T) {
	for _, c := range []struct {
		name     string
		min, max tlswire.Version
		legacy   tlswire.Version
		versions tlswire.SupportedVersions
		suite    tlswire.CipherSuite // that must be on offer
		without  tlswire.CipherSuite // that must not
	}{
		{"all", 0, 0, tlswire.TLS12, tlswire.SupportedVersions{tlswire.TLS13, tlswire.TLS12, tlswire.TLS11, tlswire.TLS10, tlswire.SSL30}, 0x0003, 0},
		{"1.3", tlswire.TLS13, 0, tlswire.TLS12, tlswire.SupportedVersions{tlswire.TLS13}, 0x1301, 0xC02F},
		{"up to 1.2", 0, tlswire.TLS12, tlswire.TLS12, nil, 0xC02F, 0x1301},
		{"up to 1.0", 0, tlswire.TLS10, tlswire.TLS10, nil, 0x000A, 0x1301},
		{"SSL 3.0", 0, tlswire.SSL30, tlswire.SSL30, nil, tlswire.RenegotiationInfoSCSV, 0x1301},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, probes.TLSOptions{Depth: probes.DepthHello, MinVersion: c.min, MaxVersion: c.max})
			h, err := tlswire.ParseClientHello(client.hello(testName)[tlswire.RecordHeaderSize+tlswire.HandshakeHeaderSize:])
			if err != nil {
				t.Fatal(err)
			}
			versions, _ := h.Extension(tlswire.ExtSupportedVersions).(tlswire.SupportedVersions)
			if h.LegacyVersion != c.legacy || !slices.Equal(versions, c.versions) {
				t.Errorf("got %v and %v, want %v and %v", h.LegacyVersion, versions, c.legacy, c.versions)
			}
			if !slices.Contains(h.CipherSuites, c.suite) || slices.Contains(h.CipherSuites, c.without) {
				t.Errorf("suites: got %v, want %v and not %v", h.CipherSuites, c.suite, c.without)
			}
			if wantID := versions != nil; (len(h.SessionID) == 32) != wantID || (h.Extension(tlswire.ExtKeyShare) != nil) != wantID {
				t.Errorf("session ID of %d bytes, key share %v", len(h.SessionID), h.Extension(tlswire.ExtKeyShare))
			}
			if (h.Extensions == nil) != (c.max == tlswire.SSL30) {
				t.Errorf("extensions: got %v", h.Extensions)
			}
			slices.Sort(h.CipherSuites)
			if n := len(h.CipherSuites); len(slices.Compact(h.CipherSuites)) != n {
				t.Error("a suite is offered twice")
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		want string
		o    probes.TLSOptions
	}{
		{"--tls-depth", probes.TLSOptions{}},
		{"--min-version", probes.TLSOptions{Depth: probes.DepthHello, MinVersion: 0x0200}},
		{"--max-version", probes.TLSOptions{Depth: probes.DepthHello, MaxVersion: 0x0305}},
		{"turn them round", probes.TLSOptions{Depth: probes.DepthHello, MinVersion: tlswire.TLS12, MaxVersion: tlswire.TLS11}},
		{"--groups x448", probes.TLSOptions{Depth: probes.DepthCerts, Groups: []tlswire.Group{tlswire.X448}}},
		{"--alpn", probes.TLSOptions{Depth: probes.DepthCerts, ALPN: []string{""}}},
		{"do not fit", probes.TLSOptions{Depth: probes.DepthCerts, ALPN: slices.Repeat([]string{strings.Repeat("x", 255)}, 80)}},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an error with %q", err, c.want)
		}
	}
	if _, err := New(probes.TLSOptions{Depth: probes.DepthHello, Groups: []tlswire.Group{tlswire.X448, tlswire.FFDHE2048}}); err != nil {
		t.Errorf("groups without a key agreement at the depth hello: %v", err)
	}
}
