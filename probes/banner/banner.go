// Package banner is the probe for any protocol: it sends a text (or nothing, and waits for a greeting) and keeps what it
// hears. It stops as soon as it has heard enough:
//
//   - with --expect, at text that matches;
//   - with --frame, at the first whole frame, which must match if --expect is given too;
//   - with neither, at a newline;
//   - in any case at the byte limit, after 200 ms in which nothing came, or when the connection ends.
//
// The banner is all that had come by then, or the frame. What it is not told to look for it does not judge.
package banner

import (
	"bytes"
	"fmt"
	"regexp"
	"sync"
	"time"

	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
)

const (
	// DefaultReadBytes is the most bytes that are heard unless told otherwise. Greetings are lines, and 4 KiB is
	// eight times the longest that SMTP allows (RFC 5321 s.4.5.3.1.5).
	DefaultReadBytes = 4 << 10
	// MostReadBytes is the most that may be asked for: the largest buffer.
	MostReadBytes = protocol.MaxFrameSize
)

// quiet is how long nothing comes before a banner without an end is taken to be over. It is above any jitter that is
// usual between two segments of one answer, and short enough not to count in a scan.
const quiet = 200 * time.Millisecond

// Probe hears what a server says. The zero value sends nothing and waits for a line.
type Probe struct{ c *config }

var _ probes.Configurable = Probe{}

// config is what all exchanges of a Probe share. It is immutable but for the pool, which is safe for concurrent use.
type config struct {
	send      []byte
	expect    *regexp.Regexp
	readBytes int // 1 to MostReadBytes; with newFrame it counts the framing too
	newFrame  func() protocol.FrameParser
	// idle holds exchanges whose Conclusion was called: nobody else has them then.
	idle sync.Pool
}

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "banner",
		Summary: "sends a text if told to and keeps what it hears; content with a line, or with what --expect or --frame want",
		Options: []string{"--send", "--expect", "--read-bytes", "--frame"},
		Reports: []probes.Field{
			{Name: "banner", Type: "string", Doc: "what was heard; with --frame the frame without its framing"},
			{Name: "banner_base64", Type: "string", Doc: "the same bytes in base64, if they are not UTF-8"},
			{Name: "bytes", Type: "integer", Doc: "length of the banner in bytes"},
			{Name: "ended_by", Type: "string", Doc: "newline, frame, expect, quiet, limit, eof, reset, timeout, malformed or cancelled"},
			{Name: "match", Type: "list", Doc: "what the groups of --expect matched, in order"},
		},
	}
}

// Configure implements [probes.Configurable]. It heeds Send, Expect, ReadBytes and NewFrame. With NewFrame the default
// of ReadBytes is MostReadBytes: the parser's own limit is the one that counts.
func (Probe) Configure(o probes.Options) (probes.Probe, error) {
	c := &config{send: bytes.Clone(o.Send), expect: o.Expect, readBytes: o.ReadBytes, newFrame: o.NewFrame}
	switch {
	case o.ReadBytes < 0 || o.ReadBytes > MostReadBytes:
		return nil, fmt.Errorf("--read-bytes %d: want 1 to %d (64 KiB)", o.ReadBytes, MostReadBytes)
	case o.ReadBytes == 0 && o.NewFrame != nil:
		c.readBytes = MostReadBytes
	case o.ReadBytes == 0:
		c.readBytes = DefaultReadBytes
	}
	return Probe{c}, nil
}

// Exchange implements [probes.Probe].
func (p Probe) Exchange(*target.Target) protocol.Exchange {
	if p.c == nil {
		return newExchange(&config{readBytes: DefaultReadBytes})
	}
	if x, ok := p.c.idle.Get().(*exchange); ok {
		return x
	}
	return newExchange(p.c)
}
