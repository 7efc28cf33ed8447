package scan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testnet"
	"sonde/internal/testpeer"
	"sonde/report"
)

// TestFewPorts scans one address and port 20,000 times where the kernel has 200 local ports to give: every target is scanned,
// and the report tells that some waited for a port.
func TestFewPorts(t *testing.T) {
	if !testnet.Inside(t) {
		n := testnet.New(t)
		n.Sysctl(t, "net/ipv4/ip_local_port_range", "40000 40199")
		n.Run(t)
		return
	}
	const n = 20_000
	peer := testpeer.New(t, testpeer.SSH, testpeer.Options{Addr: netip.MustParseAddrPort("127.0.0.1:2222")})
	records, run := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(lines(n, fmt.Sprintf("127.0.0.1,,tag%%d,%d", peer.Addr().Port()))),
		Probes: []string{"ssh"},
	})
	tags := map[string]bool{}
	for i := range records {
		r := &records[i]
		tags[r.Tag] = true
		if r.Status != report.Success {
			t.Fatalf("got %v, want success", r)
		}
	}
	if len(records) != n || len(tags) != n {
		t.Errorf("got %d records with %d tags, want %d", len(records), len(tags), n)
	}
	if run.Engine.PortWaits == 0 {
		t.Error("got no port_waits in the report")
	}
}

// journey is a target and what its record must say.
type journey struct {
	target string
	status report.Status
	side   report.Side
}

// travel scans the targets and compares.
func travel(t *testing.T, limits engine.Limits, journeys map[string]journey) *report.Run {
	t.Helper()
	var list strings.Builder
	for name, j := range journeys {
		ap := netip.MustParseAddrPort(j.target)
		fmt.Fprintf(&list, "%v,,%s,%d\n", ap.Addr(), name, ap.Port())
	}
	records, run := scanAll(t, Config{InputFiles: []string{"-"}, Stdin: strings.NewReader(list.String()), Limits: limits})
	if len(records) != len(journeys) {
		t.Errorf("got %d records, want %d", len(records), len(journeys))
	}
	for i := range records {
		r := &records[i]
		t.Log(r)
		want(t, r, journeys[r.Tag].status, journeys[r.Tag].side)
		if late := r.Timing.Total - limits.Connect; r.Status == report.ConnectionTimeout {
			// A tick of the wheel is 1 ms, and the loop was late by LoopLag at most.
			most := 2*time.Millisecond + time.Duration(run.Engine.LoopLag.Max)*time.Microsecond
			if late < 0 || late > most {
				t.Errorf("%v: got a timeout %v after the limit of %v, want 0 to %v", r, late, limits.Connect, most)
			}
		}
	}
	return run
}

// TestOwnRoutes: what this machine's own routes refuse is this machine's fault.
func TestOwnRoutes(t *testing.T) {
	if !testnet.Inside(t) {
		n := testnet.New(t)
		n.IP(t, "route add unreachable 192.0.2.0/24", "route add prohibit 198.51.100.0/24", "route add blackhole 203.0.113.0/24",
			"route add unreachable 2001:db8:1::/48", "route add prohibit 2001:db8:2::/48", "route add blackhole 2001:db8:3::/48")
		n.Run(t)
		return
	}
	travel(t, engine.Limits{Connect: 300 * time.Millisecond}, map[string]journey{
		"no route":       {"10.1.1.1:80", report.NetworkUnreachable, report.SideLocal},
		"unreachable":    {"192.0.2.1:80", report.HostUnreachable, report.SideLocal},
		"prohibit":       {"198.51.100.1:80", report.LocalError, report.SideLocal},
		"blackhole":      {"203.0.113.1:80", report.LocalError, report.SideLocal},
		"v6 no route":    {"[2001:db8::1]:80", report.NetworkUnreachable, report.SideLocal},
		"v6 unreachable": {"[2001:db8:1::1]:80", report.HostUnreachable, report.SideLocal},
		"v6 prohibit":    {"[2001:db8:2::1]:80", report.LocalError, report.SideLocal},
		"v6 blackhole":   {"[2001:db8:3::1]:80", report.LocalError, report.SideLocal},
	})
}

// TestNoSourceAddress: a machine without any IPv6 address gets from connect(2) the errno of one without local ports. It must
// not wait for ports that are not short.
func TestNoSourceAddress(t *testing.T) {
	if !testnet.Inside(t) {
		n := testnet.New(t)
		n.IP(t, "addr del ::1/128 dev lo")
		n.Run(t)
		return
	}
	run := travel(t, engine.Limits{}, map[string]journey{"v6": {"[2001:db8::1]:80", report.LocalError, report.SideLocal}})
	if run.Engine.PortWaits != 0 {
		t.Errorf("got %d port_waits, want 0", run.Engine.PortWaits)
	}
}

