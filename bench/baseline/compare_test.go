package baseline

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/bench/result"
	"sonde/report"
)

// runs makes a report of a load that ran several times, each with these figures.
func runs(figure string, values ...float64) *result.Report {
	r := &result.Report{
		Schema: result.Schema, Kind: result.Request, Version: "v1", Config: map[string]any{"connections": 100, "tls": false},
		Machine: result.Machine{OS: "linux/amd64", CPUs: 2}, Total: &result.Part{},
	}
	for _, v := range values {
		r.Runs = append(r.Runs, result.Run{Figures: map[string]float64{figure: v}})
	}
	return r
}

func compare(t *testing.T, old, new *result.Report) *Comparison {
	t.Helper()
	c, err := Compare(old, new)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompare(t *testing.T) {
	const rate, latency = "operations_per_s", "latency_us_p99"
	tests := []struct {
		name     string
		figure   string
		old, new []float64
		percent  float64
		p        float64
		real     bool
		better   bool
	}{
		// The exact p of samples that do not overlap is 2/C(8,4) = 2/70.
		{"four against four, apart", latency, []float64{100, 101, 102, 103}, []float64{120, 121, 122, 123}, 19.70, 2. / 70, true, false},
		{"the reverse", latency, []float64{120, 121, 122, 123}, []float64{100, 101, 102, 103}, -16.46, 2. / 70, true, true},
		{"more operations are better", rate, []float64{100, 101, 102, 103}, []float64{120, 121, 122, 123}, 19.70, 2. / 70, true, true},
		// One pair of 16 the other way round: p = 4/70 is not below 5 %.
		{"one overlap", latency, []float64{100, 101, 102, 121}, []float64{120, 122, 123, 124}, 20.69, 4. / 70, false, false},
		{"five against five, apart", latency, []float64{1, 2, 3, 4, 5}, []float64{60, 70, 80, 90, 100}, 2566.67, 2. / 252, true, false},
		{"all equal", latency, []float64{7, 7, 7, 7}, []float64{7, 7, 7, 7}, 0, 1, false, false},
		{"within a microsecond", latency, []float64{3, 3, 3, 3}, []float64{4, 4, 4, 4}, 33.33, 2. / 70, false, false},
		{"three against four", latency, []float64{1, 2, 3}, []float64{100, 101, 102, 103}, 4975, 1, true, false},
		{"from zero", latency, []float64{0, 0, 0, 0}, []float64{9, 9, 9, 9}, math.Inf(1), 2. / 70, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := compare(t, runs(tt.figure, tt.old...), runs(tt.figure, tt.new...))
			got := c.Changes[0]
			if !math.IsInf(tt.percent, 1) && math.Abs(got.Percent-tt.percent) > 0.01 || math.IsInf(tt.percent, 1) != math.IsInf(got.Percent, 1) {
				t.Errorf("got %v %%, want %v", got.Percent, tt.percent)
			}
			if math.Abs(got.P-tt.p) > 1e-9 || got.Real != tt.real || got.Better() != tt.better {
				t.Errorf("got p %v, real %t, better %t, want %v, %t, %t", got.P, got.Real, got.Better(), tt.p, tt.real, tt.better)
			}
			if want := len(tt.old) >= 4 && len(tt.new) >= 4; c.Tested != want || got.Tested != want {
				t.Errorf("got tested %t, %t, want %t", c.Tested, got.Tested, want)
			}
		})
	}
}

func TestCompareTotals(t *testing.T) {
	old, new := runs(""), runs("")
	old.Total.Operations, old.Total.Measured = 1000, time.Second
	new.Total.Operations, new.Total.Measured = 800, time.Second
	new.Total.Phases.Of(result.Latency).Record(time.Millisecond) // the baseline has none: left out
	c := compare(t, old, new)
	worse := c.Worse(10)
	if len(worse) != 1 || worse[0].Figure != "operations_per_s" || worse[0].Percent != -20 || c.Tested {
		t.Errorf("got %+v of %+v, want the rate alone, 20 %% less", worse, c)
	}
	if len(c.Worse(20)) != 0 {
		t.Error("20 % less is more than 20 % worse")
	}
}

func TestWorse(t *testing.T) {
	old, new := runs(""), runs("")
	for i := range 5 {
		x := float64(i)
		old.Runs = append(old.Runs, result.Run{Figures: map[string]float64{"operations_per_s": 1000 + x, "latency_us_p50": 100 + x, "latency_us_p99": 500 + x, "tls_us_p50": 50 + 30*x}})
		new.Runs = append(new.Runs, result.Run{Figures: map[string]float64{"operations_per_s": 900 + x, "latency_us_p50": 50 + x, "latency_us_p99": 900 + x, "tls_us_p50": 70 + 30*x}})
	}
	c := compare(t, old, new)
	var got []string
	for _, change := range c.Worse(5) {
		got = append(got, change.Figure)
	}
	// tls differs by less than its noise, latency p50 is better.
	if diff := cmp.Diff([]string{"latency_us_p99", "operations_per_s"}, got); diff != "" {
		t.Errorf("worse differ (-want +got):\n%s", diff)
	}
	if n := len(c.Worse(50)); n != 1 {
		t.Errorf("got %d worse by more than half, want the p99 alone", n)
	}
}

