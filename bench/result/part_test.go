package result_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sonde/bench/result"
	"sonde/bench/result/resulttest"
	"sonde/internal/histogram"
)

// random is a part with something in every field.
func random(seed uint64) *result.Part {
	r := rand.New(rand.NewPCG(seed, 7))
	n := func() uint64 { return r.Uint64N(1 << 40) }
	d := func() time.Duration { return time.Duration(r.Int64N(1 << 40)) }
	p := &result.Part{
		Start: resulttest.Start().Add(d()), End: resulttest.Start().Add(d()), Wanted: n(), Opened: n(), Held: n(), HeldAtEnd: n(), Ramp: d(),
		Operations: n(), WarmUp: n(), Measured: d(), BytesIn: n(),
		Usage:  result.Usage{Processes: 1, CPU: d(), MeasuredCPU: d(), ResidentBefore: int64(n()), ResidentHeld: int64(n()), ResidentMax: int64(n()), Descriptors: r.IntN(1000)},
		Engine: result.Engine{Loops: 2, Opened: n(), Closed: n(), FDWaits: n(), PortWaits: n(), BufferWaits: n(), Illegal: n(), LoopLag: histogram.New()},
	}
	if seed%5 == 0 {
		p.Usage.ResidentMax = -1
	}
	for range 20 {
		p.Failures.Add(result.Failure{
			Status: fmt.Sprint("status-", r.IntN(3)), Side: "remote", State: "IDLE", Text: fmt.Sprint("text ", r.IntN(4)), Lost: r.IntN(2) == 0, Count: 1 + n()%9,
		})
	}
	for phase := range result.NumPhases {
		if r.IntN(4) > 0 {
			for range 50 {
				p.Phases.Of(phase).Record(time.Duration(r.ExpFloat64() * float64(5*time.Millisecond)))
			}
		}
	}
	p.Engine.LoopLag.Record(d())
	for range 8 {
		h := histogram.New()
		for range r.IntN(20) {
			h.Record(time.Duration(r.ExpFloat64() * float64(5*time.Millisecond)))
		}
		p.AddInterval(&result.Interval{
			Index: r.IntN(12), Held: n(), InFlight: n(), Opened: n(), Lost: n(), Operations: n(), Failed: n(), WarmUp: r.IntN(2) == 0,
			Latency: h.Compact(), CPU: d(), Resident: int64(n()),
		})
	}
	return p
}

// encoded is p as JSON, which tells all of it.
func encoded(t *testing.T, p *result.Part) string {
	t.Helper()
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", " "); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func merged(parts ...*result.Part) *result.Part {
	sum := &result.Part{}
	for _, p := range parts {
		sum.Merge(p)
	}
	return sum
}

// TestMergeOrder: parts merge in any order and grouping to the same, after a way through JSON too, and none of them changes.
func TestMergeOrder(t *testing.T) {
	for seed := range uint64(4) {
		make3 := func() (a, b, c *result.Part) { return random(3 * seed), random(3*seed + 1), random(3*seed + 2) }
		a, b, c := make3()
		before := encoded(t, b)
		want := encoded(t, merged(a, b, c))
		if diff := cmp.Diff(before, encoded(t, b)); diff != "" {
			t.Fatalf("seed %d: merging changed what was merged (-before +after):\n%s", seed, diff)
		}
		decoded := make([]*result.Part, 3)
		for i, p := range []*result.Part{c, a, b} {
			var err error
			if decoded[i], err = result.Decode([]byte(encoded(t, p))); err != nil {
				t.Fatal(err)
			}
		}
		for name, got := range map[string]*result.Part{
			"reversed":     merged(c, b, a),
			"left":         merged(merged(a, b), c),
			"right":        merged(a, merged(b, c)),
			"with nothing": merged(a, &result.Part{}, b, c),
			"through JSON": merged(decoded...),
		} {
			if diff := cmp.Diff(want, encoded(t, got)); diff != "" {
				t.Errorf("seed %d, %s: differs (-want +got):\n%s", seed, name, diff)
			}
		}
	}
}

