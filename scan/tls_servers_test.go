package scan

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"sonde/internal/testcert"
	"sonde/internal/testserver"
	"sonde/probes"
	"sonde/protocol/tlswire"
	"sonde/report"
)

// tlsServer is a real server with TLS.
type tlsServer struct {
	start func(t testing.TB) *testserver.TLSServer
	// startTLS is the protocol in which TLS is asked for; empty: TLS begins with the first byte.
	startTLS string
	// alpn is what is offered, where it is not offered: exim refuses who offers a protocol that is not its own.
	alpn []string
}

func (s tlsServer) offer() []string {
	if s.alpn != nil {
		return s.alpn
	}
	return offered
}

// tlsView is what a handshake tells, of what every client can tell. Of what it does not tell, text is empty and the
// rest nil.
type tlsView struct {
	Version, Cipher, Group, ALPN string
	Retry                        bool
	Chain                        []string // SHA-256 and kind of key
	ClientCert, Stapled          *bool
	Verified                     *bool
}

// visible leaves of what a whole handshake tells that which a depth can see.
func (v tlsView) visible(depth probes.Depth) tlsView {
	if depth == probes.DepthHello && v.Version == tlswire.TLS13.Word() {
		// All that follows the ServerHello is encrypted (RFC 8446 s.2).
		return tlsView{Version: v.Version, Cipher: v.Cipher, Group: v.Group, Retry: v.Retry}
	}
	return v
}

// offered are the protocols that the clients of these tests offer.
var offered = []string{"h2", "http/1.1"}

// reference is what crypto/tls tells of a server. It takes every certificate, and says whether it is one to be believed.
func reference(t *testing.T, name string, s *testserver.TLSServer, srv tlsServer) tlsView {
	t.Helper()
	asked := false
	cfg := &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, NextProtos: srv.offer(),
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		},
	}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		cfg.CipherSuites = append(cfg.CipherSuites, suite.ID)
	}
	dial := s.Dial
	if srv.startTLS != "" {
		dial = s.DialStartTLS
	}
	conn, err := dial(t, cfg)
	if err != nil {
		t.Fatalf("%s: crypto/tls: %v", name, err)
	}
	defer conn.Close()
	state := conn.ConnectionState()
	v := tlsView{
		Version: tlswire.Version(state.Version).Word(), Cipher: tlswire.CipherSuite(state.CipherSuite).String(), ALPN: state.NegotiatedProtocol,
		Retry: state.HelloRetryRequest, ClientCert: new(asked), Stapled: new(len(state.OCSPResponse) > 0),
	}
	if state.CurveID != 0 {
		v.Group = tlswire.Group(state.CurveID).String()
	}
	chain := x509.NewCertPool()
	for _, cert := range state.PeerCertificates {
		v.Chain = append(v.Chain, fmt.Sprintf("%x %v", sha256.Sum256(cert.Raw), cert.PublicKeyAlgorithm))
		chain.AddCert(cert)
	}
	_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: s.Roots(), Intermediates: chain, DNSName: testserver.ServerName})
	v.Verified = new(err == nil)
	return v
}

// tlsResult is what these tests read of the tls probe's result.
type tlsResult struct {
	Version     string `json:"tls_version"`
	Cipher      string
	Group       string
	ALPN        string
	Alert       string
	Retry       bool   `json:"hello_retry_request"`
	ClientCert  *bool  `json:"client_cert_requested"`
	Stapled     *bool  `json:"ocsp_stapled"`
	OCSPStatus  string `json:"ocsp_status"`
	Verified    *bool
	VerifyError string `json:"verify_error"`
	StartTLS    string
	SNI         string
	Chain       []struct {
		Fingerprint struct{ SHA256 string } `json:"fingerprint_hash"`
		Key         string                  `json:"key_algorithm"`
	}
	Resumption *struct{ Method, Offered string }
	Versions   []struct{ Version string } `json:"version_enum"`
	Ciphers    []struct {
		Version     string
		ServerOrder *bool                     `json:"server_order"`
		Ciphers     []struct{ Cipher string } `json:"ciphers"`
	} `json:"cipher_enum"`
	Groups     []struct{ Group string } `json:"group_enum"`
	Incomplete string                   `json:"enum_incomplete"`
}

func (r *tlsResult) view() tlsView {
	v := tlsView{
		Version: r.Version, Cipher: r.Cipher, Group: r.Group, ALPN: r.ALPN, Retry: r.Retry,
		ClientCert: r.ClientCert, Stapled: r.Stapled, Verified: r.Verified,
	}
	for _, c := range r.Chain {
		v.Chain = append(v.Chain, c.Fingerprint.SHA256+" "+c.Key)
	}
	return v
}

