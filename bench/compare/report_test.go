package compare

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/bench/transport"
	"sonde/internal/histogram"
	"sonde/internal/kernel/usage"
)

func TestMedian(t *testing.T) {
	tests := map[string]struct {
		values []float64
		want   float64
	}{
		"none":            {nil, Unknown},
		"one":             {[]float64{7}, 7},
		"two":             {[]float64{8, 7}, 7.5},
		"three, unsorted": {[]float64{9, 1, 5}, 5},
		"a wild one":      {[]float64{5, 6, 1e9}, 6},
		"four":            {[]float64{4, 1, 3, 2}, 2.5},
		"zero counts":     {[]float64{0, 0, 9}, 0},
	}
	for name, tt := range tests {
		if got := median(tt.values); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

// figures makes figures that are all unknown but for two.
func figures(cpu, p99 float64) *Figures {
	f := &Figures{}
	for _, p := range f.each() {
		*p = Unknown
	}
	f.CPUPerOperation, f.P99 = cpu, p99
	return f
}

// TestRowOfRuns takes the median of each figure by itself, over the runs that count.
func TestRowOfRuns(t *testing.T) {
	tests := map[string]struct {
		runs []RunResult
		want *Figures
	}{
		"no run":                {nil, nil},
		"of each by itself":     {[]RunResult{{Figures: figures(1, 30)}, {Figures: figures(2, 10)}, {Figures: figures(3, 20)}}, figures(2, 20)},
		"one unknown":           {[]RunResult{{Figures: figures(1, Unknown)}, {Figures: figures(3, 20)}}, figures(2, 20)},
		"a failure":             {[]RunResult{{Error: "died", Figures: figures(100, 100)}, {Figures: figures(3, 20)}}, figures(3, 20)},
		"failures alone":        {[]RunResult{{Error: "died"}}, nil},
		"stopped, but not only": {[]RunResult{{Figures: figures(3, 20)}, {Stopped: true, Figures: figures(100, 100)}}, figures(3, 20)},
		"stopped alone":         {[]RunResult{{Stopped: true, Figures: figures(3, 20)}}, figures(3, 20)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			row := Row{Runs: tt.runs}
			row.sum()
			if diff := cmp.Diff(tt.want, row.Figures); diff != "" {
				t.Errorf("figures (-want +got):\n%s", diff)
			}
		})
	}
	row := Row{Runs: []RunResult{{Failed: map[string]int{"io-timeout": 2}}, {Error: "x", Failed: map[string]int{"io-timeout": 1, "cancelled": 4}}}}
	row.sum()
	if diff := cmp.Diff(map[string]int{"io-timeout": 3, "cancelled": 4}, row.Failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

func TestRatio(t *testing.T) {
	got := ratio(figures(30, Unknown), figures(20, 5))
	if diff := cmp.Diff(figures(1.5, Unknown), got); diff != "" {
		t.Errorf("ratio (-want +got):\n%s", diff)
	}
	if got := ratio(figures(30, 7), figures(0, 5)); got.CPUPerOperation != Unknown || got.P99 != 1.4 {
		t.Errorf("got %+v, want no multiple of zero", got)
	}
}

// TestFiguresOf makes figures of what a transport tells.
func TestFiguresOf(t *testing.T) {
	latency := histogram.New()
	for range 100 {
		latency.Record(time.Millisecond)
	}
	result := transport.Result{Operations: 100, Failed: map[string]int{"io-timeout": 100}, Latency: latency, Wall: 2 * time.Second, CPU: 200 * time.Millisecond,
		Goroutines: 9, Threads: usage.Unknown}
	want := figures(1000, 1000)
	want.Connections, want.Goroutines, want.P50, want.P999, want.Rate = 50, 9, 1000, 1000, 50
	if diff := cmp.Diff(want, figuresOf(transport.Echo, 50, &result)); diff != "" {
		t.Errorf("of echo (-want +got):\n%s", diff)
	}
	result.Operations, result.HeldOperations = 130, 100
	result.Held, result.Ramp, result.HeldCPU, result.Threads = 40, time.Second, 50*time.Millisecond, 6
	result.Memory = transport.Memory{Resident: 4000, Heap: -1, Stacks: 400}
	want.Connections, want.Ramp, want.HeldCPU, want.Threads, want.Rate, want.CPUPerOperation = 40, 1e6, 5, 6, 100, 500
	want.MemoryPerConnection, want.HeapPerConnection, want.StacksPerConnection = 100, 0, 10
	if diff := cmp.Diff(want, figuresOf(transport.Hold, 50, &result)); diff != "" {
		t.Errorf("of hold (-want +got):\n%s", diff)
	}
	if got := figuresOf(transport.TLS, 50, &transport.Result{Failed: map[string]int{"io-timeout": 100}, Wall: time.Second, CPU: time.Second}); got.CPUPerOperation != Unknown {
		t.Errorf("got %v us an operation where none ended well, want none", got.CPUPerOperation)
	}
	if got := figuresOf(transport.Hold, 50, &transport.Result{Threads: usage.Unknown}); got.P50 != Unknown || got.MemoryPerConnection != Unknown {
		t.Errorf("got %+v of nothing, want unknown", got)
	}
}

// TestReportJSON writes a report and reads it again: nothing is lost.
func TestReportJSON(t *testing.T) {
	latency := histogram.New()
	latency.Record(3 * time.Millisecond)
	want := &Report{Format: Format, Rounds: 1, ClientCPUs: []int{1}, Sections: []Section{{Workload: "echo", Connections: 5, Rows: []Row{
		{Transport: "loop", Figures: figures(1, 2), Runs: []RunResult{{Round: 1, Operations: 1, Figures: figures(1, 2), Latency: latency}}},
		{Transport: "gnet", Unsupported: "gnet has no TLS"},
	}}}}
	first, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(first, &got); err != nil {
		t.Fatal(err)
	}
	if got.Sections[0].Rows[0].Runs[0].Latency.Max() != 3*time.Millisecond {
		t.Error("the latency is lost")
	}
	second, err := json.Marshal(&got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first), string(second)); diff != "" {
		t.Errorf("written again (-first +second):\n%s", diff)
	}
}
