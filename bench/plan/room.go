package plan

import (
	"fmt"
	"math"

	"sonde/internal/kernel/limits"
	"sonde/internal/workers"
)

// Descriptors that are no connections: standard streams, files of output, and for each loop an epoll, two eventfds and a
// timerfd.
const (
	fdReserve = 24
	fdPerLoop = 4
)

// Shortage is the limit that stands in the way of a load.
type Shortage struct {
	// Wanted is how many connections were asked for, Allows how many there is room for.
	Wanted, Allows int
	// Limit says which limit it is, where it is set and to what.
	Limit string
	// Raise is how to raise it on this machine: a command, or what else to do. Empty if nothing can be done to it.
	Raise string
	// Lack is what else to give would help; how that is asked for is the caller's to say.
	Lack Lack
}

// Lack is what there are too few of.
type Lack int

// What may be lacking. Nothing: it is the machine's alone.
const (
	LackNothing   Lack = iota
	LackWorkers        // there is one process
	LackProcesses      // there are several processes
	LackPairs          // of source address and target
)

// Error implements error.
func (s *Shortage) Error() string {
	return fmt.Sprintf("%d connections are more than there is room for: %s, which allows %d", s.Wanted, s.Limit, s.Allows)
}

// Want is what room is wanted for.
type Want struct {
	Connections int // at once
	Loops       int // of each process; 0: one a CPU
	Processes   int // 0: as many as the descriptors want, up to MaxWorkers
	TLS         bool
}

// Room returns nil if this machine has room for that, or the limit that allows the least.
func (p *Plan) Room(machine limits.Limits, w Want) *Shortage {
	least := p.descriptors(machine, w.Loops, w.Processes)
	for _, other := range []Shortage{p.ports(machine), memory(machine, w.TLS)} {
		if other.Allows < least.Allows {
			least = other
		}
	}
	if w.Connections <= least.Allows {
		return nil
	}
	least.Wanted = w.Connections
	return &least
}

// What a connection takes at its end, in bytes: the kernel's socket, file and inode without buffers in use (measured), and
// sonde's row, with TLS the session behind a chain of three certificates.
const (
	kernelPerConnection = 4 << 10
	oursPerConnection   = 256
	tlsPerConnection    = 9 << 10
)

// memory is the room that free memory leaves. The peers' ends are not in it.
func memory(machine limits.Limits, tls bool) Shortage {
	each, free := int64(kernelPerConnection+oursPerConnection), machine.Memory.Available
	if tls {
		each += tlsPerConnection
	}
	if machine.Memory.CgroupFree != limits.Unknown && machine.Memory.CgroupFree < free {
		free = machine.Memory.CgroupFree
	}
	if machine.Memory.Available == limits.Unknown {
		return Shortage{Allows: math.MaxInt}
	}
	return Shortage{
		Allows: int(free / each),
		Limit:  fmt.Sprintf("%d MiB of memory are free, and a connection takes about %.1f KiB at this end", free>>20, float64(each)/1024),
		Raise:  "free memory, raise the limit of the cgroup (memory.max), or spread the load over machines",
	}
}

// MaxWorkers is the most processes that are started by themselves.
const MaxWorkers = 1000

// PerProcess is how many connections a process has descriptors for, with so many loops; 0: one a CPU.
func PerProcess(machine limits.Limits, loops int) int {
	if loops <= 0 {
		loops = int(max(machine.Procs, 1))
	}
	return machine.FDBudget(fdReserve + loops*fdPerLoop)
}

// descriptors is the room that the limits on open files leave.
func (p *Plan) descriptors(machine limits.Limits, loops, processes int) Shortage {
	f := machine.Files
	each := PerProcess(machine, loops)
	parents := false // it is the first process that is short of descriptors, for the pipes to the others
	if processes <= 0 {
		most := max(workers.Most(each), 1)
		processes, parents = min(MaxWorkers, most), most < MaxWorkers
	}
	s := Shortage{
		Allows: each * processes,
		Limit:  fmt.Sprintf("a process may have %d files open (ulimit -n, getrlimit(2)), of which some are taken", f.Soft),
	}
	if advice := machine.Advice(); len(advice) > 0 { // open files come first, in the order in which they stand in the way
		s.Raise = advice[0].Raise
	}
	switch {
	case parents:
		s.Limit += fmt.Sprintf(", so that one can start at most %d others", processes)
	case processes == 1:
		s.Lack = LackWorkers
	case processes < MaxWorkers:
		s.Limit = fmt.Sprintf("each of %d processes may have %d files open (ulimit -n, getrlimit(2)), of which some are taken", processes, f.Soft)
		s.Lack = LackProcesses
	}
	if left := f.System - f.SystemInUse; f.System != limits.Unknown && f.SystemInUse != limits.Unknown && left < int64(s.Allows) {
		s.Allows = int(left)
		s.Limit = fmt.Sprintf("all processes together may have %d files open (fs.file-max), and have %d", f.System, f.SystemInUse)
		s.Raise, s.Lack = "sysctl -w fs.file-max="+fmt.Sprint(4*f.System), LackNothing
	}
	return s
}

// ports is the room that local ports leave.
func (p *Plan) ports(machine limits.Limits) Shortage {
	each, pairs := machine.PortBudget(1), p.Pairs()
	s := Shortage{
		Allows: min(each, MaxPerPair) * pairs,
		Limit: fmt.Sprintf("each pair of source address and target carries at most %d connections, beyond which each connect costs many times more, and %s",
			MaxPerPair, thereAre(pairs)),
		Lack: LackPairs,
	}
	if each < MaxPerPair {
		s.Limit = fmt.Sprintf("the kernel has %d local ports for each pair of source address and target (net.ipv4.ip_local_port_range), and %s", each, thereAre(pairs))
		s.Raise = "sysctl -w net.ipv4.ip_local_port_range='10240 65535'"
	}
	return s
}

func thereAre(pairs int) string {
	if pairs == 1 {
		return "there is 1 pair"
	}
	return fmt.Sprintf("there are %d pairs", pairs)
}
