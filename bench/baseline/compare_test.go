package baseline

import (
	"bytes"
	"errors"
	"math"
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
			if want := len(tt.old) >= 4 && len(tt.new) >= 4; c.Tested != want {
				t.Errorf("got tested %t, want %t", c.Tested, want)
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
		{"nothing in common", func(r *result.Report) { r.Runs = nil },
			"the baseline is of another load: the reports have no figure in common: one of them has no operation that ended well"},
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
