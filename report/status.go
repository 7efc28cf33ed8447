package report

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
