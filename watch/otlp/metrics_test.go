package otlp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"sonde/internal/kernel/usage"
	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/config"
	"sonde/watch/metrics"
	"sonde/watch/schedule"
	"sonde/watch/track"
)

// table has two jobs: of web two targets were probed three times, of ssh a connection is kept to one, and was dropped once.
func table() *track.Table {
	t := track.New(noon, 8)
	t.SetJob("web", track.JobSettings{Flap: flap.Settings{Rise: 1, Fall: 1}, Breaker: breaker.Settings{Window: 10, Failures: 5, OpenFor: time.Second, MaxOpenFor: time.Second}})
	t.SetJob("ssh", track.JobSettings{Flap: flap.Settings{Rise: 1, Fall: 1}})
	a := t.Add(&track.Target{Job: "web", Instance: "a"})
	b := t.Add(&track.Target{Job: "web", Instance: "b"})
	c := t.Add(&track.Target{Job: "ssh", Instance: "c", Keep: true})
	ok := track.Result{At: noon, Timing: timed(-1, 0.25, -1, 3, 4), Late: ms}
	failed := track.Result{At: noon, Timing: timed(-1, -1, -1, -1, 40_000), Status: report.ConnectionTimeout, Side: report.SideRemote}
	t.Record(a, &ok, 1)
	t.Record(a, &ok, 2)
	t.Record(b, &failed, 3)
	t.Skip(b, track.SkipMissed, 4)
	t.Connected(c, noon)
	t.Dropped(c, noon, track.CauseRST)
	return t
}

// measurable is an Exporter of metrics of that table.
func measurable(t *testing.T, endpoint string) *Exporter {
	tb := table()
	e, _ := exporter(t, endpoint, Options{
		Settings: config.OTLP{Metrics: true}, Clock: &manual{now: 1},
		Read: func(_ context.Context, use func(*track.Copy, *metrics.Process)) error {
			var c track.Copy
			if _, done := tb.Copy(&c, 0, 1<<20, 5); !done {
				t.Error("the copy is not whole")
			}
			use(&c, &metrics.Process{
				Start: noon, Usage: usage.Usage{User: 3 * time.Second, System: time.Second, Resident: usage.Unknown, Threads: 7}, FDs: 12,
				Engine:   metrics.Engine{Opened: 9, Connections: []metrics.Connections{{State: "IDLE", N: 2}}},
				Schedule: schedule.Stats{Turns: 5}, Late: tb.Late(),
			})
			return nil
		},
	})
	return e
}

