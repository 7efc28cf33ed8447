// Package protocoltest checks that a frame parser keeps the contract of package protocol, from samples that the parser's
// own test gives. It drives the parser as the engine does and worse: in one piece, byte by byte, split everywhere, with
// the buffer at a new address in each call and overwritten after it.
//
// A parser's test file needs two calls:
//
//	var samples = protocoltest.Samples{Valid: ..., Malformed: ..., TooLarge: ...}
//
//	func TestParser(t *testing.T)   { protocoltest.Run(t, newParser, samples) }
//	func FuzzParser(f *testing.F)   { protocoltest.Fuzz(f, newParser, samples.Seeds()...) }
//
// What a parser means by its frames is in the samples; this package checks only what is true of every format.
package protocoltest

import (
	"errors"
	"fmt"
	"runtime/debug"
	"testing"

	"sonde/protocol"
)

// Frame is a frame that a sample wants, with its Data as a string so that tables are short to write.
type Frame struct {
	Kind uint8
	Data string
}

// Valid is a stream of bytes and the frames in it.
type Valid struct {
	// Name is the name of the subtest.
	Name string
	// Stream is what the peer sends, from its first byte.
	Stream string
	// Frames are all its frames in order. Parts (see [Samples]) are written joined.
	Frames []Frame
	// AtEnd says that the last of Frames comes only when the stream ends, from ParseEnd.
	AtEnd bool
	// Rest is how many bytes at the end of Stream make no frame: the start of one that is not all there.
	Rest int
	// Once says that no second stream can follow this one over the same connection, so that it is not tried back to
	// back. A stream with AtEnd or a Rest is never tried so.
	Once bool
}

// Bad is a stream of bytes that the parser must turn down.
type Bad struct {
	// Name is the name of the subtest.
	Name string
	// Stream is what the peer sends. Its last byte is the one at which, at the latest, the parser must say no.
	Stream string
	// Frames come before the bad one, if any.
	Frames []Frame
	// Reason, if not empty, must be a part of the error's text.
	Reason string
}

// Samples are what a parser is tried on. Give at least one Valid and, unless the format has no bad bytes, one Malformed;
// a format with a limit has a TooLarge. A stream above 1 KiB is split at some 500 places instead of everywhere.
type Samples struct {
	Valid []Valid
	// Malformed streams must give a *protocol.MalformedError, whatever follows them.
	Malformed []Bad
	// TooLarge streams must give an error that wraps protocol.ErrTooLarge, whatever follows them.
	TooLarge []Bad
	// Parts are the kinds of frames that hand a longer thing out as it arrives (pieces of an HTTP body). Where one ends
	// depends on how the bytes came, so adjacent frames of these kinds are joined before they are compared; the joined
	// frame has the kind of its last part.
	Parts []uint8
}

// Seeds returns all streams, for [Fuzz].
func (s Samples) Seeds() [][]byte {
	var seeds [][]byte
	for _, v := range s.Valid {
		seeds = append(seeds, []byte(v.Stream))
	}
	for _, b := range s.Malformed {
		seeds = append(seeds, []byte(b.Stream))
	}
	for _, b := range s.TooLarge {
		seeds = append(seeds, []byte(b.Stream))
	}
	return seeds
}

