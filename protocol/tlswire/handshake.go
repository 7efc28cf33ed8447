package tlswire

import (
	"fmt"

	"sonde/protocol"
)

// HandshakeType tells handshake messages apart (registry "TLS HandshakeType"; RFC 8446 s.4).
type HandshakeType uint8

// The registered handshake types. Those without an RFC here are of RFC 8446 s.4 and s.B.3.
const (
	HandshakeHelloRequest          HandshakeType = 0 // RFC 5246 s.7.4.1.1
	HandshakeClientHello           HandshakeType = 1
	HandshakeServerHello           HandshakeType = 2 // and HelloRetryRequest
	HandshakeHelloVerifyRequest    HandshakeType = 3 // RFC 6347 s.4.3.2, DTLS
	HandshakeNewSessionTicket      HandshakeType = 4 // RFC 5077 s.3.3, RFC 8446 s.4.6.1
	HandshakeEndOfEarlyData        HandshakeType = 5
	HandshakeEncryptedExtensions   HandshakeType = 8
	HandshakeRequestConnectionID   HandshakeType = 9  // RFC 9147 s.9, DTLS
	HandshakeNewConnectionID       HandshakeType = 10 // RFC 9147 s.9, DTLS
	HandshakeCertificate           HandshakeType = 11
	HandshakeServerKeyExchange     HandshakeType = 12 // RFC 5246 s.7.4.3
	HandshakeCertificateRequest    HandshakeType = 13
	HandshakeServerHelloDone       HandshakeType = 14 // RFC 5246 s.7.4.5
	HandshakeCertificateVerify     HandshakeType = 15
	HandshakeClientKeyExchange     HandshakeType = 16 // RFC 5246 s.7.4.7
	HandshakeClientCertRequest     HandshakeType = 17 // RFC 9261 s.4
	HandshakeFinished              HandshakeType = 20
	HandshakeCertificateURL        HandshakeType = 21 // RFC 6066 s.5
	HandshakeCertificateStatus     HandshakeType = 22 // RFC 6066 s.8
	HandshakeSupplementalData      HandshakeType = 23 // RFC 4680 s.2
	HandshakeKeyUpdate             HandshakeType = 24
	HandshakeCompressedCertificate HandshakeType = 25  // RFC 8879 s.4
	HandshakeEKTKey                HandshakeType = 26  // RFC 8870 s.5.2.2
	HandshakeMessageHash           HandshakeType = 254 // RFC 8446 s.4.4.1; never sent
)

var handshakeTypes = []named[HandshakeType]{
	{HandshakeHelloRequest, "hello_request"},
	{HandshakeClientHello, "client_hello"},
	{HandshakeServerHello, "server_hello"},
	{HandshakeHelloVerifyRequest, "hello_verify_request"},
	{HandshakeNewSessionTicket, "new_session_ticket"},
	{HandshakeEndOfEarlyData, "end_of_early_data"},
	{HandshakeEncryptedExtensions, "encrypted_extensions"},
	{HandshakeRequestConnectionID, "request_connection_id"},
	{HandshakeNewConnectionID, "new_connection_id"},
	{HandshakeCertificate, "certificate"},
	{HandshakeServerKeyExchange, "server_key_exchange"},
	{HandshakeCertificateRequest, "certificate_request"},
	{HandshakeServerHelloDone, "server_hello_done"},
	{HandshakeCertificateVerify, "certificate_verify"},
	{HandshakeClientKeyExchange, "client_key_exchange"},
	{HandshakeClientCertRequest, "client_certificate_request"},
	{HandshakeFinished, "finished"},
	{HandshakeCertificateURL, "certificate_url"},
	{HandshakeCertificateStatus, "certificate_status"},
	{HandshakeSupplementalData, "supplemental_data"},
	{HandshakeKeyUpdate, "key_update"},
	{HandshakeCompressedCertificate, "compressed_certificate"},
	{HandshakeEKTKey, "ekt_key"},
	{HandshakeMessageHash, "message_hash"},
}

// String returns the registry's name ("server_hello"), or the number of a type that has none ("0x63").
func (t HandshakeType) String() string { return nameOf(handshakeTypes, t) }

// Sizes of handshake messages, in bytes.
const (
	// HandshakeHeaderSize is the size of a message's header: type and a length of three bytes (RFC 8446 s.4).
	HandshakeHeaderSize = 4
	// MaxMessage is the most that the body of a message may have unless [Assembler.MessageLimit] says otherwise.
	// RFC 8446 s.4 allows 2^24-1; the largest that honest servers send besides certificates are some KiB.
	MaxMessage = 64 << 10
	// MaxCertificateMessage is the same for the messages that carry a chain, unless [Assembler.CertificateLimit] says
	// otherwise. Chains above 100 KiB have been seen in honest use (many names, many intermediates); above this is an
	// attack on our memory.
	MaxCertificateMessage = 256 << 10
	// maxKept is how much memory an Assembler keeps over a Reset: one large chain must not cost for ever after.
	maxKept = 16 << 10
)

