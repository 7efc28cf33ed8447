package report

import (
	"slices"

	"sonde/report/draw"
)

// Status is the outcome of a target: a closed set (the outer contract). Tools match on these words; none is ever renamed.
type Status uint8

// The statuses.
const (
	Success Status = iota
	ConnectionRefused
	ConnectionTimeout
	ConnectionReset
	ConnectionClosed
	HostUnreachable
	NetworkUnreachable
	TLSTimeout
	HandshakeError
	CertificateError
	ProtocolError
	ApplicationError
	IOTimeout
	ByteLimit
	DNSError
	InvalidInput
	Blocked
	LocalFDLimit
	LocalPortExhausted
	LocalError
	Cancelled
	NumStatuses // how many there are; not a status
)

var statusWords = [NumStatuses]string{
	"success", "connection-refused", "connection-timeout", "connection-reset", "connection-closed", "host-unreachable",
	"network-unreachable", "tls-timeout", "handshake-error", "certificate-error", "protocol-error", "application-error",
	"io-timeout", "byte-limit", "dns-error", "invalid-input", "blocked", "local-fd-limit", "local-port-exhausted",
	"local-error", "cancelled",
}

// String returns the word of the record.
func (s Status) String() string { return statusWords[s] }

// ParseStatus returns the status of a word.
func ParseStatus(word string) (Status, bool) {
	i := slices.Index(statusWords[:], word)
	return Status(max(i, 0)), i >= 0
}

// Advice says what a status that is a failure means and what to do about it, in one sentence; empty for Success.
func (s Status) Advice() string { return advice[s] }

// Color is that of a status: green for success, yellow for silence, magenta for trouble of our own, dim for what was
// not to be probed, red for the rest.
func (s Status) Color() draw.Color {
	switch s {
	case Success:
		return draw.Green
	case ConnectionTimeout, TLSTimeout, IOTimeout:
		return draw.Yellow
	case LocalFDLimit, LocalPortExhausted, LocalError:
		return draw.Magenta
	case Blocked, Cancelled, InvalidInput:
		return draw.Dim
	}
	return draw.Red
}
