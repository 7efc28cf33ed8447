package tlswire

import (
	"encoding/binary"
	"fmt"

	"sonde/protocol"
)

// ContentType tells the kinds of records apart (registry "TLS ContentType"; RFC 8446 s.5.1). It is the Kind of a
// [RecordParser]'s frames.
type ContentType uint8

// Content types of TLS over a stream.
const (
	RecordChangeCipherSpec ContentType = 20 // RFC 5246 s.7.1, RFC 8446 s.5
	RecordAlert            ContentType = 21 // RFC 8446 s.6
	RecordHandshake        ContentType = 22 // RFC 8446 s.4
	RecordApplicationData  ContentType = 23 // RFC 8446 s.5.2; every protected record of TLS 1.3
	RecordHeartbeat        ContentType = 24 // RFC 6520 s.3
)

// String returns the registry's name ("handshake"), or the number of a type that has none ("25").
func (t ContentType) String() string {
	switch t {
	case RecordChangeCipherSpec:
		return "change_cipher_spec"
	case RecordAlert:
		return "alert"
	case RecordHandshake:
		return "handshake"
	case RecordApplicationData:
		return "application_data"
	case RecordHeartbeat:
		return "heartbeat"
	}
	return fmt.Sprintf("%d", uint8(t))
}

// Sizes of records, in bytes.
const (
	// RecordHeaderSize is the size of a record's header: type, version and length (RFC 8446 s.5.1).
	RecordHeaderSize = 5
	// MaxPlaintext is the most that a record in the clear may hold (RFC 8446 s.5.1).
	MaxPlaintext = 1 << 14
	// MaxFragment is the most that any record may hold: 2^14 and 256 of protection (RFC 8446 s.5.2). RFC 5246 s.6.2.3
	// allows protected records of TLS 1.2 up to 2^14+2048, but no suite needs as much, and no peer has been seen to send
	// it.
	MaxFragment = MaxPlaintext + 256
)

const recordFormat = "tls record"

// RecordParser is a [protocol.FrameParser] for TLS records. A frame's Kind is its [ContentType] and its Data the fragment
// without the header. The zero RecordParser is ready for use.
//
// It says no at the first byte that no record can have there: a first byte that is no content type (text, or the length
// of an SSL 2.0 hello), a major version that is not 3. The minor version is kept and not judged, as RFC 8446 s.5.1 asks.
// A length above [MaxFragment] is protocol.ErrTooLarge as soon as the header is there; an empty record is malformed
// unless it is application data.
type RecordParser struct {
	need    int // least size of the record under way, as far as its header is known; 0 is 1
	version Version
}

var _ protocol.FrameParser = (*RecordParser)(nil)

// ParseFrame implements [protocol.FrameParser].
func (p *RecordParser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	if len(buf) > 0 && (buf[0] < byte(RecordChangeCipherSpec) || buf[0] > byte(RecordHeartbeat)) {
		return protocol.Frame{}, 0, notTLS(buf[0])
	}
	if len(buf) > 1 && buf[1] != 3 {
		return protocol.Frame{}, 0, malformed(recordFormat, 1, "major version is not 3")
	}
	if len(buf) < RecordHeaderSize {
		p.need = RecordHeaderSize
		if len(buf) < 2 {
			p.need = len(buf) + 1 // each of the first two bytes may end it
		}
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	size := int(binary.BigEndian.Uint16(buf[3:]))
	switch {
	case size > MaxFragment:
		return protocol.Frame{}, 0, fmt.Errorf("tls record: %d bytes, more than %d: %w", size, MaxFragment, protocol.ErrTooLarge)
	case size == 0 && ContentType(buf[0]) != RecordApplicationData:
		return protocol.Frame{}, 0, malformed(recordFormat, 3, "empty record") // RFC 5246 s.6.2.1, RFC 8446 s.5.1
	case len(buf) < RecordHeaderSize+size:
		p.need = RecordHeaderSize + size
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	p.need = 0
	p.version = Version(binary.BigEndian.Uint16(buf[1:]))
	end := RecordHeaderSize + size
	return protocol.Frame{Kind: buf[0], Data: buf[RecordHeaderSize:end:end]}, end, nil
}

// notTLS says what a first byte that begins no record looks like.
func notTLS(first byte) error {
	switch {
	case first >= 0x80:
		// RFC 5246 s.E.2: the high bit marks the two-byte header of SSL 2.0.
		return malformed(recordFormat, 0, fmt.Sprintf("first byte 0x%02x, as of SSL 2.0", first))
	case first >= ' ' && first < 0x7f:
		return malformed(recordFormat, 0, fmt.Sprintf("first byte %q: text, not TLS", first))
	}
	return malformed(recordFormat, 0, fmt.Sprintf("first byte 0x%02x is no content type", first))
}

// Version is the version in the header of the record that ParseFrame returned last; 0 before the first. It is not the
// version that is negotiated: RFC 8446 s.5.1 lets it say TLS 1.2 or 1.0 for every later one.
func (p *RecordParser) Version() Version { return p.version }

// MinFrameSize implements [protocol.FrameParser]: 1 before the first byte has been judged, then as much as the header
// says.
func (p *RecordParser) MinFrameSize() int { return max(p.need, 1) }

// Reset implements [protocol.FrameParser].
func (p *RecordParser) Reset() { *p = RecordParser{} }

// AppendRecords appends payload as records of type t, each of [MaxPlaintext] bytes at most; it may be larger than one
// record. An empty payload gives one empty record, which only application data may have.
func AppendRecords(dst []byte, t ContentType, v Version, payload []byte) []byte {
	for {
		n := min(len(payload), MaxPlaintext)
		dst = append(dst, byte(t), byte(v>>8), byte(v), byte(n>>8), byte(n))
		dst = append(dst, payload[:n]...)
		if payload = payload[n:]; len(payload) == 0 {
			return dst
		}
	}
}

// ParseChangeCipherSpec checks the content of a change_cipher_spec record in the clear: the one byte 1 (RFC 5246 s.7.1,
// RFC 8446 s.5).
func ParseChangeCipherSpec(data []byte) error {
	if len(data) != 1 || data[0] != 1 {
		return malformed("tls change_cipher_spec", 0, "not the one byte 1")
	}
	return nil
}

// SplitInner takes a decrypted record of TLS 1.3 apart (TLSInnerPlaintext, RFC 8446 s.5.4): the content, which is a part
// of plaintext, and its true type, with the padding removed. Nothing but padding is malformed.
func SplitInner(plaintext []byte) (content []byte, t ContentType, err error) {
	if len(plaintext) > MaxPlaintext+1 { // RFC 8446 s.5.4: the content, its type and the padding together
		return nil, 0, fmt.Errorf("tls record: %d bytes decrypted, more than %d: %w", len(plaintext), MaxPlaintext+1, protocol.ErrTooLarge)
	}
	last := len(plaintext) - 1
	for last >= 0 && plaintext[last] == 0 {
		last--
	}
	if last < 0 {
		return nil, 0, malformed(recordFormat, 0, "no content type in the decrypted record")
	}
	return plaintext[:last:last], ContentType(plaintext[last]), nil
}

func malformed(format string, offset int, reason string) error {
	return &protocol.MalformedError{Format: format, Offset: offset, Reason: reason}
}
