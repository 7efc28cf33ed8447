package target

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestReadOne(t *testing.T) {
	usual := Choice{Name: "http", Port: 80}
	schemes := map[string]Choice{"http": usual, "https": {Name: "http", Port: 443, TLS: true}}
	v4 := netip.MustParseAddr("192.0.2.7")
	for text, want := range map[string]Target{
		"192.0.2.7":                      {Addr: v4, Port: 80, Probe: "http"},
		" 192.0.2.7:8080 ":               {Addr: v4, Port: 8080, Probe: "http"},
		"192.0.2.7,example.com,blue,81":  {Addr: v4, Port: 81, Domain: "example.com", Tag: "blue", Probe: "http"},
		"example.com":                    {Port: 80, Domain: "example.com", Probe: "http"},
		"[2001:db8::1]:443":              {Addr: netip.MustParseAddr("2001:db8::1"), Port: 443, Probe: "http"},
		"https://example.com/health?x=1": {Port: 443, Domain: "example.com", Probe: "http", TLS: true, Path: "/health?x=1"},
		"HTTP://192.0.2.7:8080/":         {Addr: v4, Port: 8080, Probe: "http", Path: "/"},
	} {
		got, err := ReadOne(text, usual, schemes)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got)\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "10.0.0.0/8": "one target", "192.0.2.1-9": "one target", "224.0.0.1": "as its peer", "ftp://example.com": "which takes http://, https://",
		"a b": "one target on a line", "1.2.3": "not an address",
	} {
		if _, err := ReadOne(text, usual, schemes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	tcp := Choice{Name: "tcp"}
	for text, want := range map[string]string{"example.com": "no port", "http://example.com": "which takes none"} {
		if _, err := ReadOne(text, tcp, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