// probeTLS has the tls probe ask one address by ServerName and returns the record and its result.
func probeTLS(t *testing.T, addr netip.AddrPort, o probes.TLSOptions) (*kept, *tlsResult) {
	t.Helper()
	line := fmt.Sprintf("%v,%s,,%d\n", addr.Addr(), testserver.ServerName, addr.Port())
	records, _ := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(line), Probes: []string{"tls"}, Options: probes.Options{TLS: o}, Loops: 1,
	})
	k := only(t, records)
	return k, parseTLS(t, k.result)
}

func parseTLS(t *testing.T, text string) *tlsResult {
	t.Helper()
	r := &tlsResult{}
	if text == "" {
		return r
	}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return r
}

// openSSL starts openssl s_server with the options.
func openSSL(o testserver.OpenSSLOptions) func(t testing.TB) *testserver.TLSServer {
	return func(t testing.TB) *testserver.TLSServer { return testserver.OpenSSL(t, o) }
}

func tlsServers() map[string]tlsServer {
	type options = testserver.OpenSSLOptions
	direct := map[string]func(t testing.TB) *testserver.TLSServer{
		"nginx": testserver.NginxTLS, "haproxy": testserver.HAProxy, "redis": testserver.RedisTLS,
		"imaps": testserver.IMAPTLS, "pop3s": testserver.POP3TLS, "ldaps": testserver.LDAPTLS,
		"TLS 1.3 ECDSA":       openSSL(options{MinVersion: "TLSv1.3"}),
		"TLS 1.3 RSA":         openSSL(options{MinVersion: "TLSv1.3", Key: testcert.RSA2048}),
		"TLS 1.3 Ed25519":     openSSL(options{MinVersion: "TLSv1.3", Key: testcert.Ed25519}),
		"TLS 1.3 AES-256":     openSSL(options{CipherSuites: []string{"TLS_AES_256_GCM_SHA384"}}),
		"TLS 1.3 ChaCha20":    openSSL(options{CipherSuites: []string{"TLS_CHACHA20_POLY1305_SHA256"}, ServerPreference: true}),
		"TLS 1.3 client cert": openSSL(options{ClientCert: testserver.ClientCertWanted}),
		"TLS 1.3 staple":      openSSL(options{Staple: testcert.StapleGood}),
		"TLS 1.3 P-256":       openSSL(options{Groups: []string{"P-256"}}),
		"TLS 1.3 P-384":       openSSL(options{Groups: []string{"P-384"}}),
		"TLS 1.3 P-521 ALPN":  openSSL(options{Groups: []string{"P-521"}, ALPN: []string{"http/1.1"}}),
		"TLS 1.2 ECDSA":       openSSL(options{MaxVersion: "TLSv1.2"}),
		"TLS 1.2 P-384 key":   openSSL(options{MaxVersion: "TLSv1.2", Key: testcert.ECDSAP384}),
		"TLS 1.2 RSA":         openSSL(options{MaxVersion: "TLSv1.2", Key: testcert.RSA2048}),
		"TLS 1.2 RSA-1024":    openSSL(options{MaxVersion: "TLSv1.2", Key: testcert.RSA1024}),
		"TLS 1.2 Ed25519":     openSSL(options{MaxVersion: "TLSv1.2", Key: testcert.Ed25519}),
		"TLS 1.2 RSA exchange": openSSL(options{
			MaxVersion: "TLSv1.2", Key: testcert.RSA2048, Ciphers: []string{"AES128-SHA"},
		}),
		"TLS 1.2 client cert": openSSL(options{MaxVersion: "TLSv1.2", ClientCert: testserver.ClientCertWanted}),
		"TLS 1.2 staple":      openSSL(options{MaxVersion: "TLSv1.2", Staple: testcert.StapleGood}),
		"TLS 1.2 P-384 ALPN":  openSSL(options{MaxVersion: "TLSv1.2", Groups: []string{"P-384"}, ALPN: []string{"h2"}}),
		"TLS 1.1":             openSSL(options{MinVersion: "TLSv1.1", MaxVersion: "TLSv1.1"}),
		"TLS 1.0":             openSSL(options{MinVersion: "TLSv1", MaxVersion: "TLSv1"}),
		"TLS 1.0 RSA":         openSSL(options{MinVersion: "TLSv1", MaxVersion: "TLSv1", Key: testcert.RSA2048}),
	}
	servers := map[string]tlsServer{
		"smtps":    {testserver.SMTPTLS, "", []string{"smtp"}},
		"smtp":     {testserver.SMTPTLS, "smtp", []string{"smtp"}},
		"ftp":      {testserver.FTPTLS, "ftp", nil},
		"imap":     {testserver.IMAPTLS, "imap", nil},
		"pop3":     {testserver.POP3TLS, "pop3", nil},
		"sieve":    {testserver.SieveTLS, "sieve", nil},
		"ldap":     {testserver.LDAPTLS, "ldap", nil},
		"xmpp":     {testserver.XMPPTLS, "xmpp", nil},
		"mysql":    {testserver.MySQLTLS, "mysql", nil},
		"postgres": {testserver.PostgresTLS, "postgres", nil},
	}
	for name, start := range direct {
		servers[name] = tlsServer{start: start}
	}
	return servers
}

