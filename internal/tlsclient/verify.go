package tlsclient

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// VerifyOptions says against what a chain is held.
type VerifyOptions struct {
	// Roots are the authorities that are trusted; nil is the system's, which crypto/x509 reads from files once in a process: at
	// the first Verify, or at an earlier [x509.SystemCertPool] of who must not wait then.
	Roots *x509.CertPool
	// Name is the host name or address that the certificate must be for; empty skips that check.
	Name string
	// Time is the moment of the check; it must be set.
	Time time.Time
}

// Verify judges the chain that a server presented, leaf first, after the handshake: so a bad certificate is something
// learned and not a lost connection. It answers with the chains that lead from the leaf to a root, at least one, or with an
// error that has all that is wrong, for [errors.As]:
//
//   - [x509.CertificateInvalidError]: expired, not yet valid, may not be used for a server, and the like;
//   - [x509.UnknownAuthorityError]: no trusted root leads to it;
//   - [x509.HostnameError]: it is for another name.
//
// An expired certificate is held against the roots as of its last valid moment too, since one of an unknown authority
// may well have expired besides.
//
// An authority that the peer sent and whose key is [LongKey] is passed over. If no root leads to the leaf without it, the
// error says so too.
func Verify(chain []*x509.Certificate, opts VerifyOptions) (verified [][]*x509.Certificate, err error) {
	if len(chain) == 0 {
		return nil, errors.New("no certificate")
	}
	leaf := chain[0]
	var wrong []error
	at := opts.Time
	if valid := clamp(at, leaf.NotBefore, leaf.NotAfter); !valid.Equal(at) {
		wrong = append(wrong, x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired, Detail: validity(leaf, at)})
		at = valid
	}
	between := x509.NewCertPool()
	var tooLong error
	for i, c := range chain[1:] {
		if LongKey(c) {
			tooLong = fmt.Errorf("certificate %d of the chain has an RSA key of more than %d bits, which is not used", i+2, maxRSABits)
			continue
		}
		between.AddCert(c)
	}
	verified, err = leaf.Verify(x509.VerifyOptions{Roots: opts.Roots, Intermediates: between, CurrentTime: at})
	if err != nil {
		wrong = append(wrong, err, tooLong)
	}
	if opts.Name != "" {
		wrong = append(wrong, leaf.VerifyHostname(opts.Name))
	}
	if err = errors.Join(wrong...); err != nil {
		return nil, err
	}
	return verified, nil
}

// maxRSABits is the longest RSA key that a signature is checked by: crypto/tls takes none above it for a handshake.
const maxRSABits = 8192

// LongKey reports whether c has an RSA key of more than 8192 bits. The time that a check by such a key takes grows with the
// square of its length: 200 ms at 65,536 bits and 7 s at 400,000, which is a certificate of 100 KB. So a key of a peer's
// choosing must be asked this before a signature is checked by it.
func LongKey(c *x509.Certificate) bool {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() > maxRSABits
}

// clamp is t, or the nearer end of the span if t is outside.
func clamp(t, from, to time.Time) time.Time {
	switch {
	case t.After(to):
		return to
	case t.Before(from):
		return from
	default:
		return t
	}
}

// validity says how t lies outside the leaf's validity, in the words of crypto/x509.
func validity(leaf *x509.Certificate, t time.Time) string {
	if t.Before(leaf.NotBefore) {
		return "current time " + t.UTC().Format(time.RFC3339) + " is before " + leaf.NotBefore.UTC().Format(time.RFC3339)
	}
	return "current time " + t.UTC().Format(time.RFC3339) + " is after " + leaf.NotAfter.UTC().Format(time.RFC3339)
}
