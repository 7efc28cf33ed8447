package testserver

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// clientLimit is how long all that a client of ours does may take.
const clientLimit = 2 * time.Minute

// line is one exchange of words before TLS: what the server says last, and the answer to it.
type line struct{ await, send string }

// The words in which a client asks each server for TLS, as these servers put their part of it.
var (
	smtpWords  = []line{{"\r\n", "EHLO client.sonde.test\r\n"}, {"250 HELP\r\n", "STARTTLS\r\n"}, {"220 TLS go ahead\r\n", ""}}
	ftpWords   = []line{{"\r\n", "AUTH TLS\r\n"}, {"234 Proceed with negotiation.\r\n", ""}}
	imapWords  = []line{{"\r\n", "a STARTTLS\r\n"}, {"a OK Begin TLS negotiation now.\r\n", ""}}
	pop3Words  = []line{{"\r\n", "STLS\r\n"}, {"+OK Begin TLS negotiation now.\r\n", ""}}
	sieveWords = []line{{"OK \"sonde test mail\"\r\n", "STARTTLS\r\n"}, {"OK \"Begin TLS negotiation now.\"\r\n", ""}}
	// RFC 4511 s.4.14: the request with its OID, and an answer that is success, no name and no text.
	ldapWords = []line{{"", "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"}, {"\x0a\x01\x00\x04\x00\x04\x00", ""}}
	xmppWords = []line{
		{"", "<?xml version='1.0'?><stream:stream to='" + ServerName +
			"' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"},
		{"</stream:features>", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
		{"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", ""},
	}
	// Packet 1 with the capabilities CLIENT_PROTOCOL_41, CLIENT_SSL and CLIENT_SECURE_CONNECTION; the server says nothing.
	mysqlWords = []line{{"mysql_native_password\x00", "\x20\x00\x00\x01\x00\x8a\x00\x00\x00\x00\x00\x01\x21" + strings.Repeat("\x00", 23)}}
	// The request code 80877103.
	postgresWords = []line{{"", "\x00\x00\x00\x08\x04\xd2\x16\x2f"}, {"S", ""}}
)

// Dial connects to s.Direct and makes a handshake. Without a name or roots in cfg it is ServerName that is asked for and
// s.Roots that are trusted; cfg is not changed. The connection is closed with the test, and lasts 20 s at most.
func (s *TLSServer) Dial(t testing.TB, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	return s.handshake(connect(t, s.Direct), cfg)
}

// DialStartTLS is Dial with s.StartTLS: it asks for TLS first. It is a client of its own, that sonde's can be held against.
func (s *TLSServer) DialStartTLS(t testing.TB, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn := connect(t, s.StartTLS)
	for _, l := range s.words {
		hear(t, conn, l.await)
		if _, err := io.WriteString(conn, l.send); err != nil {
			t.Fatalf("testserver: ask for TLS: %v", err)
		}
	}
	return s.handshake(conn, cfg)
}

func (s *TLSServer) handshake(conn net.Conn, cfg *tls.Config) (*tls.Conn, error) {
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = ServerName
	}
	if cfg.RootCAs == nil {
		cfg.RootCAs = s.Roots()
	}
	c := tls.Client(conn, cfg)
	return c, c.Handshake()
}

func connect(t testing.TB, addr netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", addr.String(), clientLimit)
	if err != nil {
		t.Fatalf("testserver: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(clientLimit)); err != nil {
		t.Fatalf("testserver: %v", err)
	}
	return conn
}

// hear reads until the server has said what ends so. It reads byte by byte, so that nothing of the handshake is taken.
func hear(t testing.TB, conn net.Conn, end string) {
	t.Helper()
	var heard []byte
	for b := make([]byte, 1); !bytes.HasSuffix(heard, []byte(end)); heard = append(heard, b...) {
		if _, err := conn.Read(b); err != nil {
			t.Fatalf("testserver: ask for TLS: %v (got %q, want it to end in %q)", err, heard, end)
		}
	}
}