// points are all points, as lines.
func points(t *testing.T, all []*metricspb.Metric) (lines []string) {
	t.Helper()
	check := func(start uint64, cumulative metricspb.AggregationTemporality) {
		if start != uint64(noon.UnixNano()) || cumulative != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
			t.Errorf("got a point since %d, %v", start, cumulative)
		}
	}
	for _, m := range all {
		if s := m.GetSum(); s != nil {
			for _, p := range s.DataPoints {
				check(p.StartTimeUnixNano, s.AggregationTemporality)
				value := fmt.Sprint(p.GetAsInt())
				if _, ok := p.Value.(*metricspb.NumberDataPoint_AsDouble); ok {
					value = fmt.Sprint(p.GetAsDouble())
				}
				if s.IsMonotonic {
					value = "+" + value
				}
				lines = append(lines, fmt.Sprintf("%s%v %s %s", m.Name, texts(p.Attributes), value, m.Unit))
			}
		}
		if h := m.GetHistogram(); h != nil {
			for _, p := range h.DataPoints {
				check(p.StartTimeUnixNano, h.AggregationTemporality)
				if len(p.BucketCounts) != len(p.ExplicitBounds)+1 {
					t.Errorf("%s has %d buckets and %d bounds", m.Name, len(p.BucketCounts), len(p.ExplicitBounds))
				}
				line := fmt.Sprintf("%s%v %v/%d", m.Name, texts(p.Attributes), p.GetSum(), p.Count)
				for i, n := range p.BucketCounts {
					if n > 0 && i < len(p.ExplicitBounds) {
						line += fmt.Sprintf(" %v:%d", p.ExplicitBounds[i], n)
					} else if n > 0 {
						line += fmt.Sprintf(" inf:%d", n)
					}
				}
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func TestMetrics(t *testing.T) {
	rc := newReceiver(t, nil)
	run(t, measurable(t, rc.URL))() // the last ones, at the end
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if len(rc.metrics) != 1 || texts(rc.metrics[0].Resource.Attributes)["service.name"] != "sonde" {
		t.Fatalf("got %v, want one message of sonde's", rc.metrics)
	}
	got := points(t, rc.metrics[0].ScopeMetrics[0].Metrics)
	got = slices.DeleteFunc(got, func(line string) bool {
		return strings.Contains(line, "map[] +0 ") || strings.Contains(line, "map[] 0 ")
	})
	want := []string{
		"sonde.probe.phase.durationmap[sonde.job:web sonde.phase:connect] 0.0005/2 0.00025:2",
		"sonde.probe.phase.durationmap[sonde.job:web sonde.phase:first_byte] 0.006/2 0.005:2",
		"sonde.probe.phase.durationmap[sonde.job:web sonde.phase:total] 40.008/3 0.005:2 inf:1",
		"sonde.probe.phase.durationmap[sonde.job:web sonde.phase:late] 0.002/3 0.0001:1 0.001:2",
		"sonde.probesmap[sonde.job:web sonde.status:success] +2 {probe}",
		"sonde.probesmap[sonde.job:web sonde.status:connection-timeout] +1 {probe}",
		"sonde.turns.skippedmap[sonde.job:web sonde.reason:missed] +4 {turn}",
		"sonde.kept_connection.dropsmap[sonde.cause:rst sonde.job:ssh] +1 {connection}",
		"sonde.targetsmap[sonde.job:web sonde.state:unknown] 0 {target}",
		"sonde.targetsmap[sonde.job:web sonde.state:up] 1 {target}",
		"sonde.targetsmap[sonde.job:web sonde.state:down] 1 {target}",
		"sonde.targetsmap[sonde.job:ssh sonde.state:unknown] 1 {target}",
		"sonde.targetsmap[sonde.job:ssh sonde.state:up] 0 {target}",
		"sonde.targetsmap[sonde.job:ssh sonde.state:down] 0 {target}",
		"sonde.breakersmap[sonde.job:web sonde.state:closed] 2 {breaker}",
		"sonde.breakersmap[sonde.job:web sonde.state:open] 0 {breaker}",
		"sonde.breakersmap[sonde.job:web sonde.state:half-open] 0 {breaker}",
		"sonde.kept_connectionsmap[sonde.job:ssh sonde.state:down] 1 {connection}",
		"sonde.kept_connectionsmap[sonde.job:ssh sonde.state:up] 0 {connection}",
		"sonde.sockets.openedmap[] +9 {socket}",
		"sonde.schedule.turnsmap[] +5 {turn}",
		"sonde.schedule.lagmap[] 0.002/3 0.0001:1 0.001:2",
		"sonde.connectionsmap[sonde.state:IDLE] 2 {connection}",
		"process.cpu.timemap[cpu.mode:user] +3 s",
		"process.cpu.timemap[cpu.mode:system] +1 s",
		"process.thread.countmap[] 7 {thread}",
		"process.unix.file_descriptor.countmap[] 12 {file_descriptor}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got other points than wanted (-want +got):\n%s", diff)
	}
}

// TestMetricsEachInterval: they come again and again, and not only at the end.
func TestMetricsEachInterval(t *testing.T) {
	rc := newReceiver(t, nil)
	e := measurable(t, rc.URL)
	e.interval = time.Millisecond
	run(t, e)
	for range 3 {
		rc.wait()
	}
}

// TestNothingToMeasure: a table that can't be read is told, and nothing is sent.
func TestNothingToMeasure(t *testing.T) {
	rc := newReceiver(t, nil)
	e, log := exporter(t, rc.URL, Options{
		Settings: config.OTLP{Metrics: true},
		Read:     func(context.Context, func(*track.Copy, *metrics.Process)) error { return errors.New("no table") },
	})
	run(t, e)()
	if len(rc.came) != 0 || !strings.Contains(log.String(), "no table") {
		t.Errorf("%d messages came and the log has %q, want none, and why", len(rc.came), log)
	}
}
