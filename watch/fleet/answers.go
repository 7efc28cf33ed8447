package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sonde/internal/histogram"
	"sonde/watch/crew"
	"sonde/watch/history"
	"sonde/watch/metrics"
	"sonde/watch/track"
	"sonde/watch/web"
)

// Copy copies what all workers know; the targets of one that is down are not in it. Ids are in order, and tell the worker. isJob says what
// jobs there are: what was counted of others is forgotten.
func (f *Fleet) Copy(ctx context.Context, into *track.Copy, isJob func(name string) bool) error {
	f.copying.Lock()
	defer f.copying.Unlock()
	into.Views, into.Jobs = into.Views[:0], into.Jobs[:0]
	answered := make([]bool, len(f.remotes))
	err := f.callEach(ctx, wordCopy, func(worker int, p *crew.Process) []byte {
		f.remotes[worker].isOf(p)
		return strconv.AppendUint(nil, f.remotes[worker].Edition(), 10)
	}, func(worker int, answer []byte) error {
		answered[worker] = true
		return f.remotes[worker].Append(into, answer, uint32(worker)<<f.idBits(), f.options.Clock.Now())
	})
	if err != nil {
		return err
	}
	for i := range f.remotes {
		if !answered[i] { // it is down
			f.remotes[i].isOf(nil)
		}
		f.remotes[i].AppendPast(into, isJob)
	}
	return nil
}

// Points are the histories of targets with ids of Copy, as web.Backend has them.
func (f *Fleet) Points(ctx context.Context, of []web.Ref) ([][]history.Point, error) {
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

// Failures are the last ones of all workers, so many at most, the newest first.
func (f *Fleet) Failures(ctx context.Context, most int) ([]web.Failure, error) {
	var all []web.Failure
	err := f.call(ctx, wordFailures, nil, func(_ int, answer []byte) error {
		var some []web.Failure
		err := json.Unmarshal(answer, &some)
		all = append(all, some...)
		return err
	})
	slices.SortStableFunc(all, func(x, y web.Failure) int { return y.At.Compare(x.At) })
	return all[:min(len(all), most)], err
}

// AddStatus adds the figures and sources of the workers to s. Figures are sums, but those of a quantile, which are the worst.
func (f *Fleet) AddStatus(ctx context.Context, s *web.Status) error {
	up := 0
	err := f.call(ctx, wordStatus, nil, func(_ int, answer []byte) error {
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
	s.Engine = append(s.Engine, web.Figure{Name: fmt.Sprintf("workers up, of %d", len(f.remotes)), Value: float64(up)})
	return err
}

// Probe has a worker ask; they take turns.
func (f *Fleet) Probe(ctx context.Context, q *web.ProbeRequest) (*web.ProbeAnswer, error) {
	down := &web.Problem{Code: 503, Text: "no worker process runs"}
	c := f.crew.Load()
	if c == nil {
		return nil, down
	}
	data, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	for range c.Count() {
		p := c.Process(int(f.turn.Add(1) % uint64(c.Count())))
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

// AddProcesses adds what the workers are and did to what is said of this process. Memory that processes share is counted several times.
func (f *Fleet) AddProcesses(ctx context.Context, p *metrics.Process) error {
	f.copying.Lock()
	defer f.copying.Unlock()
	p.Workers = make([]metrics.Worker, len(f.remotes))
	p.Engine.LoopLag = histogram.New()
	answered := make([]bool, len(f.remotes))
	err := f.callEach(ctx, wordProcess, func(worker int, process *crew.Process) []byte {
		f.remotes[worker].isOf(process)
		return nil
	}, func(worker int, answer []byte) error {
		var one metrics.Process
		if err := json.Unmarshal(answer, &one); err != nil {
			return err
		}
		f.remotes[worker].figures = one
		p.Workers[worker] = metrics.Worker{Up: true, Usage: one.Usage, FDs: one.FDs, FDLimit: one.FDLimit}
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
