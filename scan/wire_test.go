package scan

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/report"
)

// wireSamples are records of all shapes.
func wireSamples() []report.Record {
	full := report.Record{
		Timestamp: time.Date(2026, 2, 3, 4, 5, 6, 789_012_345, time.UTC), IP: netip.MustParseAddr("fe80::1%eth0"), Port: 65535,
		Domain: "a.test", Tag: "t", Probe: "tls", Status: report.Cancelled, Side: report.SidePolicy, Error: "a\nb", Attempts: 2,
		Timing: report.Timing{SchedDelay: 1, DNS: 2, Connect: 3, KernelRTT: 4, TLS: 5, TLSCPU: 6, TLSWait: 7, FirstByte: 8, Total: time.Hour},
		Result: &wireResult{json: `{"a":"é"}`, brief: "brief", isResumed: true, full: 5000, resumed: 1200, method: "psk"},
	}
	bare := report.Record{Timestamp: time.Unix(0, -1).UTC(), Timing: report.NoTiming}
	plain := full
	plain.IP, plain.Result = netip.MustParseAddr("192.0.2.1"), &wireResult{json: "{}"}
	return []report.Record{full, bare, plain}
}

func TestWire(t *testing.T) {
	samples := wireSamples()
	var data []byte
	for i := range samples {
		data = appendWire(data, &samples[i])
	}
	reader := wireReader{left: data}
	for i := range samples {
		var got report.Record
		if err := reader.next(&got); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		opts := cmp.Options{cmp.AllowUnexported(wireResult{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}
		if diff := cmp.Diff(samples[i], got, opts); diff != "" {
			t.Errorf("record %d (-sent +got):\n%s", i, diff)
		}
	}
	if len(reader.left) != 0 {
		t.Errorf("%d bytes are left", len(reader.left))
	}
}

// TestWireCut: whatever is missing at the end, it is told and nothing is read beyond it.
func TestWireCut(t *testing.T) {
	for _, r := range wireSamples() {
		data := appendWire(nil, &r)
		for n := range data {
			reader := wireReader{left: data[:n]}
			var got report.Record
			if err := reader.next(&got); err == nil {
				t.Fatalf("%d of %d bytes: got no error", n, len(data))
			}
		}
	}
}

func FuzzWire(f *testing.F) {
	for _, r := range wireSamples() {
		f.Add(appendWire(nil, &r))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := wireReader{left: data}
		var r report.Record
		for len(reader.left) > 0 {
			before := len(reader.left)
			if reader.next(&r) != nil {
				return
			}
			if len(reader.left) >= before {
				t.Fatal("a record of no bytes")
			}
			report.AppendJSON(nil, &r)
		}
	})
}
