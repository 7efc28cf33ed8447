package scan

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/pprof"
	"slices"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/report"
)

// runLimit is how long a scan of a test may take: far more than any needs under the race detector on a busy machine, and
// less than the limit of the test binary, so that a hang is told with the goroutines that hang.
const runLimit = 5 * time.Minute

// patient limits are those of tests that say nothing of limits: a busy machine is no slow peer.
var patient = engine.Limits{Connect: time.Minute, Handshake: time.Minute, Read: time.Minute, Target: -1}

// kept is a record with its result as JSON, "" if it has none.
type kept struct {
	report.Record
	result string
}

// endpoint is where a record says that it dialled.
func (k *kept) endpoint() netip.AddrPort { return netip.AddrPortFrom(k.IP, k.Port) }

// String is what a test says about a record.
func (k *kept) String() string {
	return fmt.Sprintf("%v %s %s %s: %v %v %q %s", k.endpoint(), k.Domain, k.Tag, k.Probe, k.Status, k.Side, k.Error, k.result)
}

// memorySink keeps the records, until failAt of them are there if that is above 0: then it takes no more.
type memorySink struct {
	records []kept
	flushed int // records that were there at the last Flush
	failAt  int
	fail    error
	onWrite func(n int) // told how many there are; may be nil
}

func (s *memorySink) Write(r *report.Record) error {
	if s.fail != nil && len(s.records) == s.failAt {
		return s.fail
	}
	k := kept{Record: *r}
	if r.Result != nil {
		k.result = string(r.Result.AppendJSON(nil))
	}
	s.records = append(s.records, k)
	if s.onWrite != nil {
		s.onWrite(len(s.records))
	}
	return nil
}

func (s *memorySink) Flush() error { s.flushed = len(s.records); return nil }

func (s *memorySink) Close() error { return nil }

// open makes a Scan that ends with the test.
func open(t *testing.T, cfg Config) *Scan {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// finish runs s and returns when it has ended, which must be soon. What holds of every run is checked: no socket leaks and
// no change of state is illegal.
func finish(t *testing.T, ctx context.Context, s *Scan) (*report.Run, error) {
	t.Helper()
	var run *report.Run
	var err error
	within(t, "the scan", func() { run, err = s.Run(ctx) })
	if run == nil {
		t.Fatalf("got no report (error: %v)", err)
	}
	if run.Engine.Leaked() != 0 {
		t.Errorf("got %d sockets opened and %d closed", run.Engine.Opened, run.Engine.Closed)
	}
	if run.Engine.Illegal != 0 {
		t.Errorf("got %d illegal changes of state", run.Engine.Illegal)
	}
	return run, err
}

// within has f end before runLimit, or shows where all goroutines stand.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	limit := time.NewTimer(runLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		var stacks bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Fatalf("%s has not ended after %v:\n%s", what, runLimit, stacks.Bytes())
	}
}

// scanAll runs a scan of cfg to its end, which must be a good one, and returns its records and report. There is a record for
// each target.
func scanAll(t *testing.T, cfg Config) ([]kept, *report.Run) {
	t.Helper()
	sink := &memorySink{}
	cfg.Sink = sink
	if cfg.Limits == (engine.Limits{}) {
		cfg.Limits = patient
	}
	run, err := finish(t, t.Context(), open(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	if run.Stopped != "" {
		t.Errorf("got stopped %q, want a run to its end", run.Stopped)
	}
	if got := run.Summary.Records(); got != uint64(len(sink.records)) {
		t.Errorf("got %d records in the summary and %d in the sink", got, len(sink.records))
	}
	if sink.flushed != len(sink.records) {
		t.Errorf("got %d of %d records flushed at the end", sink.flushed, len(sink.records))
	}
	return sink.records, run
}

// only returns the one record there must be.
func only(t *testing.T, records []kept) *kept {
	t.Helper()
	if len(records) != 1 {
		t.Fatalf("got %d records, want 1: %v", len(records), records)
	}
	return &records[0]
}

// want checks the status and side of a record, and its error as wantText does.
func want(t *testing.T, k *kept, status report.Status, side report.Side) {
	t.Helper()
	if k.Status != status || k.Side != side {
		t.Errorf("got %v, want %v %v", k, status, side)
	}
	wantText(t, k.Status, k.Error)
}

// peers starts a peer of each kind and returns their addresses.
func peers(t *testing.T, kinds ...testpeer.Kind) []netip.AddrPort {
	t.Helper()
	var addrs []netip.AddrPort
	for _, k := range kinds {
		addrs = append(addrs, testpeer.New(t, k, testpeer.Options{}).Addr())
	}
	return addrs
}

// noGoroutines has every goroutine of a scan gone soon. Tests that run beside others can't use it.
func noGoroutines(t *testing.T) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		running := slices.ContainsFunc([]string{"sonde/scan.(*", "sonde/engine.(*", "sonde/target.(*"}, func(f string) bool {
			return bytes.Contains(stacks, []byte(f))
		})
		if !running {
			return
		}
		select {
		case <-again.C:
		case <-limit.C:
			t.Fatalf("goroutines are left:\n%s", stacks)
		}
	}
}
