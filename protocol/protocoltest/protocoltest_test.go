package protocoltest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sonde/protocol"
)

// toy is a parser of a small format: a digit, then as many bytes. 9 is above its limit, anything but a digit malformed.
// A stream may end with "0" and the rest of the stream as the last frame's data: it has a ParseEnd.
type toy struct {
	fault string // what this one does wrong; empty for the good parser
	calls int
	kept  []byte
}

func (p *toy) MinFrameSize() int {
	if p.fault == "minimum too high" {
		return 3
	}
	return 1
}

func (p *toy) Reset() {
	if p.fault != "keeps state over Reset" {
		p.calls = 0
	}
}

func (p *toy) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	p.calls++
	if len(buf) == 0 {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	n := int(buf[0] - '0')
	switch {
	case buf[0] < '0' || buf[0] > '9':
		return p.notDigit(buf)
	case n == 9 && p.fault == "bare limit":
		return protocol.Frame{}, 0, protocol.ErrTooLarge
	case n == 9 && (p.fault != "late limit" || len(buf) > 1):
		return protocol.Frame{}, 0, fmt.Errorf("9 bytes, limit 8: %w", protocol.ErrTooLarge)
	case len(buf) < 1+n:
		return p.short(buf)
	}
	return p.whole(buf, n)
}

func (p *toy) notDigit(buf []byte) (protocol.Frame, int, error) {
	switch {
	case p.fault == "unknown error":
		return protocol.Frame{}, 0, errors.New("bad")
	case p.fault == "consumes malformed":
		return protocol.Frame{}, 1, &protocol.MalformedError{Format: "toy", Reason: "not a digit"}
	case p.fault == "malformed only alone" && len(buf) > 1:
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	case p.fault == "offset out of range":
		return protocol.Frame{}, 0, &protocol.MalformedError{Format: "toy", Offset: 99, Reason: "not a digit"}
	}
	return protocol.Frame{}, 0, &protocol.MalformedError{Format: "toy", Reason: "not a digit"}
}

func (p *toy) short(buf []byte) (protocol.Frame, int, error) {
	switch p.fault {
	case "frame from a prefix":
		return protocol.Frame{Data: buf[1:]}, len(buf), nil
	case "malformed prefix":
		return protocol.Frame{}, 0, &protocol.MalformedError{Format: "toy", Reason: "too short"}
	case "consumes incomplete":
		return protocol.Frame{}, 1, protocol.ErrIncomplete
	}
	p.kept = buf
	return protocol.Frame{}, 0, protocol.ErrIncomplete
}

func (p *toy) whole(buf []byte, n int) (protocol.Frame, int, error) {
	data := buf[1 : 1+n]
	switch p.fault {
	case "takes nothing":
		return protocol.Frame{Data: data}, 0, nil
	case "takes too much":
		return protocol.Frame{Data: data}, len(buf) + 1, nil
	case "waits for the next byte":
		if len(buf) == 1+n {
			return protocol.Frame{}, 0, protocol.ErrIncomplete
		}
	case "counts calls", "keeps state over Reset":
		data = []byte{data[0] + byte(p.calls)}
	case "writes":
		buf[0] = 'x'
	case "allocates":
		data = bytes.Clone(data)
	case "holds on to the buffer":
		if len(p.kept) > 1 {
			data = append(p.kept[1:2:2], data[1:]...)
		}
	case "greedy":
		return protocol.Frame{Data: data}, len(buf), nil
	}
	return protocol.Frame{Data: data}, 1 + n, nil
}

func (p *toy) ParseEnd(buf []byte) (protocol.Frame, int, error) {
	if len(buf) == 0 || p.fault == "no last frame" {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Kind: 1, Data: buf[1:]}, len(buf), nil
}

var toySamples = Samples{
	Valid: []Valid{
		{Name: "one", Stream: "3abc", Frames: []Frame{{0, "abc"}}},
		{Name: "some", Stream: "3abc1a2bc", Frames: []Frame{{0, "abc"}, {0, "a"}, {0, "bc"}}},
		{Name: "end", Stream: "1a3bc", Frames: []Frame{{0, "a"}, {1, "bc"}}, AtEnd: true},
	},
	Malformed: []Bad{
		{Name: "letter", Stream: "x", Reason: "not a digit"},
		{Name: "second", Stream: "1ax", Frames: []Frame{{0, "a"}}},
	},
	TooLarge: []Bad{{Name: "nine", Stream: "9"}},
}