// TestTLSServers has each real server asked by the three depths, and by crypto/tls: what a depth sees is what crypto/tls
// says, and that the certificate is believed.
func TestTLSServers(t *testing.T) {
	for name, srv := range tlsServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := srv.start(t)
			addr := s.Direct
			if srv.startTLS != "" {
				addr = s.StartTLS
			}
			whole := reference(t, name, s, srv)
			if got, want := len(whole.Chain), len(s.Chain); got != want {
				t.Errorf("crypto/tls got a chain of %d, want %d", got, want)
			}
			for _, depth := range []probes.Depth{probes.DepthHello, probes.DepthCerts, probes.DepthFull} {
				k, r := probeTLS(t, addr, probes.TLSOptions{Depth: depth, ALPN: srv.offer(), Roots: s.Roots(), StartTLS: srv.startTLS})
				if k.Status != report.Success {
					t.Errorf("%v: got %v, want success", depth, k)
					continue
				}
				if d := diff.Diff(whole.visible(depth), r.view()); d != "" {
					t.Errorf("%v: crypto/tls (-), sonde (+):\n%s\n%s", depth, d, k.result)
				}
				if r.Stapled != nil && *r.Stapled && r.OCSPStatus != "good" {
					t.Errorf("%v: got a staple that says %q, want good", depth, r.OCSPStatus)
				}
				if r.StartTLS != srv.startTLS || r.SNI != testserver.ServerName {
					t.Errorf("%v: got STARTTLS %q and SNI %q, want %q and %q", depth, r.StartTLS, r.SNI, srv.startTLS, testserver.ServerName)
				}
			}
		})
	}
}

// TestTLSServersUntrusted has the same chain judged with and without its root.
func TestTLSServersUntrusted(t *testing.T) {
	for name, start := range map[string]func(t testing.TB) *testserver.TLSServer{
		"TLS 1.2": openSSL(testserver.OpenSSLOptions{MaxVersion: "TLSv1.2"}), "TLS 1.3": testserver.NginxTLS,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for _, depth := range []probes.Depth{probes.DepthHello, probes.DepthCerts, probes.DepthFull} {
				if depth == probes.DepthHello && name == "TLS 1.3" {
					continue // it sees no certificate
				}
				o := probes.TLSOptions{Depth: depth, Roots: x509.NewCertPool()}
				k, r := probeTLS(t, s.Direct, o)
				want(t, k, report.CertificateError, report.SideRemote)
				o.Insecure = true
				k, insecure := probeTLS(t, s.Direct, o)
				want(t, k, report.Success, report.SideNone)
				for _, r := range []*tlsResult{r, insecure} {
					if r.Verified == nil || *r.Verified || r.VerifyError != "unknown authority" || len(r.Chain) != len(s.Chain) {
						t.Errorf("%v: got %+v, want the chain and an unknown authority", depth, r)
					}
				}
			}
		})
	}
}

// TestTLSServersClientCertificate asks a server that insists on a certificate, without one and with. In TLS 1.3 it refuses
// only when the handshake is over for the client (RFC 8446 s.4.4.2.4).
func TestTLSServersClientCertificate(t *testing.T) {
	for version, alert := range map[string]string{"TLSv1.2": "handshake_failure", "TLSv1.3": "certificate_required"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := testserver.OpenSSL(t, testserver.OpenSSLOptions{MaxVersion: version, ClientCert: testserver.ClientCertDemanded})
			o := probes.TLSOptions{Roots: s.Roots()}
			k, r := probeTLS(t, s.Direct, o)
			want(t, k, report.HandshakeError, report.SideRemote)
			if r.Alert != alert || len(r.Chain) != len(s.Chain) || r.ClientCert == nil || !*r.ClientCert {
				t.Errorf("got %v, want the alert %s and all that came before", k, alert)
			}
			o.Certificates = []tls.Certificate{testserver.ClientCertificate(t)}
			k, _ = probeTLS(t, s.Direct, o)
			want(t, k, report.Success, report.SideNone)
		})
	}
}

