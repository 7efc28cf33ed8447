package protocol

import (
	"crypto/tls"
	"errors"
	"time"
)

// Handshaker is an Exchange over a connection that is secured by TLS (RFC 8446), from its first byte or from a StartTLS
// step on. The engine drives the handshake or, where the exchange wants to read the bytes of it itself, leaves it to the
// exchange; either way the connection is HANDSHAKING meanwhile and has the handshake's limit.
//
//	established ─► Handshake ─┬─ TLSNever ► Begin ... Done
//	                          ├─ TLSLater ► Begin ... StartTLS step ─► Handshake again (not TLSLater)
//	                          ├─ TLSNow   ► (the engine's handshake) ─► OnHandshake ─► Begin ... Done
//	                          └─ TLSOwn   ► Begin (records in the clear) ... Done
//
// After the engine's handshake all bytes of the exchange pass through TLS, and frames are found in the plaintext.
type Handshaker interface {
	Exchange
	// Handshake is asked when the connection is established, and again after a StartTLS step. The configuration is
	// for TLSNow, else nil. The engine does not change it; it may be shared by many connections. It must not allow
	// renegotiation, and its callbacks must not block.
	Handshake() (Security, *tls.Config)
	// OnHandshake is called once the engine's handshake is over, however it ended. With h.Err nil, true lets the exchange
	// go on with Begin, and false ends it (the certificate is not believed). With h.Err other than nil nothing more is
	// done and the answer does not count: Conclusion comes next, with OnEnd before it if h.Err is ErrHandshakeCut.
	OnHandshake(h *Handshake) (goOn bool)
	// OnControl is called for records after the engine's handshake that carry no application data: session tickets and
	// key updates (RFC 8446 s.4.6). It is not called when data came with them. A Step that goes on reading and names no Wait
	// ends neither a Pause nor the Wait of the Step before.
	OnControl() Step
}

// Security says what secures a connection from here on.
type Security uint8

const (
	// TLSNever: nothing does.
	TLSNever Security = iota
	// TLSLater: nothing yet; a StartTLS step follows.
	TLSLater
	// TLSNow: the engine makes the handshake.
	TLSNow
	// TLSOwn: the exchange is a handshake itself, over the bytes of the connection. It ends with it.
	TLSOwn
)

// ErrHandshakeCut is the Err of a Handshake that was cut off: by the peer's FIN or reset, by a limit, or by us.
var ErrHandshakeCut = errors.New("connection ended in the handshake")

// FlightSize is how much of a server's first bytes a [Handshake] keeps: a HelloRetryRequest and a ServerHello with the
// largest key share that crypto/tls knows fit.
const FlightSize = 2 << 10

// Handshake is how the engine's TLS handshake ended. It is valid during OnHandshake.
type Handshake struct {
	// State is what crypto/tls learned, of a failed handshake as far as it got.
	State tls.ConnectionState
	// Err is nil for success, ErrHandshakeCut, or what crypto/tls said: an alert of the peer's is a net.OpError whose Op is
	// "remote error" and whose Err has a type that is not exported, what is not TLS a tls.RecordHeaderError, a refused ECH a
	// tls.ECHRejectionError.
	Err error
	// Flight is the first FlightSize bytes that the server sent, as they came over the wire.
	Flight []byte
	// Took is from the start of the handshake to its end. Wait is the part of it that was spent waiting for the peer and the
	// network; the rest is ours.
	Took, Wait time.Duration
}

// Series is an Exchange that may want several connections to the same peer, one after the other: to compare
// handshakes, or to ask what one connection answers only once.
type Series interface {
	Exchange
	// Next is asked when a connection is over, after a Done step or after OnEnd, before Conclusion. True has the engine
	// close it and open another to the same address, on which everything from Handshake or Begin on comes again; false, or a
	// target whose time budget is spent, ends the exchange. A connection that can't be had is told by OnEnd with
	// EndNoConnection, and Next is asked again.
	//
	// The phases of the outcome are those of the first connection; its total runs to the end of the last. Waiting for a
	// turn to dial is not counted against the target's budget.
	Next() bool
}
