package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestToSize(t *testing.T) {
	tests := []struct {
		value string
		want  int // 0: refused
	}{
		{"1", 1}, {"65536", 65536}, {"64k", 65536}, {"4K", 4096},
		{"0", 0}, {"65537", 0}, {"65k", 0}, {"", 0}, {"k", 0}, {"-1", 0}, {"1.5k", 0}, {"4294967297", 0},
	}
	for _, tt := range tests {
		got := 0
		if err := toSize(&got, 65536)(tt.value); got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("size %q: got %d, %v, want %d", tt.value, got, err, tt.want)
		}
	}
}

func TestSourceRange(t *testing.T) {
	tests := []struct {
		name, value string
		want        string // first and last, or a part of the error
	}{
		{"address", "192.0.2.7", "192.0.2.7 192.0.2.7"},
		{"mapped address", "::ffff:192.0.2.7", "192.0.2.7 192.0.2.7"},
		{"block without its ends", "192.0.2.5/24", "192.0.2.1 192.0.2.254"},
		{"block of four", "192.0.2.4/30", "192.0.2.5 192.0.2.6"},
		{"point to point (RFC 3021)", "192.0.2.4/31", "192.0.2.4 192.0.2.5"},
		{"block of one", "192.0.2.4/32", "192.0.2.4 192.0.2.4"},
		{"the largest block", "10.1.0.0/16", "10.1.0.1 10.1.255.254"},
		{"IPv6 has no broadcast", "2001:db8::/120", "2001:db8:: 2001:db8::ff"},
		{"too large", "10.0.0.0/15", "more than 65536 addresses"},
		{"no address", "localhost", "want an address or a block"},
		{"no block", "192.0.2.0/33", "want an address or a block"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, last, err := sourceRange(tt.value)
			got := first.String() + " " + last.String()
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Sources are the addresses of all values, none twice, and each must be this machine's.
func TestExpandSources(t *testing.T) {
	got, err := expandSources([]string{"127.0.0.2", "127.0.0.0/30", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("sources differ (-want +got):\n%s", diff)
	}
	if _, err := expandSources([]string{"192.0.2.1"}); err == nil {
		t.Error("an address of documentation (RFC 5737) was taken for this machine's")
	}
}
