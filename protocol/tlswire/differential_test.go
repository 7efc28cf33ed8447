package tlswire

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	staple = []byte("no real OCSP response")
	scts   = [][]byte{[]byte("first timestamp"), []byte("second")}
)

// configs returns what a server and a client are set to for version v, with everything on that this package reads.
func configs(t *testing.T, v uint16) (server, client *tls.Config) {
	t.Helper()
	cert := certificate(t)
	cert.OCSPStaple, cert.SignedCertificateTimestamps = staple, scts
	server = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: v, MaxVersion: v, NextProtos: []string{"h2", "http/1.1"}}
	server.SetSessionTicketKeys([][32]byte{{1}}) // a clone would make its own
	client = &tls.Config{MinVersion: v, MaxVersion: v, NextProtos: []string{"spdy/3", "h2"}, ServerName: "server.test", CurvePreferences: []tls.CurveID{tls.X25519},
		ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	return server, client
}

// Each real handshake is read here and by crypto/tls, and both must have seen the same.
func TestAgainstCryptoTLS(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(Version(v).String(), func(t *testing.T) {
			server, client := configs(t, v)
			c := handshake(t, server, client)
			if c.clientErr != nil {
				t.Fatal(c.clientErr)
			}
			got := c.messages(t, c.server, true)
			checkHello(t, c, one(t, got, HandshakeServerHello))
			cert, err := ParseCertificate(one(t, got, HandshakeCertificate), Version(v))
			if err != nil {
				t.Fatal(err)
			}
			checkChain(t, c, cert)
			if v == tls.VersionTLS13 {
				checkTLS13(t, c, got, cert)
			} else {
				checkTLS12(t, c, got)
			}
		})
	}
}

func checkHello(t *testing.T, c *capture, body []byte) {
	t.Helper()
	h, err := ParseServerHello(body)
	if err != nil {
		t.Fatal(err)
	}
	if h.Version() != Version(c.state.Version) || h.CipherSuite != CipherSuite(c.state.CipherSuite) || h.IsRetry() || h.Compression != 0 {
		t.Errorf("got %v, %v, retry %t, want %v, %v", h.Version(), h.CipherSuite, h.IsRetry(), Version(c.state.Version), CipherSuite(c.state.CipherSuite))
	}
	want := ServerHello{PSK: -1}
	if c.state.Version == tls.VersionTLS13 {
		want.KeyShare.Group, want.SelectedVersion = Group(c.state.CurveID), TLS13
		if h.LegacyVersion != TLS12 || len(h.KeyShare.Key) != 32 || len(h.SessionID) != 32 {
			t.Errorf("got version field %v, key of %d bytes, session ID of %d, want TLS 1.2, 32, 32", h.LegacyVersion, len(h.KeyShare.Key), len(h.SessionID))
		}
	} else {
		want.ALPN, want.Renegotiation, want.PointFormats = []byte(c.state.NegotiatedProtocol), []byte{}, []byte{0}
		want.ServerName, want.SessionTicket, want.StatusRequest, want.ExtendedMaster = true, true, true, true
		if diff := cmp.Diff(scts, slices.Collect(h.SCTs.All())); diff != "" {
			t.Errorf("SCTs (-want +got):\n%s", diff)
		}
	}
	got := h
	got.LegacyVersion, got.Random, got.SessionID, got.CipherSuite, got.Extensions, got.SCTs, got.KeyShare.Key = 0, nil, nil, 0, nil, nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("server hello (-want +got):\n%s", diff)
	}
	if down := h.Downgrade(); down != 0 { // a server that is set to no more than this has nothing to warn of
		t.Errorf("downgrade: got %v, want none", down)
	}
}