// TestTLSServersBeyondGo asks servers for what crypto/tls can't do: the hello tells it all the same, and the whole handshake is
// refused by the alert of a server that was offered nothing it takes.
func TestTLSServersBeyondGo(t *testing.T) {
	for name, tt := range map[string]struct {
		options testserver.OpenSSLOptions
		cipher  string
	}{
		"DHE":      {testserver.OpenSSLOptions{Ciphers: []string{"DHE-RSA-AES128-GCM-SHA256"}}, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"},
		"CCM":      {testserver.OpenSSLOptions{Ciphers: []string{"AES128-CCM"}}, "TLS_RSA_WITH_AES_128_CCM"},
		"Camellia": {testserver.OpenSSLOptions{Ciphers: []string{"CAMELLIA256-SHA"}}, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.options.MaxVersion, tt.options.Key = "TLSv1.2", testcert.RSA2048
			s := testserver.OpenSSL(t, tt.options)
			for _, depth := range []probes.Depth{probes.DepthHello, probes.DepthCerts} {
				k, r := probeTLS(t, s.Direct, probes.TLSOptions{Depth: depth, Roots: s.Roots()})
				want(t, k, report.Success, report.SideNone)
				if r.Cipher != tt.cipher || len(r.Chain) != len(s.Chain) {
					t.Errorf("%v: got %v, want %s and the chain", depth, k, tt.cipher)
				}
			}
			k, r := probeTLS(t, s.Direct, probes.TLSOptions{Roots: s.Roots()})
			want(t, k, report.HandshakeError, report.SideRemote)
			if r.Alert != "handshake_failure" {
				t.Errorf("got %v, want the alert handshake_failure", k)
			}
		})
	}
}

// TestTLSServersResume has sessions resumed in each of the ways that there are.
func TestTLSServersResume(t *testing.T) {
	type options = testserver.OpenSSLOptions
	for name, tt := range map[string]struct {
		start func(t testing.TB) *testserver.TLSServer
		most  tlswire.Version
		way   string
	}{
		"openssl TLS 1.3":            {openSSL(options{}), tlswire.TLS13, "psk"},
		"openssl TLS 1.3 no ticket":  {openSSL(options{NoTickets: true}), tlswire.TLS13, "psk"}, // a ticket that is an ID
		"openssl TLS 1.2":            {openSSL(options{}), tlswire.TLS12, "ticket"},
		"openssl TLS 1.2 session ID": {openSSL(options{NoTickets: true}), tlswire.TLS12, "session-id"},
		"openssl TLS 1.0":            {openSSL(options{MinVersion: "TLSv1"}), tlswire.TLS10, "ticket"},
		"nginx TLS 1.3":              {testserver.NginxTLS, tlswire.TLS13, "psk"},
		"nginx TLS 1.2":              {testserver.NginxTLS, tlswire.TLS12, "ticket"},
		"haproxy TLS 1.3":            {testserver.HAProxy, tlswire.TLS13, "psk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.start(t)
			k, r := probeTLS(t, s.Direct, probes.TLSOptions{Roots: s.Roots(), MaxVersion: tt.most, SessionReuse: true})
			want(t, k, report.Success, report.SideNone)
			if r.Resumption == nil || r.Resumption.Method != tt.way || r.Resumption.Offered != tt.way {
				t.Errorf("got %v, want a resumption by %s", k, tt.way)
			}
		})
	}
}

