//go:build !windows

// Package limits reads what this machine allows: descriptors, local ports, memory, CPUs and the kernel's settings for
// TCP. It only reads; what to do about a limit is told by Advice and decided by others (the engine by its budgets, a user
// by `sonde doctor`). This file is the contract; one file per platform provides read and the names of its settings.
//
// What a platform must provide:
//
//   - read, which fills every field that the platform has and leaves the others Unknown. It fails only if the limit on
//     descriptors can't be read: without that no budget can be given.
//   - knobs, the names of its settings and the commands that raise them.
//
// All of it is a snapshot: the settings belong to the machine and may change under us.
package limits

import (
	"math"
	"runtime"
	"time"
)

// Unknown stands for a figure that this platform does not have or does not let us read.
const Unknown int64 = -1

// Unlimited stands for a limit that is not set (RLIM_INFINITY in getrlimit(2), "max" in a cgroup).
const Unlimited int64 = math.MaxInt64

// FDReserve is how many descriptors a process should keep back from its connections: pollers, their timers and wake-ups
// (four for each loop), the output and state files, name resolution (32 sockets at most), and some to spare.
const FDReserve = 128

// Limits is what this machine allows. Sizes are in bytes, counts are plain; see Unknown and Unlimited. A Limits is a value:
// copy it, compare it, change it in a test.
type Limits struct {
	Files     Files
	Ports     Ports
	TCP       TCP
	Conntrack Conntrack
	Memory    Memory
	// CPUs is how many CPUs this process may run on: its affinity, not the machine's number (sched_getaffinity(2)).
	CPUs int64
	// Procs is how many OS threads run Go code at once (GOMAXPROCS): CPUs, less under a cgroup's CPU quota.
	Procs int64
	// Root tells whether the process may raise limits itself.
	Root bool
}

// Files is about descriptors.
type Files struct {
	// Soft is the limit that the kernel enforces (RLIMIT_NOFILE, getrlimit(2)): the first descriptor number that can't be
	// had. The Go runtime sets it to Hard-1 when the process starts (package syscall), so nobody here does it again.
	Soft int64
	// Hard is how far the process may raise Soft itself.
	Hard int64
	// InUse is how many descriptors below Soft the process has open.
	InUse int64
	// PerProcess is the most that Hard can be set to (fs.nr_open in proc_sys_fs(5); kern.maxfilesperproc).
	PerProcess int64
	// System is the most open files of all processes together (fs.file-max; kern.maxfiles); SystemInUse is how many there
	// are now. On Linux a process with CAP_SYS_ADMIN may go above System.
	System, SystemInUse int64
}

// Ports is about the local ports that connect(2) chooses from (ip_local_port_range in ip(7)). It is a setting of the
// network namespace.
type Ports struct {
	First, Last int64 // both included
	// Reserved is how many of them are never chosen (ip_local_reserved_ports).
	Reserved int64
}

// TCP is the kernel's settings for TCP (tcp(7)).
type TCP struct {
	// Backlog is the most connections that may wait for accept(2) on one listener (somaxconn, listen(2)).
	Backlog int64
	// SYNBacklog is the most half-open connections of one listener before SYN cookies begin (tcp_max_syn_backlog).
	SYNBacklog int64
	// TimeWait is how long a closed connection holds its port on the side that closed first (RFC 9293 s.3.6.1): 60 s on
	// Linux, twice the MSL elsewhere. Zero if not known.
	TimeWait time.Duration
	// TimeWaitMax is the most connections in TIME_WAIT; those above it are dropped at once (tcp_max_tw_buckets).
	TimeWaitMax int64
	// TimeWaitReuse tells whether connect may take over a port in TIME_WAIT after a second (tcp_tw_reuse): 0 never,
	// 1 always, 2 on loopback only.
	TimeWaitReuse int64
	// FINTimeout is how long a connection that is closed here but not there stays in FIN_WAIT_2 (tcp_fin_timeout). Zero
	// if not known.
	FINTimeout time.Duration
	// SYNGiveUp is when the kernel itself gives up a connect that nobody answers (tcp_syn_retries and
	// tcp_syn_linear_timeouts). Zero if not known.
	SYNGiveUp time.Duration
	// SYNRetries is how often an unanswered SYN is sent again with a doubled wait (tcp_syn_retries).
	SYNRetries int64
	// Memory is how much all TCP buffers may hold together (the third figure of tcp_mem, in bytes).
	Memory int64
	// Receive and Send are the buffers of one socket (tcp_rmem, tcp_wmem).
	Receive, Send Buffer
}

