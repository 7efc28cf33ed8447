package tlsclient

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sonde/internal/testcert"

	"github.com/google/go-cmp/cmp"
)

// records finds where the records of a flight begin; RFC 5246 s.6.2.1.
func records(flight []byte) (at []int) {
	for i := 0; i+5 <= len(flight); i += 5 + (int(flight[i+3])<<8 | int(flight[i+4])) {
		at = append(at, i)
	}
	return at
}

// at changes bytes of the first flight: offset counts from the start of the n-th record.
func at(n, offset int, change ...byte) func([]byte) []byte {
	return func(flight []byte) []byte {
		copy(flight[records(flight)[n]+offset:], change)
		return flight
	}
}

// Offsets in the records of a first flight of TLS 1.2: record header 5, message header 4.
const (
	helloVersion  = 9          // RFC 5246 s.7.4.1.3
	helloCanary   = 9 + 2 + 24 // the end of the random, RFC 8446 s.4.1.3
	helloSuite    = 9 + 35     // behind a session ID of no bytes
	messageLength = 6
	certificateIn = 9 + 6 + 30 // well inside the DER
	keyScheme     = 9 + 4 + 65 // signature scheme behind a point of P-256, RFC 8422 s.5.4
)

func TestDiagnose(t *testing.T) {
	a := authority(t)
	leaf := issue(t, a, testcert.Leaf{Names: []string{"a.test"}})
	v12 := func() *tls.Config {
		return &tls.Config{
			Certificates: []tls.Certificate{leaf}, MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, CurvePreferences: []tls.CurveID{tls.CurveP256},
		}
	}
	v13 := &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
	wantsClient := v12()
	wantsClient.ClientAuth = tls.RequireAnyClientCert
	list, _ := echConfig(t, "outer.test")
	retry, key := echConfig(t, "outer.test")
	ech := v13.Clone()
	ech.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{key}
	odd := v12()
	odd.Certificates = []tls.Certificate{{Certificate: [][]byte{agreementOnly(t)}, PrivateKey: leaf.PrivateKey}}

	old := Offer{MaxVersion: tls.VersionTLS12}
	tests := []struct {
		name  string
		offer Offer
		serve func(net.Conn)
		want  Failure // without Reason
		says  string  // in Reason
	}{
		{"alert of a version", old, against(v13, nil), Failure{Cause: PeerAlert, Alert: 70}, "protocol version"},
		{"alert of TLS 1.3", Offer{ALPN: []string{"x"}}, against(v13, nil), Failure{Cause: PeerAlert, Alert: 120}, "application protocol"},
		{"alert of no name", Offer{}, says([]byte{21, 3, 3, 0, 2, 2, 99}, false), Failure{Cause: PeerAlert, Alert: 99}, "99"},
		{"client certificate wanted", Offer{}, against(wantsClient, nil), Failure{Cause: PeerAlert, Alert: 40}, "handshake failure"},
		{"close_notify", Offer{}, says([]byte{21, 3, 3, 0, 2, 1, 0}, false), Failure{Cause: Cut}, "ended"},
		{"FIN at once", Offer{}, func(c net.Conn) { _, _ = c.Read(make([]byte, 16<<10)) }, Failure{Cause: Cut}, "ended"},
		{"FIN in a record", Offer{}, says([]byte{22, 3, 3, 0}, true), Failure{Cause: Cut}, "ended"},
		{"text", Offer{}, says([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), false), Failure{Cause: NotTLS}, "not TLS"},
		{"SSL 2.0", Offer{}, says([]byte{0x80, 3, 0, 0, 1, 0, 2}, false), Failure{Cause: NotTLS}, "not TLS"},
		{"application data first", Offer{}, says([]byte{23, 3, 3, 0, 1, 0}, false), Failure{Cause: PeerFault}, "first record"},
		{"version within", old, against(v12(), at(1, 1, 3, 0)), Failure{Cause: PeerFault}, "300"},
		{"text within", old, against(v12(), at(1, 0, []byte("HTTP/")...)), Failure{Cause: PeerFault}, "version"},
		{"record too long", old, against(v12(), at(1, 3, 0x60, 0)), Failure{Cause: TooLarge}, "oversized"},
		{"record too long in the clear", Offer{}, says(append([]byte{22, 3, 3, 0x40, 1}, make([]byte, 0x4001)...), false), Failure{Cause: TooLarge}, "too long"},
		{"record too long first", Offer{}, says([]byte{22, 3, 3, 0x60, 0}, false), Failure{Cause: TooLarge}, "oversized"},
		{"SSL 3.0 chosen", old, against(v12(), at(0, helloVersion, 3, 0)), Failure{Cause: Incapable}, "protocol version 300"},
		{"no version chosen", old, against(v12(), at(0, helloVersion, 0, 0)), Failure{Cause: PeerFault}, "protocol version 0"},
		{"a version that begins alike", old, against(v12(), at(0, helloVersion, 0x30, 0)), Failure{Cause: PeerFault}, "protocol version 3000"},
		{"TLS 1.0 against what was asked for", Offer{MinVersion: tls.VersionTLS12}, against(v12(), at(0, helloVersion, 3, 1)), Failure{Cause: PeerFault}, "protocol version 301"},
		{"suite not offered", old, against(v12(), at(0, helloSuite, 0x12, 0x34)), Failure{Cause: PeerFault}, "cipher suite"},
		{"downgrade", Offer{}, against(v12(), at(0, helloCanary, []byte("DOWNGRD\x01")...)), Failure{Cause: PeerFault}, "downgrade"},
		{"message too long", old, against(v12(), at(1, messageLength, 4, 0, 1)), Failure{Cause: TooLarge}, "exceeds"},
		{"no message", old, against(v12(), at(1, 5, 77)), Failure{Cause: PeerFault}, "broke the rules: unexpected message"},
		{"message malformed", old, against(v12(), at(1, 9, 0xff)), Failure{Cause: PeerFault}, "broke the rules"},
		{"message out of turn", old, against(v12(), at(1, 5, 14)), Failure{Cause: PeerFault}, ""},
		{"certificate malformed", old, against(v12(), at(1, certificateIn, 0, 0, 0, 0)), Failure{Cause: BadCertificate}, "x509"},
		{"key that can't sign", old, against(odd, nil), Failure{Cause: Incapable}, "unsupported type of public key"},
		{"signed with SHA-1", old, against(v12(), at(2, keyScheme, 2, 3)), Failure{Cause: Incapable}, "signature algorithm"},
		{"wrong signature", old, against(v12(), at(2, keyScheme+20, 1, 2, 3, 4)), Failure{Cause: PeerFault}, "signature"},
		{"wrong record of TLS 1.3", Offer{}, against(v13, spoilLast), Failure{Cause: PeerFault}, "bad record MAC"},
		{"warnings without end", Offer{}, says(bytes.Repeat([]byte{21, 3, 3, 0, 2, 1, 90}, 40), false), Failure{Cause: PeerFault}, "too many"},
		{"ECH rejected", Offer{ServerName: "a.test", ECH: list}, against(ech, nil), Failure{Cause: ECHRejected, RetryConfigs: retry}, "rejected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := handshake(t, tt.offer, tt.serve)
			if err == nil {
				t.Fatal("the handshake was good")
			}
			got := Diagnose(err)
			if !strings.Contains(got.Reason, tt.says) || strings.HasPrefix(got.Reason, "tls:") || got.Reason == "" {
				t.Errorf("got reason %q, want %q in it", got.Reason, tt.says)
			}
			got.Reason = ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%v: want to got:\n%s", err, diff)
			}
		})
	}
}

