package bench

import (
	"testing"
	"time"

	"sonde/bench/load"
	"sonde/bench/result"
	"sonde/internal/histogram"

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
	stopped := reportOf(1)
	stopped.Stopped = "interrupted"
	if r := middle([]*result.Report{reportOf(300), stopped}); r.Stopped != "interrupted" {
		t.Error("that the last run was interrupted is lost")
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
