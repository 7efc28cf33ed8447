package watch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"strings"
	"time"

	"sonde/engine"
	"sonde/internal/kernel/limits"
	"sonde/internal/kernel/usage"
	watchmetrics "sonde/watch/metrics"
	"sonde/watch/modules"
	"sonde/watch/runner"
	"sonde/watch/track"
	"sonde/watch/web"
)

// WriteMetrics implements web.Backend.
func (b backend) WriteMetrics(ctx context.Context, w io.Writer, f watchmetrics.Format) error {
	return b.writeMetrics(ctx, w, f, b)
}

// told is who tells what metrics are made of: this process, or its workers.
type told interface {
	Copy(ctx context.Context, into *track.Copy) error
	process(ctx context.Context) (*watchmetrics.Process, error)
}

// writeMetrics writes what by tells.
func (w *Watch) writeMetrics(ctx context.Context, to io.Writer, f watchmetrics.Format, by told) error {
	w.scraping.Lock()
	defer w.scraping.Unlock()
	if err := by.Copy(ctx, &w.scrape.copy); err != nil {
		return err
	}
	p, err := by.process(ctx)
	if err != nil {
		return err
	}
	return w.scrape.writer.Write(to, f, &w.scrape.copy, p)
}

// scrape is what the metrics are made of, used again for each.
type scrape struct {
	copy   track.Copy
	writer watchmetrics.Writer
}

// process is how sonde itself is.
func (b backend) process(ctx context.Context) (*watchmetrics.Process, error) {
	p := &watchmetrics.Process{Version: b.options.Version, GoVersion: runtime.Version(), Start: b.start, Goroutines: runtime.NumGoroutine()}
	var err error
	if p.Usage, err = usage.Read(); err != nil {
		return nil, err
	}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	p.HeapBytes = int64(heap[0].Value.Uint64())
	machine, err := limits.Read()
	if err != nil {
		return nil, err
	}
	p.FDs, p.FDLimit, p.Ports = machine.Files.InUse, machine.Files.Soft, -1
	if machine.Ports.First != limits.Unknown {
		p.Ports = machine.Ports.Last - machine.Ports.First + 1 - max(machine.Ports.Reserved, 0)
	}
	if b.fleet != nil {
		if err := b.fleet.AddProcesses(ctx, p); err != nil {
			return nil, err
		}
	} else if err := b.visit(ctx, func() {
		s := b.runner.Stats()
		p.Schedule, p.Late, p.Paced, p.Asked = s.Schedule, b.table.Late(), s.Paced, s.Asked
		p.Engine = engineFigures(&s.Engine)
	}); err != nil {
		return nil, err
	}
	b.mu.Lock()
	p.Config = watchmetrics.Config{
		Hash: b.current.hash, Loaded: b.config.Loaded, OK: b.config.Error == "",
		Reloads: b.loads.taken, Failed: b.loads.refused,
	}
	b.mu.Unlock()
	for _, s := range b.sources() {
		p.Sources = append(p.Sources, watchmetrics.Source{
			Job: s.Job, Kind: s.Kind, Name: s.Name, OK: s.Error == "", Read: s.Read, Targets: s.Targets,
		})
	}
	return p, nil
}

// sources are the lists of targets and how they are.
func (w *Watch) sources() []web.Source {
	w.mu.Lock()
	f := w.finding
	w.mu.Unlock()
	if f == nil {
		return nil
	}
	var all []web.Source
	for _, s := range f.discovery.Status() {
		all = append(all, web.Source{Job: s.Job, Name: s.Name, Kind: s.Kind, Targets: s.Targets, Read: s.LastSuccess, Error: s.Error})
	}
	return all
}

