package plan

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestLoadURLs reads what the examples of the commands name.
func TestLoadURLs(t *testing.T) {
	tests := map[string]struct {
		arg  string
		want Target
	}{
		"usual port":          {"http://192.0.2.7", Target{Addr: netip.MustParseAddrPort("192.0.2.7:80"), Path: "/"}},
		"port, path, query":   {"http://192.0.2.7:8080/a?b=c", Target{Addr: netip.MustParseAddrPort("192.0.2.7:8080"), Path: "/a?b=c"}},
		"over TLS":            {"https://[2001:db8::7]/", Target{Addr: netip.MustParseAddrPort("[2001:db8::7]:443"), TLS: true, Path: "/"}},
		"Redis":               {"redis://192.0.2.7", Target{Addr: netip.MustParseAddrPort("192.0.2.7:6379"), Redis: true}},
		"Redis over TLS":      {"rediss://192.0.2.7:6380", Target{Addr: netip.MustParseAddrPort("192.0.2.7:6380"), TLS: true, Redis: true}},
		"no URL, no path":     {"192.0.2.7:8080", Target{Addr: netip.MustParseAddrPort("192.0.2.7:8080")}},
		"the flag's own port": {"192.0.2.7", Target{Addr: netip.MustParseAddrPort("192.0.2.7:1234")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := Load(t.Context(), Options{Args: []string{tt.arg}, Port: 1234})
			if err != nil {
				t.Fatal(err)
			}
			opts := []cmp.Option{cmpopts.IgnoreUnexported(Target{}), cmpopts.EquateComparable(netip.AddrPort{})}
			if diff := cmp.Diff([]Target{tt.want}, p.Targets(), opts...); diff != "" {
				t.Errorf("targets of %s (-want +got):\n%s", tt.arg, diff)
			}
		})
	}
	t.Run("another scheme", func(t *testing.T) {
		if p, err := Load(t.Context(), Options{Args: []string{"gopher://192.0.2.7/"}}); err == nil {
			t.Errorf("got targets %v, want an error", p.Targets())
		}
	})
}
