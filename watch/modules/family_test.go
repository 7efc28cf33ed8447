package modules_test

import (
	"testing"
)

// TestWrittenAddress has a target that is written as an address obey what its module says of addresses: one that is of no
// wanted kind is looked up like a name, and so is not found.
func TestWrittenAddress(t *testing.T) {
	for _, tt := range []struct {
		module, target string
		taken          bool
	}{
		{"prober: tcp", "127.0.0.1:80", true},
		{"prober: tcp", "[::1]:80", true},
		{"prober: tcp, tcp: {preferred_ip_protocol: ip4}", "[::1]:80", true},
		{"prober: tcp, tcp: {preferred_ip_protocol: ip4, ip_protocol_fallback: false}", "[::1]:80", false},
		{"prober: tcp, tcp: {preferred_ip_protocol: ip4, ip_protocol_fallback: false}", "127.0.0.1:80", true},
		{"prober: tcp, tcp: {ip_protocol_fallback: false}", "127.0.0.1:80", false},
		{"prober: http, http: {preferred_ip_protocol: ip4, ip_protocol_fallback: false}", "https://[::1]/", false},
		{"prober: http, http: {preferred_ip_protocol: ip6, ip_protocol_fallback: false}", "[::1]", true},
		{"probe: tcp, family: ip4", "[::1]:80", true},
	} {
		m := compile(t, tt.module)
		to, err := m.Target(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		if taken := to.Addr.IsValid() && to.Domain == ""; taken != tt.taken || !taken && (to.Addr.IsValid() || to.Domain == "") {
			t.Errorf("%s: %s: got address %v and name %q", tt.module, tt.target, to.Addr, to.Domain)
		}
	}
}
