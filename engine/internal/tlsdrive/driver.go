// Package tlsdrive lets an event loop drive a crypto/tls client: the loop hands in the ciphertext that arrived and gets
// back plaintext and the ciphertext to write. The package does no I/O and never blocks.
//
// crypto/tls wants a connection that blocks, and its handshake errors are sticky, even those that call themselves
// temporary. So the handshake runs as a coroutine ([iter.Pull]) that parks wherever crypto/tls would wait for the
// network. After the handshake the coroutine is gone: crypto/tls' Read, unlike its handshake, goes on after a temporary
// error.
//
//	New ──► Handshake(nil) ──► [ send Outgoing, Handshake(bytes) ]... ──► done ──► [ Read, Write, send Outgoing ]... ──► Close
//
// # Threads
//
// A [Driver] belongs to one loop. Handshake and Close switch coroutines, so all calls on a Driver come from the
// goroutine that made the first, which must not be locked to its thread ([runtime.LockOSThread]): the runtime stops the
// program otherwise. A Driver whose handshake is parked keeps a goroutine and its stack (8 KiB) until Close; the garbage
// collector does not free it. A loop that ends closes every Driver first.
//
// # What is left to the caller
//
// Limits of time, the socket, the peer's FIN (a Driver never hears of it: close it), and what the certificates are worth
// (see tlsclient.Verify). tlsclient.Offer makes configurations that suit a probe.
package tlsdrive

import (
	"bytes"
	"crypto/tls"
	"errors"
	"iter"
	"net"
)

// Driver is one TLS connection, client side. Make it with [New]; it is not safe for concurrent use.
type Driver struct {
	conn  *tls.Conn
	wire  wire // what conn takes for the network
	stage stage
	// err is why the handshake failed, or what the last Read ended with. Sticky.
	err error
	// final is what was known at Close; nil until then.
	final *tls.ConnectionState
}

// stage is where a Driver stands in its life.
type stage uint8

const (
	fresh       stage = iota // New was called, nothing has run
	handshaking              // the coroutine is parked, or running
	open                     // the handshake is over and well
	failed                   // the handshake is over and failed
	closed
)

// coroutine is a handshake under way. It hangs from the wire, because it is there that it parks.
type coroutine struct {
	resume func() (struct{}, bool)
	stop   func()
	park   func(struct{}) bool // false: it was stopped, give up
	err    error               // what crypto/tls said, once resume answers false
}

// errUnfinished stands for a handshake that a panic ended. No caller sees it unless it goes on after recovering.
var errUnfinished = errors.New("tls handshake did not return")

// New makes a client with cfg, which it shares and does not change; like [tls.Client], it wants cfg.ServerName or
// cfg.InsecureSkipVerify. Nothing runs until Handshake.
//
// New panics if cfg allows renegotiation: that is a handshake within Read, which has nowhere to park.
// The callbacks in cfg run inside Handshake and Read: they must not block and not call the Driver.
func New(cfg *tls.Config) *Driver {
	if cfg.Renegotiation != tls.RenegotiateNever {
		panic("tlsdrive: the configuration allows renegotiation")
	}
	d := &Driver{}
	d.conn = tls.Client(&d.wire, cfg)
	return d
}

// Handshake goes on with the handshake until it wants more bytes than in holds, or is over. The first call starts it,
// with nil: the ClientHello is then in Outgoing. Look into Outgoing after each call, the last and a failed one included:
// it holds the Finished, or the alert that tells the peer what was wrong.
//
// used is how many bytes of in were taken. It is less than len(in) only when the handshake is over: what is left
// belongs to Read. in is not kept. Once over, Handshake takes nothing and answers the same again.
//
// err is what crypto/tls said, as it is: an alert of the peer's is a [net.OpError] with Op "remote error" whose
// error is the alert's text, what is not TLS a [tls.RecordHeaderError], a refused encrypted hello
// [tls.ECHRejectionError]. A handshake message above 64 KiB, a Certificate message above 256 KiB and more than 16 records
// in a row that lead nowhere are refused by crypto/tls. After Close it is [net.ErrClosed].
//
// In TLS 1.3 a server judges the client's certificate after this end is done; its alert comes out of Read.
func (d *Driver) Handshake(in []byte) (used int, done bool, err error) {
	switch d.stage {
	case fresh:
		d.begin()
	case handshaking:
		if len(in) == 0 {
			return 0, false, nil // a resume for nothing
		}
	case closed:
		return 0, false, net.ErrClosed
	default:
		return 0, d.stage == open, d.err
	}

	co := d.wire.co
	d.wire.in = in
	_, parked := co.resume()
	used = len(in) - len(d.wire.in)
	d.wire.in = nil
	if parked {
		return used, false, nil
	}

	d.wire.co = nil
	d.stage, d.err = open, co.err
	if d.err != nil {
		d.stage = failed
	}
	return used, d.err == nil, d.err
}

// begin makes the coroutine. Its stack comes with the first resume.
func (d *Driver) begin() {
	co := &coroutine{err: errUnfinished}
	conn := d.conn
	co.resume, co.stop = iter.Pull(func(park func(struct{}) bool) {
		co.park = park
		co.err = conn.Handshake()
	})
	d.wire.co = co
	d.stage = handshaking
}

