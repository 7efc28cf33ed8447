// Package compare does the same work over several transports (bench/transport) in one run and holds what it cost side by
// side.
//
//	Run ── fleet of targets, processes of their own (fleet.go), unless targets are given
//	  └─── a process for each transport in each round, one at a time (task.go)
//
// Memory and threads that were used once stay with a process: hence one for each. Where there are two CPUs or more the
// fleet has one half of them and what is measured the other. The order of the transports turns by one from round to round,
// so that none is always the first, and the figures of a row are medians over the rounds: a machine with other work spoils
// a round and not the figure.
//
// A transport that fails, or whose process dies, is a row that says so. Only what stops all of them is an error.
package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"sonde/bench/plan"
	"sonde/bench/transport"
	"sonde/bench/transport/gnet"
	"sonde/bench/transport/loop"
	"sonde/bench/transport/netpoll"
	"sonde/bench/transport/std"
	"sonde/internal/kernel/limits"
	"sonde/internal/kernel/process"
)

// Ours is the transport that the others are held against.
const Ours = "loop"

// Defaults of Config.
const (
	DefaultRounds      = 3
	DefaultConnections = 1000
	DefaultHeld        = 10_000 // what a process weighs without any is little beside them; fewer where it may have fewer files open
	DefaultDuration    = 5 * time.Second
	DefaultPing        = time.Second
	DefaultPayload     = 64 // bytes, its newline included
)

// DefaultOperations is how many operations a run of w has: some seconds of work for a CPU of today.
func DefaultOperations(w transport.Workload) int {
	switch w {
	case transport.Connect:
		return 50_000
	case transport.TLS:
		return 5_000
	case transport.Echo:
		return 200_000
	}
	return 0
}

// runLimit is how long a run may take besides the time for which it holds: far more than any does that moves on.
const runLimit = 10 * time.Minute

// Roles of worker processes: the words that Config.Args is given.
const (
	RunRole   = "compare-run"   // Work
	FleetRole = "compare-fleet" // Serve
)

// Config says what to compare. The zero value but for Args is all workloads over all transports, by the defaults.
type Config struct {
	Workloads  []transport.Workload // default all
	Transports []string             // by their names, default all
	Rounds     int
	// Connections is how many are in flight, or held; 0 is DefaultConnections, or DefaultHeld.
	Connections int
	// Operations is how many there are in a run of connect, tls or echo; 0 is DefaultOperations of each.
	Operations int
	// Duration is how long connections are held, PingInterval how often a line is said over each of them meanwhile: 0 is
	// DefaultPing, below zero never.
	Duration, PingInterval time.Duration
	// Payload is the size of the line for echo and hold, in bytes, its newline included.
	Payload int
	Limits  transport.Limits
	// Targets are where to connect; none starts a fleet on this machine. They have to do what the workload wants: accept, speak
	// TLS, keep connections, echo.
	Targets []netip.AddrPort
	// ServerName is asked for in TLS with Targets, and the certificate must be for it; Insecure takes any certificate.
	ServerName string
	Insecure   bool
	// RootPEM are the authorities to trust; empty: the system's.
	RootPEM []byte
	// Args returns the arguments that make this binary a worker of a role. Executable and Env are as in workers.Options.
	Args       func(role string) []string
	Executable string
	Env        []string
	// Stderr receives what workers write to stderr; nil throws it away.
	Stderr io.Writer
	// OnStep, if not nil, is called before each run.
	OnStep func(Step)

	held int // the default of hold on this machine
}

// Step is a run that is about to begin.
type Step struct {
	Workload  transport.Workload
	Transport string
	Round     int // from 1
	Rounds    int
	// Done runs of Total are behind it, of all workloads.
	Done, Total int
}

// Workloads returns all workloads, in the order in which they are done.
func Workloads() []transport.Workload {
	return []transport.Workload{transport.Connect, transport.TLS, transport.Hold, transport.Echo}
}

// transports returns all transports, ours first.
func transports() []transport.Transport {
	return []transport.Transport{loop.Transport{}, netpoll.Transport{}, gnet.Transport{}, std.Transport{}}
}

// Transports returns the names of all transports.
func Transports() []string {
	var names []string
	for _, t := range transports() {
		names = append(names, t.Name())
	}
	return names
}

// find returns the transport of that name, nil if there is none.
func find(name string) transport.Transport {
	for _, t := range transports() {
		if t.Name() == name {
			return t
		}
	}
	return nil
}

// withDefaults checks the config and fills in what was left out.
func (c Config) withDefaults() (Config, error) {
	if len(c.Workloads) == 0 {
		c.Workloads = Workloads()
	}
	if len(c.Transports) == 0 {
		c.Transports = Transports()
	}
	for _, name := range c.Transports {
		if find(name) == nil {
			return c, fmt.Errorf("there is no transport %q", name)
		}
	}
	fill := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	fill(&c.Rounds, DefaultRounds)
	fill(&c.Payload, DefaultPayload)
	if c.Duration == 0 {
		c.Duration = DefaultDuration
	}
	switch {
	case c.PingInterval == 0:
		c.PingInterval = DefaultPing
	case c.PingInterval < 0:
		c.PingInterval = 0
	}
	switch {
	case c.Rounds < 0 || c.Connections < 0 || c.Operations < 0 || c.Payload < 0 || c.Duration < 0:
		return c, errors.New("a figure below zero")
	case c.Args == nil:
		return c, errors.New("no arguments for workers")
	}
	return c, nil
}

// operations is how many operations a run of w has.
func (c *Config) operations(w transport.Workload) int {
	if w == transport.Hold || c.Operations == 0 {
		return DefaultOperations(w)
	}
	return c.Operations
}

