package tlsfacts

import (
	"errors"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
)

// The reasons that all depths have in common. They name no byte that the peer chose: a summary counts equal ones together,
// and what came is in FirstBytes.
const (
	// NotTLS is the reason for bytes that are none of TLS'.
	NotTLS = "not TLS"
	// TheHello is what is awaited first.
	TheHello = "the ServerHello"
)

// Ended is conclude.Ended for a peer of which no record of TLS has come: it waited for the ServerHello. NotSpoken is the
// verdict on bytes that belong in FirstBytes, and on no others.
func Ended(end protocol.End, err error) (protocol.Verdict, string) {
	if end == protocol.EndMalformed {
		return Broken(err, false)
	}
	return conclude.Ended(end, err, TheHello)
}

// Broken is the verdict on bytes of which a tlswire.RecordParser says err, for which it makes nothing of them: a
// [protocol.MalformedError], or [protocol.ErrTooLarge] with the limit. spoken says that a record of TLS came before. What
// is neither, or nil, is no TLS.
func Broken(err error, spoken bool) (protocol.Verdict, string) {
	var m *protocol.MalformedError
	switch {
	case errors.Is(err, protocol.ErrTooLarge):
		return protocol.OverLimit, err.Error()
	case errors.As(err, &m) && (spoken || IsTLS(err)):
		return protocol.HandshakeRefused, "malformed " + m.Format + ": " + m.Reason
	}
	return protocol.NotSpoken, NotTLS
}

// IsTLS reports whether a tlswire.RecordParser finds fault with what begins as a record does, by a type and a major version
// (RFC 8446 s.5.1): with what follows, which is TLS and wrong.
func IsTLS(err error) bool {
	const length = 3 // where the record says how long it is
	var m *protocol.MalformedError
	return errors.As(err, &m) && m.Offset >= length
}