// TestTLSServersEnumerate has all found that a server takes, in the server's own order if it insists on one.
func TestTLSServersEnumerate(t *testing.T) {
	type enumerated struct {
		Versions, Groups []string
		Ciphers          map[string][]string
		ServerOrder      map[string]bool
	}
	options := testserver.OpenSSLOptions{
		MinVersion: "TLSv1", Key: testcert.RSA2048, Groups: []string{"P-384", "X25519", "P-256"},
		Ciphers:      []string{"ECDHE-RSA-AES256-SHA", "AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-CHACHA20-POLY1305", "CAMELLIA128-SHA"},
		CipherSuites: []string{"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"},
	}
	old := []string{"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA"}
	ciphers := map[string][]string{
		"tls13": {"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"},
		"tls12": {
			"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
			"TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA",
		},
		"tls11": old,
		"tls10": old,
	}
	for name, insists := range map[string]bool{"server's order": true, "client's order": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := options
			options.ServerPreference = insists
			s := testserver.OpenSSL(t, options)
			var o probes.TLSOptions
			o.Insecure, o.Enum.Versions, o.Enum.Ciphers, o.Enum.Groups = true, true, true, true
			k, r := probeTLS(t, s.Direct, o)
			want(t, k, report.Success, report.SideNone)
			if r.Incomplete != "" {
				t.Errorf("got incomplete: %q", r.Incomplete)
			}
			got := enumerated{Ciphers: map[string][]string{}, ServerOrder: map[string]bool{}}
			for _, v := range r.Versions {
				got.Versions = append(got.Versions, v.Version)
			}
			for _, g := range r.Groups {
				got.Groups = append(got.Groups, g.Group)
			}
			for _, c := range r.Ciphers {
				for _, suite := range c.Ciphers {
					got.Ciphers[c.Version] = append(got.Ciphers[c.Version], suite.Cipher)
				}
				if c.ServerOrder != nil {
					got.ServerOrder[c.Version] = *c.ServerOrder
				}
			}
			wanted := enumerated{
				Versions: []string{"tls13", "tls12", "tls11", "tls10"}, Groups: []string{"secp384r1", "x25519", "secp256r1"}, Ciphers: maps.Clone(ciphers),
				ServerOrder: map[string]bool{"tls13": insists, "tls12": insists, "tls11": insists, "tls10": insists},
			}
			if !insists { // the order is that of our offers
				for version, suites := range got.Ciphers {
					slices.Sort(suites)
					wanted.Ciphers[version] = slices.Sorted(slices.Values(ciphers[version]))
				}
			}
			if d := diff.Diff(wanted, got); d != "" {
				t.Errorf("want (-), got (+):\n%s", d)
			}
		})
	}
}

// TestServersOverTLS has probes speak to real servers over TLS: from the first byte, by flag and by the scheme of a URL, and
// behind STARTTLS.
func TestServersOverTLS(t *testing.T) {
	for name, tt := range map[string]struct {
		start    func(t testing.TB) *testserver.TLSServer
		probe    string
		scheme   string
		startTLS bool
		result   string
	}{
		"nginx":   {testserver.NginxTLS, "http", "https", false, `"status_code":200`},
		"haproxy": {testserver.HAProxy, "http", "https", false, `"status_code":200`},
		"redis":   {testserver.RedisTLS, "redis", "rediss", false, `"reply":"PONG"`},
		"imaps":   {testserver.IMAPTLS, "imap", "imaps", false, `"capabilities":[`},
		"pop3s":   {testserver.POP3TLS, "pop3", "pop3s", false, `sonde test mail`},
		"smtps":   {testserver.SMTPTLS, "smtp", "smtps", false, `mail.sonde.test`},
		"smtp":    {testserver.SMTPTLS, "smtp", "", true, `"esmtp":true`},
		"ftp":     {testserver.FTPTLS, "ftp", "", true, `"tls":{`},
		"imap":    {testserver.IMAPTLS, "imap", "", true, `"capabilities":[`},
		"pop3":    {testserver.POP3TLS, "pop3", "", true, `"tls":{`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.start(t)
			cfg := Config{Probes: []string{tt.probe}, TLS: !tt.startTLS, Options: probes.Options{TLS: probes.TLSOptions{Roots: s.Roots()}}}
			addr := s.Direct
			if tt.startTLS {
				cfg.Options.TLS.StartTLS, addr = probes.StartTLSAuto, s.StartTLS
			}
			byFlag, byScheme := cfg, cfg
			byFlag.InputFiles, byFlag.Stdin = []string{"-"}, strings.NewReader(fmt.Sprintf("%v,%s,,%d\n", addr.Addr(), testserver.ServerName, addr.Port()))
			ways := map[string]Config{"flag": byFlag}
			if tt.scheme != "" {
				byScheme.Probes, byScheme.TLS, byScheme.Args = nil, false, []string{fmt.Sprintf("%s://%v", tt.scheme, addr)}
				ways["scheme"] = byScheme
			}
			for way, cfg := range ways {
				records, _ := scanAll(t, cfg)
				k := only(t, records)
				want(t, k, report.Success, report.SideNone)
				if k.Probe != tt.probe || !strings.Contains(k.result, tt.result) {
					t.Errorf("%s: got %v, want the probe %s and a result with %s", way, k, tt.probe, tt.result)
				}
				var r struct{ TLS json.RawMessage }
				if err := json.Unmarshal([]byte(k.result), &r); err != nil {
					t.Fatal(err)
				}
				if got := parseTLS(t, string(r.TLS)); got.Verified == nil || !*got.Verified || len(got.Chain) != len(s.Chain) {
					t.Errorf("%s: got %v, want a chain that is verified", way, k)
				}
			}
		})
	}
}
