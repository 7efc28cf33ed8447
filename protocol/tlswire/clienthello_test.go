package tlswire

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// full is a hello with every extension that has a type of its own, and two that have none.
func full() *ClientHello {
	return &ClientHello{
		LegacyVersion: TLS12,
		Random:        [32]byte{1, 2, 3},
		SessionID:     []byte("session"),
		CipherSuites:  []CipherSuite{CipherSuite(GREASE(7)), AES128GCMSHA256, 0xC02F, RenegotiationInfoSCSV},
		Compression:   []byte{1, 0},
		Extensions: []Extension{
			RawExtension{ExtensionType(GREASE(0)), nil},
			ServerName("xn--bcher-kva.example"), MaxFragmentLength(1), StatusRequest{}, SupportedGroups{X25519MLKEM768, X25519},
			ECPointFormats{0, 1}, SignatureAlgorithms{Ed25519, RSAPKCS1SHA1}, SignatureAlgorithmsCert{RSAPSSPSSSHA512}, ALPN{"h2", "http/1.1"},
			SignedCertTimestamp{}, EncryptThenMAC{}, ExtendedMasterSecret{}, SessionTicket("ticket"), SupportedVersions{Version(GREASE(5)), TLS13, SSL30},
			Cookie("cookie"), PSKKeyExchangeModes{1, 0}, KeyShares{{Group(GREASE(1)), []byte{0}}, {X25519, bytes.Repeat([]byte{7}, 32)}},
			RenegotiationInfo("info"), Padding(3), RawExtension{0x7777, []byte("what")}, RawExtension{ExtPreSharedKey, []byte("psk")},
		},
	}
}

