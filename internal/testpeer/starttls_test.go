package testpeer_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"

	"sonde/internal/testpeer"
)

const (
	xmppOpen    = "<?xml version='1.0'?><stream:stream to='sonde.test' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
	ldapRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
	// mysqlAsks is SSLRequest: capabilities with PROTOCOL_41 and SSL, the largest packet, the character set, 23 zeros.
	mysqlAsks = "\x20\x00\x00\x01" + "\x00\x0a\x00\x00" + "\x00\x00\x00\x01" + "\xff" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// startTLSDialogues is for each kind what is said before TLS and what over it. A turn is what the client says and how the
// answer to it must end; what it must hold besides follows.
var startTLSDialogues = map[testpeer.Kind]struct{ before, over [][]string }{
	testpeer.StartTLSSMTP: {
		before: [][]string{{"", "ESMTP sondepeer\r\n"}, {"EHLO me\r\n", "250 8BITMIME\r\n", "250-STARTTLS\r\n"}, {"starttls\r\n", "220 2.0.0 ready to start TLS\r\n"}},
		over:   [][]string{{"EHLO me\r\n", "250 8BITMIME\r\n"}, {"STARTTLS\r\n", "500 5.5.1 command unknown\r\n"}},
	},
	testpeer.StartTLSIMAP: {
		before: [][]string{{"", "STARTTLS LOGINDISABLED] sondepeer ready\r\n"}, {"a STARTTLS\r\n", "a OK begin TLS\r\n"}},
		over:   [][]string{{"b CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 IDLE LITERAL+\r\nb OK CAPABILITY completed\r\n"}},
	},
	testpeer.StartTLSPOP3: {
		before: [][]string{{"", "+OK sondepeer ready\r\n"}, {"CAPA\r\n", "STLS\r\n.\r\n"}, {"STLS\r\n", "+OK begin TLS\r\n"}},
		over:   [][]string{{"CAPA\r\n", "TOP\r\n.\r\n"}},
	},
	testpeer.StartTLSFTP: {
		before: [][]string{{"", "220 sondepeer FTP ready\r\n"}, {"FEAT\r\n", "211 End\r\n", " AUTH TLS\r\n"}, {"AUTH TLS\r\n", "234 proceed with TLS\r\n"}},
		over:   [][]string{{"NOOP\r\n", "200 OK\r\n"}},
	},
	testpeer.StartTLSSieve: {
		before: [][]string{{"", "OK\r\n", "\"STARTTLS\"\r\n", "\"SASL\" \"\"\r\n"}, {"STARTTLS\r\n", "OK\r\n"}},
		over:   [][]string{{"", "\"SASL\" \"PLAIN\"\r\nOK\r\n"}, {"LOGOUT\r\n", "OK\r\n"}},
	},
	testpeer.StartTLSXMPP: {
		before: [][]string{
			{xmppOpen, "</stream:features>", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"},
			{"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
		},
		over: [][]string{{xmppOpen, "</stream:features>", "<mechanism>SCRAM-SHA-256</mechanism>"}, {" </stream:stream>", "</stream:stream>"}},
	},
	testpeer.StartTLSLDAP: {
		before: [][]string{
			{"\x30\x0c\x02\x01\x07\x60\x07\x02\x01\x03\x04\x00\x80\x00", "\x30\x0c\x02\x01\x07\x61\x07\x0a\x01\x0d\x04\x00\x04\x00"}, // bind
			{ldapRequest, "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"},
		},
		// The bind again, with lengths longer than they need to be.
		over: [][]string{{"\x30\x84\x00\x00\x00\x0d\x02\x01\x02\x60\x81\x07\x02\x01\x03\x04\x00\x80\x00", "\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"}},
	},
	testpeer.StartTLSPostgres: {
		before: [][]string{{"\x00\x00\x00\x08\x04\xd2\x16\x30", "N"}, {"\x00\x00\x00\x08\x04\xd2\x16\x2f", "S"}},
		over:   [][]string{{"\x00\x00\x00\x10\x00\x03\x00\x00user\x00a\x00\x00", "nobody may log in here\x00\x00", "C28000"}},
	},
	testpeer.StartTLSMySQL: {
		before: [][]string{{"", "caching_sha2_password\x00", "\x0a8.0.0-sondepeer\x00"}, {mysqlAsks, ""}},
		over:   [][]string{{"\x02\x00\x00\x02hi", "nobody may log in here", "\x03\xff\x15\x04#28000"}},
	},
}

func TestStartTLS(t *testing.T) {
	for _, a := range testpeer.Kinds() {
		if a.StartTLS == "" {
			continue
		}
		t.Run(string(a.Kind), func(t *testing.T) {
			turns, ok := startTLSDialogues[a.Kind]
			if !ok {
				t.Fatal("no dialogue for it")
			}
			p := testpeer.New(t, a.Kind, testpeer.Options{})
			c := dial(t, p)
			takeTurns(t, c, turns.before)
			secured := tls.Client(c, clientConfig(p))
			takeTurns(t, secured, turns.over)
			if !secured.ConnectionState().HandshakeComplete {
				t.Error("no handshake")
			}
		})
	}
}

// takeTurns reads each answer byte by byte up to its end, since what follows may belong to somebody else.
func takeTurns(t *testing.T, c io.ReadWriter, turns [][]string) {
	t.Helper()
	for _, turn := range turns {
		if _, err := io.WriteString(c, turn[0]); err != nil {
			t.Fatalf("say %q: %v", turn[0], err)
		}
		said, one := "", make([]byte, 1)
		for said == "" && turn[1] != "" || !strings.HasSuffix(said, turn[1]) {
			if _, err := io.ReadFull(c, one); err != nil {
				t.Fatalf("to %q: got %q, %v; want %q at its end", turn[0], said, err, turn[1])
			}
			said += string(one)
		}
		for _, part := range turn[2:] {
			if !strings.Contains(said, part) {
				t.Errorf("to %q: got %q, want %q in it", turn[0], said, part)
			}
		}
	}
}

// TestSlippedInCommands: what a client sends in the clear right behind its request for TLS is never answered over TLS.
func TestSlippedInCommands(t *testing.T) {
	p := testpeer.New(t, testpeer.StartTLSSMTP, testpeer.Options{})
	c := dial(t, p)
	io.WriteString(c, "STARTTLS\r\nNOOP\r\n")
	takeTurns(t, c, [][]string{{"", "ESMTP sondepeer\r\n"}, {"", "220 2.0.0 ready to start TLS\r\n"}})
	if err := tls.Client(c, clientConfig(p)).Handshake(); err == nil {
		t.Error("TLS came about over a command in the clear")
	}
}

// TestStartTLSRefuses: what is no message of the protocol ends the connection; nothing waits for bytes without end.
func TestStartTLSRefuses(t *testing.T) {
	tests := []struct {
		kind testpeer.Kind
		say  string
	}{
		{testpeer.StartTLSLDAP, "GET / HTTP/1.1\r\n"},
		{testpeer.StartTLSLDAP, "\x30\x80\x02\x01\x01"},                 // indefinite length
		{testpeer.StartTLSLDAP, "\x30\x84\xff\xff\xff\xff"},             // 4 GiB
		{testpeer.StartTLSLDAP, "\x30\x03\x02\x01\x01"},                 // no request
		{testpeer.StartTLSLDAP, "\x30\x05\x04\x01\x01\x42\x00"},         // no ID
		{testpeer.StartTLSLDAP, "\x30\x05\x02\x01\x01\x42\x00"},         // unbind
		{testpeer.StartTLSPostgres, "\x00\x00\x00\x07\x04\xd2\x16\x2f"}, // shorter than itself
		{testpeer.StartTLSPostgres, "\xff\xff\xff\xff\x04\xd2\x16\x2f"}, // 4 GiB
		{testpeer.StartTLSPostgres, "\x00\x00\x00\x08\x04\xd2\x16\x2e"}, // cancel
		{testpeer.StartTLSMySQL, "\xff\xff\xff\x01"},                    // 16 MiB
		{testpeer.StartTLSMySQL, "\x20\x00\x00\x01" + strings.Repeat("\x00", 32)},
		{testpeer.StartTLSXMPP, "hello"},
		{testpeer.StartTLSXMPP, "<" + strings.Repeat("x", 9000)},
		{testpeer.StartTLSXMPP, "<message>"},
	}
	for _, tt := range tests {
		_, closed, _ := play(testpeer.NewSession(tt.kind), tt.say, len(tt.say))
		if !closed {
			t.Errorf("%s: did not close after %q", tt.kind, tt.say[:min(len(tt.say), 20)])
		}
	}
}

func ExampleCredentials() {
	p, err := testpeer.Start(testpeer.TLS13, testpeer.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	c, err := tls.Dial("tcp", p.Addr().String(), &tls.Config{ServerName: "any.sonde.test", RootCAs: p.Credentials().Roots()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(tls.VersionName(c.ConnectionState().Version))
	// Output: TLS 1.3
}
