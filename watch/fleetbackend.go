package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"sonde/internal/histogram"
	"sonde/watch/crew"
	"sonde/watch/history"
	watchmetrics "sonde/watch/metrics"
	"sonde/watch/track"
	"sonde/watch/web"
)

// fleetBackend is a Watch whose targets are in worker processes, as the web server sees it. What the configuration says it knows itself.
type fleetBackend struct{ backend }

var _ web.Backend = fleetBackend{}

// Ready implements web.Backend: one worker that runs is enough for it.
func (b fleetBackend) Ready() error {
	if err := b.backend.Ready(); err != nil {
		return err
	}
	c := b.fleet.crew.Load()
	for i := range c.Count() {
		if c.Process(i) != nil {
			return nil
		}
	}
	return errors.New("no worker process runs")
}

// WriteMetrics implements web.Backend.
func (b fleetBackend) WriteMetrics(ctx context.Context, w io.Writer, f watchmetrics.Format) error {
	return b.writeMetrics(ctx, w, f, b)
}

// Copy implements web.Backend. The targets of a worker that is down are not in it.
func (b fleetBackend) Copy(ctx context.Context, into *track.Copy) error {
	f := b.fleet
	f.copying.Lock()
	defer f.copying.Unlock()
	into.Views, into.Jobs = into.Views[:0], into.Jobs[:0]
	answered := make([]bool, len(f.remotes))
	err := f.callEach(ctx, wordCopy, func(worker int, p *crew.Process) []byte {
		f.remotes[worker].isOf(p)
		return strconv.AppendUint(nil, f.remotes[worker].Edition(), 10)
	}, func(worker int, answer []byte) error {
		answered[worker] = true
		return f.remotes[worker].Append(into, answer, uint32(worker)<<f.idBits(), b.clk.Now())
	})
	if err != nil {
		return err
	}
	for i := range f.remotes {
		if !answered[i] { // it is down
			f.remotes[i].isOf(nil)
		}
		f.remotes[i].AppendPast(into, b.isJob)
	}
	return nil
}

// Points implements web.Backend.
func (b fleetBackend) Points(ctx context.Context, of []web.Ref) ([][]history.Point, error) {
	f := b.fleet
	refs, at := make([][]web.Ref, len(f.remotes)), make([][]int, len(f.remotes))
	for i, ref := range of {
		worker := ref.ID >> f.idBits()
		ref.ID -= worker << f.idBits()
		refs[worker], at[worker] = append(refs[worker], ref), append(at[worker], i)
	}
	all := make([][]history.Point, len(of))
	err := f.callEach(ctx, wordPoints, func(worker int, _ *crew.Process) []byte {
		data, err := json.Marshal(refs[worker])
		if err != nil {
			panic(err) // texts and numbers
		}
		return data
	}, func(worker int, answer []byte) error {
		var points [][]history.Point
		if err := json.Unmarshal(answer, &points); err != nil {
			return err
		}
		for i := range min(len(points), len(at[worker])) {
			all[at[worker][i]] = points[i]
		}
		return nil
	})
	return all, err
}

// Failures implements web.Backend.
func (b fleetBackend) Failures(ctx context.Context) ([]web.Failure, error) {
	var all []web.Failure
	err := b.fleet.call(ctx, wordFailures, nil, func(_ int, answer []byte) error {
		var some []web.Failure
		err := json.Unmarshal(answer, &some)
		all = append(all, some...)
		return err
	})
	slices.SortStableFunc(all, func(x, y web.Failure) int { return y.At.Compare(x.At) })
	return all[:min(len(all), maxFailures)], err
}

// Status implements web.Backend. Figures are sums, but those of a quantile, which are the worst.
func (b fleetBackend) Status(ctx context.Context) (*web.Status, error) {
	s := &web.Status{Version: b.options.Version, Start: b.start}
	b.mu.Lock()
	s.Config = b.config
	b.mu.Unlock()
	up := 0
	err := b.fleet.call(ctx, wordStatus, nil, func(_ int, answer []byte) error {
		var one web.Status
		if err := json.Unmarshal(answer, &one); err != nil {
			return err
		}
		if up++; up == 1 {
			s.Engine, s.Sources = one.Engine, one.Sources // each reads all lists
			return nil
		}
		for i := range min(len(s.Engine), len(one.Engine)) {
			sum := &s.Engine[i].Value
			if strings.Contains(s.Engine[i].Name, "p99") {
				*sum = max(*sum, one.Engine[i].Value)
			} else {
				*sum += one.Engine[i].Value
			}
		}
		return nil
	})
	s.Engine = append(s.Engine, web.Figure{Name: fmt.Sprintf("workers up, of %d", len(b.fleet.remotes)), Value: float64(up)})
	return s, err
}

