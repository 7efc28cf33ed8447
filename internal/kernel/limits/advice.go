//go:build !windows

package limits

import (
	"strconv"
	"time"
)

// Severity says whether a limit stands in the way.
type Severity uint8

const (
	// Fine: it stands in nobody's way.
	Fine Severity = iota
	// Tight: a large run meets it: 100,000 connections in flight, or 1,000 targets a second at one destination.
	Tight
	// Short: even a run with the flags' defaults meets it: 1,000 connections in flight.
	Short
)

// String returns the word that `sonde doctor` prints.
func (s Severity) String() string {
	switch s {
	case Tight:
		return "tight"
	case Short:
		return "short"
	}
	return "fine"
}

// Advice is one limit for a person to read.
type Advice struct {
	Name     string // as the system calls it: "net.core.somaxconn"
	Value    string // as it is now
	Allows   string // what it means for sonde
	Severity Severity
	// Raise is the exact command that raises the limit until the next boot, "" where there is none or
	// nothing to gain. It is for the shell that sonde is started from.
	Raise string
}

// What the two severities are measured by, and the values that the commands ask for.
const (
	defaultFlight  = 1000    // scan's default for --connections
	largeFlight    = 100_000 // connections in flight of a large run
	largeRate      = 1000    // targets a second at one destination
	wantFiles      = 1 << 20 // fs.nr_open's default: what a process can have without raising that too
	wantBacklog    = 4096    // the default since Linux 5.4
	wantFINTimeout = 15      // seconds
	firstPort      = 10240   // above it few services listen
	lastPort       = 65535

	// connectLimit is scan's default for --connect-timeout. A kernel that gives up sooner decides instead of us.
	connectLimit = 3500 * time.Millisecond
	// heldBytes is what a connection costs while it is held: about 4 KiB in the kernel (8 KiB for a loopback pair) and a
	// row of ours.
	heldBytes = 4<<10 + 160
)

// knobTable holds a platform's names of its settings, "" for one that it does not have. The set... fields are commands
// where a plain assignment does not do.
type knobTable struct {
	processFiles, perProcess, system string
	portRange, setPortRange          string
	backlog, synBacklog              string
	timeWaitMax                      string
	timeWait, setTimeWait            string
	finTimeout, synRetries           string
	tcpMemory, setTCPMemory          string
	receive, send                    string
	conntrack                        string
}

// Advice tells of each limit that is known what it allows and how to raise it, in a fixed order: descriptors, ports,
// closing, listening, packet filter, memory, CPUs.
func (l Limits) Advice() []Advice {
	var a adviser
	a.l = l
	a.files()
	a.ports()
	a.closing()
	a.connecting()
	a.listening()
	a.conntrack()
	a.buffers()
	a.memory()
	a.cpus()
	return a.list
}

// perSecond is how many a second fill n places that are each held for hold.
func perSecond(n int64, hold time.Duration) int64 {
	if n == Unknown || n == Unlimited {
		return n
	}
	return int64(float64(n) / hold.Seconds())
}

// atLeast grades a figure by what a default run and a large run need of it.
func atLeast(n, def, large int64) Severity {
	switch {
	case n < def:
		return Short
	case n < large:
		return Tight
	}
	return Fine
}

// count writes a number with its thousands set off, as a person reads it.
func count(n int64) string {
	switch n {
	case Unknown:
		return "unknown"
	case Unlimited:
		return "unlimited"
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size writes a number of bytes in the largest unit that leaves at least one.
func size(n int64) string {
	switch {
	case n == Unknown || n == Unlimited:
		return count(n)
	case n >= 1<<30:
		return strconv.FormatFloat(float64(n)/(1<<30), 'f', 1, 64) + " GiB"
	case n >= 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
	}
	return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
}
