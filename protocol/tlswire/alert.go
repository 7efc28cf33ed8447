package tlswire

import "fmt"

// AlertLevel is the first byte of an alert. TLS 1.3 ignores it (RFC 8446 s.6).
type AlertLevel uint8

// The levels of RFC 5246 s.7.2.
const (
	AlertWarning AlertLevel = 1
	AlertFatal   AlertLevel = 2
)

// String returns "warning", "fatal" or the number.
func (l AlertLevel) String() string {
	switch l {
	case AlertWarning:
		return "warning"
	case AlertFatal:
		return "fatal"
	}
	return fmt.Sprintf("0x%02x", uint8(l))
}

// AlertDescription is what an alert says (registry "TLS Alerts").
type AlertDescription uint8

// The alerts that a probe judges by; String knows all (RFC 8446 s.6.2, RFC 5246 s.7.2.2).
const (
	AlertCloseNotify          AlertDescription = 0
	AlertUnexpectedMessage    AlertDescription = 10
	AlertHandshakeFailure     AlertDescription = 40
	AlertIllegalParameter     AlertDescription = 47
	AlertDecodeError          AlertDescription = 50
	AlertProtocolVersion      AlertDescription = 70
	AlertInsufficientSecurity AlertDescription = 71
	AlertInternalError        AlertDescription = 80
	AlertUnrecognizedName     AlertDescription = 112 // RFC 6066 s.3
	AlertCertificateRequired  AlertDescription = 116
	AlertNoApplicationProto   AlertDescription = 120 // RFC 7301 s.3.2
)

// alertDescriptions is the registry "TLS Alerts", with those of older RFCs that it keeps as reserved.
var alertDescriptions = []named[AlertDescription]{
	{0, "close_notify"},
	{10, "unexpected_message"},
	{20, "bad_record_mac"},
	{21, "decryption_failed"}, // RFC 5246 s.7.2.2, reserved
	{22, "record_overflow"},
	{30, "decompression_failure"}, // RFC 5246 s.7.2.2, reserved
	{40, "handshake_failure"},
	{41, "no_certificate"}, // RFC 6101 s.5.4.2, SSL 3.0 only
	{42, "bad_certificate"},
	{43, "unsupported_certificate"},
	{44, "certificate_revoked"},
	{45, "certificate_expired"},
	{46, "certificate_unknown"},
	{47, "illegal_parameter"},
	{48, "unknown_ca"},
	{49, "access_denied"},
	{50, "decode_error"},
	{51, "decrypt_error"},
	{52, "too_many_cids_requested"}, // RFC 9147 s.10
	{60, "export_restriction"},      // RFC 2246 s.7.2.2, reserved
	{70, "protocol_version"},
	{71, "insufficient_security"},
	{80, "internal_error"},
	{86, "inappropriate_fallback"}, // RFC 7507 s.3
	{90, "user_canceled"},
	{100, "no_renegotiation"}, // RFC 5246 s.7.2.2, reserved
	{109, "missing_extension"},
	{110, "unsupported_extension"},
	{111, "certificate_unobtainable"}, // RFC 6066 s.5
	{112, "unrecognized_name"},
	{113, "bad_certificate_status_response"}, // RFC 6066 s.8
	{114, "bad_certificate_hash_value"},      // RFC 6066 s.5
	{115, "unknown_psk_identity"},            // RFC 4279 s.2
	{116, "certificate_required"},
	{117, "general_error"},
	{120, "no_application_protocol"},
	{121, "ech_required"}, // RFC 9849 s.11.2
}

// String returns the registry's name ("handshake_failure"), or the number of an alert that has none ("0x63").
func (d AlertDescription) String() string { return nameOf(alertDescriptions, d) }

// Alert is the content of an alert record in the clear (RFC 8446 s.6).
type Alert struct {
	Level       AlertLevel
	Description AlertDescription
}

// ParseAlert parses the data of an alert record: two bytes, no more (RFC 8446 s.5.1 allows one alert a record). Unknown
// descriptions are kept; a level other than warning or fatal is malformed. A protected alert of TLS 1.2 is longer and
// must not be given to it.
func ParseAlert(data []byte) (Alert, error) {
	if len(data) != 2 {
		return Alert{}, malformed("tls alert", 0, fmt.Sprintf("%d bytes, want 2", len(data)))
	}
	a := Alert{AlertLevel(data[0]), AlertDescription(data[1])}
	if a.Level != AlertWarning && a.Level != AlertFatal {
		return Alert{}, malformed("tls alert", 0, "level is neither warning nor fatal")
	}
	return a, nil
}

// String returns the alert in two words ("fatal handshake_failure").
func (a Alert) String() string { return a.Level.String() + " " + a.Description.String() }
