package scan

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
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
}

// tlsView is what a handshake tells, of what every client can tell. Of what it does not tell, text is empty and the
// rest nil.
type tlsView struct {
	Version, Cipher, Group, ALPN string
	Chain                        []string // SHA-256
	ClientCert, Stapled          *bool
	Verified                     *bool
}

// visible leaves of what a whole handshake tells that which a depth can see.
func (v tlsView) visible(depth probes.Depth) tlsView {
	if depth == probes.DepthHello && v.Version == tlswire.TLS13.Word() {
		// All that follows the ServerHello is encrypted (RFC 8446 s.2).
		return tlsView{Version: v.Version, Cipher: v.Cipher, Group: v.Group}
	}
	return v
}

// offered are the protocols that every client of these tests offers.
var offered = []string{"h2", "http/1.1"}

// reference is what crypto/tls tells of a server. It takes every certificate, and says whether it is one to be believed.
func reference(t *testing.T, name string, s *testserver.TLSServer, srv tlsServer) tlsView {
	t.Helper()
	asked := false
	cfg := &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, NextProtos: offered,
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
		ClientCert: new(asked), Stapled: new(len(state.OCSPResponse) > 0),
	}
	if state.CurveID != 0 {
		v.Group = tlswire.Group(state.CurveID).String()
	}
	chain := x509.NewCertPool()
	for _, cert := range state.PeerCertificates {
		v.Chain = append(v.Chain, fmt.Sprintf("%x", sha256.Sum256(cert.Raw)))
		chain.AddCert(cert)
	}
	_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: s.Roots(), Intermediates: chain, DNSName: testserver.ServerName})
	v.Verified = new(err == nil)
	return v
}

// tlsResult is what these tests read of the tls probe's result.
type tlsResult struct {
	Version    string `json:"tls_version"`
	Cipher     string
	Group      string
	ALPN       string
	Alert      string
	Retry      bool   `json:"hello_retry_request"`
	ClientCert *bool  `json:"client_cert_requested"`
	Stapled    *bool  `json:"ocsp_stapled"`
	OCSPStatus string `json:"ocsp_status"`
	Verified   *bool
	Reason     string `json:"verify_error"`
	StartTLS   string
	SNI        string
	Chain      []struct {
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
		Version: r.Version, Cipher: r.Cipher, Group: r.Group, ALPN: r.ALPN, ClientCert: r.ClientCert, Stapled: r.Stapled, Verified: r.Verified,
	}
	for _, c := range r.Chain {
		v.Chain = append(v.Chain, c.Fingerprint.SHA256)
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
		"nginx": testserver.NginxTLS, "haproxy": testserver.HAProxy, "redis": testserver.RedisTLS, "exim": testserver.SMTPTLS,
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
		"smtp":     {testserver.SMTPTLS, "smtp"},
		"ftp":      {testserver.FTPTLS, "ftp"},
		"imap":     {testserver.IMAPTLS, "imap"},
		"pop3":     {testserver.POP3TLS, "pop3"},
		"sieve":    {testserver.SieveTLS, "sieve"},
		"ldap":     {testserver.LDAPTLS, "ldap"},
		"xmpp":     {testserver.XMPPTLS, "xmpp"},
		"mysql":    {testserver.MySQLTLS, "mysql"},
		"postgres": {testserver.PostgresTLS, "postgres"},
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
				k, r := probeTLS(t, addr, probes.TLSOptions{Depth: depth, ALPN: offered, Roots: s.Roots(), StartTLS: srv.startTLS})
				if k.Status != report.Success {
					t.Errorf("%v: got %v, want success", depth, k)
					continue
				}
				if d := diff.Diff(whole.visible(depth), r.view()); d != "" {
					t.Errorf("%v: crypto/tls (-), sonde (+):\n%s\n%s", depth, d, k.result)
				}
				if r.StartTLS != srv.startTLS || r.SNI != testserver.ServerName {
					t.Errorf("%v: got STARTTLS %q and SNI %q, want %q and %q", depth, r.StartTLS, r.SNI, srv.startTLS, testserver.ServerName)
				}
			}
		})
	}
}

var _ = cmp.Compare[int]
