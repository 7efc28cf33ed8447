package plan

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sonde/target"
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
	t.Run("a bad one behind others", func(t *testing.T) {
		var bad *target.InputError
		if _, err := Load(t.Context(), Options{Args: []string{"192.0.2.7:1", "192.0.2.8:1", "not a target:::x"}}); !errors.As(err, &bad) {
			t.Errorf("got %v, want a *target.InputError", err)
		}
	})
	t.Run("too many", func(t *testing.T) {
		if p, err := Load(t.Context(), Options{Args: []string{"10.0.0.0/16"}, Port: 1}); err != nil || len(p.Targets()) < MaxTargets-2 {
			t.Errorf("got error %v, want 65,536 targets", err)
		}
		if _, err := Load(t.Context(), Options{Args: []string{"10.0.0.0/15"}, Port: 1}); !errors.Is(err, ErrTooMany) {
			t.Errorf("got %v, want ErrTooMany", err)
		}
	})
	t.Run("another scheme", func(t *testing.T) {
		if p, err := Load(t.Context(), Options{Args: []string{"gopher://192.0.2.7/"}}); err == nil {
			t.Errorf("got targets %v, want an error", p.Targets())
		}
	})
}
