package tlswire

import (
	"fmt"

	"sonde/protocol"
)

// MaxChain is the most certificates that a message may have: more than any server needs, and few enough that the list of
// them is small.
const MaxChain = 100

// Certificate is a server's or a client's chain, the end's own certificate first (RFC 8446 s.4.4.2, RFC 5246 s.7.4.2). A client
// without a certificate sends an empty one.
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

// ParseCertificate parses the body of a certificate message in the form of version v. More than [MaxChain] certificates are
// protocol.ErrTooLarge.
func ParseCertificate(body []byte, v Version) (Certificate, error) {
	f := fault{format: "tls certificate"}
	c := f.cursor(body)
	var cert Certificate
	if v.isTLS13() {
		cert.Context = c.opaque(1, 0, 255, "certificate_request_context")
	}
	list := c.vector(3, 0, 1<<24-1, "certificate_list")
	c.end("certificate_list")
	for list.more() {
		if len(cert.Entries) == MaxChain {
			return Certificate{}, fmt.Errorf("tls certificate: more than %d certificates: %w", MaxChain, protocol.ErrTooLarge)
		}
		var e CertificateEntry
		e.Data = list.opaque(3, 1, 1<<24-1, "certificate")
		if v.isTLS13() {
			e.extend(&list)
		}
		cert.Entries = append(cert.Entries, e)
	}
	if err := f.err(); err != nil {
		return Certificate{}, err
	}
	return cert, nil
}

// extend takes the extensions of one entry.
func (e *CertificateEntry) extend(list *cursor) {
	var block blockReader
	e.Extensions, block = list.extensions(0)
	for {
		t, content, ok := block.next()
		if !ok {
			return
		}
		switch t {
		case ExtStatusRequest:
			e.OCSP = content.ocspResponse()
		case ExtSignedCertTimestamp:
			e.SCTs = content.scts()
		default:
			continue
		}
		content.end(t.String())
	}
}

// ParseCertificateStatus parses the body of a certificate_status message (RFC 6066 s.8) and returns the OCSPResponse in DER, a
// part of body. Types of status other than ocsp are malformed; nothing but status_request_v2 asks for them.
func ParseCertificateStatus(body []byte) (ocsp []byte, err error) {
	f := fault{format: "tls certificate_status"}
	c := f.cursor(body)
	ocsp = c.ocspResponse()
	c.end("ocsp_response")
	if err := f.err(); err != nil {
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
	f := fault{format: "tls certificate_request"}
	c := f.cursor(body)
	var r CertificateRequest
	if v.isTLS13() {
		r.Context = c.opaque(1, 0, 255, "certificate_request_context")
		r.extend(&c)
	} else {
		r.Types = c.opaque(1, 1, 255, "certificate_types")
		if v == TLS12 {
			r.Schemes = c.schemes()
		}
		r.Authorities = c.authorities(0)
	}
	c.end("certificate_request")
	if err := f.err(); err != nil {
		return CertificateRequest{}, err
	}
	return r, nil
}

// extend takes the extensions of a request of TLS 1.3. RFC 8446 s.4.3.2 demands signature_algorithms.
func (r *CertificateRequest) extend(c *cursor) {
	var block blockReader
	r.Extensions, block = c.extensions(2)
	for {
		t, content, ok := block.next()
		if !ok {
			break
		}
		switch t {
		case ExtSignatureAlgorithms:
			r.Schemes = content.schemes()
		case ExtSignatureAlgorithmsCert:
			r.CertSchemes = content.schemes()
		case ExtCertificateAuthorities:
			r.Authorities = content.authorities(3)
		default:
			continue
		}
		content.end(t.String())
	}
	if r.Schemes == nil {
		c.fail("signature_algorithms", "not there")
	}
}

// schemes takes a list of at least one signature scheme (RFC 8446 s.4.2.3).
func (c *cursor) schemes() []SignatureScheme {
	list := c.vector(2, 2, 1<<16-2, "signature_algorithms")
	return pairs[SignatureScheme](&list, "signature_algorithms")
}

// authorities takes a list of distinguished names of at least least bytes (RFC 8446 s.4.2.4, RFC 5246 s.7.4.4).
func (c *cursor) authorities(least int) [][]byte {
	var names [][]byte
	list := c.vector(2, least, 1<<16-1, "certificate_authorities")
	for list.more() {
		names = append(names, list.opaque(2, 1, 1<<16-1, "certificate_authorities"))
	}
	return names
}