// Read decrypts: it takes ciphertext from in and puts plaintext into dst, until dst is full or in is used up. If
// n == len(dst), there may be more plaintext, inside or in what is left of in: call again with in[used:], even if that
// is empty. Otherwise all of in is used. Needing more bytes is not an error: n is then 0 and err nil.
//
// Call it with what Handshake left over, and whenever bytes arrive, even if no answer is awaited: session tickets, key
// updates and alerts come that way, and a key update leaves an answer in Outgoing.
//
// It answers [io.EOF] at the peer's close_notify (RFC 8446 s.6.1), and otherwise what crypto/tls said, together with the
// plaintext before it. The error is sticky; Write still works after io.EOF. A server's wish to renegotiate is
// refused and is such an error. After Close it is [net.ErrClosed].
//
// dst and in are not kept and must not overlap. Read panics if the handshake has not ended.
func (d *Driver) Read(dst, in []byte) (n, used int, err error) {
	if err := d.usable("Read"); err != nil {
		return 0, 0, err
	}
	if d.err != nil {
		return 0, 0, d.err
	}
	d.wire.in = in
	for n < len(dst) {
		// Plaintext that crypto/tls still holds fills dst first, so a short read means that it holds none.
		var m int
		m, err = d.conn.Read(dst[n:])
		n += m
		if err != nil || n < len(dst) && len(d.wire.in) == 0 {
			break
		}
	}
	used = len(in) - len(d.wire.in)
	d.wire.in = nil
	if err == errAgain {
		err = nil
	}
	d.err = err
	return n, used, err
}

// Write encrypts all of p; the ciphertext is behind what was in Outgoing. p is not kept. The error is what crypto/tls
// said: a connection that told its peer of a fault, or that CloseNotify was called for, writes no more. Nothing bounds
// what Outgoing gathers: write when it is empty. Write panics if the handshake has not ended.
func (d *Driver) Write(p []byte) (int, error) {
	if err := d.usable("Write"); err != nil {
		return 0, err
	}
	return d.conn.Write(p)
}

// CloseNotify puts the close_notify alert (RFC 8446 s.6.1) behind what is in Outgoing; nothing can be written after it,
// but Read goes on. A second call does nothing. CloseNotify panics if the handshake has not ended.
func (d *Driver) CloseNotify() error {
	if err := d.usable("CloseNotify"); err != nil {
		return err
	}
	return d.conn.CloseWrite()
}

// usable tells whether application data can flow. A caller that did not wait for the handshake is a bug: crypto/tls would
// start one by itself, off the coroutine.
func (d *Driver) usable(call string) error {
	switch d.stage {
	case open:
		return nil
	case failed:
		return d.err
	case closed:
		return net.ErrClosed
	default:
		panic("tlsdrive: " + call + " before the handshake ended")
	}
}

// Outgoing is the ciphertext to be written to the peer, in order; empty if there is none. The memory is the Driver's and
// stays as it is until the next call of any method but State. Tell with Sent how much went out.
func (d *Driver) Outgoing() []byte { return d.wire.out }

// Sent takes the first n bytes off Outgoing. When none are left the buffer is given up, so that an idle connection
// keeps none. It panics if n is out of range.
func (d *Driver) Sent(n int) {
	d.wire.out = d.wire.out[n:]
	if len(d.wire.out) == 0 {
		d.wire.out = nil
	}
}

// State is what crypto/tls knows of the connection. After a failed handshake and after Close it holds what was learned
// until then: the version and the suite from the ServerHello on, the certificates once they were parsed. A Driver
// that is in its handshake answers the zero state, since crypto/tls holds the lock: to learn how far a handshake got that
// ran out of time, Close it first.
//
// The certificates are shared with other connections and must not be changed. After Close the state can no longer export
// keying material.
func (d *Driver) State() tls.ConnectionState {
	switch {
	case d.final != nil:
		return *d.final
	case d.stage == handshaking:
		return tls.ConnectionState{}
	default:
		return d.conn.ConnectionState()
	}
}

// Close stops the handshake if one is parked, and gives up all memory but what State needs. No bytes are sent and
// Outgoing is empty afterwards; for a polite end call CloseNotify before and write Outgoing. A second Close does nothing.
func (d *Driver) Close() {
	if d.stage == closed {
		return
	}
	if d.wire.co != nil {
		d.wire.co.stop()
	}
	d.final = learned(d.conn.ConnectionState())
	d.stage = closed
	d.conn, d.wire = nil, wire{}
}

// Release is Close for a Driver of which nobody wants to know anything more: it stops a handshake that is parked. Only
// State may be called after it.
func (d *Driver) Release() {
	if d.wire.co != nil {
		d.wire.co.stop()
		d.wire.co = nil
	}
}

// Records is how many whole TLS records were taken from the peer so far.
func (d *Driver) Records() uint64 { return d.wire.records }

// learned copies the exported fields. The others, and TLSUnique, would keep the whole tls.Conn alive.
func learned(s tls.ConnectionState) *tls.ConnectionState {
	return &tls.ConnectionState{
		//lint:ignore SA1019 a copy must be whole
		NegotiatedProtocolIsMutual:  s.NegotiatedProtocolIsMutual,
		Version:                     s.Version,
		HandshakeComplete:           s.HandshakeComplete,
		DidResume:                   s.DidResume,
		CipherSuite:                 s.CipherSuite,
		CurveID:                     s.CurveID,
		NegotiatedProtocol:          s.NegotiatedProtocol,
		ServerName:                  s.ServerName,
		PeerCertificates:            s.PeerCertificates,
		VerifiedChains:              s.VerifiedChains,
		SignedCertificateTimestamps: s.SignedCertificateTimestamps,
		OCSPResponse:                s.OCSPResponse,
		TLSUnique:                   bytes.Clone(s.TLSUnique),
		ECHAccepted:                 s.ECHAccepted,
		HelloRetryRequest:           s.HelloRetryRequest,
	}
}