// TestMergeTakesAll: no field is forgotten: merged into nothing a part is itself, and with itself each count is twice as much.
func TestMergeTakesAll(t *testing.T) {
	p := random(1)
	if diff := cmp.Diff(encoded(t, p), encoded(t, merged(p))); diff != "" {
		t.Errorf("merged into nothing (-want +got):\n%s", diff)
	}
	twice := merged(p, p)
	for _, pair := range [][2]any{{*p, *twice}, {p.Usage, twice.Usage}, {p.Engine, twice.Engine}, {p.Intervals[0], twice.Intervals[0]}} {
		once, both := reflect.ValueOf(pair[0]), reflect.ValueOf(pair[1])
		for i := range once.NumField() {
			name := once.Type().Field(i).Name
			if slices.Contains([]string{"Ramp", "Measured", "Index"}, name) {
				continue // the longest of all processes, and a number
			}
			switch v := once.Field(i); {
			case v.CanUint() && (v.Uint() == 0 || both.Field(i).Uint() != 2*v.Uint()):
				t.Errorf("%s: got %d, want twice %d, not zero", name, both.Field(i).Uint(), v.Uint())
			case v.CanInt() && (v.Int() == 0 || both.Field(i).Int() != 2*v.Int()):
				t.Errorf("%s: got %d, want twice %d, not zero", name, both.Field(i).Int(), v.Int())
			}
		}
	}
}

