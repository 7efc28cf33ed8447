package banner_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/probes/banner"
	"sonde/protocol"
	"sonde/protocol/framespec"
	"sonde/protocol/protocoltest"
	"sonde/target"
)

// heard is what came of one exchange.
type heard struct {
	Verdict protocol.Verdict
	Reason  string
	JSON    string
}

// talk runs an exchange as the engine does: the pieces arrive one by one, then the connection ends.
func talk(t testing.TB, p probes.Probe, pieces []string, end protocol.End) heard {
	t.Helper()
	x := p.Exchange(&target.Target{})
	if step := x.Begin(); step.Then != protocol.Read || step.Quiet != 200*time.Millisecond {
		t.Fatalf("Begin: got %+v, want to read with 200 ms of quiet", step)
	}
	if buf, over := feed(t, x, pieces); !over {
		finish(x, buf, end)
	}
	c := x.Conclusion()
	return heard{c.Verdict, c.Reason, string(c.Finding.AppendJSON(nil))}
}

// feed hands the pieces to the exchange and returns the bytes that made no frame and whether it is over.
func feed(t testing.TB, x protocol.Exchange, pieces []string) (rest []byte, over bool) {
	t.Helper()
	var buf []byte
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for len(buf) >= x.Parser().MinFrameSize() {
			f, n, err := x.Parser().ParseFrame(buf)
			var m *protocol.MalformedError
			switch {
			case err == protocol.ErrIncomplete:
			case errors.As(err, &m):
				x.OnEnd(protocol.EndMalformed, buf, err)
				return nil, true
			case err != nil:
				x.OnEnd(protocol.EndTooLarge, buf, err)
				return nil, true
			}
			if err != nil {
				break
			}
			step := x.OnFrame(f)
			if step.Then == protocol.Done {
				return nil, true
			}
			if step.Quiet != 200*time.Millisecond {
				t.Fatalf("OnFrame: got %+v, want 200 ms of quiet", step)
			}
			buf = buf[n:]
		}
	}
	return buf, false
}

func finish(x protocol.Exchange, rest []byte, end protocol.End) {
	if ep, ok := x.Parser().(protocol.EndParser); ok && end == protocol.EndOfStream {
		if f, n, err := ep.ParseEnd(rest); err == nil {
			rest = rest[n:]
			if x.OnFrame(f).Then == protocol.Done {
				return
			}
		}
	}
	x.OnEnd(end, rest, nil)
}

