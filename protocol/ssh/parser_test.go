package ssh

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sonde/protocol"
	"sonde/protocol/protocoltest"
)

type frames = []protocoltest.Frame

func id(line string) protocoltest.Frame { return protocoltest.Frame{Kind: Identification, Data: line} }
func pre(line string) protocoltest.Frame {
	return protocoltest.Frame{Kind: Preamble, Data: line}
}

var longest = "SSH-2.0-" + strings.Repeat("x", MaxIdentification-len("SSH-2.0-\r\n"))

var samples = protocoltest.Samples{
	Valid: []protocoltest.Valid{
		{Name: "software and comments", Stream: "SSH-2.0-OpenSSH_9.2p1 Debian-2 x\r\n", Frames: frames{id("SSH-2.0-OpenSSH_9.2p1 Debian-2 x")}, Once: true},
		{Name: "both versions", Stream: "SSH-1.99-Cisco-1.25\n", Frames: frames{id("SSH-1.99-Cisco-1.25")}, Once: true},
		{Name: "preamble", Stream: "Welcome\r\n\r\nSSH \n SSH-2.0-no\r\nssh-2.0-no\r\nSSH-2.0-x\r\n",
			Frames: frames{pre("Welcome"), pre(""), pre("SSH "), pre(" SSH-2.0-no"), pre("ssh-2.0-no"), id("SSH-2.0-x")}, Once: true},
		{Name: "preamble only", Stream: "220 mail.example.com ESMTP\r\n", Frames: frames{pre("220 mail.example.com ESMTP")}},
		{Name: "longest", Stream: longest + "\r\n", Frames: frames{id(longest)}, Once: true},
		{Name: "longest preamble line", Stream: strings.Repeat("x", MaxPreambleLine-1) + "\n", Frames: frames{pre(strings.Repeat("x", MaxPreambleLine-1))}},
		{Name: "cut", Stream: "SSH-2.0-Open", Rest: 12},
	},
	Malformed: []protocoltest.Bad{
		{Name: "NUL in the preamble", Stream: "ab\x00", Reason: "NUL"},
		{Name: "NUL in the identification", Stream: "SSH-2.0-a\x00", Reason: "NUL"},
		{Name: "identification too long", Stream: longest + "x\r\n", Reason: "above 255"},
		{Name: "no version", Stream: "SSH--x\r\n", Reason: "no protocol version"},
		{Name: "no second minus", Stream: "SSH-2.0\r\n", Reason: "no protocol version"},
		{Name: "version of letters", Stream: "SSH-two-x\r\n", Reason: "not a number"},
		{Name: "no software", Stream: "SSH-2.0-\r\n", Reason: "no software version"},
		{Name: "no software but comments", Stream: "SSH-2.0- x\r\n", Reason: "no software version"},
		{Name: "control byte in the software", Stream: "SSH-2.0-a\x1b\r\n", Reason: "printable"},
		{Name: "packets behind", Stream: "SSH-2.0-x\r\nS", Frames: frames{id("SSH-2.0-x")}, Reason: "binary packets"},
	},
	TooLarge: []protocoltest.Bad{
		{Name: "preamble line", Stream: strings.Repeat("x", MaxPreambleLine), Reason: "8192"},
	},
}

func newParser() protocol.FrameParser { return new(Parser) }

func TestParser(t *testing.T) { protocoltest.Run(t, newParser, samples) }

func FuzzParser(f *testing.F) {
	// The longest samples teach the fuzzer nothing and cost seconds when cut to single bytes.
	seeds := slices.DeleteFunc(samples.Seeds(), func(s []byte) bool { return len(s) > 4<<10 })
	protocoltest.Fuzz(f, newParser, seeds...)
}

func TestAccessors(t *testing.T) {
	for _, tc := range []struct{ line, version, software, comments string }{
		{"SSH-2.0-OpenSSH_9.2p1 Debian-2 x", "2.0", "OpenSSH_9.2p1", "Debian-2 x"},
		{"SSH-1.99-Cisco-1.25", "1.99", "Cisco-1.25", ""},
		{"SSH-1.5-1.2.27", "1.5", "1.2.27", ""},
		{"SSH-2.0-a \xc3\xa9", "2.0", "a", "\xc3\xa9"},
	} {
		var p Parser
		if _, _, err := p.ParseFrame([]byte(tc.line + "\r\n")); err != nil {
			t.Errorf("%q: %v", tc.line, err)
			continue
		}
		if string(p.ProtoVersion()) != tc.version || string(p.Software()) != tc.software || string(p.Comments()) != tc.comments {
			t.Errorf("%q: got %q, %q, %q", tc.line, p.ProtoVersion(), p.Software(), p.Comments())
		}
		p.Reset()
		if p.Software() != nil {
			t.Errorf("%q: software after Reset: got %q, want none", tc.line, p.Software())
		}
	}
}

func TestPreambleLinesLimit(t *testing.T) {
	var p Parser
	for range MaxPreambleLines {
		if _, _, err := p.ParseFrame([]byte("\n")); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the same answer when asked again
		if _, n, err := p.ParseFrame([]byte("\n")); n != 0 || !errors.Is(err, protocol.ErrTooLarge) {
			t.Errorf("line %d: got %d, %v, want ErrTooLarge", MaxPreambleLines+1, n, err)
		}
	}
	if f, _, err := p.ParseFrame([]byte("SSH-2.0-x\n")); f.Kind != Identification {
		t.Errorf("identification behind the last line: got %v, want it", err)
	}
}

func BenchmarkParser(b *testing.B) {
	stream := []byte("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
	var p Parser
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		p.Reset()
		if _, _, err := p.ParseFrame(stream); err != nil {
			b.Fatal(err)
		}
	}
}