// inFlight is how many connections a run of w has at once.
func (c *Config) inFlight(w transport.Workload) int {
	if w == transport.Hold {
		return cmp.Or(c.Connections, c.held, DefaultHeld)
	}
	return min(cmp.Or(c.Connections, DefaultConnections), c.operations(w))
}

// Run compares. When ctx ends it stops the run that is under way and returns what was done, with Report.Stopped set and no
// error. It fails if the config makes no sense, if the machine has no room for the connections (*plan.Shortage, wrapped;
// nothing was opened then), or if the targets can't be started.
func Run(ctx context.Context, c Config) (*Report, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	machine, err := limits.Read()
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	c.held = min(DefaultHeld, max(machine.FDBudget(limits.FDReserve)*9/10-transport.MaxDials, 1))
	if err := c.checkRoom(machine); err != nil {
		return nil, err
	}
	r := &runner{config: c, report: newReport(&c), perFleet: fleetShare(machine)}
	if len(c.Targets) == 0 {
		r.pin()
	}
	for i := range r.report.Sections {
		if ctx.Err() != nil {
			break
		}
		if err := r.section(ctx, &r.report.Sections[i]); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		r.report.Stopped = context.Cause(ctx).Error()
	}
	r.report.finish()
	return r.report, nil
}

// runner is one Run.
type runner struct {
	config         Config
	report         *Report
	perFleet       int // connections that a process of the fleet takes
	client, server []int
	done           int
}

// pin shares the CPUs among the two sides, where the platform can pin.
func (r *runner) pin() {
	cpus, err := process.CPUs()
	if err != nil {
		return // as it is: the report shows no CPUs
	}
	r.client, r.server = split(cpus)
	r.report.ClientCPUs, r.report.ServerCPUs = r.client, r.server
}

// split shares CPUs: the second half for what is measured, which is the larger if they differ. Fewer than two can't be shared.
func split(cpus []int) (client, server []int) {
	if len(cpus) < 2 {
		return nil, nil
	}
	return cpus[len(cpus)/2:], cpus[:len(cpus)/2]
}

// section does one workload over all transports in all rounds.
func (r *runner) section(ctx context.Context, s *Section) error {
	goal := r.given()
	var f *fleet
	if len(r.config.Targets) == 0 {
		var err error
		if f, err = r.startFleet(ctx, s.workload); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("compare: start the targets: %w", err)
		}
		defer f.stop()
		goal = f.goal()
	}
	for round := range r.config.Rounds {
		for _, i := range rotation(len(s.Rows), round) {
			row := &s.Rows[i]
			if row.Unsupported != "" {
				continue
			}
			if ctx.Err() != nil {
				return nil
			}
			if r.config.OnStep != nil {
				r.config.OnStep(Step{Workload: s.workload, Transport: row.Transport, Round: round + 1, Rounds: r.config.Rounds,
					Done: r.done, Total: r.report.total()})
			}
			run := r.run(ctx, r.task(s.workload, row.Transport, goal))
			run.Round = round + 1
			if why := f.died(); why != nil {
				run.Error = fmt.Sprintf("the targets died: %v", why)
			}
			row.Runs = append(row.Runs, run)
			r.done++
		}
	}
	return nil
}

// given is where to connect if the user says so.
func (r *runner) given() goal {
	c := &r.config
	return goal{Targets: c.Targets, ServerName: c.ServerName, Insecure: c.Insecure, RootPEM: c.RootPEM}
}

// rotation is the order of n rows in a round, counted from 0.
func rotation(n, round int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = (i + round) % n
	}
	return order
}

// checkRoom returns the limit that stands in the way of the connections, a *plan.Shortage, wrapped.
func (c *Config) checkRoom(machine limits.Limits) error {
	for _, w := range c.Workloads {
		for _, name := range c.Transports {
			if ok, _ := find(name).Supports(w); !ok {
				continue
			}
			n := c.inFlight(w)
			need := descriptors(name, w, n)
			var targets []plan.Target
			for _, t := range c.Targets {
				targets = append(targets, plan.Target{Addr: t})
			}
			if len(c.Targets) == 0 { // as many as the fleet will have
				for i := range min(fleetSize(need, fleetShare(machine)), plan.MaxTargets-1) {
					targets = append(targets, plan.Target{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(1+i))})
				}
			}
			p, err := plan.New(targets, nil)
			if err != nil {
				return fmt.Errorf("compare: %w", err)
			}
			if s := p.Room(machine, plan.Want{Connections: need, Processes: 1}); s != nil {
				s.Allows, s.Wanted = s.Allows*n/need, n
				return fmt.Errorf("%v over %s: %w", w, name, s)
			}
		}
	}
	return nil
}

// descriptors is how many a transport takes at most for n connections. gnet has two for each that it dials, the others that
// block in a dial have at most transport.MaxDials more for a moment.
func descriptors(name string, w transport.Workload, n int) int {
	switch {
	case name == Ours:
		return n
	case name == "gnet" && (w == transport.Connect || w == transport.TLS):
		return 2 * n
	}
	return n + transport.MaxDials
}

// fleetShare is how many connections a process of the fleet takes: what a pair of addresses carries, and what package serve
// leaves to one kind.
func fleetShare(machine limits.Limits) int {
	return max(1, min(plan.MaxPerPair, machine.FDBudget(limits.FDReserve)*3/4))
}

// supports is why a transport can't do a workload, empty if it can.
func supports(name string, w transport.Workload) string {
	if ok, why := find(name).Supports(w); !ok {
		return why
	}
	return ""
}
