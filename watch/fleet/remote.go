package fleet

import (
	"sonde/internal/histogram"
	"sonde/watch/crew"
	"sonde/watch/metrics"
	"sonde/watch/track"
)

// remote is what is known of a worker.
type remote struct {
	track.Remote
	process *crew.Process // of which that is; nil: none
	figures metrics.Process
	past    metrics.Process // the counters of processes that are no more
}

// isOf notes which process is the worker, nil for none: what another one counted is of the past, and what else is known of it is lost.
func (r *remote) isOf(p *crew.Process) {
	if r.process == p {
		return
	}
	r.Lost()
	addCounters(&r.past, &r.figures)
	r.figures, r.process = metrics.Process{}, p
}

// addCounters adds what only grows.
func addCounters(sum, one *metrics.Process) {
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
func addGauges(sum, one *metrics.Process) {
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
			s.Connections = append(s.Connections, metrics.Connections{State: c.State})
		}
		s.Connections[i].N += c.N
	}
}
