package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"sonde/bench/load"
	"sonde/bench/result"
	"sonde/internal/histogram"
	"sonde/internal/workers"
)

// message is what a worker tells while it works.
type message struct {
	Interval *result.Interval `json:"interval,omitempty"`
	Latency  []byte           `json:"latency,omitempty"` // the interval's, in binary: to compress it each second in fifty processes costs a core
	Ramped   *ramped          `json:"ramped,omitempty"`
}

// ofInterval is the message that tells i.
func ofInterval(i *result.Interval) message {
	bare := *i
	bare.Latency = nil
	packed, _ := i.Latency.AppendBinary(nil) // never fails
	return message{Interval: &bare, Latency: packed}
}

// interval is the one that m tells; nil without one.
func (m *message) interval() (*result.Interval, error) {
	if m.Interval == nil || len(m.Latency) == 0 {
		return m.Interval, nil
	}
	m.Interval.Latency = new(histogram.Compact)
	return m.Interval, m.Interval.Latency.UnmarshalBinary(m.Latency)
}

// ramped says that a share stands, but for what has failed.
type ramped struct {
	Held   uint64 `json:"held"`
	Failed uint64 `json:"failed"`
}

// holdCommand has workers begin to hold what they have.
const holdCommand = "hold"

// Work does a share of a load, as a worker of the role Role.
func Work(w *workers.Worker) error {
	var spec load.Spec
	if err := json.Unmarshal(w.Assignment(), &spec); err != nil {
		return fmt.Errorf("read the share: %w", err)
	}
	hold := make(chan struct{})
	go func() {
		for command := range w.Commands() {
			if string(command) == holdCommand {
				close(hold)
				return
			}
		}
	}()
	tell := func(m message) {
		if data, err := json.Marshal(m); err == nil {
			_ = w.Send(data) // a parent that is gone ends the context
		}
	}
	part, err := load.Run(w.Context(), spec, load.Hooks{
		Interval: func(i *result.Interval) { tell(ofInterval(i)) },
		Ramped:   func(held, failed uint64) { tell(message{Ramped: &ramped{held, failed}}) },
		Hold:     hold,
	})
	if err != nil {
		return err
	}
	part.Intervals = nil // told already
	data, err := part.Encode()
	if err != nil {
		return err
	}
	return w.Finish(data)
}

// crew is a load in worker processes.
type crew struct {
	p      *Prepared
	group  *workers.Group
	report *result.Report
	kernel *kernelGrowth
	shares []uint64
	told   []int // of each worker, the index behind the last interval it told of
	ended  []bool
	ramped []bool
	open   map[int]*result.IntervalSum // intervals of which not all have told, by their index
	held   bool                        // all were told to hold
}

// together does it in worker processes.
func (p *Prepared) together(ctx context.Context, spec load.Spec, r *result.Report, kernel *kernelGrowth) error {
	n := len(p.Shares)
	c := &crew{p: p, report: r, kernel: kernel, told: make([]int, n), ended: make([]bool, n), ramped: make([]bool, n),
		open: make(map[int]*result.IntervalSum)}
	first := uint64(0)
	assignments := make([][]byte, n)
	for i, share := range p.Shares {
		s := spec
		s.First, s.Connections = first, share
		s.Dials = spec.Dials * float64(share) / float64(spec.Connections)
		first += uint64(share)
		data, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode a share: %w", err)
		}
		assignments[i] = data
		c.shares = append(c.shares, uint64(share))
	}
	group, err := workers.Start(ctx, workers.Options{
		Count: n, Args: p.WorkerArgs, Stderr: p.Stderr,
		Assignment: func(i int) ([]byte, error) { return assignments[i], nil },
	})
	if err != nil {
		return fmt.Errorf("start %d worker processes: %w", n, err)
	}
	c.group = group
	ends := group.Wait(c.hear)
	for i, end := range ends {
		w := result.Worker{Number: i, PID: end.PID, Connections: c.shares[i], CPU: end.User + end.System}
		if end.Err != nil {
			w.Error = end.Err.Error()
		}
		r.Workers = append(r.Workers, w)
	}
	if r.Total.Usage.Processes == 0 {
		return fmt.Errorf("all %d worker processes died; the first: %w", n, ends[0].Err)
	}
	return nil
}

// hear takes an event of a worker.
func (c *crew) hear(e workers.Event) {
	switch e := e.(type) {
	case workers.Message:
		c.message(e)
	case workers.Death:
		c.ended[e.Worker] = true
		c.report.Total.Merge(&result.Part{Wanted: c.shares[e.Worker], Failures: result.Failures{{
			Status: "local-error", Side: "local", Count: c.shares[e.Worker], Lost: c.ramped[e.Worker],
			Text: fmt.Sprintf("worker process %d died: %v", e.Worker, e.Err),
		}}})
		c.p.tell("worker process %d died with its %d connections: %v", e.Worker, c.shares[e.Worker], e.Err)
	}
	c.holdWhenAllStand()
	c.handOn()
}

func (c *crew) message(e workers.Message) {
	if e.Final {
		c.ended[e.Worker] = true
		part, err := result.Decode(e.Data)
		if err != nil {
			c.p.tell("worker process %d: %v", e.Worker, err)
			return
		}
		c.report.Total.Merge(part)
		return
	}
	var m message
	if err := json.Unmarshal(e.Data, &m); err != nil {
		c.p.tell("worker process %d: %v", e.Worker, err)
		return
	}
	in, err := m.interval()
	if err != nil {
		c.p.tell("worker process %d: %v", e.Worker, err)
	}
	if in != nil {
		if sum := c.open[in.Index]; sum != nil {
			sum.Add(in)
		} else {
			c.open[in.Index] = result.NewIntervalSum(in)
		}
		c.told[e.Worker] = in.Index + 1
	}
	if m.Ramped != nil {
		c.ramped[e.Worker] = true
	}
}

// holdWhenAllStand has all begin to hold once every share stands or is lost.
func (c *crew) holdWhenAllStand() {
	if c.held {
		return
	}
	for i := range c.ramped {
		if !c.ramped[i] && !c.ended[i] {
			return
		}
	}
	c.held = true
	c.kernel.look()
	_ = c.group.Broadcast([]byte(holdCommand)) // one that has ended needs it no more
}

// handOn takes the intervals that all have told of into the report, and hands them on.
func (c *crew) handOn() {
	least := math.MaxInt
	for i, told := range c.told {
		if !c.ended[i] {
			least = min(least, told)
		}
	}
	for _, index := range slices.Sorted(maps.Keys(c.open)) {
		if index >= least {
			return
		}
		in := c.open[index].Interval()
		delete(c.open, index)
		c.report.Total.AddInterval(in)
		if c.p.Interval != nil {
			c.p.Interval(in)
		}
	}
}
