package otlp

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"sonde/report"
	"sonde/watch/config"
	"sonde/watch/track"
)

func TestSample(t *testing.T) {
	for _, test := range []struct {
		share float64
		state string
	}{{0, ""}, {0.001, ""}, {0.01, ""}, {0.25, "ot=th:c"}, {0.5, "ot=th:8"}, {1, "ot=th:0"}} {
		e, _ := exporter(t, "http://127.0.0.1:1", Options{Settings: config.OTLP{Sample: test.share, Traces: true}})
		const targets, turns = 1000, 200
		got, perTarget := 0, make([]int, targets)
		for turn := range turns {
			for id := range targets {
				// Each target has its phase, as the schedule gives it.
				res := track.Result{At: noon.Add(time.Duration(turn)*10*time.Second + time.Duration(id)*10*ms)}
				if e.Wants(uint32(id), &res) {
					got++
					perTarget[id]++
				}
			}
		}
		want := test.share * targets * turns
		if sigma := math.Sqrt(want * (1 - test.share)); math.Abs(float64(got)-want) > 5*sigma {
			t.Errorf("share %v: got %d of %d, want %v", test.share, got, targets*turns, want)
		}
		if most := turns*test.share + 6*math.Sqrt(turns*test.share) + 2; float64(maxOf(perTarget)) > most {
			t.Errorf("share %v: one target has %d of its %d turns chosen, want %v at most", test.share, maxOf(perTarget), turns, most)
		}
		if test.state != "" && e.sampler.state != test.state {
			t.Errorf("share %v: got tracestate %q, want %q", test.share, e.sampler.state, test.state)
		}
	}
}

func maxOf(all []int) (m int) {
	for _, n := range all {
		m = max(m, n)
	}
	return m
}

// TestTraceNumber holds the random bits of a trace's number against the threshold that its tracestate names, as a collector does.
func TestTraceNumber(t *testing.T) {
	e, _ := exporter(t, "http://127.0.0.1:1", Options{Settings: config.OTLP{Sample: 0.5, Traces: true}})
	chosen := 0
	for id := range uint32(200) {
		p := Probe{ID: id, Target: &track.Target{}, Result: track.Result{At: noon, Dialed: noon, Timing: report.NoTiming, Status: report.IOTimeout}}
		root := e.spans(&p)[0]
		above := binary.BigEndian.Uint64(root.TraceId[8:])&(1<<randomBits-1) >= 1<<(randomBits-1)
		if above != (root.TraceState == "ot=th:8") || !above && root.TraceState != "" {
			t.Fatalf("trace %x has tracestate %q", root.TraceId, root.TraceState)
		}
		if above {
			chosen++
		}
	}
	if chosen < 50 || chosen > 150 {
		t.Errorf("%d of 200 are chosen by half of a chance", chosen)
	}
}

// TestFailures: a fleet that is down has its failures told, but not all of them.
func TestFailures(t *testing.T) {
	clk := &manual{now: int64(time.Hour)}
	e, _ := exporter(t, "http://127.0.0.1:1", Options{Settings: config.OTLP{Sample: 0, Traces: true}, Clock: clk})
	wanted := func() (n int) {
		for id := range uint32(10_000) {
			if e.Wants(id, &track.Result{At: noon, Status: report.ConnectionTimeout}) {
				n++
			}
		}
		return n
	}
	if got := wanted(); got != failuresAtOnce {
		t.Errorf("of 10,000 that fail at once %d are told, want %d", got, failuresAtOnce)
	}
	clk.now += int64(2 * time.Second)
	if got := wanted(); got != 2*failuresPerSecond {
		t.Errorf("2 s later %d are told, want %d", got, 2*failuresPerSecond)
	}
	clk.now += int64(time.Hour)
	if got := wanted(); got != failuresAtOnce {
		t.Errorf("an hour later %d are told, want %d", got, failuresAtOnce)
	}
}

func TestWantsNothing(t *testing.T) {
	e, _ := exporter(t, "http://127.0.0.1:1", Options{Settings: config.OTLP{Sample: 1, Metrics: true}})
	if e.Wants(0, &track.Result{At: noon, Status: report.IOTimeout}) {
		t.Error("a trace is wanted where only metrics are sent")
	}
}

func TestWantsAllocatesNothing(t *testing.T) {
	e, _ := exporter(t, "http://127.0.0.1:1", Options{Settings: config.OTLP{Sample: 0.01, Traces: true}})
	res := &track.Result{At: noon}
	id := uint32(0)
	if n := testing.AllocsPerRun(1000, func() {
		id++
		res.Status = report.Status(id % 2)
		e.Wants(id, res)
	}); n != 0 {
		t.Errorf("%v allocations a result, want none", n)
	}
}

func BenchmarkWants(b *testing.B) {
	e, err := New(Options{Settings: config.OTLP{Endpoint: "127.0.0.1:1", Sample: 0.01, Traces: true}})
	if err != nil {
		b.Fatal(err)
	}
	res := &track.Result{At: noon}
	b.ReportAllocs()
	for id := range uint32(b.N) {
		res.At = res.At.Add(1)
		e.Wants(id, res)
	}
}

// BenchmarkAdd is of a probe that is chosen, or of one that is lost since the queue is full: nobody reads it.
func BenchmarkAdd(b *testing.B) {
	e, err := New(Options{Settings: config.OTLP{Endpoint: "127.0.0.1:1", Sample: 1, Traces: true}})
	if err != nil {
		b.Fatal(err)
	}
	p := Probe{Target: &track.Target{}, Result: track.Result{At: noon, Hops: make([]track.Hop, 2)}}
	b.ReportAllocs()
	for b.Loop() {
		e.Add(p)
		if len(e.queue) == queueLength/2 {
			for len(e.queue) > 0 {
				<-e.queue
			}
		}
	}
}