// spoilLast changes the last byte of a flight, which in TLS 1.3 is encrypted.
func spoilLast(flight []byte) []byte {
	flight[len(flight)-1] ^= 1
	return flight
}

// agreementOnly is a certificate of an X25519 key (RFC 8410 s.3), which can sign nothing.
func agreementOnly(t *testing.T) []byte {
	t.Helper()
	key, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := issue(t, authority(t), testcert.Leaf{}).PrivateKey
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: epoch, NotAfter: epoch.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key, signer)
	if err != nil {
		t.Fatal(err)
	}
	// crypto/x509 makes none of X25519; the keys have the same form and differ in the OID, RFC 8410 s.3.
	i := bytes.Index(der, []byte{6, 3, 43, 101, 112})
	der[i+4] = 110
	return der
}

func TestDiagnoseByText(t *testing.T) {
	tests := []struct {
		text string
		want Cause
	}{
		{"tls: invalid signature by the server certificate: crypto/rsa: 512-bit keys are insecure (see ...)", Incapable},
		{"tls: invalid signature by the server certificate: crypto/rsa: verification error", PeerFault},
		{"tls: invalid signature by the server certificate: ECDSA verification failure", PeerFault},
		{"crypto/rsa: 512-bit keys are insecure", Incapable},
		{"tls: failed to parse certificate from server: x509: unsupported elliptic curve", Incapable},
		{"tls: failed to parse certificate from server: x509: negative serial number", BadCertificate},
		{"tls: server sent certificate containing RSA key larger than 8192 bits", Incapable},
		{"tls: server sent two HelloRetryRequest messages", PeerFault},
		{"tls: something that a later Go says", Incapable},
	}
	for _, tt := range tests {
		if got := Diagnose(errors.New(tt.text)); got.Cause != tt.want || got.Reason == "" {
			t.Errorf("%s: got %v %q, want %v", tt.text, got.Cause, got.Reason, tt.want)
		}
	}
	if got := Diagnose(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)); got.Cause != Cut {
		t.Errorf("got %v", got.Cause)
	}
	if got := Diagnose(&net.OpError{Op: "read", Err: errors.New("reset")}); got.Cause != Cut {
		t.Errorf("got %v", got.Cause)
	}
	long := Diagnose(errors.New("tls: failed to parse certificate from server: " + strings.Repeat("é", 500)))
	if len(long.Reason) > maxReason || !strings.HasSuffix(long.Reason, "...") {
		t.Errorf("got %d bytes: %s", len(long.Reason), long.Reason)
	}
}