func checkChain(t *testing.T, c *capture, cert Certificate) {
	t.Helper()
	var want, got [][]byte
	for _, peer := range c.state.PeerCertificates {
		want = append(want, peer.Raw)
	}
	for _, e := range cert.Entries {
		got = append(got, e.Data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
}

func checkTLS12(t *testing.T, c *capture, got []message) {
	t.Helper()
	v := Version(c.state.Version)
	ocsp, err := ParseCertificateStatus(one(t, got, HandshakeCertificateStatus))
	if err != nil || !bytes.Equal(ocsp, c.state.OCSPResponse) {
		t.Errorf("OCSP: got %q, %v, want %q", ocsp, err, c.state.OCSPResponse)
	}
	k, err := ParseServerKeyExchange(one(t, got, HandshakeServerKeyExchange), CipherSuite(c.state.CipherSuite), v)
	if err != nil {
		t.Fatal(err)
	}
	wantScheme := SignatureScheme(0)
	if v == TLS12 {
		wantScheme = ECDSASecP256R1SHA256
	}
	if k.Group != Group(c.state.CurveID) || len(k.Point) != 32 || k.Scheme != wantScheme || len(k.Signature) < 64 || len(k.Params) != 36 {
		t.Errorf("key exchange: got %+v, want group %v, scheme %v", k, c.state.CurveID, wantScheme)
	}
	if err := ParseServerHelloDone(one(t, got, HandshakeServerHelloDone)); err != nil {
		t.Error(err)
	}
	ticket, err := ParseNewSessionTicket(one(t, got, HandshakeNewSessionTicket), v)
	if err != nil || len(ticket.Ticket) == 0 {
		t.Errorf("ticket: got %+v, %v, want one", ticket, err)
	}
}

func checkTLS13(t *testing.T, c *capture, got []message, cert Certificate) {
	t.Helper()
	e, err := ParseEncryptedExtensions(one(t, got, HandshakeEncryptedExtensions))
	if err != nil || string(e.ALPN) != c.state.NegotiatedProtocol {
		t.Errorf("encrypted extensions: got %+v, %v, want ALPN %q", e, err, c.state.NegotiatedProtocol)
	}
	leaf := cert.Entries[0]
	if !bytes.Equal(leaf.OCSP, c.state.OCSPResponse) || !bytes.Equal(leaf.OCSP, staple) {
		t.Errorf("OCSP: got %q, want %q", leaf.OCSP, staple)
	}
	if diff := cmp.Diff(c.state.SignedCertificateTimestamps, slices.Collect(leaf.SCTs.All())); diff != "" {
		t.Errorf("SCTs (-want +got):\n%s", diff)
	}
	verify, err := ParseCertificateVerify(one(t, got, HandshakeCertificateVerify), TLS13)
	if err != nil || verify.Scheme != ECDSASecP256R1SHA256 || len(verify.Signature) < 64 {
		t.Errorf("certificate verify: got %v, %v", verify.Scheme, err)
	}
	if _, err := ParseFinished(one(t, got, HandshakeFinished), TLS13, CipherSuite(c.state.CipherSuite)); err != nil {
		t.Error(err)
	}
	ticket, err := ParseNewSessionTicket(one(t, got, HandshakeNewSessionTicket), TLS13)
	if err != nil || len(ticket.Ticket) == 0 || ticket.LifetimeSeconds == 0 || ticket.LifetimeSeconds > 604800 {
		t.Errorf("ticket: got %+v, %v, want one for up to 7 days", ticket, err)
	}
}

// A server that knows more than it chose says so in its random (RFC 8446 s.4.1.3).
func TestDowngrade(t *testing.T) {
	for _, c := range []struct {
		serverMax, clientMax uint16
		want                 Version
	}{
		{tls.VersionTLS13, tls.VersionTLS12, TLS12},
		{tls.VersionTLS13, tls.VersionTLS11, TLS11},
		{tls.VersionTLS12, tls.VersionTLS11, TLS11},
		{tls.VersionTLS12, tls.VersionTLS12, 0},
	} {
		server, client := configs(t, tls.VersionTLS10)
		server.MaxVersion, client.MaxVersion = c.serverMax, c.clientMax
		got := handshake(t, server, client)
		h, err := ParseServerHello(one(t, got.messages(t, got.server, true), HandshakeServerHello))
		if err != nil || h.Downgrade() != c.want || h.Version() != Version(c.clientMax) {
			t.Errorf("server up to %v, client up to %v: got %v, %v, want %v", Version(c.serverMax), Version(c.clientMax), h.Downgrade(), err, c.want)
		}
	}
}

func TestHelloRetry(t *testing.T) {
	server, client := configs(t, tls.VersionTLS13)
	server.CurvePreferences = []tls.CurveID{tls.CurveP384}
	client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}
	c := handshake(t, server, client)
	if c.clientErr != nil {
		t.Fatal(c.clientErr)
	}
	if !c.state.HelloRetryRequest {
		t.Fatal("crypto/tls saw no HelloRetryRequest")
	}
	var hellos []ServerHello
	for _, m := range c.messages(t, c.server, true) {
		if m.kind == HandshakeServerHello {
			h, err := ParseServerHello(m.body)
			if err != nil {
				t.Fatal(err)
			}
			hellos = append(hellos, h)
		}
	}
	if len(hellos) != 2 {
		t.Fatalf("got %d server hellos, want 2", len(hellos))
	}
	retry, hello := hellos[0], hellos[1]
	if !retry.IsRetry() || retry.Version() != TLS13 || retry.KeyShare.Group != SecP384R1 || retry.KeyShare.Key != nil {
		t.Errorf("first: got retry %t, %v, %+v, want a retry for P-384", retry.IsRetry(), retry.Version(), retry.KeyShare)
	}
	if hello.IsRetry() || hello.KeyShare.Group != SecP384R1 || len(hello.KeyShare.Key) != 97 {
		t.Errorf("second: got retry %t, %+v, want a key for P-384", hello.IsRetry(), hello.KeyShare)
	}
}

func TestResumption(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, client := configs(t, v)
		for i, want := range []bool{false, true} {
			c := handshake(t, server, client)
			if c.clientErr != nil || c.state.DidResume != want {
				t.Fatalf("%v: handshake %d: resumed %t, %v", Version(v), i, c.state.DidResume, c.clientErr)
			}
			body := one(t, c.messages(t, c.server, true), HandshakeServerHello)
			h, err := ParseServerHello(body)
			if err != nil {
				t.Fatal(err)
			}
			if v == tls.VersionTLS13 && (h.PSK == 0) != want {
				t.Errorf("handshake %d: PSK: got %d, want accepted %t", i, h.PSK, want)
			}
			hello, err := ParseClientHello(one(t, c.messages(t, c.client, false), HandshakeClientHello))
			if err != nil {
				t.Fatal(err)
			}
			if v == tls.VersionTLS12 {
				ticket, _ := hello.Extension(ExtSessionTicket).(SessionTicket)
				if (len(ticket) > 0) != want || want && !bytes.Equal(h.SessionID, hello.SessionID) {
					t.Errorf("handshake %d: ticket of %d bytes, session ID %x, want resumed %t", i, len(ticket), h.SessionID, want)
				}
			}
		}
	}
}

