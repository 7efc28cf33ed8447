package scan

import (
	"sync"
	"sync/atomic"
	"time"

	"sonde/engine"
	"sonde/internal/clock"
	"sonde/report"
)

// progress is what others may read of a running scan.
type progress struct {
	targets  atomic.Uint64 // that the source gave
	total    atomic.Uint64 // those and what was left, when the source last told; 0 if it does not know
	exact    atomic.Bool
	statuses [report.NumStatuses]atomic.Uint64

	mu      sync.Mutex
	clk     clock.Clock
	stats   func() engine.Stats
	started int64
	last    struct { // the snapshot before, for the rate
		at   int64
		done uint64
	}
}

func (p *progress) begin(clk clock.Clock, stats func() engine.Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clk, p.stats, p.started = clk, stats, clk.Now()
	p.last.at = p.started
}

// left notes how many targets the source still has.
func (p *progress) left(n uint64, exact bool) {
	if n > 0 || exact {
		n += p.targets.Load()
	}
	p.total.Store(n)
	p.exact.Store(exact)
}

// snapshot tells the state of the run; its rate is that since the snapshot before.
func (p *progress) snapshot() report.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clk == nil {
		return report.Snapshot{}
	}
	now := p.clk.Now()
	shot := report.Snapshot{Elapsed: time.Duration(now - p.started), Exact: p.exact.Load()}
	for i := range p.statuses {
		n := p.statuses[i].Load()
		shot.Statuses[i] = n
		shot.Done += n
	}
	if shot.Total = p.total.Load(); shot.Total > 0 {
		shot.Total = max(shot.Total, shot.Done) // a name with many addresses gives many records
	}
	shot.InFlight = uint64(max(p.stats().InFlight, 0))
	if since := now - p.last.at; since > 0 {
		shot.Rate = float64(shot.Done-p.last.done) / (float64(since) / 1e9)
	}
	p.last.at, p.last.done = now, shot.Done
	return shot
}
