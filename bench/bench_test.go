package bench

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"sonde/bench/load"
	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/internal/histogram"
	"sonde/internal/kernel/usage"

	"github.com/google/go-cmp/cmp"
)

func TestParsePromise(t *testing.T) {
	for text, want := range map[string]Promise{
		"p99<10ms":    {Quantile: 0.99, Below: 10 * time.Millisecond, Text: "p99<10ms"},
		"p50 < 1s":    {Quantile: 0.5, Below: time.Second, Text: "p50 < 1s"},
		"p99.9<=20ms": {Quantile: 0.999, Below: 20*time.Millisecond + 1, Text: "p99.9<=20ms"},
		"p0.5<10ms":   {Quantile: 0.005, Below: 10 * time.Millisecond, Text: "p0.5<10ms"},
		"p2.5<10ms":   {Quantile: 0.025, Below: 10 * time.Millisecond, Text: "p2.5<10ms"},
		"p5<10ms":     {Quantile: 0.05, Below: 10 * time.Millisecond, Text: "p5<10ms"},
		"p999<20ms":   {Quantile: 0.999, Below: 20 * time.Millisecond, Text: "p999<20ms"},
		"p9999<1m":    {Quantile: 0.9999, Below: time.Minute, Text: "p9999<1m"},
	} {
		got, err := ParsePromise(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		near := cmp.Comparer(func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 })
		if diff := cmp.Diff(want, *got, near); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"", "99<10ms", "p<10ms", "p99>10ms", "p99<10", "p99<-1ms", "p99<0s", "p0<1ms", "p100<1ms", "p00<1ms", "p100.5<1ms", "p.5<1ms", "p99.<1ms", "p99==1ms", "p99<==1ms", "p99<10ms and more"} {
		if got, err := ParsePromise(text); err == nil {
			t.Errorf("%q was taken: %+v", text, got)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		n, among int
		want     []int
	}{{10, 3, []int{4, 3, 3}}, {3, 3, []int{1, 1, 1}}, {1, 1, []int{1}}} {
		if diff := cmp.Diff(c.want, split(c.n, c.among)); diff != "" {
			t.Errorf("%d among %d (-want +got):\n%s", c.n, c.among, diff)
		}
	}
}

// report is one of a run that did so many operations in a second.
func reportOf(operations uint64) *result.Report {
	return &result.Report{Total: &result.Part{Operations: operations, Measured: time.Second}}
}

func TestMiddle(t *testing.T) {
	r := middle([]*result.Report{reportOf(300), reportOf(100), reportOf(200)})
	if r.Total.Operations != 200 || len(r.Runs) != 3 || r.Runs[0].Figures["operations_per_s"] != 300 {
		t.Errorf("got %d operations and runs %+v, want the run of 200 and all three in their order", r.Total.Operations, r.Runs)
	}
	if r := middle([]*result.Report{reportOf(7)}); len(r.Runs) != 0 {
		t.Errorf("one run is compared with itself: %+v", r.Runs)
	}
	for range 3 { // no rate: the one in the middle of their order
		a, b, c := reportOf(0), reportOf(0), reportOf(0)
		if middle([]*result.Report{a, b, c}) != b {
			t.Error("of runs without a rate another one than the second was taken")
		}
	}
}

// doing gives the outcomes one by one: a report, or an error. ctx of the caller is ended by stop at the first that did not end
// well, if stop is not nil.
func doing(stop func(), outcomes ...any) attempt {
	return func(context.Context, load.Spec) (*result.Report, error) {
		o := outcomes[0]
		outcomes = outcomes[1:]
		r, _ := o.(*result.Report)
		err, _ := o.(error)
		if stop != nil && (r == nil || r.Stopped != "") {
			stop()
		}
		return r, err
	}
}

func stoppedReport(operations uint64) *result.Report {
	r := reportOf(operations)
	r.Stopped = "interrupted"
	return r
}

// TestBrokenOffRuns: what did not come to its end is no sample where another run did, and costs the others nothing.
func TestBrokenOffRuns(t *testing.T) {
	broken := errors.New("no room")
	for name, c := range map[string]struct {
		outcomes   []any
		signal     bool
		operations uint64
		samples    int
		stopped    string
		err        error
	}{
		"all whole":            {[]any{reportOf(300), reportOf(100), reportOf(200)}, false, 200, 3, "", nil},
		"third interrupted":    {[]any{reportOf(300), reportOf(200), stoppedReport(1)}, true, 200, 2, "interrupted", nil},
		"second interrupted":   {[]any{reportOf(300), stoppedReport(1)}, true, 300, 0, "interrupted", nil},
		"first interrupted":    {[]any{stoppedReport(7)}, true, 7, 0, "interrupted", nil},
		"third fails":          {[]any{reportOf(300), reportOf(200), broken}, false, 200, 2, "run 3 of 3: no room", nil},
		"second is begun late": {[]any{reportOf(300), broken}, true, 300, 0, "interrupted", nil},
		"first fails":          {[]any{broken}, false, 0, 0, "", broken},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stop func()
			if c.signal {
				stop = cancel
			}
			p := &Prepared{Config: Config{Runs: 3}}
			r, err := p.repeat(ctx, doing(stop, c.outcomes...))
			if err != c.err || (r == nil) != (c.err != nil) {
				t.Fatalf("got report %v, error %v, want error %v", r, err, c.err)
			}
			if r == nil {
				return
			}
			if r.Total.Operations != c.operations || len(r.Runs) != c.samples || r.Stopped != c.stopped {
				t.Errorf("got the run of %d operations, %d samples, stopped %q; want %d, %d, %q",
					r.Total.Operations, len(r.Runs), r.Stopped, c.operations, c.samples, c.stopped)
			}
		})
	}
}

