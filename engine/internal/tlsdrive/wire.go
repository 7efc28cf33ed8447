package tlsdrive

import (
	"encoding/binary"
	"errors"
	"net"
	"time"
)

// recordHeaderSize is the length of a record's header in bytes: type, version, length (RFC 8446 s.5.1).
const recordHeaderSize = 5

// wire is what crypto/tls takes for the network. Reads are served from in, writes gathered in out.
type wire struct {
	co  *coroutine // the handshake under way, or nil
	in  []byte     // the caller's, during one call
	out []byte

	// Where in the record we are: bytes of its header seen, and bytes of its body to come once the header is whole.
	header [recordHeaderSize]byte
	seen   int8
	left   uint16
	// records is how many ended.
	records uint64
}

var _ net.Conn = (*wire)(nil)

// Read never crosses the end of a record. crypto/tls reads ahead as far as its buffer goes and lets the buffer grow by
// doubling; held to one record, the buffer that an idle connection keeps is as large as its largest record needs, and
// no ciphertext lies inside that the caller does not know of.
func (w *wire) Read(p []byte) (int, error) {
	for {
		if n := w.take(p); n > 0 || len(p) == 0 {
			return n, nil
		}
		if w.co == nil {
			return 0, errAgain
		}
		if !w.co.park(struct{}{}) {
			return 0, errStopped
		}
	}
}

// take copies from in, at most to the end of the record.
func (w *wire) take(p []byte) int {
	n := 0
	for n < len(p) && len(w.in) > 0 {
		var m int
		if w.seen < recordHeaderSize {
			m = copy(p[n:], w.in[:min(len(w.in), int(recordHeaderSize-w.seen))])
			copy(w.header[w.seen:], p[n:n+m])
			w.seen += int8(m)
			w.left = binary.BigEndian.Uint16(w.header[3:])
		} else {
			m = copy(p[n:], w.in[:min(len(w.in), int(w.left))])
			w.left -= uint16(m)
		}
		n += m
		w.in = w.in[m:]
		if w.seen == recordHeaderSize && w.left == 0 {
			w.seen = 0
			w.records++
			break
		}
	}
	return n
}

// Write never fails: crypto/tls would not go on after it.
func (w *wire) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// Close is for the interface: the socket is not ours.
func (w *wire) Close() error { return nil }

// LocalAddr is for the interface.
func (w *wire) LocalAddr() net.Addr { return noAddr{} }

// RemoteAddr is asked by crypto/tls for the key of a cached session if the configuration has no server name. All
// connections answer alike, which is why a session is kept per target (see Session).
func (w *wire) RemoteAddr() net.Addr { return noAddr{} }

// SetDeadline is for the interface: time is the loop's.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is for the interface.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is for the interface.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// noAddr is the address of a wire: it has none.
type noAddr struct{}

// Network implements [net.Addr].
func (noAddr) Network() string { return "tlsdrive" }

// String implements [net.Addr].
func (noAddr) String() string { return "tlsdrive" }

// errAgain says that there are no bytes yet. crypto/tls keeps no error that calls itself temporary, once the handshake
// is over.
var errAgain error = againError{}

// errStopped ends a handshake that was closed half way. Nobody gets to see it.
var errStopped = errors.New("tls handshake stopped")

// againError is the type of errAgain.
type againError struct{}

var _ net.Error = againError{}

// Error implements error.
func (againError) Error() string { return "no bytes yet" }

// Timeout implements [net.Error].
func (againError) Timeout() bool { return true }

// Temporary implements [net.Error].
func (againError) Temporary() bool { return true }
