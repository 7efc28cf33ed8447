package tlswire

import (
	"fmt"

	"sonde/protocol"
)

// MaxChain is the most certificates that a message may have: more than any server needs, and few enough that the list of
// them is small.
const MaxChain = 100

// Certificate is a server's or a client's chain, the end's own certificate first (RFC 8446 s.4.4.2, RFC 5246 s.7.4.2). A
// client without a certificate sends an empty one.
type Certificate struct {
	Context []byte // certificate_request_context of TLS 1.3; a part of the message
	Entries []CertificateEntry
}

// CertificateEntry is one certificate and what comes with it in TLS 1.3. Its slices are parts of the message.
type CertificateEntry struct {
	Data       []byte     // DER, at least one byte; not looked into
	Extensions Extensions // all, in order; nil before TLS 1.3
	OCSP       []byte     // the OCSPResponse of status_request (RFC 8446 s.4.4.2.1), nil for none
	SCTs       SCTList    // signed_certificate_timestamp (RFC 6962 s.3.3.1), nil for none
}

// ParseCertificate parses the body of a certificate message in the form of version v. More than [MaxChain] certificates
// are protocol.ErrTooLarge.
func ParseCertificate(body []byte, v Version) (Certificate, error) {
	c := read("tls certificate", body)
	var cert Certificate
	if v.isTLS13() {
		cert.Context = c.opaque(1, 0, 255, "certificate_request_context")
	}
	outer := c.enter(3, 0, 1<<24-1, "certificate_list")
	for c.more() {
		if len(cert.Entries) == MaxChain {
			return Certificate{}, fmt.Errorf("tls certificate: more than %d certificates: %w", MaxChain, protocol.ErrTooLarge)
		}
		var e CertificateEntry
		e.Data = c.opaque(3, 1, 1<<24-1, "certificate")
		if v.isTLS13() {
			e.extend(&c)
		}
		cert.Entries = append(cert.Entries, e)
	}
	c.leave(outer, "certificate_list")
	if err := c.finish(); err != nil {
		return Certificate{}, err
	}
	return cert, nil
}

// extend takes the extensions of one entry.
func (e *CertificateEntry) extend(c *cursor) {
	var seen typeSet
	outer := c.enter(2, 0, 1<<16-1, "extensions")
	e.Extensions = Extensions(c.rest())
	for c.more() {
		t, block := c.enterExtension(&seen)
		known := true
		switch t {
		case ExtStatusRequest:
			e.OCSP = c.ocspResponse()
		case ExtSignedCertTimestamp:
			e.SCTs = c.scts()
		default:
			known = false
		}
		c.leaveExtension(t, block, known)
	}
	c.leave(outer, "extensions")
}

// ParseCertificateStatus parses the body of a certificate_status message (RFC 6066 s.8) and returns the OCSPResponse in
// DER, a part of body. Types of status other than ocsp are malformed; nothing but status_request_v2 asks for them.
func ParseCertificateStatus(body []byte) (ocsp []byte, err error) {
	c := read("tls certificate_status", body)
	ocsp = c.ocspResponse()
	if err := c.finish(); err != nil {
		return nil, err
	}
	return ocsp, nil
}

// CertificateRequest is a server's wish for a client certificate (RFC 8446 s.4.3.2, RFC 5246 s.7.4.4).
type CertificateRequest struct {
	Context     []byte            // TLS 1.3: certificate_request_context
	Types       []byte            // before TLS 1.3: ClientCertificateType values (registry "TLS ClientCertificateType Identifiers")
	Schemes     []SignatureScheme // from TLS 1.2 on: what the signature may be; new memory
	CertSchemes []SignatureScheme // TLS 1.3: signature_algorithms_cert, nil for none; new memory
	Authorities [][]byte          // distinguished names in DER, parts of the message; empty for any
	Extensions  Extensions        // TLS 1.3: all, in order
}

// ParseCertificateRequest parses the body of a certificate_request message in the form of version v.
func ParseCertificateRequest(body []byte, v Version) (CertificateRequest, error) {
	c := read("tls certificate_request", body)
	var r CertificateRequest
	if v.isTLS13() {
		r.Context = c.opaque(1, 0, 255, "certificate_request_context")
		r.extend(&c)
	} else {
		r.Types = c.opaque(1, 1, 255, "certificate_types")
		if v == TLS12 {
			r.Schemes = numbers[SignatureScheme](&c, 2, "signature_algorithms")
		}
		r.Authorities = c.authorities(0)
	}
	if err := c.finish(); err != nil {
		return CertificateRequest{}, err
	}
	return r, nil
}

// extend takes the extensions of a request of TLS 1.3. RFC 8446 s.4.3.2 demands signature_algorithms.
func (r *CertificateRequest) extend(c *cursor) {
	var seen typeSet
	outer := c.enter(2, 2, 1<<16-1, "extensions")
	r.Extensions = Extensions(c.rest())
	for c.more() {
		t, block := c.enterExtension(&seen)
		known := true
		switch t {
		case ExtSignatureAlgorithms:
			r.Schemes = numbers[SignatureScheme](c, 2, "signature_algorithms")
		case ExtSignatureAlgorithmsCert:
			r.CertSchemes = numbers[SignatureScheme](c, 2, "signature_algorithms_cert")
		case ExtCertificateAuthorities:
			r.Authorities = c.authorities(3)
		default:
			known = false
		}
		c.leaveExtension(t, block, known)
	}
	c.leave(outer, "extensions")
	if r.Schemes == nil {
		c.fail("signature_algorithms", "not there")
	}
}

// authorities takes a list of distinguished names of at least least bytes (RFC 8446 s.4.2.4, RFC 5246 s.7.4.4).
func (c *cursor) authorities(least int) [][]byte {
	const field = "certificate_authorities"
	var names [][]byte
	outer := c.enter(2, least, 1<<16-1, field)
	for c.more() {
		names = append(names, c.opaque(2, 1, 1<<16-1, field))
	}
	c.leave(outer, field)
	return names
}
