package tlswire

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inOrder reports the rows of a table that are out of order, twice there, or named twice.
func inOrder[T ~uint8 | ~uint16](t *testing.T, what string, table []named[T]) {
	t.Helper()
	names := map[string]bool{}
	for i, row := range table {
		if i > 0 && row.value <= table[i-1].value {
			t.Errorf("%s: 0x%x stands behind 0x%x", what, row.value, table[i-1].value)
		}
		if names[row.name] || row.name == "" {
			t.Errorf("%s: 0x%x: name %q is empty or taken", what, row.value, row.name)
		}
		names[row.name] = true
	}
}

func TestTablesAreInOrder(t *testing.T) {
	inOrder(t, "suites", append(slices.Clone(classicSuites), curveSuites...))
	inOrder(t, "groups", groups)
	inOrder(t, "schemes", signatureSchemes)
	inOrder(t, "extensions", extensionTypes)
	inOrder(t, "alerts", alertDescriptions)
	inOrder(t, "handshake types", handshakeTypes)
	if last := classicSuites[len(classicSuites)-1].value; last >= firstCurveSuite {
		t.Errorf("classic suites: %v is not below 0x%x", last, uint16(firstCurveSuite))
	}
	if first := curveSuites[0].value; first < firstCurveSuite {
		t.Errorf("curve suites: %v is below 0x%x", first, uint16(firstCurveSuite))
	}
}

// crypto/tls has a list of its own. Its names lack the hash where the first registration did.
func TestSuitesAgreeWithCryptoTLS(t *testing.T) {
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if got := CipherSuite(s.ID).String(); got != s.Name {
			t.Errorf("0x%04x: got %q, want %q", s.ID, got, s.Name)
		}
		only13 := len(s.SupportedVersions) == 1 && s.SupportedVersions[0] == tls.VersionTLS13
		if got := CipherSuite(s.ID).IsTLS13(); got != only13 {
			t.Errorf("%s: TLS 1.3 alone: got %t, want %t", s.Name, got, only13)
		}
		if s.Insecure != (CipherSuite(s.ID).Weakness()&^WeakCBC != 0) && !strings.HasSuffix(s.Name, "_CBC_SHA256") {
			t.Errorf("%s: weak: got %v, want insecure %t", s.Name, CipherSuite(s.ID).Weakness().Words(), s.Insecure)
		}
	}
}

func TestEverySuiteHasAKeyExchange(t *testing.T) {
	n := 0
	for s := range CipherSuites() {
		n++
		if s.KeyExchange() == KeyExchangeUnknown && s != 0 {
			t.Errorf("%v: key exchange unknown", s)
		}
		if !s.Registered() {
			t.Errorf("%v: not registered", s)
		}
		if strings.Contains(s.String(), "_anon_") != (s.Weakness()&WeakAnonymous != 0) && s != 0 {
			t.Errorf("%v: got %v", s, s.Weakness().Words())
		}
	}
	if n < 340 {
		t.Errorf("suites: got %d, want at least 340", n)
	}
}