// Probe implements web.Backend. The workers take turns.
func (b fleetBackend) Probe(ctx context.Context, q *web.ProbeRequest) (*web.ProbeAnswer, error) {
	down := &web.Problem{Code: 503, Text: "no worker process runs"}
	c := b.fleet.crew.Load()
	if c == nil {
		return nil, down
	}
	data, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	for range c.Count() {
		p := c.Process(int(b.fleet.turn.Add(1) % uint64(c.Count())))
		if p == nil {
			continue
		}
		data, err := p.Call(ctx, wordProbe, data)
		if errors.Is(err, crew.ErrDown) {
			continue // another can do it as well
		}
		var answer probed
		if err == nil {
			err = json.Unmarshal(data, &answer)
		}
		switch {
		case err != nil:
			return nil, err
		case answer.Problem != nil:
			return nil, answer.Problem
		}
		return answer.Answer, nil
	}
	return nil, down
}

// addProcesses adds what the workers are and did to what is said of this process. Memory that processes share is counted several times.
func (f *fleet) addProcesses(ctx context.Context, p *watchmetrics.Process) error {
	f.copying.Lock()
	defer f.copying.Unlock()
	p.Workers = make([]watchmetrics.Worker, len(f.remotes))
	p.Engine.LoopLag = histogram.New()
	answered := make([]bool, len(f.remotes))
	err := f.callEach(ctx, wordProcess, func(worker int, process *crew.Process) []byte {
		f.remotes[worker].isOf(process)
		return nil
	}, func(worker int, answer []byte) error {
		var one watchmetrics.Process
		if err := json.Unmarshal(answer, &one); err != nil {
			return err
		}
		f.remotes[worker].figures = one
		p.Workers[worker] = watchmetrics.Worker{Up: true, Usage: one.Usage, FDs: one.FDs, FDLimit: one.FDLimit}
		if !slices.Contains(answered, true) {
			p.Sources = one.Sources // each reads all lists
		}
		answered[worker] = true
		addCounters(p, &one)
		addGauges(p, &one)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range f.remotes {
		if !answered[i] { // it is down
			f.remotes[i].isOf(nil)
		}
		addCounters(p, &f.remotes[i].past)
		if c := f.crew.Load(); c != nil {
			p.Workers[i].Restarts = c.Restarts(i)
		}
	}
	return nil
}

// addCounters adds what only grows.
func addCounters(sum, one *watchmetrics.Process) {
	sum.Usage.User += one.Usage.User
	sum.Usage.System += one.Usage.System
	s, o := &sum.Engine, &one.Engine
	s.Opened += o.Opened
	s.Closed += o.Closed
	s.Established += o.Established
	s.FDWaits += o.FDWaits
	s.PortWaits += o.PortWaits
	s.BufferWaits += o.BufferWaits
	if o.LoopLag != nil {
		if s.LoopLag == nil {
			s.LoopLag = histogram.New()
		}
		s.LoopLag.Merge(o.LoopLag)
	}
	sum.Late.Merge(&one.Late)
	sum.Schedule.Turns += one.Schedule.Turns
	sum.Schedule.Missed += one.Schedule.Missed
	sum.Schedule.Overlap += one.Schedule.Overlap
	sum.Paced += one.Paced
	sum.Asked += one.Asked
}

// addGauges adds what is so now.
func addGauges(sum, one *watchmetrics.Process) {
	for _, g := range []struct{ sum, one *int64 }{
		{&sum.Usage.Resident, &one.Usage.Resident}, {&sum.Usage.Threads, &one.Usage.Threads},
		{&sum.HeapBytes, &one.HeapBytes}, {&sum.FDs, &one.FDs}, {&sum.FDLimit, &one.FDLimit},
		{&sum.Engine.Armed, &one.Engine.Armed}, {&sum.Engine.Waiting, &one.Engine.Waiting},
	} {
		if *g.one > 0 { // else it is not known
			*g.sum = max(*g.sum, 0) + *g.one
		}
	}
	sum.Goroutines += one.Goroutines
	s, o := &sum.Engine, &one.Engine
	s.Loops += o.Loops
	s.Buffers.InUseBytes += o.Buffers.InUseBytes
	s.Buffers.BlockBytes += o.Buffers.BlockBytes
	for i, c := range o.Connections {
		if i == len(s.Connections) {
			s.Connections = append(s.Connections, watchmetrics.Connections{State: c.State})
		}
		s.Connections[i].N += c.N
	}
}
