package probes

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"sonde/protocol/tlswire"
)

// Depth is how far a TLS handshake goes.
type Depth uint8

const (
	// DepthFull is a whole handshake: the chain is verified, application data can follow.
	DepthFull Depth = iota
	// DepthHello ends with the ServerHello and, up to TLS 1.2, with what follows it in the clear. No asymmetric cryptography.
	DepthHello
	// DepthCerts ends with the server's Certificate message. In TLS 1.3 that takes one key agreement.
	DepthCerts
)

// String returns the word of --tls-depth.
func (d Depth) String() string { return [...]string{"full", "hello", "certs"}[d] }

// StartTLSAuto is the StartTLS that goes by the target's port.
const StartTLSAuto = "auto"

// TLSOptions says what is offered to a TLS server and what is believed of it. The zero value offers TLS 1.0 to 1.3, X25519
// first, and trusts the system's authorities.
type TLSOptions struct {
	Depth Depth
	// ServerName is the SNI (RFC 6066 s.3) for every target; empty: the target's domain, none for a bare address.
	ServerName string
	// ALPN are the protocols to offer in order (RFC 7301); nil is the probe's own, which may be none.
	ALPN []string
	// MinVersion and MaxVersion bound what is offered; 0 is SSL 3.0 (TLS 1.0 at DepthFull) and TLS 1.3.
	MinVersion, MaxVersion tlswire.Version
	// Groups are the key exchanges to offer, in order of preference; nil is X25519, P-256, P-384, P-521.
	Groups []tlswire.Group
	// Insecure keeps a bad certificate from being a failure; what is wrong with it is reported all the same.
	Insecure bool
	// Roots are the trusted authorities; nil is the system's.
	Roots *x509.CertPool
	// Certificates are the client's own, sent when the server asks for one that suits.
	Certificates []tls.Certificate
	// StartTLS is the protocol in which TLS is asked for first, one of starttls.Protocols, StartTLSAuto, or empty.
	StartTLS string
	// SessionReuse makes a second connection that resumes the first one's session.
	SessionReuse bool
	// ECH is an ECHConfigList (draft-ietf-tls-esni s.4) to encrypt the hello with; nil does not.
	ECH []byte
	// PEM adds the certificates to the result.
	PEM bool
	// Enum asks for all that the server takes, of what is set.
	Enum struct{ Versions, Ciphers, Groups bool }
	// JARM asks for the JARM fingerprint.
	JARM bool
	// Now tells the wall clock, against which certificates are held; nil is not allowed where they are.
	Now func() time.Time
}
