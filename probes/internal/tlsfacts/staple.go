package tlsfacts

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"sonde/internal/jsonappend"
	"sonde/internal/tlsclient"

	"golang.org/x/crypto/ocsp"
)

// staple is what a stapled OCSP response says of the leaf. It is immutable.
type staple struct {
	status                 string // "good", "revoked" or "unknown" (RFC 6960 s.2.2); empty: see problem
	problem                string // why the response is not to be relied on, if it is not
	thisUpdate, nextUpdate time.Time
	revokedAt              time.Time
}

// staple reads the response that came with chain and keeps what it found.
func (j *Judge) staple(response []byte, chain [][]byte) *staple {
	h := sha256.New()
	for _, part := range append([][]byte{response}, chain[:min(len(chain), 2)]...) {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	key := digest(h.Sum(nil))
	j.mu.Lock()
	s, young, ok := j.staples.get(key)
	if ok && !young {
		j.staples.put(key, s, 1)
	}
	j.mu.Unlock()
	if ok {
		return s
	}
	s = readStaple(response, chain)
	j.mu.Lock()
	j.staples.put(key, s, 1)
	j.mu.Unlock()
	return s
}

// readStaple parses a response (RFC 6960 s.4.2) about the first certificate of chain. Its signature is checked by the
// second one if that has issued the first; if not, that is told. Whether the response is out of date is told when it
// is written, since that changes.
func readStaple(response []byte, chain [][]byte) *staple {
	if len(chain) == 0 {
		return &staple{problem: "no certificate to hold it against"}
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return &staple{problem: "the certificate can't be read"}
	}
	var issuer *x509.Certificate
	if len(chain) > 1 {
		issuer, _ = x509.ParseCertificate(chain[1]) // one that can't be read checks nothing
	}
	if issuer != nil && tlsclient.LongKey(issuer) || signedByLongKey(response) {
		return &staple{problem: "signed by an RSA key that is too long to check by"}
	}
	if issuer != nil && leaf.CheckSignatureFrom(issuer) != nil {
		issuer = nil // nothing obliges a server to send its issuer next, and a stranger's word on the leaf is worth nothing
	}
	r, err := ocsp.ParseResponseForCert(response, leaf, issuer)
	if err != nil {
		return &staple{problem: cut(trim(errors.New(refusal(err))), maxReason)}
	}
	s := &staple{thisUpdate: r.ThisUpdate, nextUpdate: r.NextUpdate}
	switch r.Status {
	case ocsp.Good:
		s.status = "good"
	case ocsp.Revoked:
		s.status, s.revokedAt = "revoked", r.RevokedAt
	default:
		s.status = "unknown"
	}
	switch {
	case issuer == nil:
		s.problem = "the signature was not checked: the issuer's certificate was not sent"
	case r.Certificate != nil && !r.Certificate.Equal(issuer) && !slices.Contains(r.Certificate.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		// RFC 6960 s.4.2.2.2: another certificate of the issuer's must be marked as a responder's.
		s.problem = "signed by a certificate that may not sign responses"
	}
	return s
}

// signedByLongKey reports whether a response brings a certificate with a key that is too long to check by. The parser of
// responses checks by the first of them while it parses (RFC 6960 s.4.2.1 has the form). Of what does not parse it has
// nothing to say.
func signedByLongKey(response []byte) bool {
	var outer struct {
		Status   asn1.Enumerated
		Response struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0,optional"`
	}
	var basic struct {
		Data         asn1.RawValue
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	if _, err := asn1.Unmarshal(response, &outer); err != nil {
		return false
	}
	if _, err := asn1.Unmarshal(outer.Response.Basic, &basic); err != nil || len(basic.Certificates) == 0 {
		return false
	}
	signer, err := x509.ParseCertificate(basic.Certificates[0].FullBytes)
	return err == nil && tlsclient.LongKey(signer)
}

// refusal is what an error of the OCSP parser says: the word of RFC 6960 s.4.2.1 if the responder answered with an error.
func refusal(err error) string {
	var r ocsp.ResponseError
	if !errors.As(err, &r) {
		return err.Error()
	}
	switch r.Status {
	case ocsp.Malformed:
		return "the responder says: malformedRequest"
	case ocsp.InternalError:
		return "the responder says: internalError"
	case ocsp.TryLater:
		return "the responder says: tryLater"
	case ocsp.SignatureRequired:
		return "the responder says: sigRequired"
	case ocsp.Unauthorized:
		return "the responder says: unauthorized"
	}
	return err.Error()
}

// write adds the staple's members, as they are at now; a zero now does not ask whether the response is out of date.
func (s *staple) write(o *jsonappend.Object, now time.Time) {
	optional(o, "ocsp_status", s.status)
	problem := s.problem
	if problem == "" && !s.nextUpdate.IsZero() && now.After(s.nextUpdate) {
		problem = "out of date since " + s.nextUpdate.UTC().Format(time.RFC3339)
	}
	optional(o, "ocsp_error", problem)
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"ocsp_this_update", s.thisUpdate}, {"ocsp_next_update", s.nextUpdate}, {"ocsp_revoked_at", s.revokedAt}} {
		if !t.at.IsZero() {
			o.String(t.name, t.at.UTC().Format(time.RFC3339))
		}
	}
}