// probeOf configures a probe; frame is a --frame text or empty.
func probeOf(t testing.TB, o probes.Options, frame string) probes.Probe {
	t.Helper()
	if frame != "" {
		newFrame, err := framespec.Parse(frame)
		if err != nil {
			t.Fatal(err)
		}
		o.NewFrame = newFrame
	}
	p, err := banner.Probe{}.Configure(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type testCase struct {
	name   string
	o      probes.Options
	frame  string
	pieces []string
	end    protocol.End
	want   heard
}

func run(t *testing.T, cases []testCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := probeOf(t, c.o, c.frame)
			if diff := cmp.Diff(c.want, talk(t, p, c.pieces, c.end)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// The second exchange of a Probe is a used one.
			if diff := cmp.Diff(c.want, talk(t, p, c.pieces, c.end)); diff != "" {
				t.Errorf("used exchange (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	run(t, []testCase{
		{name: "a line", pieces: []string{"220 hi\r\n"},
			want: heard{JSON: `{"banner":"220 hi\r\n","bytes":8,"ended_by":"newline"}`}},
		{name: "what came with the line is kept", pieces: []string{"220-", "a\nb"},
			want: heard{JSON: `{"banner":"220-a\nb","bytes":7,"ended_by":"newline"}`}},
		{name: "not UTF-8", pieces: []string{"\xff\xfd\x18\n"},
			want: heard{JSON: `{"banner":"\ufffd\ufffd\u0018\n","banner_base64":"//0YCg==","bytes":4,"ended_by":"newline"}`}},
		{name: "quiet", pieces: []string{"login: "}, end: protocol.EndQuiet,
			want: heard{JSON: `{"banner":"login: ","bytes":7,"ended_by":"quiet"}`}},
		{name: "FIN after bytes", pieces: []string{"bye"}, end: protocol.EndOfStream,
			want: heard{JSON: `{"banner":"bye","bytes":3,"ended_by":"eof"}`}},
		{name: "FIN at once", end: protocol.EndOfStream,
			want: heard{protocol.Closed, "closed before the first byte", `{"banner":"","bytes":0,"ended_by":"eof"}`}},
		{name: "reset after bytes", pieces: []string{"220 h"}, end: protocol.EndReset,
			want: heard{protocol.Unfinished, "", `{"banner":"220 h","bytes":5,"ended_by":"reset"}`}},
		{name: "reset at once", end: protocol.EndReset,
			want: heard{protocol.Unfinished, "", `{"banner":"","bytes":0,"ended_by":"reset"}`}},
		{name: "silence", end: protocol.EndTimeout,
			want: heard{protocol.Unfinished, "", `{"banner":"","bytes":0,"ended_by":"timeout"}`}},
		{name: "trickle", pieces: []string{"a", "b", "c"}, end: protocol.EndTimeout,
			want: heard{protocol.Unfinished, "", `{"banner":"abc","bytes":3,"ended_by":"timeout"}`}},
		{name: "shutdown", pieces: []string{"a"}, end: protocol.EndCancelled,
			want: heard{protocol.Unfinished, "", `{"banner":"a","bytes":1,"ended_by":"cancelled"}`}},
		{name: "limit", o: probes.Options{ReadBytes: 4}, pieces: []string{"ab", "cdef\n"},
			want: heard{protocol.OverLimit, "4 bytes and no end", `{"banner":"abcd","bytes":4,"ended_by":"limit"}`}},
		{name: "limit, met exactly", o: probes.Options{ReadBytes: 4}, pieces: []string{"abcd"},
			want: heard{protocol.OverLimit, "4 bytes and no end", `{"banner":"abcd","bytes":4,"ended_by":"limit"}`}},
		{name: "newline is the last byte allowed", o: probes.Options{ReadBytes: 4}, pieces: []string{"abc\ndef"},
			want: heard{JSON: `{"banner":"abc\n","bytes":4,"ended_by":"newline"}`}},
	})
}

func TestExpect(t *testing.T) {
	plain := probes.Options{Expect: regexp.MustCompile(`SSH-2\.0`)}
	groups := probes.Options{Expect: regexp.MustCompile(`(\d)\.(\d+)(-x)?-(\S+)`), ReadBytes: 30}
	run(t, []testCase{
		{name: "a newline is no end", o: plain, pieces: []string{"hello\r\n", "SSH-", "2.0-x\r\n"},
			want: heard{JSON: `{"banner":"hello\r\nSSH-2.0-x\r\n","bytes":18,"ended_by":"expect"}`}},
		{name: "at once, though more might come", o: plain, pieces: []string{"SSH-2.0"}, end: protocol.EndReset,
			want: heard{JSON: `{"banner":"SSH-2.0","bytes":7,"ended_by":"expect"}`}},
		{name: "quiet", o: plain, pieces: []string{"SSH-1.5\n"}, end: protocol.EndQuiet, want: heard{protocol.Refused,
			"quiet for 200ms after 8 bytes that do not match `SSH-2\\.0`", `{"banner":"SSH-1.5\n","bytes":8,"ended_by":"quiet"}`}},
		{name: "FIN", o: plain, pieces: []string{"SSH-1.5\n"}, end: protocol.EndOfStream, want: heard{protocol.Refused,
			"closed after 8 bytes that do not match `SSH-2\\.0`", `{"banner":"SSH-1.5\n","bytes":8,"ended_by":"eof"}`}},
		{name: "FIN at once", o: plain, end: protocol.EndOfStream,
			want: heard{protocol.Closed, "closed before the first byte", `{"banner":"","bytes":0,"ended_by":"eof"}`}},
		{name: "reset", o: plain, pieces: []string{"SSH-"}, end: protocol.EndReset,
			want: heard{protocol.Unfinished, "", `{"banner":"SSH-","bytes":4,"ended_by":"reset"}`}},
		{name: "limit", o: probes.Options{Expect: regexp.MustCompile("x"), ReadBytes: 4}, pieces: []string{"abc\n", "x"},
			want: heard{protocol.OverLimit, "4 bytes and no end", `{"banner":"abc\n","bytes":4,"ended_by":"limit"}`}},
		{name: "groups", o: groups, pieces: []string{"SSH-2.0-OpenSSH_9.2\r\n"},
			want: heard{JSON: `{"banner":"SSH-2.0-OpenSSH_9.2\r\n","bytes":21,"ended_by":"expect","match":["2","0","","OpenSSH_9.2"]}`}},
		{name: "groups cut by a segment", o: groups, pieces: []string{"SSH-2.0-Open", "SSH_9.2\r\n"},
			want: heard{JSON: `{"banner":"SSH-2.0-OpenSSH_9.2\r\n","bytes":21,"ended_by":"expect","match":["2","0","","OpenSSH_9.2"]}`}},
		{name: "groups, then quiet", o: groups, pieces: []string{"2.0-x"}, end: protocol.EndQuiet,
			want: heard{JSON: `{"banner":"2.0-x","bytes":5,"ended_by":"expect","match":["2","0","","x"]}`}},
		{name: "groups, then reset", o: groups, pieces: []string{"2.0-x"}, end: protocol.EndReset,
			want: heard{JSON: `{"banner":"2.0-x","bytes":5,"ended_by":"expect","match":["2","0","","x"]}`}},
		{name: "groups up to the limit", o: groups, pieces: []string{"2.0-" + strings.Repeat("x", 40)},
			want: heard{JSON: `{"banner":"2.0-xxxxxxxxxxxxxxxxxxxxxxxxxx","bytes":30,"ended_by":"expect","match":["2","0","","xxxxxxxxxxxxxxxxxxxxxxxxxx"]}`}},
		{name: "a match that more bytes undo", o: probes.Options{Expect: regexp.MustCompile(`(OK)$`)}, pieces: []string{"OK", "AY"},
			end: protocol.EndQuiet, want: heard{protocol.Refused, "quiet for 200ms after 4 bytes that do not match `(OK)$`",
				`{"banner":"OKAY","bytes":4,"ended_by":"quiet"}`}},
	})
}

func TestFrame(t *testing.T) {
	expect := probes.Options{Expect: regexp.MustCompile(`^(O)K$`)}
	run(t, []testCase{
		{name: "whole", frame: "len:size=1,strip=1", pieces: []string{"\x03a", "\nbc"},
			want: heard{JSON: `{"banner":"a\nb","bytes":3,"ended_by":"frame"}`}},
		{name: "a newline is no end", frame: "delim:;", pieces: []string{"a\n", "b;"},
			want: heard{JSON: `{"banner":"a\nb","bytes":3,"ended_by":"frame"}`}},
		{name: "above the default limit of plain banners", frame: "fixed:size=5000", pieces: []string{strings.Repeat("x", 5000)},
			want: heard{JSON: `{"banner":"` + strings.Repeat("x", 5000) + `","bytes":5000,"ended_by":"frame"}`}},
		{name: "matches", o: expect, frame: "line", pieces: []string{"OK\r\n"},
			want: heard{JSON: `{"banner":"OK","bytes":2,"ended_by":"frame","match":["O"]}`}},
		{name: "does not match, a later one would", o: expect, frame: "line", pieces: []string{"NO\nOK\n"},
			want: heard{protocol.Refused, "frame of 2 bytes does not match `^(O)K$`", `{"banner":"NO","bytes":2,"ended_by":"frame"}`}},
		{name: "ended by the FIN", frame: "line", pieces: []string{"OK"}, end: protocol.EndOfStream,
			want: heard{JSON: `{"banner":"OK","bytes":2,"ended_by":"frame"}`}},
		{name: "FIN in the middle", frame: "fixed:size=4", pieces: []string{"abc"}, end: protocol.EndOfStream, want: heard{
			protocol.Closed, "closed after 3 bytes, before the frame was whole", `{"banner":"abc","bytes":3,"ended_by":"eof"}`}},
		{name: "FIN at once", frame: "line", end: protocol.EndOfStream,
			want: heard{protocol.Closed, "closed before the first byte", `{"banner":"","bytes":0,"ended_by":"eof"}`}},
		{name: "quiet in the middle", frame: "fixed:size=4", pieces: []string{"abc"}, end: protocol.EndQuiet, want: heard{protocol.Refused,
			"quiet for 200ms after 3 bytes, before the frame was whole", `{"banner":"abc","bytes":3,"ended_by":"quiet"}`}},
		{name: "reset in the middle", frame: "fixed:size=4", pieces: []string{"abc"}, end: protocol.EndReset,
			want: heard{protocol.Unfinished, "", `{"banner":"abc","bytes":3,"ended_by":"reset"}`}},
		{name: "malformed", frame: "len:size=1,adjust=-2", pieces: []string{"\x01abc"}, want: heard{protocol.NotSpoken,
			"malformed lengthfield at byte 0: length 1 (adjust -2) ends the frame inside its header of 1 bytes",
			`{"banner":"\u0001abc","bytes":4,"ended_by":"malformed"}`}},
		{name: "above the parser's limit", frame: "line:max=3", pieces: []string{"abcdef"}, want: heard{protocol.OverLimit,
			"line of more than 3 bytes: frame above the limit", `{"banner":"abcdef","bytes":6,"ended_by":"limit"}`}},
		{name: "above --read-bytes", o: probes.Options{ReadBytes: 4}, frame: "line", pieces: []string{"abcd\n"}, want: heard{protocol.OverLimit,
			"no whole frame in 4 bytes: frame above the limit", `{"banner":"abcd","bytes":4,"ended_by":"limit"}`}},
	})
}

// The engine itself may say that a frame outgrew its largest buffer; it has no parser's error then.
func TestTooLargeWithoutAnError(t *testing.T) {
	x := probeOf(t, probes.Options{}, "line").Exchange(&target.Target{})
	x.Begin()
	x.OnEnd(protocol.EndTooLarge, []byte("abc"), nil)
	if c := x.Conclusion(); c.Verdict != protocol.OverLimit || c.Reason != "3 bytes and no whole frame" {
		t.Errorf("got %v, %q", c.Verdict, c.Reason)
	}
}

func TestZeroProbe(t *testing.T) {
	got := talk(t, banner.Probe{}, []string{strings.Repeat("x", 5000)}, protocol.EndQuiet)
	if got.Verdict != protocol.OverLimit || got.Reason != "4096 bytes and no end" {
		t.Errorf("got %v, %q, want OverLimit at 4096 bytes", got.Verdict, got.Reason)
	}
}

func TestSend(t *testing.T) {
	text := []byte("PING\r\n")
	p := probeOf(t, probes.Options{Send: text}, "")
	text[0] = 'X'
	a, b := p.Exchange(&target.Target{}).Begin(), p.Exchange(&target.Target{}).Begin()
	for _, step := range []protocol.Step{a, b} {
		if len(step.Send) != 1 || string(step.Send[0]) != "PING\r\n" {
			t.Errorf("Send: got %q, want PING", step.Send)
		}
	}
	// The engine cuts off what the kernel took; another connection must not lose it.
	a.Send[0] = a.Send[0][3:]
	if got := string(b.Send[0]); got != "PING\r\n" {
		t.Errorf("other connection's Send: got %q, want PING", got)
	}
	if step := (banner.Probe{}).Exchange(&target.Target{}).Begin(); step.Send != nil {
		t.Errorf("Send without --send: got %q, want nil", step.Send)
	}
}

func TestConfigureErrors(t *testing.T) {
	for readBytes, ok := range map[int]bool{-1: false, 0: true, 1: true, 65536: true, 65537: false} {
		_, err := banner.Probe{}.Configure(probes.Options{ReadBytes: readBytes})
		if (err == nil) != ok {
			t.Errorf("ReadBytes %d: got %v, want valid %t", readBytes, err, ok)
		}
		if err != nil && !strings.Contains(err.Error(), "--read-bytes") {
			t.Errorf("ReadBytes %d: error %q does not name the flag", readBytes, err)
		}
	}
}

// A Finding outlives its exchange, which goes to another connection.
func TestFindingOwnsItsMemory(t *testing.T) {
	p := probeOf(t, probes.Options{}, "")
	x := p.Exchange(&target.Target{})
	x.Begin()
	buf := []byte("first\n")
	x.OnFrame(protocol.Frame{Data: buf})
	f := x.Conclusion().Finding
	copy(buf, "XXXXXX")
	talk(t, p, []string{"other\n"}, protocol.EndQuiet)
	if got, want := string(f.AppendJSON(nil)), `{"banner":"first\n","bytes":6,"ended_by":"newline"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A parser that was left in the middle of a frame serves the next connection from its start.
func TestUsedParserIsAsNew(t *testing.T) {
	p := probeOf(t, probes.Options{}, "len:size=1,strip=1")
	talk(t, p, []string{"\x09abc"}, protocol.EndOfStream)
	want := heard{JSON: `{"banner":"z","bytes":1,"ended_by":"frame"}`}
	if diff := cmp.Diff(want, talk(t, p, []string{"\x01z"}, protocol.EndTimeout)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A banner of one segment costs the Finding and its bytes.
func TestAllocs(t *testing.T) {
	if protocoltest.UnderRace() {
		t.Skip("allocations are not counted under -race")
	}
	p := probeOf(t, probes.Options{Send: []byte("hi")}, "")
	tg, frame := &target.Target{}, protocol.Frame{Data: []byte("220 ready\r\n")}
	allocs := testing.AllocsPerRun(200, func() {
		x := p.Exchange(tg)
		x.Begin()
		x.OnFrame(frame)
		x.Conclusion()
	})
	if allocs > 2 {
		t.Errorf("allocations of one exchange: got %v, want at most 2", allocs)
	}
}

func TestBrief(t *testing.T) {
	for in, want := range map[string]string{
		"220 ready\r\nmore":            "220 ready",
		"\r\n\nlate\n":                 "late",
		"a\x1b[2Jb\x07\x7f\u202e\n":    "a.[2Jb...",
		"\xff\xfd\x18\n":               "...",
		"grüß\n":                       "grüß",
		strings.Repeat("é", 99) + "\n": strings.Repeat("é", 60),
		"\n":                           "",
	} {
		x := banner.Probe{}.Exchange(&target.Target{})
		x.Begin()
		x.OnFrame(protocol.Frame{Data: []byte(in)})
		if got := x.Conclusion().Finding.Brief(); got != want {
			t.Errorf("Brief of %q: got %q, want %q", in, got, want)
		}
	}
}

func TestAbout(t *testing.T) {
	about := banner.Probe{}.About()
	got := talk(t, probeOf(t, probes.Options{Expect: regexp.MustCompile("(.)")}, ""), []string{"\xff\n"}, protocol.EndQuiet)
	for _, f := range about.Reports {
		if !strings.Contains(got.JSON, `"`+f.Name+`":`) || f.Type == "" || f.Doc == "" {
			t.Errorf("field %+v is not in %s", f, got.JSON)
		}
	}
	if want := []string{"--send", "--expect", "--read-bytes", "--frame"}; !cmp.Equal(about.Options, want) {
		t.Errorf("Options: got %v, want %v", about.Options, want)
	}
}

func BenchmarkExchange(b *testing.B) {
	p := probeOf(b, probes.Options{}, "")
	tg, frame := &target.Target{}, protocol.Frame{Data: []byte("220 mail.example.net ESMTP\r\n")}
	b.ReportAllocs()
	for b.Loop() {
		x := p.Exchange(tg)
		x.Begin()
		x.OnFrame(frame)
		x.Conclusion()
	}
}

func ExampleProbe() {
	p, err := banner.Probe{}.Configure(probes.Options{Expect: regexp.MustCompile(`^SSH-(\S+)`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	x := p.Exchange(&target.Target{})
	x.Begin()
	f, _, _ := x.Parser().ParseFrame([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
	x.OnFrame(f)
	fmt.Printf("%s\n", x.Conclusion().Finding.AppendJSON(nil))
	// Output: {"banner":"SSH-2.0-OpenSSH_9.2\r\n","bytes":21,"ended_by":"expect","match":["2.0-OpenSSH_9.2"]}
}
