package scan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/policy/pace"
	"sonde/target"
)

// TestPaced dials hosts and subnets no faster than they may be, by the records.
func TestPaced(t *testing.T) {
	port, closing, silent := peers(t, testpeer.Sink)[0].Port(), peers(t, testpeer.CloseAtOnce)[0], peers(t, testpeer.Silent)[0]
	tests := map[string]struct {
		cfg       Config
		records   int
		bucket    func(ip netip.Addr) string
		perSecond float64
		from      time.Duration // its first dial may come then
	}{
		"hosts": {
			Config{Args: []string{"127.0.0.1-127.0.0.4"}, Ports: []target.PortRange{{From: 1, To: 20}}, HostRate: 40},
			80, netip.Addr.String, 40, 0,
		},
		"hosts, with a rate of all": {
			Config{Args: []string{"127.0.0.1-127.0.0.4"}, Ports: []target.PortRange{{From: 1, To: 20}}, HostRate: 40, Rate: 130},
			80, netip.Addr.String, 40, 0,
		},
		"subnets": {
			Config{Args: []string{"127.0.0.0/22"}, Ports: []target.PortRange{{From: port, To: port}}, SubnetRate: pace.Settings{PerSecond: 400, Bits4: 24}},
			1024, func(ip netip.Addr) string { p, _ := ip.Prefix(24); return p.String() }, 400, 0,
		},
		"both": {
			Config{
				Args: []string{"127.0.0.1-127.0.0.4"}, Ports: []target.PortRange{{From: 1, To: 20}},
				HostRate: 1000, SubnetRate: pace.Settings{PerSecond: 100, Bits4: 24},
			},
			80, func(netip.Addr) string { return "all" }, 100, 0,
		},
		"hosts behind a rate of all": {
			Config{Args: append(strings.Fields(lines(50, "127.0.1.%d:1")), "127.0.2.1:1", "127.0.2.1:2", "127.0.2.1:3"), HostRate: 5, Rate: 50, Loops: 1},
			53, netip.Addr.String, 5, time.Second,
		},
		"hosts behind one that takes all connections": {
			Config{
				Args: append([]string{silent.String()}, strings.Fields(lines(5, "127.0.2.1:1%d"))...), Probes: []string{"ssh"}, HostRate: 20,
				Connections: 1, Limits: engine.Limits{Read: 500 * time.Millisecond},
			},
			6, netip.Addr.String, 20, 500 * time.Millisecond,
		},
		"retries": {
			Config{Args: slices.Repeat([]string{closing.String()}, 20), Probes: []string{"ssh"}, HostRate: 40, Retries: 1},
			20, func(netip.Addr) string { return "all" }, 40, 0,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			records, run := scanAll(t, tt.cfg)
			if len(records) != tt.records {
				t.Errorf("got %d records, want %d", len(records), tt.records)
			}
			dials, last := map[string]int{}, map[string]time.Time{}
			for i := range records {
				r := &records[i]
				key := tt.bucket(r.IP)
				if r.Timestamp.After(last[key]) {
					last[key] = r.Timestamp
				}
				dials[key] += r.Attempts
			}
			for key, n := range dials {
				// Not from the first dial on, which a busy machine may make late; the first attempts have no record, besides.
				least := time.Duration(float64(n-1)/tt.perSecond*1e9) - time.Duration(grace)
				if n > 1 {
					least += tt.from
				}
				if took := last[key].Sub(run.Start); took < least {
					t.Errorf("%s: got %d dials within %v of the start, want %v at least", key, n, took, least)
				}
			}
		})
	}
}

// TestFewPlacesToWait: when every entry of the in-flight table is a target that waits, the list waits, too, and nothing is lost.
func TestFewPlacesToWait(t *testing.T) {
	reset := peers(t, testpeer.Reset)[0]
	for name, cfg := range map[string]Config{
		"for a turn":        {Args: strings.Fields(lines(40, "127.0.2.1:1%d")), HostRate: 200},
		"to be asked again": {Args: slices.Repeat([]string{reset.String()}, 40), Probes: []string{"ssh"}, Retries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			sink := &memorySink{}
			cfg.Sink = sink
			s := open(t, cfg)
			s.flights.free = s.flights.free[:4]
			run, err := finish(t, t.Context(), s)
			if err != nil || run.Stopped != "" || len(sink.records) != 40 {
				t.Fatalf("got %d records, error %v, stopped %q; want 40 and a run to its end", len(sink.records), err, run.Stopped)
			}
			for i := range sink.records {
				if r := &sink.records[i]; r.Attempts != cfg.Retries+1 {
					t.Errorf("got %v after %d attempts, want %d", r, r.Attempts, cfg.Retries+1)
				}
			}
		})
	}
}
