// Package transport is the contract of what `sonde bench compare` holds side by side: the ways in which a Go program can
// keep many TCP connections. Each folder below is one of them, doing the same work by the same rules:
//
//   - std: package net, a goroutine for each connection;
//   - netpoll: cloudwego/netpoll;
//   - gnet: the client of panjf2000/gnet;
//   - loop: sonde's own, package engine.
//
// The rules:
//
//   - The load is closed: so many connections are in flight, and a new operation begins when another one has ended.
//   - Every connection is ended by RST (SO_LINGER 0, socket(7)): no TIME_WAIT takes the local ports, for anyone.
//   - Every operation has a limit of time, the same for all. One that fails is counted by a word of report.Status, told
//     from what the transport says; what a transport hides is not guessed.
//   - A latency is taken with the same clock and ends when the transport hands the result to its user.
//   - Each transport is used as its documentation has it for this purpose; where there was a choice, the code says why.
//
// What a transport is given beyond that (loops, buffers) is what it takes by itself on this machine.
//
// A Run measures the process that it runs in: nothing else should run there, the peers in particular. Memory that was
// used once, and threads that were started, stay with a process: transports whose Memory and Threads are to be compared
// want a process each.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sonde/internal/clock"
	"sonde/internal/histogram"
	"sonde/protocol"
)

// Workload is what is done over a transport.
type Workload uint8

const (
	// Connect opens a connection and ends it. One operation; its latency is from the dial until the transport hands the
	// connection over.
	Connect Workload = iota
	// TLS opens a connection, makes a TLS handshake (RFC 8446) and ends it. One operation; its latency is the handshake's.
	TLS
	// Hold opens all connections and keeps them. An operation is a ping that came back; its latency is the round trip.
	Hold
	// Echo opens all connections and says a line over each, again and again. An operation is a line that came back; its
	// latency is the round trip.
	Echo
)

// workloadNames are the names by which users know them.
var workloadNames = [...]string{"connect", "tls", "hold", "echo"}

// String returns the workload's name.
func (w Workload) String() string {
	if int(w) < len(workloadNames) {
		return workloadNames[w]
	}
	return fmt.Sprintf("workload(%d)", uint8(w))
}

// ParseWorkload returns the workload of that name.
func ParseWorkload(name string) (Workload, error) {
	for i, n := range workloadNames {
		if n == name {
			return Workload(i), nil
		}
	}
	return 0, fmt.Errorf("workload %q: want connect, tls, hold or echo", name)
}

// Transport is a way of keeping connections. Its methods are safe for concurrent use, but two Runs at once measure each
// other.
type Transport interface {
	// Name is the word by which users know it ("loop").
	Name() string
	// Supports reports whether the transport can do w, and if not why, in a few words for a person ("has no TLS").
	Supports(w Workload) (ok bool, why string)
	// Run does the job and returns when every connection of it is closed and every goroutine of it has ended or is about to.
	// When ctx ends it stops at once and returns what was done, with ctx's error wrapped. Another error says that the job
	// makes no sense or the machine does not let it be done; failed operations are none.
	Run(ctx context.Context, job Job) (Result, error)
}

// Limits bound the parts of an operation. Zero means the default.
type Limits struct {
	Connect   time.Duration // a dial; default 3.5 s
	Handshake time.Duration // a TLS handshake; default 5 s
	Read      time.Duration // from a line to the end of its echo; default 5 s
}

// Job is the work. The transport changes nothing in it.
type Job struct {
	Workload Workload
	// Targets are the addresses to connect to, in turn. More than about 12,000 connections at once to each of them make
	// each connect dear in the kernel, for every transport.
	Targets []netip.AddrPort
	// Connections is how many are in flight, or held, at least 1. Never more than Operations are opened for an Echo.
	Connections int
	// Operations is how many there are in all, those that fail included. Not for Hold.
	Operations int
	// Duration is how long the connections are held, from the moment when the last of them is there or has failed. Hold only.
	Duration time.Duration
	// PingInterval is how often a line is said over each held connection; 0 does not. Hold only.
	PingInterval time.Duration
	// Payload is the line, 1 byte to protocol.MaxFrameSize. For Echo, and Hold with a PingInterval.
	Payload []byte
	// TLS is the client's configuration, shared by all connections. For TLS only.
	TLS *tls.Config
	// Limits bound each operation.
	Limits Limits
	// Clock tells the time; default the system's. It must run as the system's does: timers and deadlines are the system's.
	Clock clock.Clock
}