// Message is a handshake message. Its memory is the record's or the Assembler's: valid until the next call of a method of
// the Assembler.
type Message struct {
	Type HandshakeType
	// Raw is the whole message with its header, as a transcript hash wants it (RFC 8446 s.4.4.1).
	Raw []byte
}

// Body is the message without its header.
func (m Message) Body() []byte { return m.Raw[HandshakeHeaderSize:] }

// Assembler makes handshake messages of the fragments that handshake records carry (RFC 8446 s.5.1): a message may lie
// in several records and a record may hold several messages. Per record, call Add once and then Next until it answers
// protocol.ErrIncomplete. A message that lies whole in a record is not copied.
//
// A message's length is held against its limit as soon as its header is there, so that a peer that announces 16 MiB costs
// four bytes. Memory grows with what has arrived. An error is final: Next goes on answering it until Reset.
//
// The zero Assembler is ready for use, with the default limits.
type Assembler struct {
	// MessageLimit is the most bytes that a message's body may have; 0 means [MaxMessage].
	MessageLimit int
	// CertificateLimit is the same for Certificate and CompressedCertificate; 0 means [MaxCertificateMessage].
	CertificateLimit int

	rest  []byte // of the record given to Add, not yet handed out
	buf   []byte // the start of a message that is not all there, or the message handed out last
	given bool   // buf was handed out
	err   error
}

// Add gives the Assembler the data of the next handshake record. Next must have answered protocol.ErrIncomplete (or
// nothing must have been added yet): to leave messages behind is a bug of the caller's, and it panics. data must stay as
// it is until Next has answered protocol.ErrIncomplete.
func (a *Assembler) Add(data []byte) {
	if len(a.rest) > 0 && a.err == nil {
		panic("tlswire: Assembler.Add before Next was at the end of the last record")
	}
	a.rest = data
}

// Next returns the next message. protocol.ErrIncomplete says that it needs another record; protocol.ErrTooLarge, wrapped,
// that the message is above its limit.
func (a *Assembler) Next() (Message, error) {
	if a.given {
		a.buf, a.given = a.buf[:0], false
	}
	if a.err != nil {
		return Message{}, a.err
	}
	if len(a.buf) == 0 && len(a.rest) >= HandshakeHeaderSize {
		size, err := a.messageSize(a.rest)
		if err != nil {
			return Message{}, err
		}
		if len(a.rest) >= size {
			raw := a.rest[:size:size]
			a.rest = a.rest[size:]
			return Message{HandshakeType(raw[0]), raw}, nil
		}
	}
	return a.gather()
}

// gather moves what there is of a message into buf and returns it if that makes it whole.
func (a *Assembler) gather() (Message, error) {
	if !a.fill(HandshakeHeaderSize) {
		return Message{}, protocol.ErrIncomplete
	}
	size, err := a.messageSize(a.buf)
	if err != nil {
		return Message{}, err
	}
	if !a.fill(size) {
		return Message{}, protocol.ErrIncomplete
	}
	a.given = true
	return Message{HandshakeType(a.buf[0]), a.buf}, nil
}

// fill takes from rest until buf has size bytes and reports whether it has.
func (a *Assembler) fill(size int) bool {
	n := min(max(size-len(a.buf), 0), len(a.rest))
	a.buf = append(a.buf, a.rest[:n]...)
	a.rest = a.rest[n:]
	return len(a.buf) >= size
}

// messageSize returns the size with its header of the message whose header b begins with, if that is within the limit.
func (a *Assembler) messageSize(b []byte) (int, error) {
	t := HandshakeType(b[0])
	size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	limit := a.MessageLimit
	if limit == 0 {
		limit = MaxMessage
	}
	if t == HandshakeCertificate || t == HandshakeCompressedCertificate {
		if limit = a.CertificateLimit; limit == 0 {
			limit = MaxCertificateMessage
		}
	}
	if size > limit {
		a.err = fmt.Errorf("tls handshake: %v of %d bytes, more than %d: %w", t, size, limit, protocol.ErrTooLarge)
		return 0, a.err
	}
	return HandshakeHeaderSize + size, nil
}

// Pending reports whether a message has begun and not ended. No record of another type may come then, and keys may not
// change (RFC 8446 s.5.1).
func (a *Assembler) Pending() bool { return len(a.rest) > 0 || len(a.buf) > 0 && !a.given }

// Reset makes the Assembler as new, with the same limits. It keeps its memory unless that has grown large.
func (a *Assembler) Reset() {
	kept := a.buf[:0]
	if cap(kept) > maxKept {
		kept = nil
	}
	*a = Assembler{MessageLimit: a.MessageLimit, CertificateLimit: a.CertificateLimit, buf: kept}
}

// AppendMessage appends a handshake message's header and body, without a record around it. The body must be below 2^24
// bytes.
func AppendMessage(dst []byte, t HandshakeType, body []byte) []byte {
	n := len(body)
	if n >= 1<<24 {
		panic("tlswire: handshake message of 16 MiB or more")
	}
	return append(append(dst, byte(t), byte(n>>16), byte(n>>8), byte(n)), body...)
}
