package banner

import (
	"bytes"
	"fmt"

	"sonde/protocol"
)

// exchange hears one banner. It lives from Probe.Exchange to Conclusion and then goes back to the pool of its config,
// with its buffer and its parser.
type exchange struct {
	c      *config
	parser protocol.FrameParser
	send   [1][]byte

	heard []byte // at most c.readBytes
	// match is whether and where heard matches c.expect, as FindSubmatchIndex has it; without groups it holds no more than
	// that it matches.
	matched bool
	groups  []int

	endedBy string
	verdict protocol.Verdict
	reason  string
}

func newExchange(c *config) *exchange {
	x := &exchange{c: c}
	switch {
	case c.newFrame == nil:
		x.parser = chunkParser{}
	case c.readBytes < MostReadBytes:
		x.parser = &limitParser{inner: c.newFrame(), max: c.readBytes}
	default:
		x.parser = c.newFrame()
	}
	return x
}

// Begin implements [protocol.Exchange].
func (x *exchange) Begin() protocol.Step {
	step := protocol.Step{Quiet: quiet}
	if len(x.c.send) > 0 {
		// The slice of slices is this exchange's own, because many loops send c.send at a time.
		x.send[0] = x.c.send
		step.Send = x.send[:]
	}
	return step
}

// Parser implements [protocol.Exchange].
func (x *exchange) Parser() protocol.FrameParser { return x.parser }

// OnFrame implements [protocol.Exchange]. Without --frame a frame is whatever bytes have come.
func (x *exchange) OnFrame(f protocol.Frame) protocol.Step {
	fresh := x.hear(f.Data)
	switch {
	case x.c.newFrame != nil:
		return x.onWholeFrame()
	case x.c.expect != nil:
		x.look()
		if x.matched && !x.mayMatchMore() {
			return x.done("expect", protocol.Success, "")
		}
	case bytes.IndexByte(fresh, '\n') >= 0:
		return x.done("newline", protocol.Success, "")
	}
	if len(x.heard) < x.c.readBytes {
		return protocol.Step{Quiet: quiet}
	}
	if x.matched {
		return x.done("expect", protocol.Success, "")
	}
	return x.done("limit", protocol.OverLimit, fmt.Sprintf("%d bytes and no end", len(x.heard)))
}

// onWholeFrame judges the frame that was just heard.
func (x *exchange) onWholeFrame() protocol.Step {
	if x.c.expect != nil {
		if x.look(); !x.matched {
			return x.done("frame", protocol.Refused, fmt.Sprintf("frame of %d bytes does not match %#.60q", len(x.heard), x.c.expect))
		}
	}
	return x.done("frame", protocol.Success, "")
}

// OnEnd implements [protocol.Exchange]. rest is what the frame parser was given and made nothing of.
func (x *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	if x.matched {
		// The match lacked nothing; we only listened on for a longer one.
		x.done("expect", protocol.Success, "")
		return
	}
	x.hear(rest)
	switch end {
	case protocol.EndOfStream:
		x.onClosed()
	case protocol.EndQuiet:
		x.onQuiet()
	case protocol.EndMalformed:
		x.done("malformed", protocol.NotSpoken, err.Error())
	case protocol.EndTooLarge:
		reason := fmt.Sprintf("%d bytes and no whole frame", len(rest))
		if err != nil {
			reason = err.Error()
		}
		x.done("limit", protocol.OverLimit, reason)
	case protocol.EndReset:
		x.done("reset", protocol.Unfinished, "")
	case protocol.EndTimeout:
		x.done("timeout", protocol.Unfinished, "")
	default: // EndCancelled: nothing to blame the peer for
		x.done("cancelled", protocol.Unfinished, "")
	}
}

func (x *exchange) onClosed() {
	switch n := len(x.heard); {
	case n == 0:
		x.done("eof", protocol.Closed, "closed before the first byte")
	case x.c.newFrame != nil:
		x.done("eof", protocol.Closed, fmt.Sprintf("closed after %d bytes, before the frame was whole", n))
	case x.c.expect != nil:
		x.done("eof", protocol.Refused, fmt.Sprintf("closed after %d bytes that do not match %#.60q", n, x.c.expect))
	default:
		x.done("eof", protocol.Success, "")
	}
}

func (x *exchange) onQuiet() {
	switch n := len(x.heard); {
	case x.c.newFrame != nil:
		x.done("quiet", protocol.Refused, fmt.Sprintf("quiet for %v after %d bytes, before the frame was whole", quiet, n))
	case x.c.expect != nil:
		x.done("quiet", protocol.Refused, fmt.Sprintf("quiet for %v after %d bytes that do not match %#.60q", quiet, n, x.c.expect))
	default:
		x.done("quiet", protocol.Success, "")
	}
}

// hear keeps b as far as the byte limit allows and returns what of it was kept, valid until the next call.
func (x *exchange) hear(b []byte) []byte {
	before := len(x.heard)
	x.heard = append(x.heard, b[:min(len(b), x.c.readBytes-before)]...)
	return x.heard[before:]
}

// look searches all that was heard, because a match may begin in one segment and end in another. The byte limit bounds
// what that costs for a peer that sends single bytes.
func (x *exchange) look() {
	if x.c.expect.NumSubexp() == 0 {
		x.matched = x.c.expect.Match(x.heard)
		return
	}
	x.groups = x.c.expect.FindSubmatchIndex(x.heard)
	x.matched = x.groups != nil
}

// mayMatchMore reports whether bytes still to come could change what the groups hold: if the match reaches to the end of
// what was heard, "(\S+)" may hold half a word, cut where a segment ended. The verdict does not depend on it, so without
// groups there is nothing to wait for.
func (x *exchange) mayMatchMore() bool {
	return x.groups != nil && x.groups[1] == len(x.heard)
}

// done settles the outcome. The Step is for OnFrame; OnEnd needs none.
func (x *exchange) done(endedBy string, v protocol.Verdict, reason string) protocol.Step {
	x.endedBy, x.verdict, x.reason = endedBy, v, reason
	return protocol.Step{Then: protocol.Done}
}

// Conclusion implements [protocol.Exchange]. It is the last call: x goes back to the pool and must not be touched again.
func (x *exchange) Conclusion() protocol.Conclusion {
	f := &finding{banner: bytes.Clone(x.heard), endedBy: x.endedBy}
	if x.matched && x.groups != nil {
		f.match = make([]string, 0, x.c.expect.NumSubexp())
		for i := 2; i < len(x.groups); i += 2 {
			text := ""
			if from, to := x.groups[i], x.groups[i+1]; from >= 0 {
				text = string(x.heard[from:to])
			}
			f.match = append(f.match, text)
		}
	}
	c := protocol.Conclusion{Verdict: x.verdict, Reason: x.reason, Finding: f}
	x.recycle()
	return c
}

// recycle makes x as new and hands it to the pool. A buffer above the default size is not kept: a few long banners
// must not make every later exchange dear.
func (x *exchange) recycle() {
	heard := x.heard[:0]
	if cap(heard) > DefaultReadBytes {
		heard = nil
	}
	x.parser.Reset()
	*x = exchange{c: x.c, parser: x.parser, heard: heard}
	x.c.idle.Put(x)
}
