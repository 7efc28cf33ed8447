package otlp

import (
	"context"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/metrics"
	"sonde/watch/track"
)

// measure is the message of all metrics as they stand; nil if they can't be read. MetricsData has the form of
// ExportMetricsServiceRequest.
func (e *Exporter) measure(ctx context.Context) *metricspb.MetricsData {
	var f *families
	err := e.read(ctx, func(c *track.Copy, p *metrics.Process) {
		f = &families{start: uint64(p.Start.UnixNano()), now: uint64(e.clk.Wall(e.clk.Now()).UnixNano())}
		f.jobs(c)
		f.targets(c)
		f.engine(p)
		f.process(p)
	})
	if err != nil {
		e.log.Warn("no metrics for the OpenTelemetry collector", "error", err)
		return nil
	}
	f.sum("sonde.otlp.lost", "{probe}", "Probes that were to have a trace and have none.", f.point(e.lost.Load(), nil))
	return &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource:     e.resource,
		ScopeMetrics: []*metricspb.ScopeMetrics{{Scope: e.scope(), Metrics: f.all}},
	}}}
}

// families are metrics in the making. What is cumulative is so since start.
type families struct {
	start, now uint64
	all        []*metricspb.Metric
}

type point = *metricspb.NumberDataPoint

func (f *families) point(n uint64, a attributes) point {
	return &metricspb.NumberDataPoint{
		Attributes: a, StartTimeUnixNano: f.start, TimeUnixNano: f.now, Value: &metricspb.NumberDataPoint_AsInt{AsInt: int64(n)},
	}
}

func (f *families) seconds(d time.Duration, a attributes) point {
	p := f.point(0, a)
	p.Value = &metricspb.NumberDataPoint_AsDouble{AsDouble: d.Seconds()}
	return p
}

// sum adds a family that only grows, level one of what is at the moment and may be added up.
func (f *families) sum(name, unit, about string, points ...point) {
	f.add(name, unit, about, true, points)
}
func (f *families) level(name, unit, about string, points ...point) {
	f.add(name, unit, about, false, points)
}

func (f *families) add(name, unit, about string, grows bool, points []point) {
	if len(points) == 0 {
		return
	}
	f.all = append(f.all, &metricspb.Metric{Name: name, Unit: unit, Description: about, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
		DataPoints: points, IsMonotonic: grows, AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
	}}})
}

func (f *families) histogram(name, about string, points ...*metricspb.HistogramDataPoint) {
	if len(points) == 0 {
		return
	}
	f.all = append(f.all, &metricspb.Metric{Name: name, Unit: "s", Description: about, Data: &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{
		DataPoints: points, AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
	}}})
}

// durations is a histogram as it stands: its bounds belong to their buckets in both.
func (f *families) durations(h *track.Histogram, a attributes) *metricspb.HistogramDataPoint {
	bounds := make([]float64, track.NumBuckets)
	for i := range bounds {
		bounds[i] = track.Bucket(i).Seconds()
	}
	sum := h.Sum.Seconds()
	return &metricspb.HistogramDataPoint{
		Attributes: a, StartTimeUnixNano: f.start, TimeUnixNano: f.now,
		Count: h.Count(), Sum: &sum, BucketCounts: append([]uint64(nil), h.Counts[:]...), ExplicitBounds: bounds,
	}
}

func ofJob(j *track.Job) attributes { return attributes{}.text("sonde.job", j.Name) }

// jobs adds what is counted by job.
func (f *families) jobs(c *track.Copy) {
	var phases []*metricspb.HistogramDataPoint
	var probes, skipped, drops []point
	for i := range c.Jobs {
		j := &c.Jobs[i]
		for p := range track.NumPhases {
			if h := &j.Phases[p]; h.Count() > 0 {
				phases = append(phases, f.durations(h, ofJob(j).text("sonde.phase", p.String())))
			}
		}
		for status, n := range j.Probes {
			if n > 0 {
				probes = append(probes, f.point(n, ofJob(j).text("sonde.status", report.Status(status).String())))
			}
		}
		for why, n := range j.Skipped {
			if n > 0 {
				skipped = append(skipped, f.point(n, ofJob(j).text("sonde.reason", track.Skip(why).String())))
			}
		}
		for cause, n := range j.Drops {
			if n > 0 {
				drops = append(drops, f.point(n, ofJob(j).text("sonde.cause", track.Cause(cause).String())))
			}
		}
	}
	f.histogram("sonde.probe.phase.duration", "How long the phases of probes took.", phases...)
	f.sum("sonde.probes", "{probe}", "Probes that ended.", probes...)
	f.sum("sonde.turns.skipped", "{turn}", "Turns that were not taken.", skipped...)
	f.sum("sonde.kept_connection.drops", "{connection}", "Kept connections that ended.", drops...)
}