// withDefaults checks the job and fills in what was left out.
func (j Job) withDefaults() (Job, error) {
	switch {
	case int(j.Workload) >= len(workloadNames):
		return j, fmt.Errorf("there is no %v", j.Workload)
	case len(j.Targets) == 0:
		return j, errors.New("no target given")
	case j.Connections < 1:
		return j, fmt.Errorf("%d connections: want at least 1", j.Connections)
	case j.Workload != Hold && j.Operations < 1:
		return j, fmt.Errorf("%d operations: want at least 1", j.Operations)
	case j.Workload == Hold && j.Duration <= 0:
		return j, fmt.Errorf("hold for %v: want a time above zero", j.Duration)
	case j.PingInterval < 0:
		return j, fmt.Errorf("ping interval %v: want none, or a time above zero", j.PingInterval)
	case j.speaks() && (len(j.Payload) == 0 || len(j.Payload) > protocol.MaxFrameSize):
		return j, fmt.Errorf("payload of %d bytes: want 1 to %d", len(j.Payload), protocol.MaxFrameSize)
	case j.Workload == TLS && j.TLS == nil:
		return j, errors.New("no TLS configuration given")
	}
	for _, t := range j.Targets {
		if !t.IsValid() || t.Port() == 0 {
			return j, fmt.Errorf("target %v: want an address and a port", t)
		}
	}
	if j.Workload != Hold {
		j.Connections = min(j.Connections, j.Operations)
	}
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&j.Limits.Connect, 3500*time.Millisecond)
	set(&j.Limits.Handshake, 5*time.Second)
	set(&j.Limits.Read, 5*time.Second)
	if j.Clock == nil {
		j.Clock = clock.NewSystem()
	}
	return j, nil
}

// speaks reports whether anything is said over the connections.
func (j Job) speaks() bool { return j.Workload == Echo || j.Workload == Hold && j.PingInterval > 0 }

// Target returns where the connection or operation i goes.
func (j Job) Target(i int) netip.AddrPort { return j.Targets[i%len(j.Targets)] }

// Result is what a Run did and what it cost.
type Result struct {
	// Operations is how many ended well.
	Operations int
	// Failed is how many did not, by the word of report.Status; for Hold also the connections that were not to be had, and
	// those that were lost. Operations that were under way when the run was cancelled are among them, as "cancelled"; those
	// that had not begun are not counted, nor are pings that were under way at the end of a Hold.
	Failed map[string]int
	// Latency is of the Operations.
	Latency *histogram.Histogram
	// Wall is from the first dial to the end of the last operation.
	Wall time.Duration
	// CPU is what the process used in this time, user and system, without what the measuring of memory took.
	CPU time.Duration
	// Held is how many connections stood when all had been opened or had failed, Ramp how long that took, and HeldCPU what of
	// CPU was used afterwards, when HeldOperations of the Operations ended. Hold only.
	Held           int
	Ramp           time.Duration
	HeldCPU        time.Duration
	HeldOperations int
	// Memory is what Held connections took. Hold only.
	Memory Memory
	// Goroutines and Threads are the most of the process that were seen, looking every 10 ms and 100 ms, and where all
	// connections stand. Threads is usage.Unknown where the platform does not tell.
	Goroutines int
	Threads    int64
}

// FailedOperations is how many failed, by whatever word.
func (r Result) FailedOperations() int {
	n := 0
	for _, failed := range r.Failed {
		n += failed
	}
	return n
}

// CPUPerOperation is CPU over all operations, those that failed included; 0 if there were none.
func (r Result) CPUPerOperation() time.Duration {
	n := r.Operations + r.FailedOperations()
	if n == 0 {
		return 0
	}
	return r.CPU / time.Duration(n)
}

// Memory is by how many bytes the process has grown, between two moments with nothing in it but what is in use: after a
// full garbage collection that gave free pages back to the system (debug.FreeOSMemory). It may be below zero by a little.
type Memory struct {
	// Resident is of the whole process, or usage.Unknown.
	Resident int64
	// Heap is of live objects, Stacks of goroutines' stacks, both as runtime/metrics has them.
	Heap, Stacks int64
}

// Per is m for each of n connections, zero if n is not above zero.
func (m Memory) Per(n int) Memory {
	if n <= 0 {
		return Memory{}
	}
	return Memory{Resident: m.Resident / int64(n), Heap: m.Heap / int64(n), Stacks: m.Stacks / int64(n)}
}
