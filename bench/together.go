package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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

// final is what a worker tells at its end.
type final struct {
	Part json.RawMessage `json:"part"` // as Encode gives it
	// Fault is of the engine: it ended the share before its time, and Part has what was done.
	Fault string `json:"fault,omitempty"`
}

// part decodes what f has.
func (f *final) part(data []byte) (*result.Part, error) {
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("decode the last message: %w", err)
	}
	return result.Decode(f.Part)
}

// holdCommand has workers begin to hold what they have.
const holdCommand = "hold"

// Work does a share of a load, as a worker of the role Role. log hears of our own bugs, as Config.Log does.
func Work(w *workers.Worker, log *slog.Logger) error {
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
		Log:      log,
	})
	if part == nil {
		return err
	}
	var last final
	if err != nil {
		last.Fault = err.Error()
	}
	part.Intervals = nil // told already
	if last.Part, err = part.Encode(); err != nil {
		return err
	}
	data, err := json.Marshal(last)
	if err != nil {
		return fmt.Errorf("encode the last message: %w", err)
	}
	return w.Finish(data)
}

// crew is a load in worker processes.
type crew struct {
	p       *Prepared
	command func([]byte) error // to all workers
	report  *result.Report
	kernel  *kernelGrowth
	shares  []uint64
	told    []int // of each worker, the index behind the last interval it told of
	ended   []bool
	lost    []error // why a worker's share is lost
	ramped  []bool
	stands  []uint64                    // connections of each worker that stand, from when its share does to when it has ended
	open    map[int]*result.IntervalSum // intervals of which not all have told, by their index
	held    bool                        // all were told to hold
}

func (p *Prepared) newCrew(r *result.Report, kernel *kernelGrowth) *crew {
	n := len(p.Shares)
	c := &crew{p: p, report: r, kernel: kernel, told: make([]int, n), ended: make([]bool, n), lost: make([]error, n), ramped: make([]bool, n),
		stands: make([]uint64, n), open: make(map[int]*result.IntervalSum)}
	for _, share := range p.Shares {
		c.shares = append(c.shares, uint64(share))
	}
	return c
}

// together does it in worker processes.
func (p *Prepared) together(ctx context.Context, spec load.Spec, r *result.Report, kernel *kernelGrowth) error {
	n := len(p.Shares)
	c := p.newCrew(r, kernel)
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
	}
	group, err := workers.Start(ctx, workers.Options{
		Count: n, Args: p.WorkerArgs, Stderr: p.Stderr,
		Assignment: func(i int) ([]byte, error) { return assignments[i], nil },
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("stopped before anything was done: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("start %d worker processes: %w", n, err)
	}
	c.command = group.Broadcast
	for i, end := range group.Wait(func(e workers.Event) { c.hear(ctx, e) }) {
		w := result.Worker{Number: i, PID: end.PID, Connections: c.shares[i], CPU: end.User + end.System}
		if c.lost[i] != nil {
			w.Error = c.lost[i].Error()
		}
		r.Workers = append(r.Workers, w)
	}
	if r.Total.Usage.Processes == 0 {
		return fmt.Errorf("all %d worker processes died; the first: %w", n, c.lost[0])
	}
	return nil
}

// hear takes an event of a worker.
func (c *crew) hear(ctx context.Context, e workers.Event) {
	switch e := e.(type) {
	case workers.Message:
		c.message(e)
	case workers.Death:
		if c.ended[e.Worker] { // all that it did is counted
			c.p.tell("worker process %d, behind its last word: %v", e.Worker, e.Err)
			break
		}
		c.lose(e.Worker, e.Err)
	}
	c.holdWhenAllStand(ctx)
	c.handOn()
}

// end says that nothing more comes of a worker that counts.
func (c *crew) end(worker int) { c.ended[worker], c.stands[worker] = true, 0 }

// lose counts the share of a worker as failed: of what it did only the intervals are known.
func (c *crew) lose(worker int, why error) {
	c.end(worker)
	c.lost[worker] = why
	c.report.Total.Merge(&result.Part{Wanted: c.shares[worker], Failures: result.Failures{{
		Status: "local-error", Side: "local", Count: c.shares[worker], Lost: c.ramped[worker],
		Text: fmt.Sprintf("worker process %d died: %v", worker, why),
	}}})
	c.p.tell("worker process %d died with its %d connections: %v", worker, c.shares[worker], why)
}

// finish takes a worker's last word.
func (c *crew) finish(worker int, data []byte) {
	var last final
	part, err := last.part(data)
	if err != nil {
		c.lose(worker, err)
		return
	}
	c.end(worker)
	c.report.Total.Merge(part)
	if last.Fault != "" {
		c.report.Stopped = fmt.Sprintf("worker process %d: %s", worker, last.Fault)
		c.p.tell("%s", c.report.Stopped)
	}
}

func (c *crew) message(e workers.Message) {
	if e.Final {
		c.finish(e.Worker, e.Data)
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
		c.ramped[e.Worker], c.stands[e.Worker] = true, m.Ramped.Held
	}
}

// holdWhenAllStand has all begin to hold once every share stands or is lost. What the kernel holds is looked at only while there
// are connections that are held.
func (c *crew) holdWhenAllStand(ctx context.Context) {
	if c.held {
		return
	}
	for i := range c.ramped {
		if !c.ramped[i] && !c.ended[i] {
			return
		}
	}
	c.held = true
	if ctx.Err() == nil && slices.Max(c.stands) > 0 {
		c.kernel.look()
	}
	_ = c.command([]byte(holdCommand)) // one that has ended needs it no more
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
