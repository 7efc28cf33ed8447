// Package usage tells what this process has used of the machine so far: CPU time, memory in RAM, threads. It only reads.
// This file is the contract; one file per platform provides what is asked for here:
//
//   - cpu: getrusage(2) of the whole process;
//   - resident: the bytes in RAM now, or Unknown;
//   - threads: the OS threads now, or Unknown;
//   - tcp: what all of TCP holds now, or Unknown;
//   - slab: what the kernel's slabs hold now, or Unknown.
//
// What a process used between two moments is the difference of two readings.
package usage

import (
	"fmt"
	"time"
)

// Unknown stands for a figure that this platform does not tell.
const Unknown int64 = -1

// Usage is what the process has used. Resident and Threads are of the moment, User and System since its start.
type Usage struct {
	// User and System are the CPU time of all threads, those that have ended included (getrusage(2), RUSAGE_SELF).
	User, System time.Duration
	// Resident is the memory of the process in RAM, in bytes, or Unknown.
	Resident int64
	// Threads is the number of OS threads, or Unknown. The Go runtime parks threads that it needs no more and hardly
	// ever ends one, so it is in effect the most that were ever needed.
	Threads int64
}

// CPU is User and System together.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// Read reads all of it. Resident costs a walk over the page tables of the process: about 1 ms for each GiB. Its error
// wraps the errno of getrusage(2).
func Read() (Usage, error) {
	user, system, err := cpu()
	if err != nil {
		return Usage{}, fmt.Errorf("getrusage: %w", err)
	}
	return Usage{User: user, System: system, Resident: resident(), Threads: threads()}, nil
}

// CPU reads the CPU time alone, for a moment that must be met exactly. Its error is as that of Read.
func CPU() (time.Duration, error) {
	user, system, err := cpu()
	if err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return user + system, nil
}

// Threads reads the number of OS threads alone, or Unknown.
func Threads() int64 { return threads() }

// TCP is what the kernel holds for TCP over IPv4 and IPv6 together, of all processes in this network namespace: a
// connection over loopback has both of its ends in it. Either may be Unknown.
type TCP struct {
	// Sockets is the number of TCP sockets over IPv4 in use, listeners included and TIME_WAIT not.
	Sockets int64
	// Memory is what their buffers hold, in bytes, in whole pages. The sockets themselves are not in it: some 4 KiB each.
	Memory int64
}

// ReadTCP reads it.
func ReadTCP() TCP { return tcp() }

// Slab is the memory that the kernel holds in slabs for whatever purpose, in bytes, or Unknown: sockets, open files and
// inodes are there.
func Slab() int64 { return slab() }