// TestRouter puts a router behind a link that refuses, drops and resets in all the ways that it can: what came over the
// network is not this machine's fault.
func TestRouter(t *testing.T) {
	if testnet.Inside(t) {
		// Over a veth the router's ICMP comes back within connect(2), while the socket is still in use by it, and is kept as a
		// hint only (tcp_v4_err); that to the second SYN, a second later, counts.
		travel(t, engine.Limits{Connect: 1600 * time.Millisecond}, map[string]journey{
			"nobody listens":       {"10.0.0.2:80", report.ConnectionRefused, report.SideRemote},
			"no such host":         {"10.0.0.77:80", report.HostUnreachable, report.SideRemote},
			"net unreachable":      {"203.0.113.1:80", report.NetworkUnreachable, report.SideRemote},
			"host unreachable":     {"192.0.2.1:80", report.HostUnreachable, report.SideRemote},
			"prohibited":           {"192.0.2.129:80", report.HostUnreachable, report.SideRemote},
			"silently dropped":     {"10.0.0.2:81", report.ConnectionTimeout, report.SideRemote},
			"reset by a firewall":  {"10.0.0.2:82", report.ConnectionRefused, report.SideRemote},
			"port unreachable":     {"10.0.0.2:83", report.ConnectionRefused, report.SideRemote},
			"host prohibited":      {"10.0.0.2:84", report.HostUnreachable, report.SideRemote},
			"net prohibited":       {"10.0.0.2:85", report.NetworkUnreachable, report.SideRemote},
			"protocol unreachable": {"10.0.0.2:86", report.HostUnreachable, report.SideRemote},
			"v6 nobody listens":    {"[2001:db8::2]:80", report.ConnectionRefused, report.SideRemote},
			"v6 net unreachable":   {"[2001:db8:9::1]:80", report.NetworkUnreachable, report.SideRemote},
			"v6 unreachable route": {"[2001:db8:1::1]:80", report.NetworkUnreachable, report.SideRemote},
			"v6 host unreachable":  {"[2001:db8::2]:84", report.HostUnreachable, report.SideRemote},
			"v6 prohibited":        {"[2001:db8:2::1]:80", report.HostUnreachable, report.SideRemote},
			"v6 silently dropped":  {"[2001:db8::2]:81", report.ConnectionTimeout, report.SideRemote},
			"v6 reset":             {"[2001:db8::2]:82", report.ConnectionRefused, report.SideRemote},
			"v6 port unreachable":  {"[2001:db8::2]:83", report.ConnectionRefused, report.SideRemote},
		})
		return
	}
	here, router := testnet.New(t), testnet.New(t)
	testnet.Link(t, here, "out", router, "in")
	here.IP(t, "addr add 10.0.0.1/24 dev out", "addr add 2001:db8::1/64 dev out nodad",
		"route add default via 10.0.0.2", "route add ::/0 via 2001:db8::2")
	here.Sysctl(t, "net/ipv4/neigh/out/retrans_time_ms", "50") // three questions for a host that is not there, not a second each
	router.IP(t, "addr add 10.0.0.2/24 dev in", "addr add 2001:db8::2/64 dev in nodad",
		"route add unreachable 192.0.2.0/25", "route add 192.0.2.128/25 via 10.0.0.99",
		"route add unreachable 2001:db8:1::/48", "route add prohibit 2001:db8:2::/48")
	for path, value := range map[string]string{
		"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1",
		"net/ipv4/icmp_ratemask": "0", "net/ipv6/icmp/ratelimit": "0", // each answer is wanted
		"net/ipv4/conf/all/send_redirects": "0", "net/ipv4/conf/in/send_redirects": "0", // not the router's opinion of its routes
	} {
		router.Sysctl(t, path, value)
	}
	router.Firewall(t, `
table inet f {
	chain in {
		type filter hook input priority 0
		tcp dport 81 drop
		tcp dport 82 reject with tcp reset
		tcp dport 83 reject with icmpx port-unreachable
		ip protocol tcp tcp dport 84 reject with icmp host-prohibited
		ip6 nexthdr tcp tcp dport 84 reject with icmpv6 addr-unreachable
		ip protocol tcp tcp dport 85 reject with icmp net-prohibited
		ip protocol tcp tcp dport 86 reject with icmp prot-unreachable
	}
	chain through {
		type filter hook forward priority 0
		ip daddr 192.0.2.128/25 reject with icmp admin-prohibited
	}
}`)
	here.Run(t)
}

// TestOwnFirewall: nothing tells a firewall of this machine that drops or answers from one on the way; connect(2) is content in
// both cases.
func TestOwnFirewall(t *testing.T) {
	if testnet.Inside(t) {
		travel(t, engine.Limits{Connect: 300 * time.Millisecond}, map[string]journey{
			"dropped":  {"127.0.0.1:81", report.ConnectionTimeout, report.SideRemote},
			"rejected": {"127.0.0.1:82", report.ConnectionRefused, report.SideRemote},
		})
		return
	}
	n := testnet.New(t)
	n.Firewall(t, `
table inet f {
	chain out {
		type filter hook output priority 0
		tcp dport 81 drop
		tcp dport 82 reject with tcp reset
	}
}`)
	n.Run(t)
}
