package testcert_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"sonde/internal/testcert"
)

// now is far from today, so that nothing passes by the machine's own clock.
var now = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

func authority(t *testing.T) *testcert.Authority {
	t.Helper()
	a, err := testcert.NewAuthority("test", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *testcert.Authority, l testcert.Leaf) tls.Certificate {
	t.Helper()
	c, err := a.Issue(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verify checks the chain as a client does that trusts the root alone.
func verify(a *testcert.Authority, c tls.Certificate, name string) error {
	between := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		between.AddCert(cert)
	}
	_, err := c.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), Intermediates: between, DNSName: name, CurrentTime: now})
	return err
}

func TestVerify(t *testing.T) {
	a := authority(t)
	names := []string{"*.sonde.test", "127.0.0.1"}
	tests := []struct {
		name string
		leaf testcert.Leaf
		host string
		want string // in the error; empty for none
	}{
		{"good", testcert.Leaf{Names: names}, "a.sonde.test", ""},
		{"address", testcert.Leaf{Names: names}, "127.0.0.1", ""},
		{"stapled", testcert.Leaf{Names: names, Staple: testcert.StapleGood, Timestamps: 2}, "a.sonde.test", ""},
		{"long chain", testcert.Leaf{Names: names, ChainBytes: 100_000}, "a.sonde.test", ""},
		{"expired", testcert.Leaf{Names: names, Validity: testcert.Expired}, "a.sonde.test", "expired"},
		{"not yet valid", testcert.Leaf{Names: names, Validity: testcert.NotYetValid}, "a.sonde.test", "not yet valid"},
		{"wrong name", testcert.Leaf{Names: names}, "sonde.invalid", "not sonde.invalid"},
		{"self-signed", testcert.Leaf{Names: names, SelfSigned: true}, "a.sonde.test", "unknown authority"},
		{"no intermediate", testcert.Leaf{Names: names, OmitChain: true}, "a.sonde.test", "unknown authority"},
		{"for clients", testcert.Leaf{Names: names, Client: true}, "a.sonde.test", "incompatible key usage"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := verify(a, issue(t, a, tt.leaf), tt.host)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("verify: got %v, want %q", err, tt.want)
			}
		})
	}
	other := authority(t)
	if err := verify(other, issue(t, a, testcert.Leaf{Names: names}), "a.sonde.test"); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("verify against another authority: got %v, want an unknown authority", err)
	}
}

