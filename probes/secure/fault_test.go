package secure

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"

	"sonde/internal/testcert"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// says is a peer that hears a hello and answers so, whatever that was.
func says(answer string) peer {
	return func(_ int, c net.Conn) {
		if _, err := c.Read(make([]byte, 4096)); err == nil && answer != "" {
			_, _ = c.Write([]byte(answer))
		}
	}
}

// hello is a ServerHello in a record, of TLS 1.2 or, with a key share, of TLS 1.3.
func hello(t *testing.T, suite uint16, extensions []byte) string {
	t.Helper()
	body := append([]byte{3, 3}, bytes.Repeat([]byte{7}, 32)...)
	body = append(body, 0, byte(suite>>8), byte(suite), 0)
	if len(extensions) > 0 {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(extensions))), extensions...)
	}
	message := tlswire.AppendMessage(nil, tlswire.HandshakeServerHello, body)
	return string(tlswire.AppendRecords(nil, tlswire.RecordHandshake, tlswire.TLS12, message))
}

// Of fewer bytes than a record's header crypto/tls says nothing, however the connection ends.
func TestTooLittleOfAnotherProtocol(t *testing.T) {
	for end, want := range map[protocol.End]protocol.Verdict{
		protocol.EndOfStream: protocol.NotSpoken, protocol.EndReset: protocol.NotSpoken, protocol.EndTimeout: protocol.NotSpoken,
		protocol.EndCancelled: protocol.Unfinished,
	} {
		got := play(t, layer(t, options()).Exchange(here, nil, nil, true), says("220"), end)
		if got.Verdict != want {
			t.Errorf("end %v: got verdict %d (%s), want %d", end, got.Verdict, got.Reason, want)
		}
		holds(t, got, map[string]any{"first_bytes": "220"})
	}
}

func TestFaults(t *testing.T) {
	const ecdsaSuite, dheSuite = 0xc02b, 0x009e
	tests := []struct {
		name    string
		answer  string
		verdict protocol.Verdict
		reason  string
		want    map[string]any // nil: no finding
	}{
		{"closes at once", "", protocol.Closed, "closed before the ServerHello", nil},
		{"half a record", "\x16\x03\x03\x00", protocol.Closed, "closed before the ServerHello", map[string]any{"tls_version": nil}},
		{"closes after the ServerHello", hello(t, ecdsaSuite, nil), protocol.Closed, "closed after the ServerHello",
			map[string]any{"tls_version": "tls12", "cipher": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "verified": nil, "verify_error": nil}},
		{"alert", "\x15\x03\x03\x00\x02\x02\x28", protocol.HandshakeRefused, "alert handshake_failure", map[string]any{"alert": "handshake_failure"}},
		{"alert without a name", "\x15\x03\x03\x00\x02\x02\x63", protocol.HandshakeRefused, "alert 0x63", map[string]any{"alert": "0x63"}},
		{"warning, then the end", "\x15\x03\x03\x00\x02\x01\x70", protocol.Closed, "closed before the ServerHello", map[string]any{"alert": nil}},
		{"close_notify", "\x15\x03\x03\x00\x02\x01\x00", protocol.HandshakeRefused, "alert close_notify", map[string]any{"alert": "close_notify"}},
		{"close_notify behind the ServerHello", hello(t, ecdsaSuite, nil) + "\x15\x03\x03\x00\x02\x01\x00", protocol.HandshakeRefused, "alert close_notify",
			map[string]any{"alert": "close_notify", "tls_version": "tls12"}},
		{"a record too long", "\x16\x03\x03\x4e\x20", protocol.OverLimit, "tls record: 20000 bytes, more than 16640: frame above the limit",
			map[string]any{"first_bytes": nil, "tls_version": nil}},
		{"a record too long, of which crypto/tls would take more", "\x16\x03\x03\x41\x01", protocol.OverLimit, "tls record: 16641 bytes",
			map[string]any{"first_bytes": nil}},
		{"an empty record", "\x16\x03\x03\x00\x00", protocol.HandshakeRefused, "malformed tls record: empty record", map[string]any{"first_bytes": nil}},
		{"no TLS any more", "\x15\x03\x03\x00\x02\x01\x70HTTP/1.1 400", protocol.HandshakeRefused, "malformed tls record: first byte 'H'",
			map[string]any{"first_bytes": nil, "alert": nil}},
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", protocol.NotSpoken, "not TLS", map[string]any{"first_bytes": "SSH-2.0-OpenSSH_9.2\r\n"}},
		{"too little of it", "220", protocol.NotSpoken, "not TLS", map[string]any{"first_bytes": "220"}},
		{"a suite that was not offered", hello(t, dheSuite, nil), protocol.HandshakeRefused, "cipher suite",
			map[string]any{"tls_version": "tls12", "cipher": "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"}},
		{"too large", "\x16\x03\x03\x00\x04\x02\x02\x00\x00", protocol.OverLimit, "handshake message of length", map[string]any{"tls_version": nil}},
		{"no ServerHello", "\x16\x03\x03\x00\x04\x0e\x00\x00\x00", protocol.HandshakeRefused, "unexpected", map[string]any{"tls_version": nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := play(t, layer(t, options()).Exchange(here, nil, nil, true), says(tt.answer), protocol.EndOfStream)
			if got.Verdict != tt.verdict || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("got verdict %d, %q, want %d, %q", got.Verdict, got.Reason, tt.verdict, tt.reason)
			}
			if (got.Finding != nil) != (tt.want != nil) {
				t.Errorf("got finding %s", got.json)
			}
			holds(t, got, tt.want)
			if got.connections != 1 {
				t.Errorf("got %d connections", got.connections)
			}
		})
	}
}

