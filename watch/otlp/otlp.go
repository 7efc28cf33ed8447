// Package otlp sends what a watch learns to a collector of OpenTelemetry, by OTLP over HTTP in protobuf: a trace for each probe of a
// sample, with a span for each phase, and the metrics of jobs and of sonde itself. What is said of single targets is not sent as
// metrics: a hundred thousand of them are what /metrics is for.
//
//	owner ─► Wants ─► Add ─► queue ─► spans ──┐
//	                                          ├─► collector
//	a copy of the table, each minute ─► metrics┘
//
// It writes the messages itself instead of going through OpenTelemetry's SDK. The probes are over when they are told, with all their
// moments, and the counts are cumulative as they stand, so there is nothing to instrument; and the SDK's exporters link gRPC even for
// HTTP: 6.5 MB of a program of 28, where all of this is 0.4.
package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"

	"sonde/internal/clock"
	"sonde/watch/config"
	"sonde/watch/metrics"
	"sonde/watch/track"
)

const (
	// queueLength is how many probes wait for the collector at most: 1 MB, and 20 s of a hundred probes a second.
	queueLength = 2048
	// maxBatch is how many probes go in one request, some 100 KiB before compression, and linger how long the first one of
	// them waits for others.
	maxBatch = 256
	linger   = time.Second
	// interval is the time between two sendings of metrics, as OpenTelemetry's SDKs have it.
	interval = time.Minute
	// flushLimit is how long what is left may take at the end.
	flushLimit = 2 * time.Second
)

// Options is what an Exporter works by.
type Options struct {
	Settings config.OTLP
	// Version is that of the program.
	Version string
	// Read hands a copy of the table and the figures of the process to use, which keeps nothing of them.
	Read func(ctx context.Context, use func(*track.Copy, *metrics.Process)) error
	// Log, default none; Clock, default the system's.
	Log   *slog.Logger
	Clock clock.Clock
}

// Exporter sends to one collector. Wants and Add are for one goroutine, the owner of the table; Run for another.
type Exporter struct {
	settings  config.OTLP
	read      func(context.Context, func(*track.Copy, *metrics.Process)) error
	clk       clock.Clock
	log       *slog.Logger
	version   string
	resource  *resourcepb.Resource
	collector *collector
	sampler   sampler
	failures  bucket // the owner's
	queue     chan Probe
	lost      atomic.Uint64 // probes that were wanted and are in no trace

	linger, interval, flushLimit time.Duration
}

// New returns an Exporter of which nothing goes out before Run. An error says what is wrong with the settings or with the environment;
// it holds no secret.
func New(o Options) (*Exporter, error) {
	e := &Exporter{
		settings: o.Settings, read: o.Read, clk: o.Clock, log: o.Log, version: o.Version, sampler: newSampler(o.Settings.Sample),
		linger: linger, interval: interval, flushLimit: flushLimit,
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.clk == nil {
		e.clk = clock.NewSystem()
	}
	var err error
	if e.resource, err = resourceOf(o.Version); err != nil {
		return nil, err
	}
	if e.collector, err = newCollector(o.Settings, o.Version, e.log); err != nil {
		return nil, err
	}
	if o.Settings.Traces {
		e.queue = make(chan Probe, queueLength)
	}
	return e, nil
}

// resourceOf is who sends.
func resourceOf(version string) (*resourcepb.Resource, error) {
	pid := os.Getpid()
	r := attributes{}.text("service.name", "sonde").text("service.version", version).int("process.pid", int64(pid))
	if host, err := os.Hostname(); err == nil {
		// Each process counts for itself: who adds up must be able to tell them apart.
		r = r.text("host.name", host).text("service.instance.id", fmt.Sprintf("%s:%d", host, pid))
	}
	more, err := pairs(os.Getenv("OTEL_RESOURCE_ATTRIBUTES"))
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if name := os.Getenv("OTEL_SERVICE_NAME"); name != "" {
		more = append(more, pair{"service.name", name})
	}
	for _, p := range more {
		r = r.set(p.name, p.value)
	}
	return &resourcepb.Resource{Attributes: r}, nil
}

// Run sends until ctx ends, and then what is left, for at most two seconds.
func (e *Exporter) Run(ctx context.Context) {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	context.AfterFunc(ctx, func() { time.AfterFunc(e.flushLimit, stop) })
	var parts sync.WaitGroup
	if e.settings.Traces {
		parts.Go(func() { e.sendTraces(ctx, sending) })
	}
	if e.settings.Metrics {
		parts.Go(func() { e.sendMetrics(ctx, sending) })
	}
	parts.Wait()
	e.collector.close()
}

// sendTraces sends the probes of the queue, by batches.
func (e *Exporter) sendTraces(ctx, sending context.Context) {
	s := &signal{path: "v1/traces", name: "traces"}
	batch := make([]Probe, 0, maxBatch)
	for ctx.Err() == nil {
		batch = e.gather(ctx, batch[:0])
		e.sendBatch(ctx, sending, s, batch)
	}
	for { // nobody adds any more
		batch = e.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		e.sendBatch(ctx, sending, s, batch)
	}
}

func (e *Exporter) sendBatch(ctx, sending context.Context, s *signal, batch []Probe) {
	if len(batch) == 0 {
		return
	}
	rejected, err := e.collector.send(ctx, sending, s, e.traces(batch), true)
	switch {
	case err != nil:
		e.lost.Add(uint64(len(batch)))
	case rejected > 0:
		e.lost.Add(min(uint64(rejected), uint64(len(batch)))) // it counts spans
	}
	clear(batch)
}

// gather waits for a probe and then for more: until the batch is full, the first one has waited for long enough, or ctx ends.
func (e *Exporter) gather(ctx context.Context, batch []Probe) []Probe {
	select {
	case p := <-e.queue:
		batch = append(batch, p)
	case <-ctx.Done():
		return batch
	}
	timer := time.NewTimer(e.linger)
	defer timer.Stop()
	for len(batch) < maxBatch {
		select {
		case p := <-e.queue:
			batch = append(batch, p)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// take takes what is in the queue now, a batch at most.
func (e *Exporter) take(batch []Probe) []Probe {
	for len(batch) < maxBatch {
		select {
		case p := <-e.queue:
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

// sendMetrics sends the metrics each interval, and once more at the end. They are cumulative: what could not be sent is in the next.
func (e *Exporter) sendMetrics(ctx, sending context.Context) {
	s := &signal{path: "v1/metrics", name: "metrics"}
	ticker := time.NewTicker(e.interval)
	defer ticker.Stop()
	for more := true; more; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			more = false
		}
		if m := e.measure(sending); m != nil {
			_, _ = e.collector.send(ctx, sending, s, m, false) // which tells the log
		}
	}
}
