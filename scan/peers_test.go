package scan

import (
	"fmt"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/probes"
	"sonde/report"
)

// shortLimits keep tests of peers that never answer short. Those of peers that answer are patient.
var shortLimits = engine.Limits{Connect: 500 * time.Millisecond, Handshake: 1500 * time.Millisecond, Read: 1500 * time.Millisecond}

// limitsFor are those for a peer that is met with such a status.
func limitsFor(expect string) engine.Limits {
	if strings.HasSuffix(expect, "-timeout") {
		return shortLimits
	}
	return patient
}

// TestPeers meets every kind of peer with the probe that brings its behaviour to light, on IPv4 and IPv6 loopback, and
// several times at once.
func TestPeers(t *testing.T) {
	// What the result of a kind must hold besides its status.
	results := map[testpeer.Kind]string{
		testpeer.HTTP:        `"status_code":200`,
		testpeer.SSH:         `"software":"sondepeer_1.0"`,
		testpeer.Delayed:     `"software":"sondepeer_1.0"`,
		testpeer.BannerReset: `SSH-2.0-sondepeer_reset`, // kept, though the connection was reset
		testpeer.HalfClose:   `220 sonde.test ready`,
		testpeer.IgnoreFIN:   `220 sonde.test ready`,
		testpeer.Drip:        `SSH-2.0-`,
		testpeer.Endless:     `xxxx`,
	}
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for _, about := range testpeer.Kinds() {
			if about.TLS {
				continue // TestTLSPeers
			}
			t.Run(addr+"/"+string(about.Kind), func(t *testing.T) {
				t.Parallel()
				peer, err := testpeer.Start(about.Kind, testpeer.Options{
					Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 0), Interval: 20 * time.Millisecond, Delay: 100 * time.Millisecond,
				})
				if err != nil {
					if addr == "::1" {
						t.Skipf("no IPv6 loopback here: %v", err)
					}
					t.Fatal(err)
				}
				t.Cleanup(peer.Close)
				const n = 5
				records, run := scanAll(t, Config{
					InputFiles: []string{"-"}, Stdin: strings.NewReader(strings.Repeat(peer.Addr().String()+"\n", n)),
					Probes: []string{about.Probe}, Limits: limitsFor(about.Expect),
				})
				if len(records) != n {
					t.Fatalf("got %d records, want %d", len(records), n)
				}
				for i := range records {
					r := &records[i]
					if r.Status.String() != about.Expect {
						t.Errorf("got %v, want %s", r, about.Expect)
					}
					wantText(t, r.Status, r.Error)
					if !strings.Contains(r.result, results[about.Kind]) {
						t.Errorf("got %v, want a result with %s", r, results[about.Kind])
					}
					checkTiming(t, r)
				}
				if counts := run.Summary.Counts(); counts.Total() != n {
					t.Errorf("got counts %v, want %d in all", counts, n)
				}
			})
		}
	}
}

// checkTiming has the phases fit together: there if and only if they happened, and no longer than the whole.
func checkTiming(t *testing.T, r *kept) {
	t.Helper()
	tm := r.Timing
	connected := r.Status != report.ConnectionRefused && r.Status != report.ConnectionTimeout
	if got := tm.Connect != report.Absent; got != connected {
		t.Errorf("%v: got connect %v, want one: %v", r, tm.Connect, connected)
	}
	if runtime.GOOS == "linux" && (tm.KernelRTT != report.Absent) != connected {
		t.Errorf("%v: got a round-trip time of %v, want one: %v", r, tm.KernelRTT, connected)
	}
	if heard := r.result != "" && !strings.Contains(r.result, `"bytes":0`); (tm.FirstByte != report.Absent) != heard {
		t.Errorf("%v: got first byte %v, want one: %v", r, tm.FirstByte, heard)
	}
	if tm.DNS != report.Absent || tm.TLS != report.Absent || tm.TLSCPU != report.Absent || tm.TLSWait != report.Absent {
		t.Errorf("%v: got dns %v and tls %v, want neither", r, tm.DNS, tm.TLS)
	}
	if tm.SchedDelay < 0 || tm.Total < 0 || tm.Connect > tm.Total || tm.FirstByte > tm.Total {
		t.Errorf("%v: got timing %+v, want a delay and a total, and no phase above it", r, tm)
	}
	if r.Attempts != 1 || r.Timestamp.IsZero() || r.Timestamp.Location() != time.UTC {
		t.Errorf("%v: got %d attempts at %v, want 1 and a time in UTC", r, r.Attempts, r.Timestamp)
	}
	switch {
	case r.Status == report.ConnectionTimeout && tm.Total < shortLimits.Connect:
		t.Errorf("%v: got a timeout after %v, want %v at least", r, tm.Total, shortLimits.Connect)
	case r.Status == report.IOTimeout && tm.Total < shortLimits.Read:
		t.Errorf("%v: got a timeout after %v, want %v at least", r, tm.Total, shortLimits.Read)
	}
}

// TestMatchBeforeTheReset: the text that was wanted was there before the reset or the deadline came, though a longer match
// might have followed.
func TestMatchBeforeTheReset(t *testing.T) {
	for _, kind := range []testpeer.Kind{testpeer.BannerReset, testpeer.Drip} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			peer := testpeer.New(t, kind, testpeer.Options{Interval: 20 * time.Millisecond})
			records, _ := scanAll(t, Config{
				Args: []string{peer.Addr().String()}, Probes: []string{"banner"}, Limits: shortLimits,
				Options: probes.Options{Expect: regexp.MustCompile(`SSH-2\.0-(.*)`)},
			})
			want(t, only(t, records), report.Success, report.SideNone)
		})
	}
}

// TestTargetLimit is the budget of a target: it ends what no other limit would.
func TestTargetLimit(t *testing.T) {
	peer := testpeer.New(t, testpeer.Silent, testpeer.Options{})
	records, _ := scanAll(t, Config{
		Args: []string{peer.Addr().String()}, Probes: []string{"banner"}, Limits: engine.Limits{Target: 100 * time.Millisecond},
	})
	r := only(t, records)
	want(t, r, report.IOTimeout, report.SideRemote)
	if want := "target's time budget of 100ms is spent"; r.Error != want {
		t.Errorf("got error %q, want %q", r.Error, want)
	}
}

// TestEndlessPeers has many peers that never stop sending at once: memory stays within the cap of the buffers.
func TestEndlessPeers(t *testing.T) {
	addr := testpeer.New(t, testpeer.Endless, testpeer.Options{}).Addr()
	records, run := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(strings.Repeat(fmt.Sprintln(addr), 300)),
		Probes: []string{"banner"}, Connections: 300,
	})
	for i := range records {
		want(t, &records[i], report.ByteLimit, report.SideRemote)
		if got := len(records[i].result); got > 16<<10 {
			t.Fatalf("got a result of %d bytes", got)
		}
	}
	if b := run.Engine.Buffers; b.HighWaterBytes > 32<<20 || b.BlockBytes > 33<<20 {
		t.Errorf("got %d bytes of buffers lent and %d held, want 32 MiB at most", b.HighWaterBytes, b.BlockBytes)
	}
}
