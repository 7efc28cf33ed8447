// Package bench sees a load from its plan to its report: how many processes it takes, what this machine's limits allow, runs
// that are repeated, and the search for the highest rate that keeps a promise.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sonde/bench/load"
	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/internal/clock"
	"sonde/internal/kernel/limits"
	"sonde/internal/kernel/usage"
	"sonde/internal/workers"
)

// Config is a load.
type Config struct {
	// Load is what each process does, for all connections together: First, Of and Start are filled in here.
	Load load.Spec
	// Plan is where connections go; Load's Targets and Sources are taken from it.
	Plan *plan.Plan
	// Workers is how many processes there are; 0: as many as the descriptors want, AutoWorkers.
	Workers int
	// AllowFewer goes on with what this machine's limits allow when they allow less.
	AllowFewer bool
	// Runs is how often it is all done; 0 is 1.
	Runs int
	// Promise, if it is set, has the highest rate looked for that keeps it; Load.Requests, or Dials of handshakes, is where the
	// search begins.
	Promise *Promise
	// WorkerArgs are the arguments that make this program a worker of the role Role.
	WorkerArgs []string
	// Stderr hears what workers write to stderr.
	Stderr interface{ Write([]byte) (int, error) }
	// Interval hears of each second, of all processes together.
	Interval func(*result.Interval)
	// Tell hears in a line what is done next, where there is something to tell.
	Tell func(format string, args ...any)
	Log  *slog.Logger
}

// Role is the word by which a worker is told to do a share of a load.
const Role = "load"

// Shortage says that this machine has no room for the load.
type Shortage = plan.Shortage

// Prepared is a load that this machine has room for.
type Prepared struct {
	Config
	// Shares are the connections of each process.
	Shares []int
	// Machine is what this machine allows.
	Machine limits.Limits
	// Short is what stood in the way of more, with AllowFewer; nil if nothing did.
	Short *Shortage

	ran bool // in this process, which has grown by it
}

// Prepare finds how many processes the load takes and whether this machine has room for it. Without room it fails with a
// *Shortage, or takes what there is if AllowFewer says so.
func Prepare(c Config) (*Prepared, error) {
	machine, err := limits.Read()
	if err != nil {
		return nil, fmt.Errorf("read this machine's limits: %w", err)
	}
	p := &Prepared{Config: c, Machine: machine}
	n := c.Load.Connections
	short := c.Plan.Room(machine, plan.Want{Connections: n, Loops: c.Load.Loops, Processes: c.Workers, TLS: c.Load.TLS != nil})
	switch {
	case short == nil:
	case !c.AllowFewer || short.Allows < 1:
		return nil, short
	default:
		p.Short, n = short, short.Allows
	}
	count := c.Workers
	if count <= 0 {
		count = workers.Auto(n, plan.PerProcess(machine, c.Load.Loops))
	}
	count = min(count, n)
	if p.Load.Loops == 0 { // now, since a load raises GOMAXPROCS, and the next run would count that
		p.Load.Loops = max(int(machine.Procs)/count, 1)
	}
	p.Shares = split(n, count)
	p.Load.Connections = n
	return p, nil
}

// split divides n among so many, the larger shares first.
func split(n, among int) []int {
	shares := make([]int, among)
	for i := range shares {
		shares[i] = n / among
		if i < n%among {
			shares[i]++
		}
	}
	return shares
}

// Run does the load. When ctx ends it stops and returns the report of what was done all the same, with Stopped set. So it does at
// an error in a later run or trial. An error says that it could not be done, or that it was stopped before anything was: then it
// wraps the cause of ctx's end.
func (p *Prepared) Run(ctx context.Context) (*result.Report, error) {
	if p.Promise != nil {
		return p.search(ctx, p.once)
	}
	return p.repeat(ctx, p.once)
}

// attempt does the load once, as [Prepared.once] does.
type attempt func(context.Context, load.Spec) (*result.Report, error)

// repeat has the load done as often as it is wanted. A run that did not come to its end is no sample, unless it is the only one.
func (p *Prepared) repeat(ctx context.Context, once attempt) (*result.Report, error) {
	var whole []*result.Report
	for i := range max(p.Runs, 1) {
		if p.Runs > 1 {
			p.tell("run %d of %d", i+1, p.Runs)
		}
		r, err := once(ctx, p.Load)
		if err == nil && r.Stopped == "" {
			whole = append(whole, r)
			continue
		}
		if len(whole) == 0 {
			return r, err
		}
		why := p.brokenOff(ctx, fmt.Sprintf("run %d of %d", i+1, p.Runs), r, err)
		r = middle(whole)
		r.Stopped = why
		return r, nil
	}
	return middle(whole), nil
}

