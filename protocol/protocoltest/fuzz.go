package protocoltest

import (
	"testing"

	"sonde/protocol"
)

// Fuzz gives the parsers that newParser makes any bytes in any pieces and checks what is true of every format: no
// panic; the frames and the kind of the error do not depend on how the bytes came; consumed is in range and each frame
// takes at least a byte; no frame is above protocol.MaxFrameSize; nothing is asked for beyond it. The seeds are
// streams; [Samples.Seeds] has them.
func Fuzz(f *testing.F, newParser func() protocol.FrameParser, seeds ...[]byte) {
	f.Helper()
	FuzzParts(f, newParser, nil, seeds...)
}

// FuzzParts is [Fuzz] for a format with parts, see [Samples].
func FuzzParts(f *testing.F, newParser func() protocol.FrameParser, parts []uint8, seeds ...[]byte) {
	f.Helper()
	for _, seed := range seeds {
		f.Add(seed, []byte{1})
		f.Add(seed, []byte{3, 1, 7})
	}
	k := kit{newParser: newParser, parts: parts}
	f.Fuzz(func(t *testing.T, stream, pieces []byte) {
		if err := k.checkAny(stream, edgesOf(pieces, len(stream))); err != nil {
			t.Error(err)
		}
	})
}

// Check is what [Fuzz] does with one input, for a fuzz target of one's own that varies the parser's settings too. Each
// byte of pieces, plus one, is the length of a piece, over and over.
func Check(newParser func() protocol.FrameParser, stream, pieces []byte) error {
	return kit{newParser: newParser}.checkAny(stream, edgesOf(pieces, len(stream)))
}

// checkAny compares the stream in one piece with the same stream split at the edges.
func (k kit) checkAny(stream []byte, edges []int) error {
	p := k.newParser()
	whole := drive(p, stream, []int{len(stream)}, false)
	whole.finish(p, stream)
	if whole.fault != nil {
		return whole.fault
	}
	p = k.newParser()
	drive(p, stream, edges, true)
	p.Reset()
	split := drive(p, stream, edges, false)
	split.finish(p, stream)
	return k.compare(whole, split, edges)
}

// edgesOf turns pieces (see [Check]) into the edges of a stream of n bytes.
func edgesOf(pieces []byte, n int) []int {
	var edges []int
	for at, i := 0, 0; at < n && len(pieces) > 0; i++ {
		at = min(at+int(pieces[i%len(pieces)])+1, n)
		edges = append(edges, at)
	}
	if len(edges) == 0 && n > 0 {
		edges = []int{n}
	}
	return edges
}
