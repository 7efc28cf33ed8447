package report

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// failed is a record of that failure.
func failed(status Status, side Side, text string) Record {
	return Record{IP: netip.MustParseAddr("192.0.2.7"), Port: 22, Probe: "tcp", Status: status, Side: side, Error: text, Attempts: 1, Timing: NoTiming}
}

func TestSummaryCounts(t *testing.T) {
	s := NewSummary()
	for i := range 10 {
		r := fullRecord()
		r.Status, r.Side, r.Error = Success, SideNone, ""
		r.Probe = []string{"tcp", "ssh"}[i%2]
		s.Add(&r)
	}
	for _, r := range []Record{
		failed(ConnectionRefused, SideRemote, "connection refused"),
		failed(ConnectionRefused, SideRemote, "connection refused"),
		failed(LocalError, SideLocal, "connect: permission denied"),
		failed(Blocked, SidePolicy, "on the list"),
	} {
		s.Add(&r)
	}
	var want Counts
	want[Success], want[ConnectionRefused], want[LocalError], want[Blocked] = 10, 2, 1, 1
	if diff := cmp.Diff(want, s.Counts()); diff != "" {
		t.Errorf("counts differ (-want +got):\n%s", diff)
	}
	if s.Records() != 14 || s.Failed() != 4 {
		t.Errorf("got %d records, %d failed, want 14 and 4", s.Records(), s.Failed())
	}
	sides := []uint64{s.Side(SideNone), s.Side(SideLocal), s.Side(SideRemote), s.Side(SidePolicy)}
	if diff := cmp.Diff([]uint64{10, 1, 2, 1}, sides); diff != "" {
		t.Errorf("sides differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ProbeCount{{"tcp", 9, 5}, {"ssh", 5, 5}}, s.Probes()); diff != "" {
		t.Errorf("probes differ (-want +got):\n%s", diff)
	}
	wantCauses := []Cause{
		{ConnectionRefused, SideRemote, "connection refused", "192.0.2.7:22", 2},
		{Blocked, SidePolicy, "on the list", "192.0.2.7:22", 1},
		{LocalError, SideLocal, "connect: permission denied", "192.0.2.7:22", 1},
	}
	if diff := cmp.Diff(wantCauses, s.Causes()); diff != "" {
		t.Errorf("causes differ (-want +got):\n%s", diff)
	}
}

// TestSummaryPhases: each phase counts the records in which it happened, and ours is the difference of what is written.
func TestSummaryPhases(t *testing.T) {
	s := NewSummary()
	r := fullRecord()
	r.Timing.Connect, r.Timing.KernelRTT = 345_100*time.Nanosecond, 340_900*time.Nanosecond
	s.Add(&r)
	r.Timing = NoTiming
	r.Timing.Connect, r.Timing.KernelRTT = 7*time.Microsecond, 9*time.Microsecond // the kernel's clock is another: not below zero
	s.Add(&r)
	r.Timing = NoTiming
	r.Timing.KernelRTT = time.Microsecond // no connect time: no difference
	s.Add(&r)
	type sum struct {
		Count    uint64
		Min, Max time.Duration
	}
	want := map[string]sum{
		"connect_us": {2, 7 * time.Microsecond, 345 * time.Microsecond}, "kernel_rtt_us": {3, time.Microsecond, 340 * time.Microsecond},
		"ours_us": {2, 0, 5 * time.Microsecond}, "tls_us": {1, 5 * time.Millisecond, 5 * time.Millisecond},
		"tls_cpu_us": {1, 700 * time.Microsecond, 700 * time.Microsecond}, "tls_wait_us": {1, 4300 * time.Microsecond, 4300 * time.Microsecond},
		"first_byte_us": {1, 2 * time.Millisecond, 2 * time.Millisecond}, "total_us": {1, 9 * time.Millisecond, 9 * time.Millisecond},
	}
	got := map[string]sum{}
	for p := range NumPhases {
		h := s.Phase(p)
		got[p.String()] = sum{h.Count(), h.Min(), h.Max()}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("phases differ (-want +got):\n%s", diff)
	}
}

func TestCauseClass(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"connection refused", "connection refused"},
		{"lookup a.example: no such host", "lookup *: no such host"},
		{"connect 192.0.2.7:22: connection refused", "connect *: connection refused"},
		{"connect [2001:db8::1]:22: no route", "connect *: no route"},
		{"no answer within 3.5s", "no answer within 3.5s"},
		{"status 503, want 200.", "status 503, want 200."},
		{`certificate is for "b.example", not (c.example)`, `certificate is for "*", not (*)`},
		{"connect: permission denied", "connect: permission denied"},
		{"  two  blanks ", "  two  blanks "},
		{"...", "..."},
	}
	for _, tt := range tests {
		if got := string(appendClass(nil, tt.text)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestCausesAreBounded: peers choose what texts there are, and must not choose how much memory they take.
func TestCausesAreBounded(t *testing.T) {
	s := NewSummary()
	const n = 10 * maxCauses
	for i := range n {
		r := failed(ProtocolError, SideRemote, fmt.Sprintf("said %d", i))
		s.Add(&r)
		r = failed(ApplicationError, SideRemote, "busy")
		s.Add(&r)
	}
	causes := s.Causes()
	if len(causes) > maxCauses+int(NumStatuses) {
		t.Errorf("got %d causes, want about %d", len(causes), maxCauses)
	}
	sum := uint64(0)
	for _, c := range causes {
		sum += c.Count
	}
	if sum != 2*n || causes[0] != (Cause{ApplicationError, SideRemote, "busy", "192.0.2.7:22", n}) {
		t.Errorf("got %d failures, the first cause %+v, want %d and all of the busy ones", sum, causes[0], 2*n)
	}
	if rest := causes[1]; rest.Text != "" || rest.Status != ProtocolError {
		t.Errorf("got %+v, want the rest of protocol-error", rest)
	}
}

func TestProbesAreBounded(t *testing.T) {
	s := NewSummary()
	for i := range 10 * maxProbes {
		r := failed(IOTimeout, SideRemote, "")
		r.Probe = fmt.Sprint("p", i%(5*maxProbes))
		s.Add(&r)
	}
	probes := s.Probes()
	last := probes[len(probes)-1]
	if len(probes) != maxProbes+1 || last.Probe != otherProbes || last.Records != 8*maxProbes || probes[0].Records != 2 {
		t.Errorf("got %d probes, the last %+v and the first %+v", len(probes), last, probes[0])
	}
}

func TestSummaryAddDoesNotAllocate(t *testing.T) {
	s := NewSummary()
	good, bad := fullRecord(), failed(ConnectionTimeout, SideRemote, "no answer from 192.0.2.7:22 within 3.5s")
	s.Add(&good)
	s.Add(&bad)
	if n := testing.AllocsPerRun(200, func() { s.Add(&good); s.Add(&bad) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkSummaryAdd(b *testing.B) {
	s := NewSummary()
	r := fullRecord()
	b.ReportAllocs()
	for b.Loop() {
		s.Add(&r)
	}
}

// TestRetried counts the targets that were dialled more than once, and those of them that succeeded.
func TestRetried(t *testing.T) {
	s := NewSummary()
	once := Record{Probe: "tcp", Attempts: 1, Timing: NoTiming}
	s.Add(&once)
	if got := s.Retried(); got != nil {
		t.Errorf("got %+v, want nothing", got)
	}
	again := once
	again.Attempts = 2
	s.Add(&again)
	dead := failed(ConnectionReset, SideRemote, "reset")
	dead.Attempts = 3
	s.Add(&dead)
	run := Run{Summary: s}
	if got := run.Metadata().Retried; got == nil || *got != (Retried{Targets: 2, Succeeded: 1}) {
		t.Errorf("got %+v, want 2 targets of which 1 succeeded", got)
	}
	var text strings.Builder
	if err := WriteSummary(&text, &run, Style{}); err != nil || !strings.Contains(text.String(), "\n2 targets dialled more than once, 1 with success then\n") {
		t.Errorf("got %v and\n%s", err, text.String())
	}
}
