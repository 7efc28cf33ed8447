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
			conn := secure(t, s, dial(t, s.Direct))
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

const (
	startLDAP   = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037" // RFC 4511 s.4.14.1
	unbindLDAP  = "\x30\x05\x02\x01\x01\x42\x00"                               // RFC 4511 s.4.3
	sslPostgres = "\x00\x00\x00\x08\x04\xd2\x16\x2f"                           // 80877103
	openXMPP    = "<?xml version='1.0'?><stream:stream to='" + ServerName +
		"' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)

// sslMySQL is packet 1 with the capabilities CLIENT_PROTOCOL_41, CLIENT_SSL and CLIENT_SECURE_CONNECTION.
var sslMySQL = "\x20\x00\x00\x01\x00\x8a\x00\x00\x00\x00\x00\x01\x21" + strings.Repeat("\x00", 23)

// TestStartTLS asks each server for TLS in its own protocol, with nothing but package net, and then shakes hands.
func TestStartTLS(t *testing.T) {
	type line struct{ await, send string } // the end of what the server says, and the answer
	tests := map[string]struct {
		start  func(t testing.TB) *TLSServer
		dialog []line
	}{
		"smtp":     {SMTPTLS, []line{{"\r\n", "EHLO x\r\n"}, {"250 HELP\r\n", "STARTTLS\r\n"}, {"220 TLS go ahead\r\n", ""}}},
		"ftp":      {FTPTLS, []line{{"220 sonde test FTP\r\n", "AUTH TLS\r\n"}, {"234 Proceed with negotiation.\r\n", ""}}},
		"imap":     {IMAPTLS, []line{{"\r\n", "a STARTTLS\r\n"}, {"a OK Begin TLS negotiation now.\r\n", ""}}},
		"pop3":     {POP3TLS, []line{{"\r\n", "STLS\r\n"}, {"+OK Begin TLS negotiation now.\r\n", ""}}},
		"sieve":    {SieveTLS, []line{{"OK \"sonde test mail\"\r\n", "STARTTLS\r\n"}, {"OK \"Begin TLS negotiation now.\"\r\n", ""}}},
		"ldap":     {LDAPTLS, []line{{"", startLDAP}, {"\x0a\x01\x00\x04\x00\x04\x00", ""}}}, // success, no name, no text
		"xmpp":     {XMPPTLS, []line{{"", openXMPP}, {"</stream:features>", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"}, {"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", ""}}},
		"mysql":    {MySQLTLS, []line{{"mysql_native_password\x00", sslMySQL}}},
		"postgres": {PostgresTLS, []line{{"", sslPostgres}, {"S", ""}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.start(t)
			conn := dial(t, s.StartTLS)
			for _, l := range tt.dialog {
				hear(t, conn, l.await)
				if _, err := io.WriteString(conn, l.send); err != nil {
					t.Fatal(err)
				}
			}
			secure(t, s, conn)
		})
	}
}

// hear reads until the server has said what ends so.
func hear(t *testing.T, conn net.Conn, end string) {
	t.Helper()
	var heard []byte
	for b := make([]byte, 1); !bytes.HasSuffix(heard, []byte(end)); heard = append(heard, b...) {
		if _, err := conn.Read(b); err != nil {
			t.Fatalf("read: %v (got %q, want it to end in %q)", err, heard, end)
		}
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
			cfg := config(s)
			cfg.NextProtos = []string{"h2", "http/1.1"}
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				got.Asked = true
				cert := ClientCertificate(t)
				return &cert, nil
			}
			conn := tls.Client(dial(t, s.Direct), cfg)
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
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
	if err := tls.Client(dial(t, s.Direct), config(s)).Handshake(); err == nil {
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
	secure(t, s, dial(t, s.Direct))
}

// secure makes a handshake with s over conn, with the certificate verified, and returns the connection.
func secure(t *testing.T, s *TLSServer, conn net.Conn) *tls.Conn {
	t.Helper()
	c := tls.Client(conn, config(s))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	state := c.ConnectionState()
	var chain [][]byte
	for _, cert := range state.PeerCertificates {
		chain = append(chain, cert.Raw)
	}
	if diff := cmp.Diff(s.Chain, chain); diff != "" {
		t.Errorf("chain: want (-), got (+):\n%s", diff)
	}
	return c
}

func config(s *TLSServer) *tls.Config {
	cfg := &tls.Config{ServerName: ServerName, RootCAs: s.Roots(), MinVersion: tls.VersionTLS10}
	for _, suite := range tls.CipherSuites() {
		cfg.CipherSuites = append(cfg.CipherSuites, suite.ID)
	}
	return cfg
}

func openSSL(o OpenSSLOptions) func(t testing.TB) *TLSServer {
	return func(t testing.TB) *TLSServer { return OpenSSL(t, o) }
}
