package tlsfacts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"net/url"
	"testing"
)

// richNames is a certificate that has all that a certificate can tell: organizations, addresses of mail, URIs, timestamps.
func richNames(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sct := append(make([]byte, 1+32), binary.BigEndian.AppendUint64(nil, uint64(epoch.UnixMilli()))...)
	list := append(binary.BigEndian.AppendUint16(nil, uint16(len(sct))), sct...)
	list = append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...)
	value, err := asn1.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(0x0102ff),
		Subject:      pkix.Name{CommonName: "*.rich.test", Organization: []string{"Rich \"&\" Co"}},
		NotBefore:    epoch, NotAfter: epoch.AddDate(1, 0, 0),
		DNSNames: []string{"*.rich.test"}, EmailAddresses: []string{"a@rich.test"},
		URIs:            []*url.URL{{Scheme: "spiffe", Host: "rich.test", Path: "/x"}},
		ExtraExtensions: []pkix.Extension{{Id: sctOID, Value: value}},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestSerial(t *testing.T) {
	for _, tt := range []struct {
		n    int64
		want string
	}{{0, "00"}, {0x0102ff, "01:02:FF"}, {-5, "-05"}} {
		if got := serial(big.NewInt(tt.n)); got != tt.want {
			t.Errorf("%d: got %s, want %s", tt.n, got, tt.want)
		}
	}
}

// TestSelfSigned: names alone do not make it so.
func TestSelfSigned(t *testing.T) {
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	a := authority(t)
	j, _ := judgeOf(a)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "twin"}, NotBefore: epoch, NotAfter: epoch.AddDate(1, 0, 0),
	}
	for i, want := range []Faults{SelfSigned, UnknownAuthority} {
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, keys[0].Public(), keys[i])
		if err != nil {
			t.Fatal(err)
		}
		if got := j.Judge([][]byte{der}, ""); got.Faults != want {
			t.Errorf("signed by key %d: got %v, want %v", i, got.Faults, want)
		}
	}
}
