// Package target turns what a user names into targets: lists, files, standard input, CIDR blocks, ranges and URLs, in
// order or permuted, without what is excluded. It also resolves names. It opens no connection to a target.
package target

import (
	"fmt"
	"net/netip"
)

// Target is one thing to probe: an address and port, the name by which it is asked for, and the probe.
type Target struct {
	// Addr is where to connect. It is invalid while Domain is not resolved.
	Addr netip.Addr
	// Port is 1 to 65535.
	Port uint16
	// Domain is the name as the user gave it: resolved if Addr is invalid, and sent as Host or SNI in any case. Empty for
	// a bare address.
	Domain string
	// Tag is the user's label from the target line; it is carried to the record unchanged.
	Tag string
	// Probe is the name of the probe to run.
	Probe string
	// TLS has the probe run over TLS from the first byte.
	TLS bool
	// Path is the path and query of a URL target ("/health?x=1"), else empty.
	Path string
}

// Source yields targets one by one. It belongs to one goroutine.
type Source interface {
	// Next fills t with the next target, every field of it. It returns io.EOF when there are no more, and an *InputError
	// for one bad or refused entry, after which Next may be called again. Any other error ends the source.
	Next(t *Target) error
}

// Sized is a Source that knows how many targets it has left to yield, for progress and ETA. Exact is false for an
// estimate (a file that is not read to its end yet).
type Sized interface {
	Remaining() (n uint64, exact bool)
}

// Fault tells the kinds of InputError apart.
type Fault uint8

const (
	// Malformed: the entry could not be understood (status invalid-input).
	Malformed Fault = iota
	// Unroutable: the entry names an address that no TCP connection can have as its peer: 0.0.0.0/8, multicast, broadcast
	// (status invalid-input).
	Unroutable
	// Excluded: the entry is on an exclusion list (status blocked).
	Excluded
)

// InputError is an entry that gives no target. The scan goes on after it.
type InputError struct {
	Fault  Fault
	Origin string // file name, "stdin" or "argument"
	Line   int    // 1-based line or argument number
	Text   string // the entry as given, cut to 200 bytes
	Reason string // what is wrong with it
	Hint   string // how to mend it; may be empty
	// Target holds what could be understood: an Excluded entry's address, and its port and probe unless there are several.
	Target Target
}

// Error says where the entry stands, what it is and what is wrong with it. The entry is quoted, so that nothing in it can
// steer a terminal.
func (e *InputError) Error() string {
	where := fmt.Sprintf("%s:%d", e.Origin, e.Line)
	if e.Origin == originArgument {
		where = fmt.Sprintf("%s %d", e.Origin, e.Line)
	}
	text := fmt.Sprintf("%s: %q: %s", where, e.Text, e.Reason)
	if e.Hint != "" {
		text += " (hint: " + e.Hint + ")"
	}
	return text
}

// Origins that are not a file.
const (
	originArgument = "argument"
	originStdin    = "stdin"
)

// maxEntryText is how much of a bad entry an InputError repeats, in bytes: enough to find it, not enough to flood a terminal.
const maxEntryText = 200
