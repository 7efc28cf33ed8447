package testnet

// The addresses of a namespace's slow wire: what listens at DelayedListen is reached at DelayedDial (TEST-NET-2, RFC 5737).
const (
	// DelayedListen is the namespace's own address on the wire.
	DelayedListen = "198.51.100.1"
	// DelayedDial is the address behind which it finds itself.
	DelayedDial = "198.51.100.2"
)
