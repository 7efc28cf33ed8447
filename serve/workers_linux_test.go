package serve

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWorkersConfig(t *testing.T) {
	one, two := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	tests := []struct {
		name string
		cfg  WorkersConfig
		want string
	}{
		{"fine", WorkersConfig{Hosts: []netip.Addr{one, two}}, ""},
		{"nobody", WorkersConfig{}, "no address for a worker"},
		{"elsewhere", WorkersConfig{Hosts: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, "host 192.0.2.1 is not a loopback address"},
		{"twice", WorkersConfig{Hosts: []netip.Addr{one, two, one}}, "two workers have the address 127.0.0.1"},
		{"many addresses", WorkersConfig{Config: Config{Demo: 1}, Hosts: []netip.Addr{one}}, "a fleet of many addresses has no room for workers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.cfg.check(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got error %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWorkerHosts(t *testing.T) {
	hosts, err := WorkerHosts(netip.MustParseAddr("127.255.255.253"), 2)
	want := []netip.Addr{netip.MustParseAddr("127.255.255.253"), netip.MustParseAddr("127.255.255.254")}
	if diff := cmp.Diff(want, hosts, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || err != nil {
		t.Errorf("two: got error %v and (-want +got)\n%s", err, diff)
	}
	for _, tt := range []struct {
		first string
		n     int
	}{{"127.255.255.255", 2}, {"::1", 2}} {
		if hosts, err := WorkerHosts(netip.MustParseAddr(tt.first), tt.n); err == nil {
			t.Errorf("%d from %s on: got %v, want an error", tt.n, tt.first, hosts)
		}
	}
	if hosts, err := WorkerHosts(netip.IPv6Loopback(), 1); err != nil || len(hosts) != 1 {
		t.Errorf("one: got %v, %v", hosts, err)
	}
}