func TestClientCertificateWanted(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
		server, client := configs(t, v)
		server.ClientAuth = tls.RequestClientCert
		c := handshake(t, server, client)
		if c.clientErr != nil {
			t.Fatal(c.clientErr)
		}
		r, err := ParseCertificateRequest(one(t, c.messages(t, c.server, true), HandshakeCertificateRequest), Version(v))
		if err != nil {
			t.Fatal(err)
		}
		if (v >= tls.VersionTLS12) != slices.Contains(r.Schemes, RSAPSSRSAESHA256) || (v < tls.VersionTLS13) != (len(r.Types) > 0) || r.Authorities != nil {
			t.Errorf("%v: got %+v", Version(v), r)
		}
	}
}

// The hello of a real client is read as its server read it, and written again it is the same to the byte.
func TestClientHelloAgainstCryptoTLS(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
		server, client := configs(t, v)
		c := handshake(t, server, client)
		m := c.messages(t, c.client, false)[0]
		h, err := ParseClientHello(m.body)
		if err != nil {
			t.Fatal(err)
		}
		again, err := h.AppendMessage(nil)
		if err != nil || !bytes.Equal(again, m.raw) {
			t.Errorf("%v: written again: %v\ngot  %x\nwant %x", Version(v), err, again, m.raw)
		}
		diff := func(what string, want, got any) {
			if d := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); d != "" {
				t.Errorf("%v: %s (-want +got):\n%s", Version(v), what, d)
			}
		}
		var types []uint16
		for _, e := range h.Extensions {
			types = append(types, uint16(e.Type()))
			if raw, ok := e.(RawExtension); ok {
				t.Errorf("%v: %v came raw", Version(v), raw.ID)
			}
		}
		decimal := func(list SupportedGroups) (out []uint16) {
			for _, g := range list {
				out = append(out, uint16(g))
			}
			return out
		}
		var suites, curves []uint16
		for _, s := range h.CipherSuites {
			suites = append(suites, uint16(s))
		}
		for _, g := range c.hello.SupportedCurves {
			curves = append(curves, uint16(g))
		}
		diff("extensions", c.hello.Extensions, types)
		diff("suites", c.hello.CipherSuites, suites)
		diff("name", c.hello.ServerName, h.Extension(ExtServerName))
		diff("ALPN", c.hello.SupportedProtos, h.Extension(ExtALPN))
		diff("groups", curves, decimal(h.Extension(ExtSupportedGroups).(SupportedGroups)))
	}
}

