package target

import (
	"net/netip"
	"testing"
)

// addressSamples are written in every way that matters; netip is the judge of all but leading zeros and zones.
var addressSamples = []string{
	"0.0.0.0", "255.255.255.255", "10.0.0.1", "10.0.0.256", "10.0.0", "10.0.0.1.2", "10..0.1", "010.0.0.1", "10.0.0.01",
	"1.2.3.4.", ".1.2.3.4", "1.2.3.-4", "1.2.3.4 ", "1.2.3.0", "00.0.0.0", "", ".", "...",
	"::", "::1", "1::", "1::2", "2001:db8::1", "2001:DB8::A", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
	"1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "1::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", ":::", "::1::", "1::2::3", ":1",
	"1:", "1:2", "12345::", "::12345", "g::", "::g", "::1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "1:2:3:4:5:6:1.2.3.4",
	"1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:1.2.3.4", "::1.2.3.4:5", "::1.2.3", "::1.2.3.256", "1.2.3.4::", "::1:", "64:ff9b::192.0.2.1",
}

func checkParseAddr(t *testing.T, text string) {
	t.Helper()
	got, ok := parseAddr([]byte(text))
	want, err := netip.ParseAddr(text)
	wantOK := err == nil && want.Zone() == ""
	if ok != wantOK || ok && got != want.Unmap() {
		t.Errorf("parseAddr(%q): got %v, %v, want %v, %v", text, got, ok, want.Unmap(), wantOK)
	}
}

func TestParseAddrAgreesWithNetip(t *testing.T) {
	for _, text := range addressSamples {
		checkParseAddr(t, text)
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, text := range addressSamples {
		f.Add(text)
	}
	f.Fuzz(checkParseAddr)
}

func TestRoutable(t *testing.T) {
	for text, want := range map[string]bool{
		"0.0.0.0": false, "0.255.255.255": false, "1.0.0.0": true, "127.0.0.1": true, "223.255.255.255": true,
		"224.0.0.0": false, "239.255.255.255": false, "240.0.0.0": true, "255.255.255.254": true, "255.255.255.255": false,
		"::": false, "::1": true, "ff02::1": false, "feff::1": true, "::ffff:0.0.0.1": false, "::ffff:10.0.0.1": true,
	} {
		if got := Routable(netip.MustParseAddr(text)); got != want {
			t.Errorf("Routable(%s): got %v, want %v", text, got, want)
		}
	}
	if Routable(netip.Addr{}) {
		t.Error("Routable(zero Addr): got true, want false")
	}
}

// The spans that are cut out of blocks and the rule for single addresses are one rule, written twice.
func TestUnroutableSpansAgreeWithRoutable(t *testing.T) {
	for _, run := range unroutable4() {
		for _, n := range []num4{run.first, run.last} {
			if Routable(n.addr()) {
				t.Errorf("Routable(%v): got true inside an unroutable span, want false", n.addr())
			}
		}
		if run.last != 0xffffffff && !Routable(run.last.succ().addr()) {
			t.Errorf("Routable(%v): got false behind an unroutable span, want true", run.last.succ().addr())
		}
		if run.first != 0 && !Routable(run.first.pred().addr()) {
			t.Errorf("Routable(%v): got false before an unroutable span, want true", run.first.pred().addr())
		}
	}
	for _, text := range []string{"::", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:0:0", "::ffff:ffff:ffff"} {
		n := number6(netip.MustParseAddr(text))
		if !unroutable6().contains(n, n) {
			t.Errorf("%s: got routable, want it cut out of blocks", text)
		}
	}
	for _, text := range []string{"::1", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::fffe:ffff:ffff", "::1:0:0:0"} {
		n := number6(netip.MustParseAddr(text))
		if unroutable6().contains(n, n) {
			t.Errorf("%s: got cut out of blocks, want routable", text)
		}
	}
}
