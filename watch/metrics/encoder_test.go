package metrics

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"sonde/policy/flap"
	"sonde/probes"
	"sonde/report"
	"sonde/watch/track"
)

func TestNumbers(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "0.000000001", time.Microsecond: "0.000001", time.Second: "1", 1500 * time.Millisecond: "1.5", -time.Millisecond: "-0.001",
		100 * time.Second: "100", math.MinInt64: "-9223372036.854775808", math.MaxInt64: "9223372036.854775807",
	} {
		if got := string(appendSeconds(nil, d)); got != want {
			t.Errorf("%d ns: got %s, want %s", d, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		d := time.Duration(rng.Int64() >> rng.IntN(63))
		got, err := strconv.ParseFloat(string(appendSeconds(nil, d)), 64)
		if want := d.Seconds(); err != nil || math.Abs(got-want) > math.Abs(want)*1e-15 {
			t.Fatalf("%d ns: got %v, want %v", d, got, want)
		}
	}
	for f, want := range map[float64]string{0: "0", 1: "1", 1.1: "1.1", math.Inf(1): "+Inf", math.Inf(-1): "-Inf", -6.21355968e+10: "-6.21355968e+10"} {
		if got := string(appendFloat(nil, f)); got != want {
			t.Errorf("%v: got %s", f, got)
		}
	}
	if got := string(appendFloat(nil, math.NaN())); got != "NaN" {
		t.Errorf("not a number: got %s", got)
	}
}

// random is any outcome.
func random(rng *rand.Rand) *track.Result {
	span := func() time.Duration {
		if rng.IntN(3) == 0 {
			return report.Absent
		}
		return time.Duration(rng.Int64N(1<<uint(rng.IntN(35)+1))) / 1000 * 1000
	}
	r := ok(rng.IntN(1000))
	r.Timing = report.Timing{DNS: span(), Connect: span(), TLS: span(), FirstByte: span(), Total: span()}
	r.Late = max(span(), 0)
	if rng.IntN(2) == 0 {
		r.Status = report.Status(1 + rng.IntN(int(report.Cancelled)-1))
		r.Side = report.Side(1 + rng.IntN(3))
		r.Error = fmt.Sprint("error ", rng.IntN(5))
	}
	if rng.IntN(2) == 0 {
		r.Figures = &probes.Figures{HTTP: &probes.HTTPFigures{
			StatusCode: 100 + rng.IntN(500), Version: 1.1, ContentLength: rng.Int64N(1<<40) - 1, BodyLength: rng.Int64N(1 << 40), Redirects: rng.IntN(11),
		}}
	}
	return r
}

// chance is a table of targets with random outcomes, and what they were.
type chance struct {
	table      *track.Table
	last, good []*track.Result // by target; nil: none
	probed     int
	connects   time.Duration // of all of them
}

func newChance(targets int) *chance {
	rng := rand.New(rand.NewPCG(7, 7))
	c := &chance{table: track.New(start, 2), last: make([]*track.Result, targets), good: make([]*track.Result, targets)}
	for i := range targets {
		id := c.table.Add(&track.Target{Job: fmt.Sprint("job ", i%3), Instance: fmt.Sprint(i), Module: "m"})
		for range rng.IntN(6) {
			r := random(rng)
			c.table.Record(id, r, 0)
			c.last[i] = r
			c.probed++
			c.connects += max(r.Timing.Connect, 0)
			if r.Status == report.Success {
				c.good[i] = r
			}
		}
	}
	return c
}

// TestNumbersArrive has random outcomes written, read by Prometheus' own parser, and be what they were.
func TestNumbersArrive(t *testing.T) {
	const targets = 300
	c := newChance(targets)
	families := parse(t, write(t, Text, copyOf(c.table, 0), nil))
	type key struct{ family, instance, label string }
	values := make(map[key]float64)
	for name, f := range families {
		for _, m := range f.GetMetric() {
			instance := labelOf(m, "instance")
			for _, l := range m.GetLabel() {
				values[key{name, instance, l.GetName() + "=" + l.GetValue()}] = m.GetGauge().GetValue()
			}
		}
	}
	for i, r := range c.last {
		c.check(i, func(present bool, want float64, family, label string) {
			t.Helper()
			if label == "" {
				label = "module=m"
			}
			if got, ok := values[key{family, fmt.Sprint(i), label}]; ok != present || ok && math.Abs(got-want) > 1e-15*math.Abs(want) {
				t.Errorf("target %d, %s %s: got %v, %v; want %v, %v of %+v", i, family, label, got, ok, want, present, r)
			}
		})
	}
	c.checkSums(t, families)
}

// check expects what is to be said of target i.
func (c *chance) check(i int, expect func(present bool, want float64, family, label string)) {
	one := map[bool]float64{true: 1}
	r := c.last[i]
	if r == nil {
		expect(false, 0, "probe_success", "")
		return
	}
	expect(true, one[r.Status == report.Success], "probe_success", "")
	expect(true, (max(r.Timing.DNS, 0) + max(r.Timing.Total, 0)).Seconds(), "probe_duration_seconds", "")
	expect(true, r.Late.Seconds(), "probe_late_seconds", "")
	expect(r.Timing.DNS >= 0, r.Timing.DNS.Seconds(), "probe_dns_lookup_time_seconds", "")
	expect(r.Timing.Connect >= 0, r.Timing.Connect.Seconds(), "probe_phase_last_seconds", "phase=connect")
	expect(r.Timing.TLS >= 0, r.Timing.TLS.Seconds(), "probe_phase_last_seconds", "phase=tls")
	expect(r.Status != report.Success, 1, "probe_failure_info", "reason="+r.Status.String())
	shown := r
	if r.Figures == nil && c.good[i] != nil {
		shown = c.good[i]
	}
	if shown.Figures == nil {
		expect(false, 0, "probe_stale", "")
		expect(false, 0, "probe_http_status_code", "")
		return
	}
	h := shown.Figures.HTTP
	expect(true, one[shown != r], "probe_stale", "")
	expect(true, float64(h.StatusCode), "probe_http_status_code", "")
	expect(true, float64(h.ContentLength), "probe_http_content_length", "")
	expect(true, float64(h.BodyLength), "probe_http_uncompressed_body_length", "")
}

// checkSums holds what is said of jobs against all outcomes together.
func (c *chance) checkSums(t *testing.T, families map[string]*dto.MetricFamily) {
	counted, turns, seconds, targets := 0.0, 0.0, 0.0, 0.0
	for _, m := range families["sonde_probes_total"].GetMetric() {
		counted += m.GetCounter().GetValue()
	}
	for _, m := range families["probe_phase_duration_seconds"].GetMetric() {
		switch labelOf(m, "phase") {
		case "late":
			turns += float64(m.GetHistogram().GetSampleCount())
		case "connect":
			seconds += m.GetHistogram().GetSampleSum()
		}
	}
	if n := float64(c.probed); counted != n || turns != n || math.Abs(seconds-c.connects.Seconds()) > 1e-6 {
		t.Errorf("%v outcomes by status, %v turns, connects of %v s; want %v and %v", counted, turns, seconds, n, c.connects)
	}
	for _, m := range families["sonde_targets"].GetMetric() {
		switch labelOf(m, "state") {
		case flap.Up.String(), flap.Down.String(), flap.Unknown.String():
			targets += m.GetGauge().GetValue()
		}
	}
	if targets != float64(len(c.last)) {
		t.Errorf("%v targets by state, want %d", targets, len(c.last))
	}
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// many is a table of targets as most are: of the probe tcp, with a label of their own, one in a hundred down.
func many(targets int) *track.Copy {
	table := track.New(start, 1)
	for i := range targets {
		id := table.Add(&track.Target{
			Job: fmt.Sprint("job", i%10), Instance: fmt.Sprintf("10.%d.%d.%d:443", i>>16, i>>8&255, i&255), Module: "tcp_connect",
			Labels: []track.Label{{Name: "region", Value: "eu-west"}},
		})
		r := ok(i)
		r.Timing.DNS, r.Timing.FirstByte, r.Timing.TLS = 300*time.Microsecond, time.Millisecond, 4*time.Millisecond
		if i%100 == 0 {
			r = failed(i, report.ConnectionTimeout, report.SideRemote)
		}
		table.Record(id, r, 0)
	}
	return copyOf(table, 0)
}

// TestNoGarbage has a page cost no allocation for each target.
func TestNoGarbage(t *testing.T) {
	c := many(2000)
	var w Writer
	if err := w.Write(io.Discard, Text, c, nil); err != nil { // it takes its memory
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(5, func() { _ = w.Write(io.Discard, Text, c, nil) }); got > 500 {
		t.Errorf("%v allocations for 2,000 targets and 10 jobs", got)
	}
}

type counting struct{ bytes, lines int }

func (c *counting) Write(p []byte) (int, error) {
	c.bytes += len(p)
	for _, b := range p {
		if b == '\n' {
			c.lines++
		}
	}
	return len(p), nil
}

func BenchmarkWrite(b *testing.B) {
	c := many(100_000)
	var w Writer
	var size counting
	if err := w.Write(&size, Text, c, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(io.Discard, Text, c, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size.lines), "ns/series")
	b.ReportMetric(float64(size.lines), "series")
	b.ReportMetric(float64(size.bytes)/1e6, "MB")
}