// elsewhere are the words of crypto/tls' client code that no handshake of ours can end with, by their beginnings.
var elsewhere = []string{
	// Offer.Config refuses the configuration first, or does not make it.
	"tls: either ServerName or InsecureSkipVerify", "tls: invalid NextProtos value", "tls: NextProtos values too large",
	"tls: no supported versions satisfy", "tls: no supported elliptic curves for ECDHE", "tls: CurvePreferences includes unsupported curve",
	"tls: MinVersion must be", "tls: MaxVersion must be", "tls: EncryptedClientHelloConfigList contains no valid configs",
	"tls: failed to write to key log",
	// The program is at fault, not a peer: Incapable, as what is not known.
	"tls: internal error", "tls: short read from Rand", "internal error:",
	// Renegotiation is never allowed.
	"tls: server's identity changed during renegotiation", "tls: unknown Renegotiation value",
	// QUIC.
	"tls: server did not select an ALPN protocol", "tls: server did not send a quic_transport_parameters",
	"tls: invalid early data for QUIC connection",
	// A server's side.
	"tls: received new session ticket from a client", "tls: invalid ClientKeyExchange message", "tls: certificate cannot be used with the selected",
	"tls: failed to sign ECDHE parameters", "tls: no supported elliptic curves offered",
	// Parts of other messages: "invalid signature by the server certificate: ...".
	"expected an ECDSA public key", "expected an Ed25519 public key", "expected an RSA public key", "ECDSA verification failure",
	"Ed25519 verification failure",
}

// TestWordings reads the client's side of the crypto/tls that this test is built with: each error that it has in words is
// in the table, or known to be out of reach. And each entry of the table is there for one of them.
func TestWordings(t *testing.T) {
	dir := filepath.Join(build.Default.GOROOT, "src", "crypto", "tls")
	if files, _ := filepath.Glob(filepath.Join(dir, "handshake_client.go")); len(files) == 0 {
		t.Skip("the source of crypto/tls is not installed")
	}
	used := map[string]bool{}
	texts := 0
	for _, name := range []string{"handshake_client.go", "handshake_client_tls13.go", "key_agreement.go", "auth.go"} {
		for _, text := range errorTexts(t, filepath.Join(dir, name)) {
			texts++
			i := slices.IndexFunc(wordings, func(w wording) bool { return strings.HasPrefix(text, w.begins) })
			if i >= 0 {
				used[wordings[i].begins] = true
				continue
			}
			if !slices.ContainsFunc(elsewhere, func(e string) bool { return strings.HasPrefix(text, e) }) {
				t.Errorf("%s says %q, which is not in the table", name, text)
			}
		}
	}
	if texts < 100 {
		t.Errorf("found %d texts: the test does not see the source", texts)
	}
	// Said by other files, or ends of one of the above that another package has made.
	for _, begins := range []string{
		"tls: handshake message of length", "tls: too many ignored records", "tls: too many non-advancing records",
		"tls: handshake buffer not empty before setting read traffic secret", "tls: received unexpected", "crypto/rsa:",
		"tls: invalid signature by the server certificate: crypto/rsa: verification error",
		"tls: invalid signature by the server certificate: crypto/rsa:",
		"tls: failed to parse certificate from server: x509: unsupported elliptic curve",
	} {
		used[begins] = true
	}
	for _, w := range wordings {
		if !used[w.begins] {
			t.Errorf("nothing in crypto/tls begins with %q", w.begins)
		}
	}
}

// errorTexts are the literals at the start of all that errors.New and fmt.Errorf are given in a file.
func errorTexts(t *testing.T, file string) (texts []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if from, ok := f.X.(*ast.Ident); !ok || from.Name+"."+f.Sel.Name != "errors.New" && from.Name+"."+f.Sel.Name != "fmt.Errorf" {
			return true
		}
		arg := call.Args[0]
		for {
			sum, ok := arg.(*ast.BinaryExpr)
			if !ok {
				break
			}
			arg = sum.X
		}
		if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		}
		return true
	})
	return texts
}
