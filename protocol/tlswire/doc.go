// Package tlswire reads and writes what TLS sends in the clear, from SSL 3.0 to TLS 1.3. It holds no key, makes no
// signature and verifies none, reads no time and does no I/O: what a probe learns from a server before any cryptography
// is done, and the framing that a driver with keys needs.
//
// Three layers, each of use alone:
//
//	bytes > RecordParser > records > Assembler > handshake messages > ParseServerHello and others > values
//	                       records > ParseAlert, ParseChangeCipherSpec
//
// [RecordParser] is a protocol.FrameParser: one frame is one record (RFC 8446 s.5.1).
//
// [Assembler] joins the fragments of a message that lies in several records and takes apart a record that holds several
// messages. Messages may be larger than any buffer of the engine, so they are gathered in memory of the Assembler's
// own, which grows with what has arrived and never with what was announced.
//
// The Parse functions take one message's body apart, and [ClientHello] writes one.
//
// [CipherSuite], [Group], [SignatureScheme], [ExtensionType], [AlertDescription] and [HandshakeType] carry the names of
// the IANA registry "Transport Layer Security (TLS) Parameters".
//
// # Ownership
//
// Nothing is copied on the way up. A record's Data points into the buffer given to ParseFrame; a [Message] points into
// the record or into the Assembler and is valid until the next call of its methods; the byte slices of a parsed value
// are parts of the message's body. Copy what you keep. Only lists of numbers (the suites of a ClientHello) and strings
// are new memory.
//
// # Strictness
//
// A length that does not fit, a list of the wrong size, bytes that are left over, an extension that comes twice: all are
// a *protocol.MalformedError, whose Offset counts from the start of what was given. A size above a limit is
// protocol.ErrTooLarge. Values that a receiver does not know are kept, and whether what is well formed is also allowed
// (an extension that was not asked for, a suite that was not offered) is for the caller to judge, who knows what was
// asked.
package tlswire
