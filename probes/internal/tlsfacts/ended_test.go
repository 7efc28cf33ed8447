package tlsfacts

import (
	"fmt"
	"testing"

	"sonde/protocol"
)

// TestEnded: what is not TLS has one reason, whatever its first byte; a header of TLS makes it TLS.
func TestEnded(t *testing.T) {
	for _, tc := range []struct {
		name    string
		end     protocol.End
		err     error
		verdict protocol.Verdict
		reason  string
	}{
		{"text", protocol.EndMalformed, &protocol.MalformedError{Format: "tls record", Reason: "first byte '2': text, not TLS"}, protocol.NotSpoken, "not TLS"},
		{"bytes", protocol.EndMalformed, &protocol.MalformedError{Format: "tls record", Reason: "first byte 0x00 is no content type"}, protocol.NotSpoken, "not TLS"},
		{"another major version", protocol.EndMalformed, &protocol.MalformedError{Format: "tls record", Offset: 1, Reason: "major version is not 3"}, protocol.NotSpoken, "not TLS"},
		{"a record of nothing", protocol.EndMalformed, &protocol.MalformedError{Format: "tls record", Offset: 3, Reason: "empty record"}, protocol.HandshakeRefused, "malformed tls record: empty record"},
		{"a record too long", protocol.EndTooLarge, fmt.Errorf("tls record: 20000 bytes: %w", protocol.ErrTooLarge), protocol.OverLimit, "tls record: 20000 bytes: frame above the limit"},
		{"fin", protocol.EndOfStream, nil, protocol.Closed, "closed before the ServerHello"},
		{"reset", protocol.EndReset, nil, protocol.Unfinished, "reset before the ServerHello"},
		{"timeout", protocol.EndTimeout, nil, protocol.Unfinished, "no end of the ServerHello in time"},
	} {
		if verdict, reason := Ended(tc.end, tc.err); verdict != tc.verdict || reason != tc.reason {
			t.Errorf("%s: got %d, %q, want %d, %q", tc.name, verdict, reason, tc.verdict, tc.reason)
		}
	}
}
