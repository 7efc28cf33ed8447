package tlsclient

// wording is how an error begins that crypto/tls tells in words alone, and what it means.
type wording struct {
	begins string
	cause  Cause
}

// ssl30Selected is the whole of what crypto/tls, which has no SSL 3.0 (0x0300, RFC 6101 s.E.2), says of a server that has
// nothing newer. Other versions in its place were not offered.
const ssl30Selected = "tls: server selected unsupported protocol version 300"

// wordings are all that a client's handshake over TCP can answer in Go 1.26; the first that fits holds. What is not here,
// because it can't be reached without a renegotiation, QUIC or a configuration that Offer.Config refuses, counts as
// Incapable.
var wordings = []wording{
	// What other stacks may take.
	{"tls: certificate used with invalid signature algorithm", Incapable},
	{"tls: server's certificate contains an unsupported type of public key", Incapable},
	{"tls: server sent certificate containing RSA key larger than", Incapable},
	{"tls: Ed25519 public keys are not supported before TLS 1.2", Incapable},
	{"tls: unsupported public key", Incapable},
	{"tls: failed to parse certificate from server: x509: unsupported elliptic curve", Incapable},
	// crypto/rsa refuses keys below 1,024 bits, unless GODEBUG says rsa1024min=0, and unusual exponents.
	{"tls: invalid signature by the server certificate: crypto/rsa: verification error", PeerFault},
	{"tls: invalid signature by the server certificate: crypto/rsa:", Incapable},
	{"crypto/rsa:", Incapable},
	{"tls: FIPS 140-3 requires", Incapable},

	// Our own certificate.
	{"tls: peer doesn't support", Incapable},
	{"tls: unsupported certificate", Incapable},
	{"tls: certificate RSA key size too small", Incapable},
	{"tls: certificate private key", Incapable},
	{"tls: client certificate private key", Incapable},
	{"tls: failed to sign handshake", Incapable},
	// A CertificateRequest of TLS 1.2 without algorithms breaks RFC 5246 s.7.4.4.
	{"tls: missing signature_algorithms from TLS 1.2 peer", PeerFault},

	{"tls: handshake message of length", TooLarge},
	{"tls: failed to parse certificate from server", BadCertificate},

	// The hellos.
	{"tls: downgrade attempt detected", PeerFault},
	{"tls: received unexpected", PeerFault},
	{"tls: received malformed key_share extension", PeerFault},
	{"tls: malformed key_share extension", PeerFault},
	{"tls: malformed encrypted client hello extension", PeerFault},
	{"tls: unexpected encrypted client hello extension", PeerFault},
	{"tls: unexpected server_name extension in server hello", PeerFault},
	{"tls: initial handshake had non-empty renegotiation extension", PeerFault},
	{"tls: incorrect renegotiation extension contents", PeerFault},
	{"tls: server accepted 0-RTT", PeerFault},
	{"tls: server advertised unrequested ALPN extension", PeerFault},
	{"tls: server changed cipher suite after a HelloRetryRequest", PeerFault},
	{"tls: server chose an unconfigured cipher suite", PeerFault},
	{"tls: server did not echo the legacy session ID", PeerFault},
	{"tls: server did not send a key share", PeerFault},
	{"tls: server echoed TLS 1.3 compatibility session ID in TLS 1.2", PeerFault},
	{"tls: server offered only incompatible point formats", PeerFault},
	{"tls: server resumed a session with a different", PeerFault},
	{"tls: server selected", PeerFault}, // version, curve, group, compression, PSK, protocol: none of them offered
	{"tls: server sent", PeerFault},     // what does not belong there
	{"tls: invalid server key share", PeerFault},

	// What follows them.
	{"tls: received empty certificates message", PeerFault},
	{"tls: received a session ticket with", PeerFault},
	{"tls: server's Finished message was incorrect", PeerFault},
	{"tls: invalid server finished hash", PeerFault},
	{"tls: invalid signature by the server certificate", PeerFault},
	{"tls: invalid ServerKeyExchange message", PeerFault},
	{"tls: unexpected ServerKeyExchange", PeerFault},
	{"tls: missing ServerKeyExchange message", PeerFault},
	{"tls: server certificate contains incorrect key type for selected ciphersuite", PeerFault},
	{"unsupported signature algorithm", PeerFault},
	{"tls: handshake buffer not empty before setting read traffic secret", PeerFault},
	// Sixteen records in a row that lead nowhere: a peer that keeps us busy.
	{"tls: too many ignored records", PeerFault},
	{"tls: too many non-advancing records", PeerFault},
}