// What Go's stack does not take is ours, and the hello's fields are kept.
func TestIncapable(t *testing.T) {
	got := play(t, layer(t, options()).Exchange(here, nil, nil, true), says(strings.Replace(hello(t, 0x000a, nil), "\x03\x03\x07", "\x03\x00\x07", 1)), protocol.EndOfStream)
	if got.Verdict != protocol.Incapable {
		t.Errorf("got verdict %d, %q, want Incapable", got.Verdict, got.Reason)
	}
	holds(t, got, map[string]any{"tls_version": "ssl30", "cipher": "TLS_RSA_WITH_3DES_EDE_CBC_SHA"})

	// A version that the user did not want is the server's choice against what was offered.
	cfg := only(server(good(t)), tls.VersionTLS11)
	o := options()
	o.MinVersion = tlswire.TLS12
	got = play(t, layer(t, o).Exchange(here, nil, nil, true), says(strings.Replace(hello(t, 0xc013, nil), "\x03\x03\x07", "\x03\x02\x07", 1)), protocol.EndOfStream)
	if got.Verdict != protocol.HandshakeRefused {
		t.Errorf("got verdict %d, %q, want HandshakeRefused", got.Verdict, got.Reason)
	}
	holds(t, got, map[string]any{"tls_version": "tls11", "cipher": "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"})

	// A server that tells us so itself is another matter.
	got = play(t, layer(t, o).Exchange(here, nil, nil, true), serves(cfg, nil), protocol.EndOfStream)
	if got.Verdict != protocol.HandshakeRefused || got.Reason != "alert protocol_version" {
		t.Errorf("got verdict %d, %q", got.Verdict, got.Reason)
	}
}

func TestServerAlerts(t *testing.T) {
	refuse := errors.New("no")
	for name, change := range map[string]func(*tls.Config){
		"alert internal_error": func(c *tls.Config) {
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, refuse }
			c.Certificates = nil
		},
		"alert no_application_protocol": func(c *tls.Config) { c.NextProtos = []string{"h2"} },
	} {
		for _, v := range versions {
			cfg := only(server(good(t)), v.number)
			change(cfg)
			got := play(t, layer(t, options()).Exchange(here, nil, []string{"imap"}, true), serves(cfg, nil), protocol.EndOfStream)
			if got.Verdict != protocol.HandshakeRefused || got.Reason != name {
				t.Errorf("%s: got verdict %d, %q, want %q", v.word, got.Verdict, got.Reason, name)
			}
		}
	}
}

// cutting is a connection whose server can send so many bytes and no more.
type cutting struct {
	net.Conn
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p[:min(len(p), c.left)])
	if c.left -= n; err == nil && n < len(p) {
		c.Conn.Close()
		err = net.ErrClosed
	}
	return n, err
}