// Run checks the parsers that newParser makes against the samples, one subtest each. The samples' streams and what it
// wants of them:
//
//   - valid: the same frames in one piece, byte by byte, split anywhere, after a Reset in the middle of another
//     stream, and back to back. A frame comes as soon as its last byte is there, and before that the answer is
//     ErrIncomplete: a parser that waits for the byte behind a frame would wait for ever on a peer that waits for us.
//   - malformed and too large: the right error, however split and whatever follows, twice if asked twice.
//   - always: consumed is 1 to len(buf) with a frame and 0 with an error; no frame is shorter than MinFrameSize said or
//     longer than protocol.MaxFrameSize; the buffer is only read; Reset makes the parser as new.
//   - in the steady state a valid stream allocates nothing (not measured under -race).
//
// t must not be a parallel test, because allocations are counted for the whole process.
func Run(t *testing.T, newParser func() protocol.FrameParser, s Samples) {
	t.Helper()
	if len(s.Valid) == 0 {
		t.Fatal("protocoltest: no valid samples")
	}
	k := kit{newParser: newParser, parts: s.Parts}
	for _, v := range s.Valid {
		t.Run("valid/"+v.Name, func(t *testing.T) {
			if err := k.checkValid(v); err != nil {
				t.Fatal(err)
			}
			if err := k.checkAllocs(v); err != nil {
				t.Error(err)
			}
		})
	}
	for _, b := range s.Malformed {
		t.Run("malformed/"+b.Name, func(t *testing.T) {
			if err := k.checkBad(b, s.Valid[0], malformed); err != nil {
				t.Error(err)
			}
		})
	}
	for _, b := range s.TooLarge {
		t.Run("too-large/"+b.Name, func(t *testing.T) {
			if err := k.checkBad(b, s.Valid[0], tooLarge); err != nil {
				t.Error(err)
			}
		})
	}
}

// kit is what all checks of one parser share.
type kit struct {
	newParser func() protocol.FrameParser
	parts     []uint8
}

func (k kit) checkValid(v Valid) error {
	stream := []byte(v.Stream)
	base, err := k.whole(v)
	if err != nil {
		return err
	}
	same := func(how string, p protocol.FrameParser, edges []int, patient bool) error {
		got := drive(p, stream, edges, patient)
		got.finish(p, stream)
		if err := k.compare(base, got, edges); err != nil {
			return fmt.Errorf("%s: %w", how, err)
		}
		return nil
	}
	all := cuts(len(stream))
	if err := same("byte by byte", k.newParser(), all, false); err != nil {
		return err
	}
	if err := same("byte by byte, never fewer than MinFrameSize", k.newParser(), all, true); err != nil {
		return err
	}
	used := k.newParser()
	for _, cut := range all {
		if err := same(fmt.Sprintf("split after byte %d", cut), k.newParser(), []int{cut, len(stream)}, false); err != nil {
			return err
		}
		drive(used, stream, []int{cut}, false)
		used.Reset()
		if err := same(fmt.Sprintf("after %d bytes and a Reset", cut), used, []int{len(stream)}, false); err != nil {
			return err
		}
		used.Reset()
	}
	return k.backToBack(v, base)
}

// whole drives the stream in one piece and holds the result against what the sample wants.
func (k kit) whole(v Valid) (*run, error) {
	p := k.newParser()
	base := drive(p, []byte(v.Stream), []int{len(v.Stream)}, false)
	base.finish(p, []byte(v.Stream))
	if base.fault != nil {
		return nil, fmt.Errorf("in one piece: %w", base.fault)
	}
	if err := diffFrames(v.Frames, base.joined(k.parts)); err != nil {
		return nil, fmt.Errorf("in one piece: %w", err)
	}
	if base.err != protocol.ErrIncomplete {
		return nil, fmt.Errorf("in one piece: after the last frame got error %v, want ErrIncomplete", base.err)
	}
	if base.fromEnd != v.AtEnd {
		return nil, fmt.Errorf("at the end of the stream: got a frame: %t, want %t", base.fromEnd, v.AtEnd)
	}
	if rest := len(v.Stream) - base.off; rest != v.Rest {
		return nil, fmt.Errorf("bytes that make no frame: got %d, want %d", rest, v.Rest)
	}
	return base, nil
}

// backToBack drives the stream twice through one parser, in one piece.
func (k kit) backToBack(v Valid, base *run) error {
	if v.Once || v.AtEnd || v.Rest > 0 || len(v.Stream) > protocol.MaxFrameSize/2 {
		return nil
	}
	twice := []byte(v.Stream + v.Stream)
	got := drive(k.newParser(), twice, []int{len(twice)}, false)
	if got.fault != nil {
		return fmt.Errorf("back to back: %w", got.fault)
	}
	want := &run{frames: append(append([]taken(nil), base.frames...), base.frames...)}
	if err := diffFrames(want.joined(k.parts), got.joined(k.parts)); err != nil {
		return fmt.Errorf("back to back: %w", err)
	}
	return nil
}

