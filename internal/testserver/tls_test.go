package testserver

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/testcert"
)

// TestDirectTLS has crypto/tls shake hands with each server that begins with TLS, and hears what it serves.
func TestDirectTLS(t *testing.T) {
	tests := map[string]struct {
		start func(t testing.TB) *TLSServer
		send  string
		want  string // prefix of the first line
	}{
		"openssl": {openSSL(OpenSSLOptions{}), "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 "},
		"nginx":   {NginxTLS, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"},
		"haproxy": {HAProxy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 "},
		"redis":   {RedisTLS, "PING\r\n", "+PONG"},
		"exim":    {SMTPTLS, "", "220 mail.sonde.test "},
		"imap":    {IMAPTLS, "", "* OK "},
		"pop3":    {POP3TLS, "", "+OK sonde test mail"},
		"slapd":   {LDAPTLS, unbindLDAP, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.start(t)
			conn, err := s.Dial(t, config())
			check(t, s, conn, err)
			if _, err := io.WriteString(conn, tt.send); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil && tt.want != "" {
				t.Fatalf("read: %v (got %q)", err, line)
			}
			if !strings.HasPrefix(line, tt.want) {
				t.Errorf("got %q, want prefix %q", line, tt.want)
			}
		})
	}
}

// unbindLDAP is RFC 4511 s.4.3: the server ends the connection.
const unbindLDAP = "\x30\x05\x02\x01\x01\x42\x00"

// TestStartTLS asks each server for TLS in its own protocol and shakes hands.
func TestStartTLS(t *testing.T) {
	for name, start := range map[string]func(t testing.TB) *TLSServer{
		"exim": SMTPTLS, "vsftpd": FTPTLS, "imap": IMAPTLS, "pop3": POP3TLS, "sieve": SieveTLS, "slapd": LDAPTLS,
		"prosody": XMPPTLS, "mariadb": MySQLTLS, "postgres": PostgresTLS,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			conn, err := s.DialStartTLS(t, config())
			check(t, s, conn, err)
		})
	}
}

// TestOpenSSL checks that each option of OpenSSL's does what it says.
func TestOpenSSL(t *testing.T) {
	type seen struct {
		Version, Cipher uint16
		ALPN            string
		Key             string
		Staple, Asked   bool
	}
	const (
		aes128 = tls.TLS_AES_128_GCM_SHA256
		aes256 = tls.TLS_AES_256_GCM_SHA384
		old    = tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
		cbc    = tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA
		gcm    = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	)
	tests := map[string]struct {
		options OpenSSLOptions
		want    seen
	}{
		"TLS 1.0": {OpenSSLOptions{MinVersion: "TLSv1", MaxVersion: "TLSv1"}, seen{Version: tls.VersionTLS10, Cipher: old, Key: "ECDSA"}},
		"TLS 1.1": {OpenSSLOptions{MinVersion: "TLSv1.1", MaxVersion: "TLSv1.1"}, seen{Version: tls.VersionTLS11, Cipher: old, Key: "ECDSA"}},
		"TLS 1.2": {OpenSSLOptions{MaxVersion: "TLSv1.2"}, seen{Version: tls.VersionTLS12, Cipher: gcm, Key: "ECDSA"}},
		"suites":  {OpenSSLOptions{CipherSuites: []string{"TLS_AES_256_GCM_SHA384"}}, seen{Version: tls.VersionTLS13, Cipher: aes256, Key: "ECDSA"}},
		"preference": {OpenSSLOptions{MaxVersion: "TLSv1.2", Ciphers: []string{"ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256"}, ServerPreference: true},
			seen{Version: tls.VersionTLS12, Cipher: cbc, Key: "ECDSA"}},
		"RSA":      {OpenSSLOptions{Key: testcert.RSA2048}, seen{Version: tls.VersionTLS13, Cipher: aes128, Key: "RSA"}},
		"Ed25519":  {OpenSSLOptions{Key: testcert.Ed25519}, seen{Version: tls.VersionTLS13, Cipher: aes128, Key: "Ed25519"}},
		"ALPN":     {OpenSSLOptions{ALPN: []string{"http/1.1", "h2"}}, seen{Version: tls.VersionTLS13, Cipher: aes128, Key: "ECDSA", ALPN: "http/1.1"}},
		"wanted":   {OpenSSLOptions{ClientCert: ClientCertWanted}, seen{Version: tls.VersionTLS13, Cipher: aes128, Key: "ECDSA", Asked: true}},
		"demanded": {OpenSSLOptions{ClientCert: ClientCertDemanded}, seen{Version: tls.VersionTLS13, Cipher: aes128, Key: "ECDSA", Asked: true}},
		"staple":   {OpenSSLOptions{Staple: testcert.StapleGood}, seen{Version: tls.VersionTLS13, Cipher: aes128, Key: "ECDSA", Staple: true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := OpenSSL(t, tt.options)
			var got seen
			cfg := config()
			cfg.NextProtos = []string{"h2", "http/1.1"}
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				got.Asked = true
				cert := ClientCertificate(t)
				return &cert, nil
			}
			conn, err := s.Dial(t, cfg)
			check(t, s, conn, err)
			state := conn.ConnectionState()
			got.Version, got.Cipher, got.ALPN = state.Version, state.CipherSuite, state.NegotiatedProtocol
			got.Key = state.PeerCertificates[0].PublicKeyAlgorithm.String()
			got.Staple = state.OCSPResponse != nil && bytes.Equal(state.OCSPResponse, s.Staple)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

// TestOpenSSLDemandsACertificate has a client without one refused, in the second half of the handshake.
func TestOpenSSLDemandsACertificate(t *testing.T) {
	s := OpenSSL(t, OpenSSLOptions{ClientCert: ClientCertDemanded, MaxVersion: "TLSv1.2"})
	if _, err := s.Dial(t, config()); err == nil {
		t.Error("got a handshake without a client certificate")
	}
}

// TestOpenSSLServesOnAfterAReset has clients that leave in the middle of a handshake do no harm to the next.
func TestOpenSSLServesOnAfterAReset(t *testing.T) {
	s := OpenSSL(t, OpenSSLOptions{})
	for range 3 {
		conn := dial(t, s.Direct)
		conn.Write([]byte("\x16\x03\x01"))
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	conn, err := s.Dial(t, config())
	check(t, s, conn, err)
}

// check has the handshake be good and the chain as it should be.
func check(t *testing.T, s *TLSServer, conn *tls.Conn, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var chain [][]byte
	for _, cert := range conn.ConnectionState().PeerCertificates {
		chain = append(chain, cert.Raw)
	}
	if diff := cmp.Diff(s.Chain, chain); diff != "" {
		t.Errorf("chain: want (-), got (+):\n%s", diff)
	}
}

func config() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS10} }

func openSSL(o OpenSSLOptions) func(t testing.TB) *TLSServer {
	return func(t testing.TB) *TLSServer { return OpenSSL(t, o) }
}
