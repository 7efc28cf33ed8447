package tlswire

import "fmt"

// Version is a protocol version as it stands on the wire.
type Version uint16

// The versions of SSL 3.0 and TLS.
const (
	SSL30 Version = 0x0300 // RFC 6101 s.5.2.1
	TLS10 Version = 0x0301 // RFC 2246 s.6.2.1
	TLS11 Version = 0x0302 // RFC 4346 s.6.2.1
	TLS12 Version = 0x0303 // RFC 5246 s.6.2.1
	TLS13 Version = 0x0304 // RFC 8446 s.4.2.1; only in the supported_versions extension
)

// String returns the usual name ("TLS 1.2"), "TLS 1.3 draft 28" for a draft's number (0x7f1c), or the number of a version
// that has none ("0x0305").
func (v Version) String() string {
	switch v {
	case SSL30:
		return "SSL 3.0"
	case TLS10:
		return "TLS 1.0"
	case TLS11:
		return "TLS 1.1"
	case TLS12:
		return "TLS 1.2"
	case TLS13:
		return "TLS 1.3"
	}
	if v>>8 == 0x7f {
		return fmt.Sprintf("TLS 1.3 draft %d", uint8(v))
	}
	return nameOf[Version](nil, v)
}

// Word returns the name as a word for records and flags: "ssl30", "tls10" to "tls13"; for others as String.
func (v Version) Word() string {
	switch v {
	case SSL30:
		return "ssl30"
	case TLS10:
		return "tls10"
	case TLS11:
		return "tls11"
	case TLS12:
		return "tls12"
	case TLS13:
		return "tls13"
	}
	return v.String()
}

// isTLS13 reports whether messages have the forms of TLS 1.3, drafts included.
func (v Version) isTLS13() bool { return v >= TLS13 }