// TestBrokenOffSearch: the trials before the one that did not come to its end are kept.
func TestBrokenOffSearch(t *testing.T) {
	broken := errors.New("no room")
	fast := func() *result.Report { return reportOf(1000) } // keeps the promise at 1,000 a second
	slow := func() *result.Report { return reportOf(900) }
	for name, c := range map[string]struct {
		outcomes   []any
		signal     bool
		operations uint64
		trials     int
		stopped    string
		err        error
	}{
		"second interrupted": {[]any{fast(), stoppedReport(1)}, true, 1000, 1, "interrupted", nil},
		"none kept it":       {[]any{slow(), stoppedReport(1)}, true, 900, 1, "interrupted", nil},
		"second fails":       {[]any{fast(), broken}, false, 1000, 1, "trial 2: no room", nil},
		"first interrupted":  {[]any{stoppedReport(7)}, true, 7, 0, "interrupted", nil},
		"first fails":        {[]any{broken}, false, 0, 0, "", broken},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stop func()
			if c.signal {
				stop = cancel
			}
			p := &Prepared{Config: Config{Load: load.Spec{Kind: result.Request}, Promise: &Promise{Quantile: 0.99, Below: 10 * time.Millisecond}}}
			r, err := p.search(ctx, doing(stop, c.outcomes...))
			if err != c.err || (r == nil) != (c.err != nil) {
				t.Fatalf("got report %v, error %v, want error %v", r, err, c.err)
			}
			if r == nil {
				return
			}
			if r.Total.Operations != c.operations || len(r.Searched) != c.trials || r.Stopped != c.stopped {
				t.Errorf("got the trial of %d operations of %d, stopped %q; want %d of %d, %q",
					r.Total.Operations, len(r.Searched), r.Stopped, c.operations, c.trials, c.stopped)
			}
		})
	}
}

// preparedFor is spec to a peer of its own that takes connections and holds them.
func preparedFor(t *testing.T, spec load.Spec) *Prepared {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	to, err := plan.New([]plan.Target{{Addr: netip.MustParseAddrPort(ln.Addr().String())}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(Config{Load: spec, Plan: to, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMemoryOfLaterRuns: a process has grown by its first run, so that only this one shows what connections take.
func TestMemoryOfLaterRuns(t *testing.T) {
	p := preparedFor(t, load.Spec{Kind: result.Hold, Connections: 2, Duration: time.Millisecond})
	p.Runs = 3
	r, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, known := r.Runs[0].Figures["memory_per_connection"]
	if u, err := usage.Read(); err != nil || u.Resident == usage.Unknown {
		return // nor do others
	}
	if !known {
		t.Error("the first run has no memory_per_connection")
	}
	for _, run := range r.Runs[1:] {
		if got, known := run.Figures["memory_per_connection"]; known {
			t.Errorf("a later run has a memory_per_connection, of %v", got)
		}
	}
	if got, _ := r.Total.MemoryPerConnection(); got != first {
		t.Errorf("the report has a memory per connection of %v, want the first run's, %v", got, first)
	}
}

func TestJudge(t *testing.T) {
	p := &Prepared{Config: Config{Load: load.Spec{Kind: result.Request}, Promise: &Promise{Quantile: 0.99, Below: 10 * time.Millisecond}}}
	trial := func(took time.Duration, operations uint64, failed uint64) result.Trial {
		r := reportOf(operations)
		h := histogram.New()
		h.Record(took)
		r.Total.Phases[result.Latency] = h
		if failed > 0 {
			r.Total.Failures = result.Failures{{Status: "io-timeout", Count: failed}}
		}
		return p.judge(r, 1000)
	}
	for name, c := range map[string]struct {
		got  result.Trial
		kept bool
	}{
		"kept":               {trial(9*time.Millisecond, 1000, 0), true},
		"too slow":           {trial(11*time.Millisecond, 1000, 0), false},
		"rate not had":       {trial(time.Millisecond, 900, 0), false},
		"too many failures":  {trial(time.Millisecond, 1000, 2), false},
		"one in a thousand":  {trial(time.Millisecond, 1000, 1), true},
		"nothing was so far": {trial(0, 0, 0), false},
	} {
		if c.got.Kept != c.kept {
			t.Errorf("%s: kept is %v: %+v", name, c.got.Kept, c.got)
		}
	}
}
