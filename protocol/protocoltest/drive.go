package protocoltest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"sonde/protocol"
)

// taken is a frame that a parser gave.
type taken struct {
	Frame
	end  int // offset in the stream behind the frame and its framing
	seen int // how many bytes of the stream had come when the parser gave it
}

// run is what a parser made of one stream.
type run struct {
	frames  []taken
	off     int   // bytes of the stream that were consumed
	err     error // the last answer that was no frame
	fromEnd bool  // the last frame came from ParseEnd
	fault   error // a breach of the contract; the run stopped there
}

// drive gives p the stream as if it came in pieces that end at the edges. A patient caller heeds MinFrameSize, as the
// engine does; the other calls with whatever is there. It stops at the first error that is not ErrIncomplete.
func drive(p protocol.FrameParser, stream []byte, edges []int, patient bool) *run {
	r := &run{err: protocol.ErrIncomplete}
	for _, edge := range edges {
		for r.off < edge && r.fault == nil {
			if patient && edge-r.off < p.MinFrameSize() {
				break
			}
			if !r.step(p, stream[r.off:edge], edge) {
				break
			}
		}
		if r.fault != nil || r.err != protocol.ErrIncomplete {
			return r
		}
	}
	return r
}

// step makes one call of ParseFrame on a copy of avail and reports whether it gave a frame.
func (r *run) step(p protocol.FrameParser, avail []byte, edge int) bool {
	buf := slices.Clip(bytes.Clone(avail))
	least := p.MinFrameSize()
	f, n, err := p.ParseFrame(buf)
	if !bytes.Equal(buf, avail) {
		r.fail("ParseFrame wrote to the buffer")
		return false
	}
	if err != nil {
		r.err = err
		r.checkError(p, buf, n, err)
		return false
	}
	switch {
	case least < 1:
		r.fail("MinFrameSize: got %d, want at least 1", least)
	case n < 1 || n > len(buf):
		r.fail("consumed with a frame: got %d, want 1 to %d", n, len(buf))
	case n < least:
		r.fail("frame of %d bytes, but MinFrameSize said %d", n, least)
	case n > protocol.MaxFrameSize || len(f.Data) > protocol.MaxFrameSize:
		r.fail("frame of %d bytes (%d of data), above protocol.MaxFrameSize", n, len(f.Data))
	default:
		r.off += n
		r.frames = append(r.frames, taken{Frame{f.Kind, string(f.Data)}, r.off, edge})
	}
	// Whatever the parser still holds of this buffer is gone when the next call comes.
	for i := range buf {
		buf[i] = 0xA5
	}
	return r.fault == nil
}

// checkError checks an answer that is no frame.
func (r *run) checkError(p protocol.FrameParser, buf []byte, n int, err error) {
	var m *protocol.MalformedError
	switch {
	case n != 0:
		r.fail("consumed with error %q: got %d, want 0", err, n)
	case err == protocol.ErrIncomplete:
		if len(buf) >= protocol.MaxFrameSize {
			r.fail("ErrIncomplete for %d bytes: no buffer is larger", len(buf))
		}
		return
	case errors.As(err, &m):
		if m.Format == "" || m.Reason == "" {
			r.fail("MalformedError without a format or a reason: %+v", *m)
		} else if m.Offset < 0 || m.Offset > len(buf) {
			r.fail("MalformedError.Offset: got %d, want 0 to %d", m.Offset, len(buf))
		}
	case errors.Is(err, protocol.ErrTooLarge):
		if err == protocol.ErrTooLarge {
			r.fail("ErrTooLarge does not say the limit; wrap it")
		}
	default:
		r.fail("error outside the contract: %v", err)
	}
	if r.fault != nil {
		return
	}
	if _, n, again := p.ParseFrame(bytes.Clone(buf)); n != 0 || classOf(again) != classOf(err) {
		r.fail("asked again with the same bytes: got %d, %v, want 0, %v", n, again, err)
	}
}

// finish is the peer's FIN: what is left goes to ParseEnd, if the parser has one.
func (r *run) finish(p protocol.FrameParser, stream []byte) {
	ep, ok := p.(protocol.EndParser)
	if !ok || r.fault != nil || r.err != protocol.ErrIncomplete {
		return
	}
	rest := bytes.Clone(stream[r.off:])
	f, n, err := ep.ParseEnd(rest)
	switch {
	case n < 0 || n > len(rest):
		r.fail("ParseEnd consumed: got %d, want 0 to %d", n, len(rest))
	case err == nil:
		r.off += n
		r.fromEnd = true
		r.frames = append(r.frames, taken{Frame{f.Kind, string(f.Data)}, r.off, len(stream)})
	case n != 0:
		r.fail("ParseEnd consumed with error %q: got %d, want 0", err, n)
	case err != protocol.ErrIncomplete && classOf(err) == unknown:
		r.fail("ParseEnd: error outside the contract: %v", err)
	}
}

func (r *run) fail(format string, args ...any) {
	if r.fault == nil {
		r.fault = fmt.Errorf("at byte %d, after %d frames: %w", r.off, len(r.frames), fmt.Errorf(format, args...))
	}
}

// joined returns the frames with adjacent parts made one.
func (r *run) joined(parts []uint8) []Frame {
	var out []Frame
	open := false
	for _, f := range r.frames {
		isPart := slices.Contains(parts, f.Kind)
		if isPart && open {
			last := &out[len(out)-1]
			last.Kind = f.Kind
			last.Data += f.Data
		} else {
			out = append(out, f.Frame)
		}
		open = isPart
	}
	return out
}

// compare holds the run of a stream split at the edges against the run of the whole.
func (k kit) compare(whole, split *run, edges []int) error {
	if split.fault != nil {
		return split.fault
	}
	if err := diffFrames(whole.joined(k.parts), split.joined(k.parts)); err != nil {
		return err
	}
	if got, want := classOf(split.err), classOf(whole.err); got != want {
		return fmt.Errorf("ended with %s (%v), in one piece with %s (%v)", got, split.err, want, whole.err)
	}
	if err := split.late(edges); err != nil {
		return err
	}
	if len(k.parts) > 0 {
		return nil // where a frame ends may depend on how the parts before it came
	}
	for i := range whole.frames {
		if got, want := split.frames[i].end, whole.frames[i].end; got != want {
			return fmt.Errorf("frame %d ends at byte %d, in one piece at %d", i, got, want)
		}
	}
	return nil
}

// late returns an error for the first frame that did not come at the first edge at which it was whole.
func (r *run) late(edges []int) error {
	for i, f := range r.frames {
		at, _ := slices.BinarySearch(edges, f.end)
		if at < len(edges) && f.seen != edges[at] {
			return fmt.Errorf("frame %d ends at byte %d, but came only after %d bytes", i, f.end, f.seen)
		}
	}
	return nil
}

func diffFrames(want, got []Frame) error {
	if len(want) == 0 && len(got) == 0 {
		return nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("frames differ (-want +got):\n%s", diff)
	}
	return nil
}

func wantReason(reason string, err error) error {
	if !strings.Contains(err.Error(), reason) {
		return fmt.Errorf("error text: got %q, want %q in it", err, reason)
	}
	return nil
}

// cuts returns the places, ascending and ending with n, at which a stream of n bytes is split.
func cuts(n int) []int {
	const dense, ends, between = 1024, 128, 256
	var out []int
	for i := 1; i < n; i++ {
		if n <= dense || i <= ends || i >= n-ends || i%(n/between+1) == 0 {
			out = append(out, i)
		}
	}
	if n > 0 {
		out = append(out, n)
	}
	return out
}
