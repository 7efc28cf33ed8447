package plan

import (
	"fmt"

	"sonde/internal/kernel/limits"
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
	// Raise is how to raise it: a command, or what else to give.
	Raise string
}

// Error implements error.
func (s *Shortage) Error() string {
	return fmt.Sprintf("%d connections are more than there is room for: %s, which allows %d", s.Wanted, s.Limit, s.Allows)
}

// Room returns nil if this machine has room for n connections at once by so many loops, or the limit that allows the least.
func (p *Plan) Room(machine limits.Limits, n, loops int) *Shortage {
	least := p.descriptors(machine, loops)
	if ports := p.ports(machine); ports.Allows < least.Allows {
		least = ports
	}
	if n <= least.Allows {
		return nil
	}
	least.Wanted = n
	return &least
}

// descriptors is the room that the limits on open files leave.
func (p *Plan) descriptors(machine limits.Limits, loops int) Shortage {
	f := machine.Files
	s := Shortage{
		Allows: machine.FDBudget(fdReserve + loops*fdPerLoop),
		Limit:  fmt.Sprintf("a process may have %d files open (ulimit -n, getrlimit(2)), of which some are taken", f.Soft),
	}
	for _, a := range machine.Advice() { // open files come first, in the order in which they stand in the way
		if a.Raise != "" {
			s.Raise = a.Raise
		}
		break
	}
	if f.System != limits.Unknown && f.SystemInUse != limits.Unknown && f.System-f.SystemInUse < f.Soft-f.InUse {
		s.Limit = fmt.Sprintf("all processes together may have %d files open (fs.file-max), and have %d", f.System, f.SystemInUse)
		s.Raise = "sysctl -w fs.file-max=" + fmt.Sprint(4*f.System)
	}
	return s
}

// ports is the room that local ports leave.
func (p *Plan) ports(machine limits.Limits) Shortage {
	each, pairs := machine.PortBudget(1), p.Pairs()
	s := Shortage{
		Allows: min(each, MaxPerPair) * pairs,
		Limit: fmt.Sprintf("each pair of source address and target carries at most %d connections, beyond which each connect costs many times more, and there are %d pairs",
			MaxPerPair, pairs),
		Raise: "name more targets (a block of addresses), or more source addresses by --source-ip",
	}
	if each < MaxPerPair {
		s.Limit = fmt.Sprintf("the kernel has %d local ports for each pair of source address and target (net.ipv4.ip_local_port_range), and there are %d pairs", each, pairs)
		s.Raise += ", or raise it: sysctl -w net.ipv4.ip_local_port_range='10240 65535'"
	}
	return s
}
