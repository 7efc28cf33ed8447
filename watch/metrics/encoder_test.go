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

// TestNumbersArrive has random outcomes written, read by Prometheus' own parser, and be what they were.
func TestNumbersArrive(t *testing.T) {
	const targets = 300
	rng := rand.New(rand.NewPCG(7, 7))
	table := track.New(start, 2)
	last, good := make([]*track.Result, targets), make([]*track.Result, targets)
	probed, sum := 0, time.Duration(0)
	for i := range targets {
		id := table.Add(&track.Target{Job: fmt.Sprint("job ", i%3), Instance: fmt.Sprint(i), Module: "m"})
		for range rng.IntN(6) {
			r := random(rng)
			table.Record(id, r, 0)
			last[i] = r
			probed++
			sum += max(r.Timing.Connect, 0)
			if r.Status == report.Success {
				good[i] = r
			}
		}
	}
	families := parse(t, write(t, Text, copyOf(table, 0), nil))
	value := func(family string, i int, more ...string) (float64, bool) {
		for _, m := range families[family].GetMetric() {
			if labelOf(m, "instance") == fmt.Sprint(i) && (more == nil || labelOf(m, more[0]) == more[1]) {
				return m.GetGauge().GetValue(), true
			}
		}
		return 0, false
	}
	expect := func(i int, present bool, want float64, family string, more ...string) {
		t.Helper()
		if got, ok := value(family, i, more...); ok != present || ok && math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Errorf("target %d, %s %v: got %v, %v; want %v, %v of %+v", i, family, more, got, ok, want, present, last[i])
		}
	}
	for i, r := range last {
		if r == nil {
			expect(i, false, 0, "probe_success")
			continue
		}
		succeeded := 0.0
		if r.Status == report.Success {
			succeeded = 1
		}
		expect(i, true, succeeded, "probe_success")
		expect(i, true, (max(r.Timing.DNS, 0) + max(r.Timing.Total, 0)).Seconds(), "probe_duration_seconds")
		expect(i, true, r.Late.Seconds(), "probe_late_seconds")
		expect(i, r.Timing.DNS >= 0, r.Timing.DNS.Seconds(), "probe_dns_lookup_time_seconds")
		expect(i, r.Timing.Connect >= 0, r.Timing.Connect.Seconds(), "probe_phase_last_seconds", "phase", "connect")
		expect(i, r.Timing.TLS >= 0, r.Timing.TLS.Seconds(), "probe_phase_last_seconds", "phase", "tls")
		expect(i, r.Status != report.Success, 1, "probe_failure_info", "reason", r.Status.String())
		shown := r
		if r.Figures == nil && good[i] != nil {
			shown = good[i]
		}
		if shown.Figures == nil {
			expect(i, false, 0, "probe_stale")
			expect(i, false, 0, "probe_http_status_code")
			continue
		}
		stale := 0.0
		if shown != r {
			stale = 1
		}
		expect(i, true, stale, "probe_stale")
		expect(i, true, float64(shown.Figures.HTTP.StatusCode), "probe_http_status_code")
		expect(i, true, float64(shown.Figures.HTTP.ContentLength), "probe_http_content_length")
		expect(i, true, float64(shown.Figures.HTTP.BodyLength), "probe_http_uncompressed_body_length")
	}
	counted, total, seconds := 0.0, 0.0, 0.0
	for _, m := range families["sonde_probes_total"].GetMetric() {
		counted += m.GetCounter().GetValue()
	}
	for _, m := range families["probe_phase_duration_seconds"].GetMetric() {
		if labelOf(m, "phase") == "late" {
			total += float64(m.GetHistogram().GetSampleCount())
		}
		if labelOf(m, "phase") == "connect" {
			seconds += m.GetHistogram().GetSampleSum()
		}
	}
	if counted != float64(probed) || total != float64(probed) || math.Abs(seconds-sum.Seconds()) > 1e-6 {
		t.Errorf("%v outcomes by status, %v turns, connects of %v s; want %d and %v", counted, total, seconds, probed, sum)
	}
	states := map[string]float64{}
	for _, m := range families["sonde_targets"].GetMetric() {
		states[labelOf(m, "state")] += m.GetGauge().GetValue()
	}
	if n := states[flap.Up.String()] + states[flap.Down.String()] + states[flap.Unknown.String()]; n != targets {
		t.Errorf("%v targets by state, want %d", n, targets)
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