// checkAllocs counts the allocations of one stream through a parser that has seen it before.
func (k kit) checkAllocs(v Valid) error {
	if UnderRace() {
		return nil
	}
	p := k.newParser()
	ep, _ := p.(protocol.EndParser)
	stream := []byte(v.Stream)
	allocs := testing.AllocsPerRun(50, func() {
		buf := stream
		for len(buf) > 0 {
			_, n, err := p.ParseFrame(buf)
			if err != nil {
				break
			}
			buf = buf[n:]
		}
		if ep != nil {
			ep.ParseEnd(buf)
		}
		p.Reset()
	})
	if allocs > 0 {
		return fmt.Errorf("allocations for a stream of %d frames: got %v, want 0", len(v.Frames), allocs)
	}
	return nil
}

// UnderRace reports whether the test was built with -race, which allocates on its own account: allocations are not counted
// then.
func UnderRace() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// class is the kind of answer that ends a run. Two ways of splitting a stream must end in the same class, because it
// decides the status of the record.
type class string

const (
	incomplete class = "ErrIncomplete"
	malformed  class = "*MalformedError"
	tooLarge   class = "ErrTooLarge"
	unknown    class = "an error outside the contract"
)

func classOf(err error) class {
	var m *protocol.MalformedError
	switch {
	case err == protocol.ErrIncomplete:
		return incomplete
	case errors.As(err, &m):
		return malformed
	case errors.Is(err, protocol.ErrTooLarge):
		return tooLarge
	}
	return unknown
}

// checkBad wants every way of giving b to end in want, and the parser to be of use again after a Reset.
func (k kit) checkBad(b Bad, good Valid, want class) error {
	used := k.newParser()
	try := func(how, stream string, edges []int) error {
		used.Reset()
		got := drive(used, []byte(stream), edges, false)
		if err := k.turnedDown(b, got, want); err != nil {
			return fmt.Errorf("%s: %w", how, err)
		}
		return nil
	}
	n := len(b.Stream)
	if err := try("in one piece", b.Stream, []int{n}); err != nil {
		return err
	}
	if err := try("byte by byte", b.Stream, cuts(n)); err != nil {
		return err
	}
	for _, cut := range cuts(n) {
		if err := try(fmt.Sprintf("split after byte %d", cut), b.Stream, []int{cut, n}); err != nil {
			return err
		}
	}
	for _, tail := range []string{"\n", "\r\n", "\r\n\r\n", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff", "0", "a", " ", good.Stream} {
		if err := try(fmt.Sprintf("followed by %.20q", tail), b.Stream+tail, []int{n + len(tail)}); err != nil {
			return err
		}
	}
	used.Reset()
	again := drive(used, []byte(good.Stream), []int{len(good.Stream)}, false)
	again.finish(used, []byte(good.Stream))
	if again.fault != nil {
		return fmt.Errorf("valid stream after a Reset: %w", again.fault)
	}
	if err := diffFrames(good.Frames, again.joined(k.parts)); err != nil {
		return fmt.Errorf("valid stream after a Reset: %w", err)
	}
	return nil
}

// turnedDown checks that got ended as b should.
func (k kit) turnedDown(b Bad, got *run, want class) error {
	if got.fault != nil {
		return got.fault
	}
	if c := classOf(got.err); c != want {
		return fmt.Errorf("got %s (%v), want %s", c, got.err, want)
	}
	if err := diffFrames(b.Frames, got.joined(k.parts)); err != nil {
		return fmt.Errorf("frames before the bad one: %w", err)
	}
	return wantReason(b.Reason, got.err)
}