// firstError runs all checks of [Run] and returns the first complaint.
func firstError(newParser func() protocol.FrameParser, s Samples) error {
	k := kit{newParser: newParser, parts: s.Parts}
	for _, v := range s.Valid {
		if err := k.checkValid(v); err != nil {
			return err
		}
		if err := k.checkAllocs(v); err != nil {
			return err
		}
	}
	for _, b := range s.Malformed {
		if err := k.checkBad(b, s.Valid[0], malformed); err != nil {
			return err
		}
	}
	for _, b := range s.TooLarge {
		if err := k.checkBad(b, s.Valid[0], tooLarge); err != nil {
			return err
		}
	}
	return nil
}

func TestGoodParser(t *testing.T) {
	Run(t, func() protocol.FrameParser { return new(toy) }, toySamples)
}

// Each planted fault must be found, and found as what it is.
func TestPlantedFaults(t *testing.T) {
	faults := map[string]string{
		"minimum too high":        "MinFrameSize said 3",
		"keeps state over Reset":  "frames differ",
		"bare limit":              "does not say the limit",
		"late limit":              "got ErrIncomplete",
		"unknown error":           "outside the contract",
		"consumes malformed":      "consumed with error",
		"malformed only alone":    "got ErrIncomplete",
		"offset out of range":     "MalformedError.Offset",
		"frame from a prefix":     "frames differ",
		"malformed prefix":        "frames differ",
		"consumes incomplete":     "consumed with error",
		"takes nothing":           "consumed with a frame",
		"takes too much":          "consumed with a frame",
		"waits for the next byte": "frames differ",
		"counts calls":            "frames differ",
		"writes":                  "wrote to the buffer",
		"allocates":               "allocations",
		"holds on to the buffer":  "frames differ",
		"greedy":                  "frames differ",
		"no last frame":           "frames differ",
	}
	for fault, want := range faults {
		t.Run(fault, func(t *testing.T) {
			if fault == "allocates" && UnderRace() {
				t.Skip("allocations are not counted under -race")
			}
			err := firstError(func() protocol.FrameParser { return &toy{fault: fault} }, toySamples)
			if err == nil {
				t.Fatalf("got no error, want one with %q", want)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want %q in it", err, want)
			}
		})
	}
}

// A parser that gives its last frame one byte late is right about every frame but the time.
func TestLateFrame(t *testing.T) {
	r := run{frames: []taken{{end: 4, seen: 4}, {end: 6, seen: 9}}}
	if err := r.late([]int{4, 5, 9}); err != nil {
		t.Errorf("frame at the first edge behind its end: got %v, want nil", err)
	}
	if err := r.late([]int{4, 6, 9}); err == nil {
		t.Error("frame that is late: got nil, want an error")
	}
}

// chunks hands out whatever is there: a format of parts.
type chunks struct{}

func (chunks) MinFrameSize() int { return 1 }
func (chunks) Reset()            {}
func (chunks) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	if len(buf) == 0 {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Kind: 7, Data: buf}, len(buf), nil
}

func TestPartsAreJoined(t *testing.T) {
	s := Samples{Valid: []Valid{{Name: "text", Stream: "hello", Frames: []Frame{{7, "hello"}}}}}
	newParser := func() protocol.FrameParser { return chunks{} }
	if err := firstError(newParser, s); err == nil {
		t.Error("parts that are not declared: got nil, want an error")
	}
	s.Parts = []uint8{7}
	Run(t, newParser, s)
}

func TestCheckAnyFindsWhatDependsOnTheSplit(t *testing.T) {
	for fault, stream := range map[string]string{
		"":                    "3abc1a2bc9",
		"frame from a prefix": "3abc",
		"malformed prefix":    "3abc",
		"greedy":              "1a1b1c",
	} {
		k := kit{newParser: func() protocol.FrameParser { return &toy{fault: fault} }}
		err := k.checkAny([]byte(stream), edgesOf([]byte{0}, len(stream)))
		if (err != nil) != (fault != "") {
			t.Errorf("fault %q: got %v", fault, err)
		}
	}
}

func FuzzToy(f *testing.F) {
	Fuzz(f, func() protocol.FrameParser { return new(toy) }, toySamples.Seeds()...)
}
