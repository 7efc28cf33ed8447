package target

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func newSet(t testing.TB, entries ...string) *Set {
	t.Helper()
	s := new(Set)
	for _, text := range entries {
		if err := s.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func checkContains(t *testing.T, s *Set, want bool, addrs ...string) {
	t.Helper()
	for _, text := range addrs {
		if got := s.Contains(netip.MustParseAddr(text)); got != want {
			t.Errorf("Contains(%s): got %v, want %v", text, got, want)
		}
	}
}

func TestSetContains(t *testing.T) {
	s := newSet(t, "10.0.0.0/24", "10.0.1.0/24", "192.0.2.7", "192.0.2.10-20", "2001:db8::/32", " fe80::1 ", "::ffff:198.51.100.0/120")
	checkContains(t, s, true, "10.0.0.0", "10.0.1.255", "192.0.2.7", "192.0.2.10", "192.0.2.20", "::ffff:10.0.0.5",
		"2001:db8::", "2001:db8:ffff::1", "fe80::1", "fe80::1%eth0", "198.51.100.9")
	checkContains(t, s, false, "9.255.255.255", "10.0.2.0", "192.0.2.6", "192.0.2.8", "192.0.2.21", "2001:db9::", "fe80::2", "::a00:5")
	if s.Contains(netip.Addr{}) {
		t.Error("Contains(zero Addr): got true, want false")
	}
	if len(s.v4) != 4 {
		t.Errorf("v4 spans: got %d, want 4: neighbours are merged", len(s.v4))
	}
}

func TestSetAddPrefix(t *testing.T) {
	s := new(Set)
	s.AddPrefix(netip.MustParsePrefix("10.0.0.77/24"))
	s.AddPrefix(netip.MustParsePrefix("2001:db8::/120"))
	s.AddPrefix(netip.MustParsePrefix("::ffff:192.0.2.0/120"))
	checkContains(t, s, true, "10.0.0.0", "10.0.0.255", "2001:db8::ff", "192.0.2.255")
	checkContains(t, s, false, "10.0.1.0", "2001:db8::100", "192.0.3.0")
}

func TestSetNames(t *testing.T) {
	s := newSet(t, "Example.COM", "host.test.")
	for name, want := range map[string]bool{
		"example.com": true, "EXAMPLE.com.": true, "host.test": true, "www.example.com": false, "com": false, "": false,
	} {
		if got := s.ContainsName(name); got != want {
			t.Errorf("ContainsName(%q): got %v, want %v", name, got, want)
		}
	}
}

func TestNilSetIsEmpty(t *testing.T) {
	var s *Set
	checkContains(t, s, false, "10.0.0.1", "::1")
	if s.ContainsName("localhost") {
		t.Error("ContainsName: got true of a nil Set, want false")
	}
}

func TestSetAddRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		"": "empty", "10.0.0.0/33": "prefix length", "10.0.0.1:80": "no port", "a b": "not an address", "http://a/": "",
		"10.0.0.1,a": "", "example.com:80": "no port",
	} {
		s := new(Set)
		if err := s.Add(text); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("Add(%q): got %v, want an error with %q", text, err, reason)
		}
	}
}

func TestSetAddFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "blocklist")
	text := "\ufeff10.0.0.0/8 # ours\r\n\r\n# a comment\nexample.com\n2001:db8::1"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := new(Set)
	if err := s.AddFile(name); err != nil {
		t.Fatal(err)
	}
	checkContains(t, s, true, "10.1.2.3", "2001:db8::1")
	if !s.ContainsName("example.com") {
		t.Error("ContainsName(example.com): got false, want true")
	}
}

func TestSetAddFileErrors(t *testing.T) {
	err := new(Set).AddFile(filepath.Join(t.TempDir(), "absent"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("absent file: got %v, want an error that names it", err)
	}
	err = new(Set).AddFrom("list", strings.NewReader("10.0.0.1\n\n10.0.0.256\n"))
	if err == nil || !strings.Contains(err.Error(), `list:3: "10.0.0.256": not an address`) {
		t.Errorf("bad line: got %v, want its place", err)
	}
	err = new(Set).AddFrom("list", strings.NewReader("10.0.0.1\n"+strings.Repeat("x", maxLine+1)))
	if err == nil || !strings.Contains(err.Error(), "list, after line 1") {
		t.Errorf("long line: got %v, want its place", err)
	}
	broken := errors.New("broken")
	if err := new(Set).AddFrom("list", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("failing reader: got %v, want its error", err)
	}
}

func TestSetAddReserved(t *testing.T) {
	s := new(Set)
	s.AddReserved()
	checkContains(t, s, true, "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.8", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.2", "192.168.1.1", "192.175.48.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "64:ff9b::1", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1",
		"2001:1::1", "2001:1ff:ffff::1", "2001:db8::1", "2002::1", "2620:4f:8000::1", "3fff:fff::1", "5f00::1", "fc00::1",
		"fdff::1", "fe80::1", "febf::1", "ff02::1")
	checkContains(t, s, false, "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "::2", "64:ff9b:0:1::", "64:ff9b:2::", "100:0:0:2::", "2001:200::1", "2001:db7::1", "2001:db9::1",
		"2003::1", "2606:4700::1", "3ffe::1", "4000::1", "5eff::1", "5f01::1", "fe00::1", "fec0::1")
	for _, block := range append(reserved4(), reserved6()...) {
		if prefix := netip.MustParsePrefix(block.prefix); prefix != prefix.Masked() || block.name == "" || block.source == "" {
			t.Errorf("%+v: want a masked prefix with its name and source", block)
		}
	}
}

func TestSetContainsDoesNotAllocate(t *testing.T) {
	s := newSet(t, "10.0.0.0/8", "2001:db8::/32", "example.com")
	addrs := []netip.Addr{netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("11.1.1.1"), netip.MustParseAddr("2001:db8::1")}
	if got := testing.AllocsPerRun(100, func() {
		for _, addr := range addrs {
			s.Contains(addr)
		}
		s.ContainsName("example.com.")
	}); got != 0 {
		t.Errorf("Contains: got %v allocations, want 0", got)
	}
}

func BenchmarkSetContains(b *testing.B) {
	for _, size := range []num4{32, 1 << 10, 1 << 20} {
		s := new(Set)
		step := ^num4(0)/size + 1
		for i := range size {
			s.addRange((i * step).addr(), (i*step + 7).addr())
		}
		s.tidy()
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var n num4
			for b.Loop() {
				n += 0x9e3779b1
				s.Contains(n.addr())
			}
		})
	}
}
