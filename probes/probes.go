// Package probes is the contract of a probe: what it reports and how it talks to a target. Each probe is a folder below
// this one and a line in probes/builtin; docs/adding-a-probe.md shows how to add one. A probe does no I/O: it hands the
// engine a protocol.Exchange.
package probes

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sonde/protocol"
	"sonde/target"
)

// Probe knows one way of asking a target how it is.
type Probe interface {
	// About describes the probe for `sonde probes`, completion and the manual.
	About() About
	// Exchange returns the conversation with t, or nil when an established connection is all that is wanted. It is called
	// when the connection is ready, by any loop: a Probe is immutable and safe for concurrent use. t is valid until
	// the exchange is closed; an Exchange copies what it keeps in its Finding.
	Exchange(t *target.Target) protocol.Exchange
}

// About is what a user may know of a probe before running it.
type About struct {
	// Name is the word for --probe: lower case, no spaces.
	Name string
	// Summary is one line without a full stop: what the probe asks and when it is content.
	Summary string
	// Port is the port for a target that names none; 0 if the probe has no usual port.
	Port uint16
	// Schemes are the URL schemes that choose this probe ("redis" for redis://host).
	Schemes []string
	// TLSPort is the port over TLS for a target that names none, TLSSchemes the URL schemes that choose the probe over TLS
	// ("https"). 0 and none if TLS has no port and no scheme of its own.
	TLSPort    uint16
	TLSSchemes []string
	// ALPN are the protocols that the probe offers over TLS (RFC 7301) unless the user names others; nil: none.
	ALPN []string
	// Options names the flags that this probe heeds ("--send"), for `sonde probes` and to warn of flags without effect.
	Options []string
	// Reports are the fields of its result.
	Reports []Field
}

// Field is one field of a probe's result.
type Field struct {
	Name string // the JSON name; of a member of an object behind "object.", of a list's entries behind "list[]."
	Type string // "string", "integer", "boolean", "list", "object"
	Doc  string // what it says, one line, with its unit
}

// Configurable is a Probe that heeds options. Configure returns a Probe that works by them, or an error that names the
// flag, what is wrong and how to mend it. The receiver stays as it is.
type Configurable interface {
	Probe
	Configure(o Options) (Probe, error)
}

// Options is what the command line says about what is said and heard. The zero value asks for a probe's own defaults.
type Options struct {
	// Send is what to send first, escapes (\r \n \t \0 \xHH \\) already undone. Nil sends nothing.
	Send []byte
	// Expect must match what is heard (for http: the body). Nil expects nothing.
	Expect *regexp.Regexp
	// ReadBytes is the most bytes of an answer that are read; 0 means the probe's default. At most 64 KiB.
	ReadBytes int
	// NewFrame makes the parser that --frame describes; nil without --frame.
	NewFrame func() protocol.FrameParser
	// HTTP is for the http probe.
	HTTP HTTPOptions
	// TLS is for every probe that runs over TLS, and for the tls probe.
	TLS TLSOptions
	// Greeted says that the server's greeting was read before the exchange begins, as a part of STARTTLS: the exchange
	// sends first.
	Greeted bool
}

// HTTPOptions shape the request of the http probe and what it wants to see.
type HTTPOptions struct {
	Method  string        // default GET
	Host    string        // Host header; default the target's domain or address
	Path    string        // default the URL's path, else "/"
	Headers []string      // "Name: value", in order
	Status  []StatusRange // the status codes that count as success; empty: 200-399
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ From, To int }

// ParseStatusRange reads one code or a range of them, as in "200" and "400-404".
func ParseStatusRange(text string) (StatusRange, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	if errFrom != nil || errTo != nil || from < 100 || to > 999 || from > to {
		return StatusRange{}, fmt.Errorf("%q: want status codes of 100 to 999 and ranges of them, as in 200,301,400-404", text)
	}
	return StatusRange{From: from, To: to}, nil
}