func TestSuites(t *testing.T) {
	for _, c := range []struct {
		suite CipherSuite
		name  string
		kind  KeyExchange
		hash  int
		only  bool // of TLS 1.3 alone
		weak  string
	}{
		{0x0000, "TLS_NULL_WITH_NULL_NULL", KeyExchangeUnknown, 32, false, "null anonymous no-forward-secrecy"},
		{0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5", KeyExchangeRSA, 32, false, "export rc4 md5 no-forward-secrecy"},
		{0x0009, "TLS_RSA_WITH_DES_CBC_SHA", KeyExchangeRSA, 32, false, "des 64-bit-block no-forward-secrecy cbc"},
		{0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", KeyExchangeRSA, 32, false, "64-bit-block no-forward-secrecy cbc"},
		{0x0014, "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", KeyExchangeDHE, 32, false, "export des 64-bit-block cbc"},
		{0x001B, "TLS_DH_anon_WITH_3DES_EDE_CBC_SHA", KeyExchangeDHAnon, 32, false, "anonymous 64-bit-block cbc"},
		{0x0026, "TLS_KRB5_EXPORT_WITH_DES_CBC_40_SHA", KeyExchangeKerberos, 32, false, "export des 64-bit-block no-forward-secrecy cbc"},
		{0x002D, "TLS_DHE_PSK_WITH_NULL_SHA", KeyExchangeDHEPSK, 32, false, "null"},
		{0x009D, "TLS_RSA_WITH_AES_256_GCM_SHA384", KeyExchangeRSA, 48, false, "no-forward-secrecy"},
		{0x009E, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", KeyExchangeDHE, 32, false, ""},
		{0x00C6, "TLS_SM4_GCM_SM3", KeyExchangeTLS13, 32, true, ""},
		{0x00FF, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV", KeyExchangeUnknown, 32, false, ""},
		{0x1302, "TLS_AES_256_GCM_SHA384", KeyExchangeTLS13, 48, true, ""},
		{0x1305, "TLS_AES_128_CCM_8_SHA256", KeyExchangeTLS13, 32, true, "short-tag"},
		{0x1306, "TLS_AEGIS_256_SHA512", KeyExchangeTLS13, 64, true, ""},
		{0x5600, "TLS_FALLBACK_SCSV", KeyExchangeUnknown, 32, false, ""},
		{0xC004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", KeyExchangeECDH, 32, false, "no-forward-secrecy cbc"},
		{0xC011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA", KeyExchangeECDHE, 32, false, "rc4"},
		{0xC01B, "TLS_SRP_SHA_RSA_WITH_3DES_EDE_CBC_SHA", KeyExchangeSRP, 32, false, "64-bit-block cbc"},
		{0xC0AA, "TLS_PSK_DHE_WITH_AES_128_CCM_8", KeyExchangeDHEPSK, 32, false, "short-tag"},
		{0xC0B3, "TLS_ECCPWD_WITH_AES_256_CCM_SHA384", KeyExchangePassword, 48, false, ""},
		{0xC0B4, "TLS_SHA256_SHA256", KeyExchangeTLS13, 32, true, "null"},
		{0xC102, "TLS_GOSTR341112_256_WITH_28147_CNT_IMIT", KeyExchangeGOST, 32, false, "64-bit-block no-forward-secrecy"},
		{0xC103, "TLS_GOSTR341112_256_WITH_KUZNYECHIK_MGM_L", KeyExchangeGOST, 32, true, ""},
		{0xCCA9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", KeyExchangeECDHE, 32, false, ""},
		{0xD005, "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256", KeyExchangeECDHEPSK, 32, false, ""},
		{0xCC13, "0xcc13", KeyExchangeUnknown, 32, false, ""},
		{0x2A2A, "GREASE_0x2a2a", KeyExchangeUnknown, 32, false, ""},
	} {
		s := c.suite
		if s.String() != c.name || s.KeyExchange() != c.kind || s.HashSize() != c.hash || s.IsTLS13() != c.only {
			t.Errorf("0x%04x: got %q, %d, %d, %t, want %q, %d, %d, %t", uint16(s), s, s.KeyExchange(), s.HashSize(), s.IsTLS13(), c.name, c.kind, c.hash, c.only)
		}
		if got := strings.Join(s.Weakness().Words(), " "); got != c.weak {
			t.Errorf("%v: got weak %q, want %q", s, got, c.weak)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		X25519MLKEM768.String():             "X25519MLKEM768",
		SecP256R1.String():                  "secp256r1",
		Group(0x0104).String():              "ffdhe8192",
		Group(0xFAFA).String():              "GREASE_0xfafa",
		Group(0x00FE).String():              "0x00fe",
		Ed25519.String():                    "ed25519",
		SignatureScheme(0x0101).String():    "rsa_md5",
		SignatureScheme(0x0402).String():    "dsa_sha256",
		SignatureScheme(0x0703).String():    "0x0703",
		ExtKeyShare.String():                "key_share",
		ExtEncryptedClientHello.String():    "encrypted_client_hello",
		ExtensionType(0x4469).String():      "application_settings_old",
		ExtensionType(0x9999).String():      "0x9999",
		HandshakeCertificateStatus.String(): "certificate_status",
		HandshakeType(99).String():          "0x63",
		AlertNoApplicationProto.String():    "no_application_protocol",
		RecordHandshake.String():            "handshake",
		ContentType(25).String():            "25",
		SSL30.String():                      "SSL 3.0",
		TLS13.String():                      "TLS 1.3",
		Version(0x7f1c).String():            "TLS 1.3 draft 28",
		Version(0x0305).String():            "0x0305",
		SSL30.Word() + " " + TLS12.Word():   "ssl30 tls12",
		AlertLevel(9).String():              "0x09",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestGREASE(t *testing.T) {
	var got []uint16
	for v := range 1 << 16 {
		if IsGREASE(uint16(v)) {
			got = append(got, uint16(v))
		}
	}
	var want []uint16
	for i := range 16 {
		want = append(want, GREASE(i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values of GREASE (-want +got):\n%s", diff)
	}
	if GREASE(0) != 0x0A0A || GREASE(15) != 0xFAFA || GREASE(16) != GREASE(0) {
		t.Errorf("got 0x%x, 0x%x, 0x%x, want 0xa0a, 0xfafa, 0xa0a", GREASE(0), GREASE(15), GREASE(16))
	}
}

func TestShareSizes(t *testing.T) {
	for g, want := range map[Group][2]int{X25519: {32, 32}, SecP256R1: {65, 65}, X25519MLKEM768: {1216, 1120}, SecP256R1MLKEM768: {1249, 1153}, SecP384R1MLKEM1024: {1665, 1665}, 260: {1024, 1024}} {
		if client, server, ok := g.ShareSizes(); !ok || client != want[0] || server != want[1] {
			t.Errorf("%v: got %d, %d, %t, want %v", g, client, server, ok, want)
		}
	}
	for _, g := range []Group{1, 26, 0xFF01, 0x0A0A} {
		if _, _, ok := g.ShareSizes(); ok {
			t.Errorf("%v: got sizes, want none", g)
		}
	}
	n := 0
	for range Groups() {
		n++
	}
	if n != len(groups) {
		t.Errorf("groups: got %d, want %d", n, len(groups))
	}
}