func TestClientHelloRoundTrip(t *testing.T) {
	for name, want := range map[string]*ClientHello{
		"full":          full(),
		"no extensions": {LegacyVersion: SSL30, CipherSuites: []CipherSuite{1}, Compression: []byte{0}},
		"empty block":   {LegacyVersion: TLS12, CipherSuites: []CipherSuite{1}, Compression: []byte{0}, Extensions: []Extension{}},
		"empty forms": {LegacyVersion: TLS12, CipherSuites: []CipherSuite{1}, Compression: []byte{0},
			Extensions: []Extension{KeyShares{}, SessionTicket{}, RenegotiationInfo{}, Padding(0)}},
	} {
		message, err := want.AppendMessage(nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := ParseClientHello(message[HandshakeHeaderSize:])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if (got.Extensions == nil) != (want.Extensions == nil) {
			t.Errorf("%s: a block: got %t, want %t", name, got.Extensions != nil, want.Extensions != nil)
		}
	}
}

// FuzzClientHello: what is read and written again is the same to the byte.
func FuzzClientHello(f *testing.F) {
	message, err := full().AppendMessage(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message[HandshakeHeaderSize:])
	for _, b := range parsers()[1].bad {
		f.Add(unhex(b.hex))
	}
	for _, raw := range rawContents {
		f.Add(unhex(block(clientA, raw.hex)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := ParseClientHello(body)
		if err != nil {
			return
		}
		again, err := h.AppendMessage(nil)
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
		if !bytes.Equal(again[HandshakeHeaderSize:], body) {
			t.Errorf("written again: got %x, want %x", again[HandshakeHeaderSize:], body)
		}
		if _, err := h.Append(nil); err != nil {
			t.Errorf("in records: %v", err)
		}
		h.JA3()
	})
}

// rawContents are extensions that are well formed and say what their own types can't.
var rawContents = []struct{ name, hex string }{
	{"two names", "0000 000a 0008 00 0001 61 00 0001 62"},
	{"name of another type", "0000 0006 0004 01 0001 61"},
	{"name that is none", "0000 0006 0004 00 0001 2e"},
	{"name with a NUL", "0000 0007 0005 00 0002 6100"},
	{"status of another type", "0005 0003 02 0102"},
	{"status of a responder", "0005 0006 01 0001 aa 0000"},
	{"padding that is not zero", "0015 0002 0001"},
}

func TestRawContents(t *testing.T) {
	for _, c := range rawContents {
		body := unhex(block(clientA, c.hex))
		h, err := ParseClientHello(body)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, ok := h.Extensions[0].(RawExtension); !ok {
			t.Errorf("%s: got %#v, want it raw", c.name, h.Extensions[0])
		}
		if again, err := h.AppendMessage(nil); err != nil || !bytes.Equal(again[HandshakeHeaderSize:], body) {
			t.Errorf("%s: written again: %x, %v", c.name, again, err)
		}
	}
}

func TestClientHelloFieldErrors(t *testing.T) {
	with := func(e ...Extension) ClientHello { return ClientHello{CipherSuites: []CipherSuite{1}, Extensions: e} }
	for _, c := range []struct {
		name  string
		hello ClientHello
		field string
	}{
		{"zero", ClientHello{}, "CipherSuites"},
		{"too many suites", ClientHello{CipherSuites: make([]CipherSuite, 32768)}, "CipherSuites"},
		{"session ID", ClientHello{CipherSuites: []CipherSuite{1}, SessionID: make([]byte, 33)}, "SessionID"},
		{"empty compression", ClientHello{CipherSuites: []CipherSuite{1}, Compression: []byte{}}, "Compression"},
		{"long compression", ClientHello{CipherSuites: []CipherSuite{1}, Compression: make([]byte, 256)}, "Compression"},
		{"nil extension", with(nil), "Extensions"},
		{"too many extensions", with(make([]Extension, 129)...), "Extensions"},
		{"block too long", with(Padding(60000), RawExtension{0x7777, make([]byte, 6000)}), "Extensions"},
		{"content too long", with(RawExtension{0x7777, make([]byte, 65536)}), "0x7777"},
		{"twice", with(EncryptThenMAC{}, RawExtension{ExtEncryptThenMAC, nil}), "encrypt_then_mac"},
		{"pre_shared_key not last", with(RawExtension{ExtPreSharedKey, nil}, EncryptThenMAC{}), "pre_shared_key"},
		{"name", with(ServerName("192.0.2.1")), "server_name"},
		{"no groups", with(SupportedGroups{}), "supported_groups"},
		{"no formats", with(ECPointFormats{}), "ec_point_formats"},
		{"no schemes", with(SignatureAlgorithms{}), "signature_algorithms"},
		{"no versions", with(SupportedVersions{}), "supported_versions"},
		{"too many versions", with(make(SupportedVersions, 128)), "supported_versions"},
		{"no protocols", with(ALPN{}), "application_layer_protocol_negotiation"},
		{"empty protocol", with(ALPN{"h2", ""}), "application_layer_protocol_negotiation"},
		{"long protocol", with(ALPN{strings.Repeat("x", 256)}), "application_layer_protocol_negotiation"},
		{"empty key", with(KeyShares{{X25519, nil}}), "key_share"},
		{"long key", with(KeyShares{{X25519, make([]byte, 65536)}}), "key_share"},
		{"empty cookie", with(Cookie{}), "cookie"},
		{"no modes", with(PSKKeyExchangeModes{}), "psk_key_exchange_modes"},
		{"long info", with(RenegotiationInfo(make([]byte, 256))), "renegotiation_info"},
	} {
		out, err := c.hello.Append([]byte("kept"))
		var f *FieldError
		if !errors.As(err, &f) || f.Field != c.field || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: got %v, want an error of %s", c.name, err, c.field)
		}
		if string(out) != "kept" {
			t.Errorf("%s: dst: got %d bytes, want it as it was", c.name, len(out))
		}
	}
}

func TestClientHelloRecords(t *testing.T) {
	for _, c := range []struct {
		record, legacy, want Version
	}{{0, 0, TLS10}, {0, TLS12, TLS10}, {0, SSL30, SSL30}, {TLS12, TLS12, TLS12}} {
		h := ClientHello{RecordVersion: c.record, LegacyVersion: c.legacy, CipherSuites: []CipherSuite{1}}
		stream, err := h.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		var p RecordParser
		f, n, err := p.ParseFrame(stream)
		if err != nil || n != len(stream) || p.Version() != c.want || ContentType(f.Kind) != RecordHandshake {
			t.Errorf("%+v: got version %v, %d bytes, %v, want %v, %d", c, p.Version(), n, err, c.want, len(stream))
		}
		if message, _ := h.AppendMessage(nil); !bytes.Equal(message, f.Data) {
			t.Errorf("%+v: got %x, want %x", c, f.Data, message)
		}
	}
}

func TestCheckServerName(t *testing.T) {
	label := strings.Repeat("x", 63)
	for name, want := range map[string]string{
		"example.com": "", "EXAMPLE.com": "", "localhost": "", "_dmarc.example.com": "", "xn--bcher-kva.example": "", "1.example": "", "a.b2": "",
		label + ".example": "", label + "." + label + "." + label + "." + label[:61]: "",
		"":                  "empty name",
		"example.com.":      "dot at the end",
		"a..b":              "empty label",
		".a":                "empty label",
		"-a.b":              "hyphen",
		"a-.b":              "hyphen",
		label + "x.example": "64 bytes, at most 63",
		label + "." + label + "." + label + "." + label[:62]: "254 bytes, at most 253",
		"bücher.example": "use its A-label",
		"192.0.2.1":      "IPv4 address",
		"127.1":          "IPv4 address",
		"2001:db8::1":    "IPv6 address",
		"a b":            "byte 0x20",
		"a\x00b":         "byte 0x00",
		"*.example.com":  "byte 0x2a",
	} {
		err := CheckServerName(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
}

// The texts and digests of JA3 are its published examples. JA3S is the same idea in three fields.
func TestJA3(t *testing.T) {
	digest := func(s string) string { d := md5.Sum([]byte(s)); return hex.EncodeToString(d[:]) }
	suites := func(list ...CipherSuite) []CipherSuite { return append(list, CipherSuite(GREASE(3))) }
	hello := ClientHello{LegacyVersion: TLS10, CipherSuites: suites(47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4),
		Extensions: []Extension{RawExtension{ExtensionType(GREASE(1)), nil}, ServerName("a.example"), SupportedGroups{Group(GREASE(2)), 23, 24, 25}, ECPointFormats{0}}}
	if got := hello.JA3(); got != "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0" || digest(got) != "ada70206e40642a3e4461f35503241d5" {
		t.Errorf("got %q, %s", got, digest(got))
	}
	hello = ClientHello{LegacyVersion: TLS10, CipherSuites: suites(4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99)}
	if got := hello.JA3(); got != "769,4-5-10-9-100-98-3-6-19-18-99,,," || digest(got) != "de350869b8c85de67a350c8d186f11e6" {
		t.Errorf("got %q, %s", got, digest(got))
	}
	h, err := ParseServerHello(unhex(block("0301"+zeros+"00 002f 00", "ff01 0001 00 0000 0000 000b 0002 01 00 0023 0000 0005 0000 0010 0005 0003 02 6832")))
	if err != nil {
		t.Fatal(err)
	}
	if got := h.JA3S(); got != "769,47,65281-0-11-35-5-16" {
		t.Errorf("got %q, want 769,47,65281-0-11-35-5-16", got)
	}
}

func BenchmarkClientHello(b *testing.B) {
	h := full()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = h.Append(buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