func TestKeys(t *testing.T) {
	a := authority(t)
	for algorithm, want := range map[testcert.Algorithm]string{
		testcert.ECDSAP256: "ECDSA 256", testcert.ECDSAP384: "ECDSA 384", testcert.RSA2048: "RSA 2048", testcert.RSA1024: "RSA 1024",
		testcert.Ed25519: "Ed25519 256",
	} {
		c := issue(t, a, testcert.Leaf{Key: algorithm})
		got := ""
		switch key := c.Leaf.PublicKey.(type) {
		case *ecdsa.PublicKey:
			got = fmt.Sprintf("ECDSA %d", key.Curve.Params().BitSize)
		case *rsa.PublicKey:
			got = fmt.Sprintf("RSA %d", key.N.BitLen())
		case ed25519.PublicKey:
			got = fmt.Sprintf("Ed25519 %d", 8*len(key))
		}
		if got != want {
			t.Errorf("key: got %s, want %s", got, want)
		}
		key, err := testcert.KeyPEM(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tls.X509KeyPair(testcert.CertificatePEM(c.Certificate...), key); err != nil {
			t.Errorf("%s as PEM: %v", want, err)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	a := authority(t)
	for name, leaf := range map[string]testcert.Leaf{
		"negative chain":       {ChainBytes: -1},
		"chain above the most": {ChainBytes: testcert.MaxChainBytes + 1},
		"negative timestamps":  {Timestamps: -1},
		"no such algorithm":    {Key: 99},
		"no such validity":     {Validity: 99},
		"no such staple":       {Staple: 99},
	} {
		if _, err := a.Issue(leaf); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestChainBytes(t *testing.T) {
	a := authority(t)
	for _, size := range []int{0, 1, 5_000, 300_000} {
		c := issue(t, a, testcert.Leaf{ChainBytes: size})
		sum := 0
		for _, der := range c.Certificate {
			sum += len(der)
			if len(der) >= 1<<16 {
				t.Errorf("a certificate of %d bytes", len(der))
			}
		}
		if sum < size || sum > size+2_000 {
			t.Errorf("got a chain of %d bytes, want %d or little more", sum, size)
		}
	}
}

// TestStaple reads the response with structures of its own, from RFC 6960 s.4.2.1, and checks what a client has to check
// (s.3.2): the certificate, the signature, the times.
func TestStaple(t *testing.T) {
	type single struct {
		ID struct {
			Hash              pkix.AlgorithmIdentifier
			NameHash, KeyHash []byte
			Serial            *big.Int
		}
		Status     asn1.RawValue
		This, Next asn1.RawValue
	}
	type data struct {
		Raw       asn1.RawContent
		Responder asn1.RawValue
		Produced  time.Time `asn1:"generalized"`
		Responses []single
	}
	type basic struct {
		Data      data
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	type response struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type asn1.ObjectIdentifier
			DER  []byte
		} `asn1:"explicit,tag:0,optional"`
	}
	a := authority(t)
	for staple, tag := range map[testcert.Staple]int{testcert.StapleGood: 0, testcert.StapleRevoked: 1, testcert.StapleUnknown: 2} {
		c := issue(t, a, testcert.Leaf{Staple: staple})
		var r response
		if rest, err := asn1.Unmarshal(c.OCSPStaple, &r); err != nil || len(rest) > 0 || r.Status != 0 {
			t.Fatalf("staple %d: got status %d, %d bytes over, %v", staple, r.Status, len(rest), err)
		}
		var b basic
		if rest, err := asn1.Unmarshal(r.Bytes.DER, &b); err != nil || len(rest) > 0 || len(b.Data.Responses) != 1 {
			t.Fatalf("staple %d: basic response: %+v, %d bytes over, %v", staple, b, len(rest), err)
		}
		issuer, err := x509.ParseCertificate(c.Certificate[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := issuer.CheckSignature(x509.ECDSAWithSHA256, b.Data.Raw, b.Signature.Bytes); err != nil {
			t.Errorf("staple %d: %v", staple, err)
		}
		got, nameHash := b.Data.Responses[0], sha1.Sum(c.Leaf.RawIssuer)
		if got.ID.Serial.Cmp(c.Leaf.SerialNumber) != 0 || string(got.ID.NameHash) != string(nameHash[:]) {
			t.Errorf("staple %d: is about another certificate", staple)
		}
		if got.Status.Class != asn1.ClassContextSpecific || got.Status.Tag != tag {
			t.Errorf("staple %d: got status tag %d, want %d", staple, got.Status.Tag, tag)
		}
		if b.Data.Produced.After(now) {
			t.Errorf("staple %d: made at %v, after %v", staple, b.Data.Produced, now)
		}
	}
	var r response
	c := issue(t, a, testcert.Leaf{Staple: testcert.StapleTryLater})
	if _, err := asn1.Unmarshal(c.OCSPStaple, &r); err != nil || r.Status != 3 {
		t.Errorf("try later: got status %d, %v; want 3", r.Status, err)
	}
}

// TestTimestamps: the fields stand where RFC 6962 s.3.2 puts them. The key of the log is not published, so the signature is
// only looked at for its form.
func TestTimestamps(t *testing.T) {
	c := issue(t, authority(t), testcert.Leaf{Timestamps: 2})
	if len(c.SignedCertificateTimestamps) != 2 {
		t.Fatalf("got %d timestamps, want 2", len(c.SignedCertificateTimestamps))
	}
	for _, sct := range c.SignedCertificateTimestamps {
		const fixed = 1 + sha256.Size + 8 + 2 + 2 + 2
		if len(sct) < fixed || sct[0] != 0 || len(sct) != fixed+int(binary.BigEndian.Uint16(sct[fixed-2:])) {
			t.Fatalf("got %x: not a v1 timestamp", sct)
		}
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(sct[1+sha256.Size:])))
		if at.After(now) || at.Before(c.Leaf.NotBefore) {
			t.Errorf("got the time %v, want it between %v and %v", at, c.Leaf.NotBefore, now)
		}
	}
}
