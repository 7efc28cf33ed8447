// Package report is what sonde says about a run: one Record per target, written by a Sink as JSON lines, CSV or a table,
// and the summary and metadata at the end. It knows no engine and no probe.
package report

import (
	"net/netip"
	"time"
)

// Record is the one true line about one target. The Sink that it is given to reads it and keeps nothing of it.
type Record struct {
	// Timestamp is the dial, UTC; for a target that was never dialled, when that was decided.
	Timestamp time.Time
	IP        netip.Addr // invalid if the name did not resolve or the entry made no sense; written as ""
	Port      uint16     // 0 if not known
	Domain    string
	Tag       string
	Probe     string
	Status    Status
	Side      Side   // whose fault a failure is; SideNone for success
	Error     string // for a person, lower case; empty for success
	Attempts  int    // dials made
	Timing    Timing
	Result    Result // nil if there is none
}

// Absent marks a phase that did not happen. It is not written.
const Absent time.Duration = -1

// Timing holds how long each phase took. Phases are durations, not cumulative; [Absent] for one that did not happen.
// They are written in whole microseconds.
type Timing struct {
	SchedDelay time.Duration // from when the target should have been dialled until it was
	DNS        time.Duration // name resolution
	Connect    time.Duration // connect(2) to established, as we saw it
	KernelRTT  time.Duration // the same as the kernel saw it (tcpi_rtt)
	TLS        time.Duration // TLS handshake; Absent if it came to no end
	TLSCPU     time.Duration // what of it was ours: our computing, and waiting for a turn to compute
	TLSWait    time.Duration // what of it was waiting for the peer and the network
	FirstByte  time.Duration // from our request (or the start of listening) to the first byte of the answer
	Total      time.Duration // from the dial to the verdict
}

// NoTiming is a Timing of phases none of which happened.
var NoTiming = Timing{
	SchedDelay: Absent, DNS: Absent, Connect: Absent, KernelRTT: Absent, TLS: Absent, TLSCPU: Absent, TLSWait: Absent,
	FirstByte: Absent, Total: Absent,
}

// Result is what a probe found. protocol.Finding satisfies it.
type Result interface {
	// AppendJSON appends one JSON object.
	AppendJSON(dst []byte) []byte
	// Brief is the result in a few words, for a table.
	Brief() string
}

// Resumer is a Result that may tell of a TLS session that a second connection offered to resume.
type Resumer interface {
	Result
	// Resumption is how long the two handshakes took, in microseconds, 0 if that is not known, and what the server accepted
	// of the session: one of "psk" (RFC 8446 s.2.2), "ticket" (RFC 5077), "session-id" (RFC 5246 s.F.1.4) and "none", with
	// which the second handshake was a full one, or there was no session to offer. ok is false if none of it was found out.
	Resumption() (fullUS, resumedUS int64, method string, ok bool)
}

// Side says whose fault a failure is.
type Side uint8

// The sides.
const (
	SideNone   Side = iota // no failure; written as ""
	SideLocal              // ours: this machine, its limits, its routes
	SideRemote             // the target's, or the network's on the way there
	SidePolicy             // the user's rules forbid it
)

// String returns the word of the record.
func (s Side) String() string { return [...]string{"", "local", "remote", "policy"}[s] }

// Sink takes records. It belongs to one goroutine.
type Sink interface {
	// Write takes one record. An error is final: the sink has written whole records only, and takes no more.
	Write(r *Record) error
	// Flush hands everything written so far to the operating system.
	Flush() error
	// Close flushes and frees what the sink holds.
	Close() error
}
