// Package tlsfacts is what sonde says of a server's TLS: the facts that a handshake of any depth gathers, what is wrong with
// the certificates, and all of it as the "result" of a record.
package tlsfacts

import (
	"sonde/probes"
	"sonde/protocol/tlswire"
)

// Tri is a yes or no that may not be known.
type Tri uint8

// The values of a Tri. Unknown is not written.
const (
	Unknown Tri = iota
	No
	Yes
)

// TriOf is Yes or No.
func TriOf(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// Facts is what was learned of a server's TLS. What is zero was not learned and is not written, but for a suite and a
// version: those are known once Version is not 0.
type Facts struct {
	Depth         probes.Depth
	StartTLS      string          // the protocol in which TLS was asked for; empty: none
	SNI           string          // the name that was asked for
	Version       tlswire.Version // that the server chose
	Cipher        tlswire.CipherSuite
	Group         tlswire.Group // of the key exchange, where one was visible
	ALPN          string
	Retry         bool     // the server sent a HelloRetryRequest first
	Alert         string   // the name of the alert by which the peer ended the handshake
	JA3S          string   // MD5 in hexadecimal; the text it is made from is tlswire.ServerHello's
	SessionID     Tri      // TLS 1.2 and below: the server gave a session an ID to resume it by
	SessionTicket Tri      // the server gives tickets (RFC 5077), or gave one (RFC 8446 s.4.6.1)
	Resumed       Tri      // a session was resumed: by the second connection, where there are two (Reuse)
	Chain         [][]byte // DER, leaf first, as the server sent them
	OCSP          []byte   // the stapled response, DER (RFC 6960)
	SCTs          [][]byte // RFC 6962 s.3.3, from the handshake; those within certificates are found there
	ClientCert    Tri      // the server asked for a certificate of ours
	ECH           Tri      // the server took the encrypted hello
	ECHRetry      []byte   // the ECHConfigList that a server gave which did not
	FirstBytes    []byte   // what the peer sent that is not TLS
	JARM          string   // 62 characters
	Enum          *Enum
	Reuse         *Reuse
	// Established: a whole handshake was made, and the certificate was believed or, with Insecure, is not asked about.
	Established, Insecure bool
	PEM                   bool // write the certificates too
}

// Enum is all that a server takes, each list in the server's own order of preference where it has one.
type Enum struct {
	Versions []tlswire.Version // nil: not asked
	Ciphers  []VersionCiphers
	Groups   []tlswire.Group
	// Incomplete says why the lists may lack something ("connection-reset after 12 connections"); empty: they are whole.
	Incomplete  string
	Connections int // how many it took
}

// VersionCiphers is the suites that a server takes in one version.
type VersionCiphers struct {
	Version tlswire.Version
	Ciphers []tlswire.CipherSuite
	// ServerOrder is Yes if the server insists on its own order, No if it takes the client's.
	ServerOrder Tri
}

// Reuse is what a second connection made of the first one's session.
type Reuse struct {
	// Method is what the server accepted: "psk" (RFC 8446 s.2.2), "ticket" (RFC 5077), "session-id" (RFC 5246 s.F.1.4) or
	// "none".
	Method string
	// Offered is what there was to offer: the same words.
	Offered string
	// FullUS and ResumedUS are how long the two handshakes took, in microseconds; 0 is not known, as of a second one by
	// session ID, which ends with the ServerHello.
	FullUS, ResumedUS int64
	// Ended says that Method is the server's answer, or that it gave no session to ask with; else the second connection
	// failed before it told.
	Ended bool
}