// engineFigures are those of the event loops, for metrics.
func engineFigures(s *engine.Stats) watchmetrics.Engine {
	e := watchmetrics.Engine{
		Loops: s.Loops, Opened: s.Opened, Closed: s.Closed, Established: s.Established,
		FDWaits: s.FDWaits, PortWaits: s.PortWaits, BufferWaits: s.BufferWaits, Buffers: s.Buffers, LoopLag: s.LoopLag,
	}
	for state, n := range s.States {
		e.Connections = append(e.Connections, watchmetrics.Connections{State: engine.State(state).String(), N: n})
	}
	e.Armed, e.Waiting = s.Deadlines, s.Waiting
	return e
}

// Status implements web.Backend.
func (b backend) Status(ctx context.Context) (*web.Status, error) {
	s := &web.Status{Version: b.options.Version, Start: b.start, Sources: b.sources()}
	b.mu.Lock()
	s.Config = b.config
	b.mu.Unlock()
	var stats runner.Stats
	var targets int
	var late track.Histogram
	if err := b.runner.Visit(ctx, func() { stats, targets, late = b.runner.Stats(), b.table.Len(), b.table.Late() }); err != nil {
		return nil, err
	}
	e := &stats.Engine
	s.Engine = []web.Figure{
		{Name: "targets", Value: float64(targets)},
		{Name: "connections in flight", Value: float64(e.InFlight)},
		{Name: "sockets open", Value: float64(e.Opened - e.Closed)},
		{Name: "turns", Value: float64(stats.Schedule.Turns)},
		{Name: "probes", Value: float64(late.Count())},
		{Name: "probes over 100 ms late", Value: float64(late.Above(100 * time.Millisecond))},
		{Name: "turns missed", Value: float64(stats.Schedule.Missed)},
		{Name: "event loops", Value: float64(e.Loops)},
		{Name: "loop lag p99", Value: e.LoopLag.Quantile(0.99).Seconds(), Unit: "s"},
		{Name: "buffers held", Value: float64(e.Buffers.BlockBytes), Unit: "B"},
	}
	return s, nil
}

// answer is the answer to /probe.
func (b backend) answer(q *web.ProbeRequest, m *modules.Module, res *track.Result) (*web.ProbeAnswer, error) {
	var out bytes.Buffer
	if err := watchmetrics.WriteProbe(&out, watchmetrics.Text, res, m.Probing); err != nil {
		return nil, err
	}
	a := &web.ProbeAnswer{Metrics: out.Bytes()}
	if q.Debug {
		a.Log = probeLog(q, m, res)
		a.Module = m.Text
	}
	return a, nil
}

// probeLog tells what a probe did, a line each, for a person.
func probeLog(q *web.ProbeRequest, m *modules.Module, res *track.Result) []string {
	log := []string{
		fmt.Sprintf("module %s, probe %s, target %s, at most %v", m.Name, m.Probing, q.Target, q.Timeout),
	}
	hops := res.Hops
	if hops == nil {
		hops = []track.Hop{{DNS: res.Timing.DNS, Connect: res.Timing.Connect, TLS: res.Timing.TLS, FirstByte: res.Timing.FirstByte, Total: res.Timing.Total}}
	}
	for i, h := range hops {
		var phases []string
		for _, p := range []struct {
			name string
			took time.Duration
		}{{"name", h.DNS}, {"connect", h.Connect}, {"tls", h.TLS}, {"first byte", h.FirstByte}, {"total", h.Total}} {
			if p.took >= 0 {
				phases = append(phases, fmt.Sprintf("%s %v", p.name, p.took.Round(time.Microsecond)))
			}
		}
		if len(phases) > 0 {
			log = append(log, fmt.Sprintf("connection %d: %s", i+1, strings.Join(phases, ", ")))
		}
	}
	verdict := "status " + res.Status.String()
	if res.Addr.IsValid() {
		verdict = fmt.Sprintf("address %v, %s", res.Addr, verdict)
	}
	if res.Error != "" {
		verdict += ": " + res.Error
	}
	log = append(log, verdict)
	if res.Finding != nil {
		log = append(log, "result "+string(res.Finding.AppendJSON(nil)))
	}
	return log
}