// Buffer is the size of a socket's buffer in bytes: the least, what it starts with, and what it may grow to.
type Buffer struct{ Min, Default, Max int64 }

// Conntrack is the kernel's table of connections seen by the packet filter (nf_conntrack). When it is full new
// connections are dropped without a word, and healthy targets look dead.
type Conntrack struct {
	Max, InUse int64
	// TimeWait is how long a connection stays in the table after both sides have closed. Zero if not known.
	TimeWait time.Duration
}

// Memory is about main memory, in bytes.
type Memory struct {
	Total int64
	// Available is what can be had without swapping (MemAvailable in proc_meminfo(5)).
	Available int64
	// Cgroup is the smallest limit of the cgroups that the process is in; CgroupFree is how much may still be used under
	// the tightest of them. Unlimited without such a limit.
	Cgroup, CgroupFree int64
}

// Read takes the snapshot. Its error wraps the errno of getrlimit(2).
func Read() (Limits, error) {
	l := none()
	l.CPUs = int64(runtime.NumCPU())
	l.Procs = int64(runtime.GOMAXPROCS(0))
	if err := read(&l); err != nil {
		return Limits{}, err
	}
	return l, nil
}

// none returns Limits of which nothing is known.
func none() Limits {
	return Limits{
		Files: Files{Soft: Unknown, Hard: Unknown, InUse: Unknown, PerProcess: Unknown, System: Unknown, SystemInUse: Unknown},
		Ports: Ports{First: Unknown, Last: Unknown, Reserved: Unknown},
		TCP: TCP{
			Backlog: Unknown, SYNBacklog: Unknown, TimeWaitMax: Unknown, TimeWaitReuse: Unknown, SYNRetries: Unknown,
			Memory: Unknown, Receive: Buffer{Unknown, Unknown, Unknown}, Send: Buffer{Unknown, Unknown, Unknown},
		},
		Conntrack: Conntrack{Max: Unknown, InUse: Unknown},
		Memory:    Memory{Total: Unknown, Available: Unknown, Cgroup: Unlimited, CgroupFree: Unlimited},
	}
}

// FDBudget returns how many connections the process may have open, now: what is free below the limits of the process and
// of the machine, less reserve (see FDReserve). Never below zero.
func (l Limits) FDBudget(reserve int) int {
	limit := l.Files.Soft
	if l.Files.PerProcess != Unknown {
		// A hard limit that was set before fs.nr_open was lowered stays, but open(2) heeds both.
		limit = min(limit, l.Files.PerProcess)
	}
	left := free(limit, l.Files.InUse)
	if l.Files.System != Unknown && l.Files.SystemInUse != Unknown {
		left = min(left, free(l.Files.System, l.Files.SystemInUse))
	}
	return clampInt(left - int64(reserve))
}

// PortBudget returns how many connections at once the local ports allow to one destination (address and port), from the
// given number of source addresses; below 1 counts as 1. Connections in TIME_WAIT count too. Where the range is not known
// it is taken to be the dynamic ports of RFC 6335 s.6.
func (l Limits) PortBudget(sources int) int {
	ports := l.Ports.count()
	if ports == Unknown {
		ports = 65535 - 49152 + 1
	}
	return clampInt(ports * int64(max(sources, 1)))
}

// count returns how many ports connect may choose from, or Unknown.
func (p Ports) count() int64 {
	if p.First == Unknown || p.Last == Unknown {
		return Unknown
	}
	return max(p.Last-p.First+1-max(p.Reserved, 0), 0)
}

// free is what is left of a limit.
func free(limit, inUse int64) int64 {
	if limit == Unlimited {
		return Unlimited
	}
	return max(limit-max(inUse, 0), 0)
}

// clampInt cuts n to 0 and the largest int (2^31-1 on 32-bit machines).
func clampInt(n int64) int { return int(min(max(n, 0), math.MaxInt)) }