// A handshake that is cut anywhere is told by its end, keeps what was heard, and never succeeds.
func TestCutAnywhere(t *testing.T) {
	l := layer(t, options())
	for _, v := range versions {
		cfg := only(server(good(t)), v.number)
		cfg.ClientAuth = tls.RequestClientCert
		for end, want := range map[protocol.End]protocol.Verdict{
			protocol.EndOfStream: protocol.Closed, protocol.EndReset: protocol.Unfinished, protocol.EndTimeout: protocol.Unfinished, protocol.EndCancelled: protocol.Unfinished,
		} {
			for cut := 0; cut < 2000; cut += 41 {
				got := play(t, l.Exchange(here, nil, nil, true), func(i int, c net.Conn) {
					serves(cfg, nil)(i, &cutting{c, cut})
				}, end)
				if got.Verdict == protocol.Success {
					if cut < 400 {
						t.Fatalf("%s: success after %d bytes", v.word, cut)
					}
					break
				}
				if got.Verdict != want || got.Reason == "" {
					t.Fatalf("%s, end %d, cut at %d: got verdict %d, %q, want %d", v.word, end, cut, got.Verdict, got.Reason, want)
				}
				if (got.Finding != nil) != (cut > 0) {
					t.Fatalf("%s cut at %d: got finding %q", v.word, cut, got.json)
				}
				if version := got.object["tls_version"]; cut > 200 && version != v.word {
					t.Fatalf("%s cut at %d: got version %v", v.word, cut, version)
				}
			}
		}
	}
}

// echConfig is an ECHConfigList of one configuration, X25519 with HKDF-SHA256 and AES-128-GCM (draft-ietf-tls-esni s.4),
// and what a server needs for it.
func echConfig(t *testing.T, public string) ([]byte, tls.EncryptedClientHelloKey) {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u16 := binary.BigEndian.AppendUint16
	body := u16([]byte{7}, 0x0020) // config_id, DHKEM(X25519, HKDF-SHA256): RFC 9180 s.7.1
	pub := private.PublicKey().Bytes()
	body = append(u16(body, uint16(len(pub))), pub...)
	body = u16(u16(u16(body, 4), 1), 1)       // HKDF-SHA256, AES-128-GCM
	body = append(body, 0, byte(len(public))) // maximum_name_length, public_name
	body = u16(append(body, public...), 0)    // no extensions
	config := append(u16(u16(nil, 0xfe0d), uint16(len(body))), body...)
	key := tls.EncryptedClientHelloKey{Config: config, PrivateKey: private.Bytes(), SendAsRetry: true}
	return append(u16(nil, uint16(len(config))), config...), key
}

func TestECH(t *testing.T) {
	list, key := echConfig(t, "outer.test")
	retry, other := echConfig(t, "outer.test")
	outer := issue(t, testcert.Leaf{Names: []string{"outer.test"}}, "outer")
	o := options()
	o.ECH = list
	l := layer(t, o)

	cfg := server(good(t))
	cfg.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{key}
	got := play(t, l.Exchange(here, nil, nil, true), serves(cfg, nil), protocol.EndOfStream)
	if got.Verdict != protocol.Success {
		t.Errorf("accepted: got verdict %d, %q", got.Verdict, got.Reason)
	}
	holds(t, got, map[string]any{"ech": "accepted", "sni": "a.test", "verified": true})

	cfg = server(outer)
	cfg.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{other}
	got = play(t, l.Exchange(here, nil, nil, true), serves(cfg, nil), protocol.EndOfStream)
	if got.Verdict != protocol.HandshakeRefused || got.Reason != "ECH rejected" {
		t.Errorf("rejected: got verdict %d, %q", got.Verdict, got.Reason)
	}
	holds(t, got, map[string]any{
		"ech": "rejected", "ech_retry_configs": base64.StdEncoding.EncodeToString(retry),
		"verified": true, "subject_cn": "outer.test", // for the outer name
	})

	cfg = server(good(t)) // knows nothing of it
	got = play(t, l.Exchange(here, nil, nil, true), serves(cfg, nil), protocol.EndOfStream)
	if got.Verdict != protocol.HandshakeRefused || got.Reason != "ECH rejected" {
		t.Errorf("not known: got verdict %d, %q", got.Verdict, got.Reason)
	}
	holds(t, got, map[string]any{"ech": "rejected", "ech_retry_configs": nil, "verified": false, "verify_error": "name mismatch"})
}