// TestMergeLosesNothing: what two processes counted is, merged, what one would have counted that had done all.
func TestMergeLosesNothing(t *testing.T) {
	one, two, all := &result.Part{}, &result.Part{}, &result.Part{}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 200 {
		share, d := one, time.Duration(r.ExpFloat64()*float64(3*time.Millisecond))
		if i%3 == 0 {
			share = two
		}
		h := histogram.New()
		h.Record(d)
		for _, p := range []*result.Part{share, all} {
			p.Operations++
			p.Phases.Of(result.Latency).Record(d)
			p.AddInterval(&result.Interval{Index: i / 50, Operations: 1, Latency: h.Compact()})
			p.Failures.Add(result.Failure{Status: "io-timeout", Text: fmt.Sprint(i % 5), Count: 1})
		}
	}
	if diff := cmp.Diff(encoded(t, all), encoded(t, merged(one, two))); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

// TestUnknownMemory: what one process does not know makes the sum not known, and not too small.
func TestUnknownMemory(t *testing.T) {
	a, b := &result.Part{Held: 10}, &result.Part{Held: 10}
	a.Usage.ResidentHeld, b.Usage.ResidentHeld = 1<<20, -1
	if bytes, ok := merged(a, b).MemoryPerConnection(); ok {
		t.Errorf("got %v bytes a connection, want them not known", bytes)
	}
}

func TestReportRoundTrip(t *testing.T) {
	for _, r := range []*result.Report{resulttest.Hold(), resulttest.Handshake(), resulttest.Request()} {
		var first, second bytes.Buffer
		if err := r.Write(&first); err != nil {
			t.Fatal(err)
		}
		read, err := result.Read(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Write(&second); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first.String(), second.String()); diff != "" {
			t.Errorf("%s: differs (-written +read and written):\n%s", r.Kind, diff)
		}
		if diff := cmp.Diff(r.Total.Figures(), read.Total.Figures()); diff != "" {
			t.Errorf("%s: figures differ (-want +got):\n%s", r.Kind, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "not a report of sonde bench",
		"[]":                         "not a report of sonde bench",
		"{}":                         `the report's schema is "", want "sonde-bench/1"`,
		`{"schema":"sonde-bench/9"}`: `the report's schema is "sonde-bench/9", want "sonde-bench/1"`,
		`{"schema":"sonde-bench/1"}`: "the report has no total",
		`{"schema":"sonde-bench/1","total":{"phases":{"tls_us":{"count":3}}}}`: "decode a histogram",
	} {
		if _, err := result.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := result.Decode([]byte(`{"phases":[]}`)); err == nil {
		t.Error("a part that is none was decoded")
	}
}

// TestFigures: every figure has a name in the list and each is there once.
func TestFigures(t *testing.T) {
	names := map[string]bool{}
	for _, name := range result.FigureNames() {
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
	}
	p := random(1)
	for phase := range result.NumPhases {
		for range 1000 {
			p.Phases.Of(phase).Record(time.Millisecond)
		}
	}
	got := p.Figures()
	for name := range got {
		if !names[name] {
			t.Errorf("%s is in no list", name)
		}
	}
	if len(got) != len(names) {
		t.Errorf("got %d figures, want %d", len(got), len(names))
	}
}

// TestFiguresOf: what a load of which little or nothing ended well has for figures.
func TestFiguresOf(t *testing.T) {
	failed := func(n uint64) result.Failures { return result.Failures{{Status: "io-timeout", Count: n}} }
	latencies := func(n int) (p result.Phases) {
		for i := range n {
			p.Of(result.Latency).Record(time.Duration(i+1) * time.Millisecond)
		}
		return p
	}
	usage := result.Usage{MeasuredCPU: time.Second, ResidentBefore: 1000, ResidentHeld: 9000}
	tests := map[string]struct {
		p    result.Part
		want map[string]float64
	}{
		"nothing": {result.Part{}, map[string]float64{"operations_per_s": 0, "failed_percent": 0}},
		"all well": {result.Part{Operations: 3000, Measured: 2 * time.Second, Held: 4, Usage: usage},
			map[string]float64{"operations_per_s": 1500, "failed_percent": 0, "cpu_us_per_operation": 333.333, "memory_per_connection": 2000}},
		"all failed": {result.Part{Wanted: 10, Measured: time.Second, Failures: failed(10)}, map[string]float64{"operations_per_s": 0, "failed_percent": 100}},
		"some failed": {result.Part{Wanted: 10, Operations: 30, Measured: time.Second, Failures: failed(10)},
			map[string]float64{"operations_per_s": 30, "failed_percent": 25, "cpu_us_per_operation": 0}},
		"held without a word": {result.Part{Wanted: 1000, Measured: time.Second, Failures: failed(3)}, map[string]float64{"operations_per_s": 0, "failed_percent": 0.3}},
		"memory not known":    {result.Part{Held: 4, Usage: result.Usage{ResidentBefore: 1000, ResidentHeld: -1}}, map[string]float64{"operations_per_s": 0, "failed_percent": 0}},
		"less memory than before": {result.Part{Held: 4, Usage: result.Usage{ResidentBefore: 1000, ResidentHeld: 900}},
			map[string]float64{"operations_per_s": 0, "failed_percent": 0, "memory_per_connection": 0}},
		"one latency": {result.Part{Phases: latencies(1)}, map[string]float64{"operations_per_s": 0, "failed_percent": 0}},
		"two":         {result.Part{Phases: latencies(2)}, map[string]float64{"operations_per_s": 0, "failed_percent": 0, "latency_us_p50": 1000}},
		"ninety-nine": {result.Part{Phases: latencies(99)}, map[string]float64{"operations_per_s": 0, "failed_percent": 0, "latency_us_p50": 50_000, "latency_us_p90": 90_000}},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.p.Figures(), cmpopts.EquateApprox(0.02, 0)); diff != "" {
			t.Errorf("%s: figures differ (-want +got):\n%s", name, diff)
		}
	}
	p := result.Part{Operations: 3000, Usage: usage}
	if got := p.OperationsPerCore(); got != 3000 {
		t.Errorf("got %v operations a core, want 3000", got)
	}
}

// TestReadLater: what a later version has besides is left out.
func TestReadLater(t *testing.T) {
	r, err := result.Read(strings.NewReader(`{"schema":"sonde-bench/1","later":1,"total":{"held":7,"phases":{"x_us":{}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Total.Held != 7 {
		t.Errorf("got %d held, want 7", r.Total.Held)
	}
}
