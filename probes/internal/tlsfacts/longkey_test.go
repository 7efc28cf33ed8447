package tlsfacts

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"sonde/internal/testcert"

	"golang.org/x/crypto/ocsp"
)

// longKey is an RSA key by which a check would take a fifth of a second: 65,536 bits.
func longKey() *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), 1<<16)
	return &rsa.PublicKey{N: n.Sub(n, big.NewInt(1)), E: 1<<31 - 1}
}

// sign makes a certificate of that name for a key, signed by another.
func sign(t *testing.T, name string, key crypto.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: epoch.Add(-day), NotAfter: epoch.Add(day),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, by)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, der)
}

func parsed(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestLongKeyIssuer: by the key of an issuer no signature is checked if it is too long, neither the leaf's nor a staple's.
func TestLongKeyIssuer(t *testing.T) {
	a := authority(t)
	j, _ := judgeOf(a)
	c := issue(t, a, testcert.Leaf{Names: []string{"a.test"}, Staple: testcert.StapleGood})
	leaf := parsed(t, c.Certificate[0])
	issuer := sign(t, leaf.Issuer.CommonName, longKey(), newECDSA(t))
	chain := [][]byte{leaf.Raw, issuer.Raw}

	judged := j.Judge(chain, "a.test")
	if got, want := judged.Faults, UnknownAuthority|BadChain; got != want {
		t.Errorf("got %v (%s), want %v", got, judged.Reason, want)
	}
	if got, want := readStaple(c.OCSPStaple, chain).problem, "signed by an RSA key that is too long to check by"; got != want {
		t.Errorf("staple: got %q, want %q", got, want)
	}
}

// TestLongKeySelfSigned: of a leaf with such a key its names tell that it is its own issuer.
func TestLongKeySelfSigned(t *testing.T) {
	j, _ := judgeOf(authority(t))
	leaf := sign(t, "self", longKey(), newECDSA(t))
	if got, want := j.Judge([][]byte{leaf.Raw}, "").Faults, SelfSigned; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestLongKeyResponder: a response may bring the certificate that it is to be checked by.
func TestLongKeyResponder(t *testing.T) {
	by := newECDSA(t)
	leaf, issuer := sign(t, "leaf", by.Public(), by), sign(t, "issuer", by.Public(), by)
	responder := sign(t, "responder", longKey(), by)
	response, err := ocsp.CreateResponse(issuer, responder, ocsp.Response{
		Status: ocsp.Good, SerialNumber: leaf.SerialNumber, Certificate: responder,
		ThisUpdate: epoch, NextUpdate: epoch.Add(time.Hour),
	}, by)
	if err != nil {
		t.Fatal(err)
	}
	s := readStaple(response, [][]byte{leaf.Raw, issuer.Raw})
	if want := "signed by an RSA key that is too long to check by"; s.problem != want || s.status != "" {
		t.Errorf("got %q, %q, want %q", s.status, s.problem, want)
	}
}