// load is a part of so many operations in a second, of which each took so long.
func load(operations int, took time.Duration) *result.Part {
	p := &result.Part{Wanted: 10, Operations: uint64(operations), Measured: time.Second}
	for range operations {
		p.Phases.Of(result.Latency).Record(took)
	}
	return p
}

func failing(p *result.Part, n uint64) *result.Part {
	p.Failures.Add(result.Failure{Status: "io-timeout", Count: n})
	return p
}

// TestWorseOfOneRun: what --fail-above makes of two single runs.
func TestWorseOfOneRun(t *testing.T) {
	const ms = time.Millisecond
	with := func(p *result.Part, phase result.Phase, took time.Duration) *result.Part {
		for range 10 {
			p.Phases.Of(phase).Record(took)
		}
		return p
	}
	tests := []struct {
		name     string
		old, new *result.Part
		above    float64
		want     []string
	}{
		{"the same", load(2000, ms), load(2000, ms), 0, nil},
		{"nothing answered", load(20, ms), failing(load(0, 0), 10), 1000, []string{"cpu_us_per_operation", "failed_percent", "latency_us_p50", "latency_us_p90"}},
		{"nothing answered, a lower limit", load(2, ms), failing(load(0, 0), 10), 50,
			[]string{"cpu_us_per_operation", "failed_percent", "latency_us_p50", "operations_per_s"}},
		{"some failed, where none had", load(2000, ms), failing(load(1990, ms), 10), 1000, []string{"failed_percent"}},
		{"one in 2,000 failed", load(2000, ms), failing(load(1999, ms), 1), 0, []string{"operations_per_s"}},
		{"twice as many failed", failing(load(2000, ms), 100), failing(load(2000, ms), 220), 50, []string{"failed_percent"}},
		{"a few more failed", failing(load(2000, ms), 100), failing(load(2000, ms), 110), 50, nil},
		{"as many failed of fewer connections alone", failing(&result.Part{Wanted: 10_000}, 5), failing(&result.Part{Wanted: 10_000}, 9), 5, nil},
		{"too few for a p99", load(100, ms), load(99, ms), 5, nil},
		{"from 0", load(2000, 0), load(2000, ms), 5, nil},
		{"no TLS in full any more, but resumed", with(with(load(10, ms), result.TLS, ms), result.TLSResumed, ms), with(load(10, ms), result.TLSResumed, ms), 5, nil},
		{"no TLS resumed any more", with(load(10, ms), result.TLSResumed, ms), load(10, ms), 5, []string{"tls_resumed_us_p50", "tls_resumed_us_p90"}},
		{"no kernel that tells", with(with(load(10, ms), result.Connect, ms), result.KernelRTT, ms), with(load(10, ms), result.Connect, ms), 5, nil},
		{"sonde was late", with(with(with(load(10, ms), result.SchedDelay, ms), result.Ours, ms), result.Lag, ms),
			with(with(with(load(10, ms), result.SchedDelay, 9*ms), result.Ours, 9*ms), result.Lag, 9*ms), 5, nil},
		{"the peer was", with(load(10, ms), result.Peer, ms), with(load(10, ms), result.Peer, 2*ms), 5, []string{"peer_us_p50", "peer_us_p90"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old, new := runs(""), runs("")
			old.Total, new.Total = tt.old, tt.new
			var got []string
			for _, change := range compare(t, old, new).Worse(tt.above) {
				got = append(got, change.Figure)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("worse differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWorseOfRuns: a figure that some runs have not is not tested, others are; nothing in all runs is worse.
func TestWorseOfRuns(t *testing.T) {
	of := func(parts ...*result.Part) *result.Report {
		r := runs("")
		r.Total = parts[0]
		for _, p := range parts {
			r.Runs = append(r.Runs, result.Run{Figures: p.Figures()})
		}
		return r
	}
	well, none := load(20, time.Millisecond), failing(load(0, 0), 10)
	old := of(well, well, well, well)
	c := compare(t, old, of(none, none, none, well))
	got := map[string]bool{}
	for _, change := range c.Changes {
		got[change.Figure] = change.Tested
	}
	want := map[string]bool{"operations_per_s": true, "failed_percent": true, "cpu_us_per_operation": false, "latency_us_p50": false, "latency_us_p90": false}
	if diff := cmp.Diff(want, got); diff != "" || !c.Tested {
		t.Errorf("tested differ, all in all %t (-want +got):\n%s", c.Tested, diff)
	}
	var out bytes.Buffer
	if err := Write(&out, compare(t, old, of(none, none, none, none)), report.Style{ASCII: true}); err != nil {
		t.Fatal(err)
	}
	text := `
FIGURE                      BASELINE         NOW    CHANGE       P
operations_per_s                20/s       0.0/s   -100.0%   0.029  worse
failed_percent                 0.00%     100.00%    from 0   0.029  worse
cpu_us_per_operation          0.00us        none      gone     n/a
latency_us_p50                1.00ms        none      gone     n/a
latency_us_p90                1.00ms        none      gone     n/a
`
	if !strings.Contains(out.String(), text) {
		t.Errorf("got %s\nwant it to have %s", out.String(), text)
	}
}

func TestCompareRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *result.Report)
		want   string
	}{
		{"kind", func(r *result.Report) { r.Kind = result.Hold }, "the baseline is of another load: it is of bench request, this one of bench hold"},
		{"schema", func(r *result.Report) { r.Schema = "sonde-bench/2" }, `the baseline is of another load: its schema is "sonde-bench/1", want "sonde-bench/2"`},
		{"config", func(r *result.Report) { r.Config = map[string]any{"connections": 200, "rate": "<1k"} },
			`the baseline is of another load: connections was 100, is 200; rate was not set, is "<1k"; tls was false, is not set`},
		{"nothing in common", func(r *result.Report) { r.Runs = nil; r.Total.Phases.Of(result.Latency).Record(1) },
			"the baseline is of another load: the reports have no figure in common"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			new := runs("latency_us_p50", 1)
			tt.change(new)
			_, err := Compare(runs("latency_us_p50", 1), new)
			var mismatch *MismatchError
			if !errors.As(err, &mismatch) {
				t.Fatalf("got %v, want a MismatchError", err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompareTakes: what was read from a file has other types than what was made, another number of runs is the same load, and
// another machine is a warning.
func TestCompareTakes(t *testing.T) {
	old := runs("latency_us_p50", 1)
	old.Config["runs"] = 1
	old.Config["timeout"] = 5 * time.Second
	var file bytes.Buffer
	if err := old.Write(&file); err != nil {
		t.Fatal(err)
	}
	read, err := result.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	new := runs("latency_us_p50", 1)
	new.Config["runs"], new.Config["timeout"] = 9, 5*time.Second
	if c := compare(t, read, new); len(c.Warnings) > 0 {
		t.Errorf("got %q, want no warning", c.Warnings)
	}
	new.Machine.CPUs, new.Stopped = 4, "interrupted"
	new.Total.Failures.Add(result.Failure{Status: "io-timeout", Count: 1})
	want := []string{
		"another machine: cpus was 2, is 4", "this load was stopped early: interrupted",
		"failures: 0.0% of all before, 100.0% now; figures are of what ended well alone",
	}
	if diff := cmp.Diff(want, compare(t, read, new).Warnings); diff != "" {
		t.Errorf("warnings differ (-want +got):\n%s", diff)
	}
}

func TestWrite(t *testing.T) {
	old, new := runs(""), runs("")
	new.Version, new.Machine.CPUModel = "v2\x1b[2J", "another"
	for i := range 4 {
		x := float64(i)
		old.Runs = append(old.Runs, result.Run{Figures: map[string]float64{"operations_per_s": 90_000 + x, "cpu_us_per_operation": 7.5, "memory_per_connection": 1200 + x, "latency_us_p99": 500 + 40*x}})
		new.Runs = append(new.Runs, result.Run{Figures: map[string]float64{"operations_per_s": 99_000 + x, "cpu_us_per_operation": 7.5, "memory_per_connection": 1500 + x, "latency_us_p99": 510 + 40*x}})
	}
	var out bytes.Buffer
	if err := Write(&out, compare(t, old, new), report.Style{ASCII: true}); err != nil {
		t.Fatal(err)
	}
	want := `
bench request against the baseline: 4 runs of v1 before, 4 runs of v2\x1b[2J now

FIGURE                      BASELINE         NOW    CHANGE       P
operations_per_s            90,002/s    99,002/s    +10.0%   0.029  better
cpu_us_per_operation          7.50us      7.50us         ~   1.000
memory_per_connection       1.17 KiB    1.47 KiB    +25.0%   0.029  worse
latency_us_p99                 560us       570us         ~   0.686
~ = no more than noise between runs (Mann-Whitney U test, p >= 0.05)
warning: another machine: cpu_model was "", is "another"
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), out.String()); diff != "" {
		t.Errorf("text differs (-want +got):\n%s", diff)
	}
	old.Runs = old.Runs[:3]
	out.Reset()
	if err := Write(&out, compare(t, old, new), report.Style{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "no test possible: it needs 4 runs a side or more") {
		t.Errorf("got %s, want it to say that no test was possible", out.String())
	}
}
