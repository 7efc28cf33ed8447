package tlsfacts

import (
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

// Ended is conclude.Ended for a peer of which no record of TLS has come: it waited for the ServerHello.
func Ended(end protocol.End, err error) (protocol.Verdict, string) {
	if end == protocol.EndMalformed {
		return protocol.NotSpoken, NotTLS
	}
	return conclude.Ended(end, err, TheHello)
}