// brokenOff is why a later run or trial did not come to its end: it has the report r, or there was an error.
func (p *Prepared) brokenOff(ctx context.Context, which string, r *result.Report, err error) string {
	switch {
	case err == nil:
		return r.Stopped
	case ctx.Err() != nil:
		return stopped(ctx)
	}
	p.tell("%s: %v; what was done before is reported", which, err)
	return fmt.Sprintf("%s: %v", which, err)
}

// stopped is why ctx has ended, as a report tells it; empty if it has not.
func stopped(ctx context.Context) string {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return ""
	case errors.Is(cause, context.Canceled):
		return "interrupted"
	default:
		return cause.Error()
	}
}

func (p *Prepared) tell(format string, args ...any) {
	if p.Tell != nil {
		p.Tell(format, args...)
	}
}

// middle is the report of the run in the middle by its rate, or of them all by their order if there is no rate. It has the figures
// of all runs.
func middle(reports []*result.Report) *result.Report {
	if len(reports) == 1 {
		return reports[0]
	}
	var runs []result.Run
	for _, r := range reports {
		runs = append(runs, result.Run{Figures: r.Total.Figures()})
	}
	first := reports[0]
	slices.SortStableFunc(reports, func(a, b *result.Report) int {
		return cmp.Compare(a.Total.OperationsPerSecond(), b.Total.OperationsPerSecond())
	})
	m := reports[(len(reports)-1)/2]
	m.Runs = runs
	memoryOfFirst(m, first)
	return m
}

// memoryOfFirst gives r the memory of the first run of its process if its own is not known and they held as much.
func memoryOfFirst(r, first *result.Report) {
	if u := &r.Total.Usage; u.ResidentBefore < 0 && r.Total.Held == first.Total.Held {
		from := &first.Total.Usage
		u.ResidentBefore, u.ResidentHeld, u.ResidentMax = from.ResidentBefore, from.ResidentHeld, from.ResidentMax
	}
}

// startDelay is how long before its start a load is handed out, so that all processes are there by then: each takes some
// 10 ms to begin, and more where many begin at once.
func startDelay(processes int) time.Duration {
	if processes == 1 {
		return 0
	}
	return 500*time.Millisecond + time.Duration(processes)*30*time.Millisecond
}

// once does the load once.
func (p *Prepared) once(ctx context.Context, spec load.Spec) (*result.Report, error) {
	clk := clock.NewSystem()
	spec.Targets, spec.Sources = p.Plan.Targets(), p.Plan.Sources()
	spec.Of = spec.Connections
	spec.Start = clk.Wall(clk.Now()).Add(startDelay(len(p.Shares)))
	r := &result.Report{Schema: result.Schema, Kind: spec.Kind, Machine: MachineOf(p.Machine), Total: &result.Part{}}
	kernel := newKernelGrowth()
	var err error
	if len(p.Shares) == 1 {
		err = p.alone(ctx, spec, r, kernel)
	} else {
		err = p.together(ctx, spec, r, kernel)
	}
	if err != nil {
		return nil, err
	}
	r.Kernel = kernel.grown
	if r.Stopped == "" {
		r.Stopped = stopped(ctx)
	}
	return r, nil
}

// alone does it in this process. A fault of the engine has the report say that it stopped: what was done is kept.
func (p *Prepared) alone(ctx context.Context, spec load.Spec, r *result.Report, kernel *kernelGrowth) error {
	part, err := load.Run(ctx, spec, load.Hooks{
		Interval: p.Interval,
		Ramped: func(held, _ uint64) {
			if held > 0 {
				kernel.look()
			}
		},
		Log: p.Log,
	})
	if part == nil {
		return err
	}
	if err != nil {
		r.Stopped = err.Error()
	}
	r.Total.Merge(part)
	if p.ran {
		r.Total.Usage.ResidentBefore = usage.Unknown // by how much connections have it grow showed the first time
	}
	p.ran = true
	return nil
}

// kernelGrowth is by how much what the kernel holds for TCP has grown.
type kernelGrowth struct {
	before usage.TCP
	slab   int64
	grown  result.Kernel
}

func newKernelGrowth() *kernelGrowth {
	return &kernelGrowth{before: usage.ReadTCP(), slab: usage.Slab(), grown: result.Kernel{Sockets: -1, Memory: -1, Slab: -1}}
}

// look looks now: all connections stand.
func (k *kernelGrowth) look() {
	now := usage.ReadTCP()
	growth := func(before, after int64) int64 {
		if before == usage.Unknown || after == usage.Unknown {
			return usage.Unknown
		}
		return max(after-before, 0)
	}
	k.grown = result.Kernel{
		Sockets: growth(k.before.Sockets, now.Sockets), Memory: growth(k.before.Memory, now.Memory), Slab: growth(k.slab, usage.Slab()),
	}
}
