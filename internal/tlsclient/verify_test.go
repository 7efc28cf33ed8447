package tlsclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"sonde/internal/testcert"

	"github.com/google/go-cmp/cmp"
)

func TestVerify(t *testing.T) {
	a := authority(t)
	leaf := func(l testcert.Leaf) tls.Certificate {
		l.Names = []string{"a.test", "127.0.0.1"}
		return issue(t, a, l)
	}
	tests := []struct {
		name                     string
		cert                     tls.Certificate
		host                     string
		expired, unknown, misfit bool
	}{
		{"good", leaf(testcert.Leaf{}), "a.test", false, false, false},
		{"good address", leaf(testcert.Leaf{}), "127.0.0.1", false, false, false},
		{"no name asked", leaf(testcert.Leaf{}), "", false, false, false},
		{"other name", leaf(testcert.Leaf{}), "b.test", false, false, true},
		{"expired", leaf(testcert.Leaf{Validity: testcert.Expired}), "a.test", true, false, false},
		{"not yet valid", leaf(testcert.Leaf{Validity: testcert.NotYetValid}), "a.test", true, false, false},
		{"self-signed", leaf(testcert.Leaf{SelfSigned: true}), "a.test", false, true, false},
		{"issuer not sent", leaf(testcert.Leaf{OmitChain: true}), "a.test", false, true, false},
		{"all at once", leaf(testcert.Leaf{SelfSigned: true, Validity: testcert.Expired}), "b.test", true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var chain []*x509.Certificate
			for _, der := range tt.cert.Certificate {
				chain = append(chain, parse(t, der))
			}
			chains, err := Verify(chain, VerifyOptions{Roots: a.Pool(), Name: tt.host, Time: epoch})
			var invalid x509.CertificateInvalidError
			var unknown x509.UnknownAuthorityError
			var misfit x509.HostnameError
			got := []bool{errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &misfit)}
			want := []bool{tt.expired, tt.unknown, tt.misfit}
			if !cmp.Equal(got, want) || (err == nil) != cmp.Equal(want, make([]bool, 3)) {
				t.Errorf("got expired, unknown, misfit = %v, want %v: %v", got, want, err)
			}
			if (err == nil) != (len(chains) > 0) {
				t.Errorf("got %d chains with error %v", len(chains), err)
			}
			if tt.expired && invalid.Reason != x509.Expired {
				t.Errorf("got reason %v", invalid.Reason)
			}
		})
	}
	if _, err := Verify(nil, VerifyOptions{Roots: a.Pool(), Time: time.Time{}}); err == nil {
		t.Error("no certificate is good")
	}
}
