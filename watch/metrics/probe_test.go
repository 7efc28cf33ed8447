package metrics

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sonde/probes"
	"sonde/report"
	"sonde/watch/track"
)

// answers are what a probe may come to, by what blackbox_exporter would see.
func answers() map[string]struct {
	probe  string
	result *track.Result
} {
	yes, no := true, false
	named := ok(1)
	named.Timing.DNS = 1500 * time.Nanosecond
	unnamed := failed(1, report.DNSError, report.SideRemote)
	unnamed.Addr, unnamed.Timing = netip.AddrPort{}, report.NoTiming
	unnamed.Timing.DNS = time.Millisecond
	nonsense := failed(1, report.InvalidInput, report.SideLocal)
	nonsense.Addr, nonsense.Timing = netip.AddrPort{}, report.NoTiming

	secure := ok(1)
	secure.Timing.TLS = time.Millisecond
	secure.Figures = &probes.Figures{TLS: &certificate}
	insecure := ok(1)
	unverified := certificate
	unverified.LastChainExpiry = time.Time{}
	insecure.Figures = &probes.Figures{TLS: &unverified}
	distrusted := failed(1, report.CertificateError, report.SideRemote)
	refused := certificate
	refused.Established = false
	distrusted.Figures = &probes.Figures{TLS: &refused}

	banner := ok(1)
	banner.Figures = &probes.Figures{RegexpFailed: &no, Expect: []probes.Capture{{Name: "phase", Value: "a\"b"}, {Name: "job", Value: "c"}}}
	mismatch := failed(1, report.ApplicationError, report.SideRemote)
	mismatch.Figures = &probes.Figures{RegexpFailed: &yes}

	page := ok(1)
	page.Timing = report.Timing{DNS: 2 * time.Millisecond, Connect: 4 * time.Millisecond, TLS: 3 * time.Millisecond, FirstByte: 6 * time.Millisecond, Total: 20 * time.Millisecond}
	page.Hops = []track.Hop{
		{DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: report.Absent, FirstByte: 3 * time.Millisecond, Total: 8 * time.Millisecond},
		{DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond, FirstByte: 3 * time.Millisecond, Total: 12 * time.Millisecond, Secure: true},
	}
	page.Figures = &probes.Figures{TLS: &certificate, RegexpFailed: &no, HTTP: &probes.HTTPFigures{
		StatusCode: 200, Version: 1.1, ContentLength: 5, BodyLength: 5, LastModified: start, Redirects: 1, TLS: true,
	}}
	nowhere := failed(1, report.ConnectionRefused, report.SideRemote)
	nowhere.Figures = &probes.Figures{TLS: &certificate, HTTP: &probes.HTTPFigures{Redirects: 1, TLS: true}}
	nowhere.Secure = true
	// Led from a page over TLS to a server whose certificate is bad: what the first hop took counts, and nothing of the second.
	betrayed := failed(1, report.CertificateError, report.SideRemote)
	betrayed.Timing, betrayed.Hops, betrayed.Secure = page.Timing, []track.Hop{page.Hops[1], page.Hops[1]}, true
	betrayed.Figures = &probes.Figures{TLS: &refused, HTTP: &probes.HTTPFigures{Redirects: 1}}
	return map[string]struct {
		probe  string
		result *track.Result
	}{
		"http-distrust":      {"http", betrayed},
		"tcp":                {"tcp", named},
		"tcp-refused":        {"tcp", failed(1, report.ConnectionRefused, report.SideRemote)},
		"tcp-no-name":        {"tcp", unnamed},
		"tcp-nonsense":       {"tcp", nonsense},
		"tcp-tls":            {"tcp", secure},
		"tcp-tls-insecure":   {"converse", insecure},
		"tcp-tls-distrust":   {"tcp", distrusted},
		"tcp-banner":         {"converse", banner},
		"tcp-mismatch":       {"converse", mismatch},
		"http":               {"http", page},
		"http-refused":       {"http", failed(1, report.ConnectionRefused, report.SideRemote)},
		"http-no-name":       {"http", unnamed},
		"http-leads-nowhere": {"http", nowhere},
		"redis":              {"redis", ok(1)},
	}
}

func TestProbe(t *testing.T) {
	for name, tt := range answers() {
		t.Run(name, func(t *testing.T) {
			var page, open bytes.Buffer
			if err := WriteProbe(&page, Text, tt.result, tt.probe); err != nil {
				t.Fatal(err)
			}
			parse(t, page.Bytes())
			lint(t, page.Bytes())
			golden(t, "probe/"+name+".txt", page.Bytes())
			var families []string // blackbox_exporter's, which come sorted
			for line := range strings.Lines(page.String()) {
				if family, ok := strings.CutPrefix(line, "# TYPE "); ok && !strings.HasPrefix(family, "probe_failure_info ") && !strings.HasPrefix(family, "probe_phase_") {
					families = append(families, family)
				}
			}
			if !slices.IsSorted(families) {
				t.Errorf("families are not sorted: %q", families)
			}
			if err := WriteProbe(&open, OpenMetrics, tt.result, tt.probe); err != nil || open.String() != page.String()+"# EOF\n" {
				t.Errorf("%v; as OpenMetrics got\n%s", err, &open)
			}
		})
	}
}

// TestAddrHash has the hashes that blackbox_exporter 0.23.0 printed.
func TestAddrHash(t *testing.T) {
	for addr, want := range map[string]uint64{"127.0.0.1": 3668918509, "::ffff:127.0.0.1": 3668918509, "::1": 1751717746} {
		if got := addrHash(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %d, want %d", addr, got, want)
		}
	}
	if addrHash(netip.Addr{}) != 0 || ipProtocol(netip.Addr{}) != 0 {
		t.Error("want 0 for no address")
	}
}
