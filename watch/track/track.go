// Package track keeps what is known of each target that is watched: what its last outcome was, whether it is up, its breaker and
// its kept connection, counts, and a history of its latencies. Most of it is rows without pointers, so that a hundred thousand
// targets are some dozen MB that the garbage collector need not look at. It has no clock and no lock: it belongs to the one
// goroutine that owns it, and others read copies ([Table.Copy]).
package track

import (
	"net/netip"
	"time"

	"sonde/policy/breaker"
	"sonde/probes"
	"sonde/protocol"
	"sonde/report"
)

// Label is one of a target's own.
type Label struct{ Name, Value string }

// Target is what does not change of a target while its configuration stands.
type Target struct {
	Job, Module string
	// Instance is how the target was written: "example.com:443", "https://example.com/health".
	Instance string
	// Labels are sorted by name and hold none of "job", "instance" and "module".
	Labels []Label
	// Keep says that a connection to it is kept.
	Keep bool
	// Interval is that between two probes.
	Interval time.Duration
}

// Hop is the phases of one connection of a probe: a redirect that is followed takes several.
type Hop struct {
	At                                  time.Time     // of its dial
	DNS, Connect, TLS, FirstByte, Total time.Duration // report.Absent for what did not happen
	Secure                              bool
}

// Result is what one probe of a target came to.
type Result struct {
	At       time.Time      // of the first dial
	Addr     netip.AddrPort // of the first hop of the last attempt; without an address if its name had none
	Status   report.Status
	Side     report.Side
	Error    string // for a person; empty for success
	Attempts int
	// Timing is that of the last attempt, over all its hops; Late is by how much it began after its turn.
	Timing report.Timing
	Late   time.Duration
	// Dialed is when the last connection was dialled; of one that never was, when that was known.
	Dialed time.Time
	Hops   []Hop // of the last attempt; nil if there was one that Timing says it all of
	Secure bool  // the last hop is over TLS, whatever came of that
	// Figures is what the probe learned in figures; nil if nothing.
	Figures *probes.Figures
	// Finding is all of it; nil if nothing was heard. The table does not keep it.
	Finding protocol.Finding
	// Fallback says that the module's fallback gave this answer, the module itself having failed with Status and Error.
	Fallback string
	// Pass is that of [Table.Allow]; 0 in another process, whose trials are others.
	Pass breaker.Pass `json:"-"`
}
