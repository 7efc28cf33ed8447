package scan

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"sonde/internal/testpeer"
	"sonde/report"
	"sonde/target"
)

// loopback is where all the names of a test point that are good.
var loopback = netip.MustParseAddr("127.0.0.1")

// answering is a Lookup that knows every name and gives one address.
func answering(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{loopback}, nil
}

// knowing is a Lookup that knows the names of a table, and says of others what a name server says.
func knowing(names map[string][]string) target.LookupFunc {
	return func(_ context.Context, network, host string) ([]netip.Addr, error) {
		var addrs []netip.Addr
		for _, text := range names[host] {
			if addr := netip.MustParseAddr(text); network == "ip" || addr.Is4() == (network == "ip4") {
				addrs = append(addrs, addr)
			}
		}
		if addrs == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return addrs, nil
	}
}

// lines is a target list of n lines made by format, which gets a number.
func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}

// TestManyNames has more names at once in the engine than there is room for, so that many callbacks of the resolver wait
// for the same things. Each name gets its record.
func TestManyNames(t *testing.T) {
	const n = 10_000
	peer := testpeer.New(t, testpeer.Sink, testpeer.Options{})
	records, run := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(lines(n, "host%d.test:"+fmt.Sprint(peer.Addr().Port()))),
		Connections: 2, Loops: 1, Lookup: answering,
	})
	if len(records) != n || run.Targets != n {
		t.Errorf("got %d records of %d targets, want %d", len(records), run.Targets, n)
	}
	for i := range records {
		if r := &records[i]; r.Status != report.Success || r.Timing.DNS == report.Absent {
			t.Fatalf("got %v with dns %v, want success and a time", r, r.Timing.DNS)
		}
	}
}