// What this package writes a real server reads, and answers as asked.
func TestServersTakeOurHello(t *testing.T) {
	share := bytes.Repeat([]byte{9}, 32)
	for _, c := range []struct {
		name       string
		hello      ClientHello
		version    Version
		group      Group
		retry      bool
		alpn, want string // want: the alert, if it is one
	}{
		{name: "1.3", version: TLS13, group: X25519, hello: ClientHello{SessionID: share, CipherSuites: []CipherSuite{CipherSuite(GREASE(1)), AES256GCMSHA384},
			Extensions: []Extension{RawExtension{ExtensionType(GREASE(3)), nil}, ServerName("server.test"), SupportedGroups{Group(GREASE(2)), X25519}, KeyShares{{Group(GREASE(2)), []byte{0}}, {X25519, share}},
				SupportedVersions{Version(GREASE(4)), TLS13, TLS12}, SignatureAlgorithms{ECDSASecP256R1SHA256}, PSKKeyExchangeModes{1}, Padding(200)}}},
		{name: "1.3 without a key", version: TLS13, group: SecP256R1, retry: true, hello: ClientHello{CipherSuites: []CipherSuite{AES128GCMSHA256},
			Extensions: []Extension{SupportedGroups{SecP256R1}, KeyShares{}, SupportedVersions{TLS13}, SignatureAlgorithms{ECDSASecP256R1SHA256}}}},
		{name: "1.2", version: TLS12, alpn: "http/1.1", hello: ClientHello{CipherSuites: []CipherSuite{0xC02B, RenegotiationInfoSCSV},
			Extensions: []Extension{SupportedGroups{X25519}, ECPointFormats{0}, ALPN{"x", "http/1.1"}, SignatureAlgorithms{ECDSASecP256R1SHA256}, ExtendedMasterSecret{}, SessionTicket{},
				StatusRequest{}, SignedCertTimestamp{}, EncryptThenMAC{}, RenegotiationInfo{}}}},
		{name: "1.0", version: TLS10, hello: ClientHello{LegacyVersion: TLS10, CipherSuites: []CipherSuite{0xC009}, Extensions: []Extension{SupportedGroups{SecP256R1}}}},
		{name: "no suite in common", want: "fatal handshake_failure", hello: ClientHello{CipherSuites: []CipherSuite{0x0001}, Extensions: []Extension{SignatureAlgorithms{ECDSASecP256R1SHA256}}}},
		{name: "SSL 3.0", want: "fatal protocol_version", hello: ClientHello{LegacyVersion: SSL30, CipherSuites: []CipherSuite{0x000A}}},
		{name: "long", version: TLS12, hello: ClientHello{CipherSuites: []CipherSuite{0xC02B}, Extensions: []Extension{SupportedGroups{X25519}, SignatureAlgorithms{ECDSASecP256R1SHA256}, Padding(20000)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, _ := configs(t, tls.VersionTLS10)
			server.MaxVersion = tls.VersionTLS13
			h, alert := answer(t, server, &c.hello)
			if alert != c.want {
				t.Fatalf("alert: got %q, want %q", alert, c.want)
			}
			if c.want == "" && (h.Version() != c.version || h.KeyShare.Group != c.group || h.IsRetry() != c.retry || string(h.ALPN) != c.alpn) {
				t.Errorf("got %+v", h)
			}
		})
	}
}