// targets adds how many there are in each state.
func (f *families) targets(c *track.Copy) {
	type states struct {
		up      [flap.Down + 1]uint64
		breaker [breaker.HalfOpen + 1]uint64
		kept    [2]uint64
	}
	of := make([]states, len(c.Jobs))
	for i := range c.Views {
		v := &c.Views[i]
		s := &of[v.JobIndex()]
		s.up[v.State()]++
		s.breaker[v.Breaker()]++
		switch {
		case !v.Target.Keep:
		case v.Kept().Up:
			s.kept[1]++
		default:
			s.kept[0]++
		}
	}
	var up, breakers, kept []point
	for i := range of {
		j := &c.Jobs[i]
		for state, n := range of[i].up {
			up = append(up, f.point(n, ofJob(j).text("sonde.state", flap.State(state).String())))
		}
		for state, n := range of[i].breaker {
			if j.Settings.Breaker.Window > 0 {
				breakers = append(breakers, f.point(n, ofJob(j).text("sonde.state", breaker.State(state).String())))
			}
		}
		for state, n := range of[i].kept {
			if of[i].kept != [2]uint64{} {
				kept = append(kept, f.point(n, ofJob(j).text("sonde.state", [...]string{"down", "up"}[state])))
			}
		}
	}
	f.level("sonde.targets", "{target}", "Targets, after rise and fall.", up...)
	f.level("sonde.breakers", "{breaker}", "Circuit breakers.", breakers...)
	f.level("sonde.kept_connections", "{connection}", "Targets to which a connection is kept, by whether it stands.", kept...)
}

// engine adds the figures of the event loops and of the schedule.
func (f *families) engine(p *metrics.Process) {
	g := &p.Engine
	for _, c := range []struct {
		name, unit, about string
		n                 uint64
	}{
		{"sonde.sockets.opened", "{socket}", "Sockets that were opened.", g.Opened},
		{"sonde.sockets.closed", "{socket}", "Sockets that were closed.", g.Closed},
		{"sonde.connections.established", "{connection}", "Connections that were established.", g.Established},
		{"sonde.fd.waits", "{wait}", "How often dials waited for a descriptor.", g.FDWaits},
		{"sonde.port.waits", "{wait}", "Dials that waited for a local port.", g.PortWaits},
		{"sonde.buffer.waits", "{wait}", "How often a read waited for a buffer.", g.BufferWaits},
		{"sonde.schedule.turns", "{turn}", "Turns that were taken.", p.Schedule.Turns},
		{"sonde.dials.paced", "{dial}", "Dials that waited for the turn of their host or subnet.", p.Paced},
		{"sonde.probe.requests", "{probe}", "Probes that were asked for by /probe.", p.Asked},
		{"sonde.config.reloads", "{reload}", "Configurations that were taken.", p.Config.Reloads},
		{"sonde.config.refusals", "{reload}", "Configurations that were refused.", p.Config.Failed},
	} {
		f.sum(c.name, c.unit, c.about, f.point(c.n, nil))
	}
	var connections []point
	for _, s := range g.Connections {
		connections = append(connections, f.point(uint64(max(s.N, 0)), attributes{}.text("sonde.state", s.State)))
	}
	f.histogram("sonde.schedule.lag", "How much after their turn probes began.", f.durations(&p.Late, nil))
	f.level("sonde.connections", "{connection}", "Connections of the engine.", connections...)
	f.level("sonde.dials.waiting", "{dial}", "Dials that wait for room, a descriptor, a port or their turn.", f.known(g.Waiting)...)
	f.level("sonde.deadlines", "{deadline}", "Deadlines in the timing wheels.", f.known(g.Armed)...)
	f.level("sonde.buffers.used", "By", "Ring buffers that are lent.", f.known(int64(g.Buffers.InUseBytes))...)
	f.level("sonde.buffers.held", "By", "Memory that ring buffers are cut from.", f.known(int64(g.Buffers.BlockBytes))...)
	if g.LoopLag != nil {
		var h track.Histogram
		for b := range g.LoopLag.Buckets() {
			h.Add(b.To, b.Count)
		}
		h.Sum = time.Duration(g.LoopLag.Count()) * g.LoopLag.Mean()
		f.histogram("sonde.loop.lag", "How late event loops were.", f.durations(&h, nil))
	}
}

// known is a point of a figure, or none of one that is not known.
func (f *families) known(n int64) []point {
	if n < 0 {
		return nil
	}
	return []point{f.point(uint64(n), nil)}
}

// process adds what the program uses, by the names of OpenTelemetry's semantic conventions.
func (f *families) process(p *metrics.Process) {
	mode := func(mode string) []*commonpb.KeyValue { return attributes{}.text("cpu.mode", mode) }
	f.sum("process.cpu.time", "s", "CPU time of all threads.",
		f.seconds(p.Usage.User, mode("user")), f.seconds(p.Usage.System, mode("system")))
	f.level("process.memory.usage", "By", "Memory in RAM.", f.known(p.Usage.Resident)...)
	f.level("process.thread.count", "{thread}", "Threads of the operating system.", f.known(p.Usage.Threads)...)
	f.level("process.unix.file_descriptor.count", "{file_descriptor}", "Open descriptors.", f.known(p.FDs)...)
	f.level("go.goroutine.count", "{goroutine}", "Goroutines.", f.known(int64(p.Goroutines))...)
}
