package converse

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/probes"
	"sonde/probes/probetest"
	"sonde/protocol"
	"sonde/target"
)

// clear is TLS that is none, for conversations that never come to it.
func clear(*target.Target, protocol.Exchange) protocol.Handshaker { panic("TLS is asked for") }

// probeOf is New without an error.
func probeOf(t testing.TB, steps ...Step) probes.Probe {
	t.Helper()
	p, err := New(Options{Steps: steps})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// expect is a step that awaits a line and then sends.
func expect(re, send string) Step { return Step{Expect: regexp.MustCompile(re), Send: send} }

func TestExchange(t *testing.T) {
	ask := func(c probetest.Case, steps ...Step) probetest.Case {
		p := probeOf(t, steps...)
		c.Open = func() protocol.Exchange { return p.Exchange(nil) }
		c.Lenient = true // what a FIN cuts off is a line as well, and one that may not match
		return c
	}
	turns := func(says ...string) []probetest.Turn {
		out := make([]probetest.Turn, len(says))
		for i, s := range says {
			out[i].Hears, out[i].Says, _ = strings.Cut(s, "|")
		}
		return out
	}
	long := strings.Repeat("x", 1<<16)
	probetest.Run(t, probeOf(t).About(),
		ask(probetest.Case{Name: "sends alone", Turns: turns("a\nb ${1}\n|"), Result: `{"steps":3,"done":3}`},
			Step{Send: "a"}, Step{}, Step{Send: "b ${1}"}),
		ask(probetest.Case{Name: "a line", Turns: turns("|SSH-2.0-x\r\n"),
			Result: `{"steps":1,"done":1,"heard":"SSH-2.0-x"}`, Brief: "SSH-2.0-x"}, expect("^SSH-2.0-", "")),
		ask(probetest.Case{Name: "lines before it", Turns: turns("|hello\n\n220 me\n", "EHLO me\r\n|250-me\r\n250 OK\r\n", "QUIT\r\n|"),
			Result: `{"steps":2,"done":2,"heard":"hello\n\n220 me\n250-me\n250 OK"}`, Brief: "hello  220 me 250-me 250 OK"},
			expect(`^220 (\S+)`, "EHLO $1\r"), expect("^250 ", "QUIT\r")),
		ask(probetest.Case{Name: "several sends at once", Turns: turns("one\n|go ahead\n", "go: ahead\ntwo\nthree\n|"),
			Result: `{"steps":4,"done":4,"heard":"go ahead"}`, Brief: "go ahead"},
			Step{Send: "one"}, expect(`^(?P<a>\w+) (\w+)$`, "$a: ${2}"), Step{Send: "two"}, Step{Send: "three"}),
		ask(probetest.Case{Name: "what a template can say", Turns: turns("|ab\n", "a$b--ab\n|"),
			Result: `{"steps":1,"done":1,"heard":"ab"}`, Brief: "ab"}, expect("(a)(b)", "$1$$$2-$none-${9}$0")),
		ask(probetest.Case{Name: "a template that comes to nothing", Turns: turns("|ab\n", "|"),
			Result: `{"steps":1,"done":1,"heard":"ab"}`, Brief: "ab"}, expect("a(x?)b", "$1")),
		ask(probetest.Case{Name: "any line", Turns: turns("|\r\n"), Result: `{"steps":1,"done":1}`}, expect("", "")),
		ask(probetest.Case{Name: "a last line without its end", Turns: turns("|the end"), End: protocol.EndOfStream,
			Result: `{"steps":1,"done":1,"heard":"the end"}`, Brief: "the end"}, expect("end$", "")),
		ask(probetest.Case{Name: "closed", Turns: turns("one\n|"), End: protocol.EndOfStream, Verdict: protocol.Closed,
			Reason: "step 2 of 2: closed before a line that matches `^220`", Result: `{"steps":2,"done":1}`}, Step{Send: "one"}, expect("^220", "")),
		ask(probetest.Case{Name: "closed without the line", Turns: turns("|HTTP/1.1 400 Bad Request\r\n\r\nno"), End: protocol.EndOfStream,
			Verdict: protocol.Refused, Reason: "step 1 of 1: closed before a line that matches `^220`; last came \"no\"",
			Result: `{"steps":1,"done":0,"heard":"HTTP/1.1 400 Bad Request\n\nno","last":"no"}`, Brief: "no"}, expect("^220", "")),
		ask(probetest.Case{Name: "closed behind a line that was passed over", Turns: turns("|hello\n220 me\n", "EHLO\n|"), End: protocol.EndOfStream,
			Verdict: protocol.Closed, Reason: "step 2 of 2: closed before a line that matches `^250`",
			Result: `{"steps":2,"done":1,"heard":"hello\n220 me"}`, Brief: "hello 220 me"}, expect("^220", "EHLO"), expect("^250", "")),
		ask(probetest.Case{Name: "bytes", Turns: turns("|hello\n\x00\x01\n\x02", "\x05\n|220 me\n"),
			Result: `{"steps":3,"done":3,"heard":"hello\n\u0000\u0001\n\u0002\n220 me"}`, Brief: "hello      220 me"},
			expect("", ""), Step{Bytes: []byte("\x00\x01\n\x02"), Send: "\x05"}, expect("^220", "")),
		ask(probetest.Case{Name: "other bytes", Turns: turns("|abd"), Verdict: protocol.Refused,
			Reason: `step 1 of 1: the bytes "abc" did not come; last came "abd"`,
			Result: `{"steps":1,"done":0,"heard":"abd","last":"abd"}`, Brief: "abd"}, Step{Bytes: []byte("abc")}),
		ask(probetest.Case{Name: "too few bytes", Turns: turns("|ab"), End: protocol.EndOfStream, Verdict: protocol.Closed,
			Reason: `step 1 of 1: closed before the bytes "abc"; last came "ab"`,
			Result: `{"steps":1,"done":0,"heard":"ab","last":"ab"}`, Brief: "ab"}, Step{Bytes: []byte("abc")}),
		ask(probetest.Case{Name: "in vain", Turns: turns("|554 no\r\n5"), End: protocol.EndTimeout, Verdict: protocol.Unfinished,
			Reason: "step 1 of 1: a line that matches `^220` did not come in time; last came \"5\"",
			Result: `{"steps":1,"done":0,"heard":"554 no\n5","last":"5"}`, Brief: "5"}, expect("^220", "")),
		ask(probetest.Case{Name: "reset", Turns: turns("|"), End: protocol.EndReset, Verdict: protocol.Unfinished,
			Reason: "step 1 of 1: reset before a line that matches `^220`", Result: `{"steps":1,"done":0}`}, expect("^220", "")),
		ask(probetest.Case{Name: "a line without end", Turns: turns("|" + long), Verdict: protocol.OverLimit,
			Reason: "step 1 of 1: line of more than 65534 bytes: frame above the limit; last came \"xxx",
			Result: `{"steps":1,"done":0,"heard":"` + long[:1024] + `","last":"` + long[:512] + `"}`, Brief: long[:200]}, expect("^220", "")),
	)
}

// A server that never stops is not heard out.
func TestTalkative(t *testing.T) {
	x := probeOf(t, expect("^220", "")).Exchange(nil)
	x.Begin()
	text := []byte(strings.Repeat("y", 1<<10-1))
	var s protocol.Step
	lines := 0
	for ; s.Then == protocol.Read && lines < 1<<12; lines++ {
		s = x.OnFrame(protocol.Frame{Data: text})
	}
	c := x.Conclusion()
	if lines != 1<<10+1 || c.Verdict != protocol.OverLimit || !strings.HasPrefix(c.Reason, "step 1 of 1: a line that matches `^220` did not come within 1 MiB; last came") {
		t.Errorf("after %d lines: got verdict %d, %q", lines, c.Verdict, c.Reason)
	}
	if n := len(c.Finding.AppendJSON(nil)); n > 2<<10 {
		t.Errorf("the finding has %d bytes", n)
	}
}

// captures are names and values in turn.
func captures(of ...string) []probes.Capture {
	out := []probes.Capture{}
	for i := 0; i < len(of); i += 2 {
		out = append(out, probes.Capture{Name: of[i], Value: of[i+1]})
	}
	return out
}

func TestFigures(t *testing.T) {
	ssh := Step{Expect: regexp.MustCompile("^SSH-([0-9.]+)-([^ -]+)(?: (.*))?$"), Labels: []Label{
		{"version", "${1}"}, {"software", "$2"}, {"comment", "$3"}, {"both", "${2} v${1}"}, {"kind", "ssh"},
	}}
	yes, no := true, false
	for _, tt := range []struct {
		name   string
		steps  []Step
		says   []string
		end    protocol.End
		expect []probes.Capture
		failed *bool
	}{
		{"matched", []Step{ssh}, []string{"hello", "SSH-2.0-OpenSSH_9.2 Debian"}, 0,
			captures("version", "2.0", "software", "OpenSSH_9.2", "comment", "Debian", "both", "OpenSSH_9.2 v2.0", "kind", "ssh"), &no},
		{"nothing captured", []Step{expect("^220", "")}, []string{"220 x"}, 0, captures(), &no},
		{"a later step in vain", []Step{{Expect: regexp.MustCompile("(.)"), Labels: []Label{{"first", "$1"}}}, expect("^220", "")},
			[]string{"a", "b"}, protocol.EndOfStream, captures("first", "a"), &yes},
		{"closed", []Step{ssh}, nil, protocol.EndOfStream, nil, &yes},
		{"in vain", []Step{ssh}, []string{"a"}, protocol.EndOfStream, nil, &yes},
		{"timeout", []Step{ssh}, []string{"a"}, protocol.EndTimeout, nil, &no},
		{"reset", []Step{ssh}, []string{"a"}, protocol.EndReset, nil, &no},
		{"no TLS", []Step{ssh}, []string{"a"}, protocol.EndNoConnection, nil, &no},
		{"bytes", []Step{{Bytes: []byte("a")}}, nil, protocol.EndOfStream, nil, nil},
		{"bytes behind a line", []Step{expect("a", ""), {Bytes: []byte("a")}}, []string{"a"}, protocol.EndOfStream, captures(), &no},
		{"nothing awaited", []Step{{Send: "a"}}, nil, 0, nil, nil},
		{"not UTF-8, and long", []Step{{Expect: regexp.MustCompile("(.*)"), Labels: []Label{{"a", "$1"}}}},
			[]string{"\xff" + strings.Repeat("a", 999)}, 0, captures("a", "\ufffd"+strings.Repeat("a", 255)), &no},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := probeOf(t, tt.steps...).Exchange(nil)
			s := x.Begin()
			for _, text := range tt.says {
				s = x.OnFrame(protocol.Frame{Data: []byte(text)})
			}
			if s.Then != protocol.Done {
				x.OnEnd(tt.end, nil, nil)
			}
			var got probes.Figures
			x.Conclusion().Finding.(probes.Measured).Figures(&got)
			if diff := cmp.Diff(probes.Figures{Expect: tt.expect, RegexpFailed: tt.failed}, got); diff != "" {
				t.Errorf("want to got:\n%s", diff)
			}
		})
	}
}

func TestNew(t *testing.T) {
	labelled := func(names ...string) Step {
		s := expect("a", "")
		for _, n := range names {
			s.Labels = append(s.Labels, Label{Name: n})
		}
		return s
	}
	for _, tt := range []struct {
		name  string
		steps []Step
		noTLS bool
		want  string
	}{
		{"good", []Step{labelled("a", "B_1"), {StartTLS: true}, labelled("c")}, false, ""},
		{"no step", nil, true, ""},
		{"labels of nothing", []Step{{}, {Labels: []Label{{Name: "a"}}}}, true, "step 2: labels without expect"},
		{"two things at once", []Step{{Expect: regexp.MustCompile("a"), Bytes: []byte("a")}}, true, "step 1: both a line and bytes"},
		{"too many bytes", []Step{{Bytes: make([]byte, protocol.MaxFrameSize+1)}}, true, "step 1: 65537 bytes are expected"},
		{"a bad name", []Step{labelled("1a")}, true, `step 1: label "1a": a name is`},
		{"an empty name", []Step{labelled("")}, true, `step 1: label "": a name is`},
		{"a reserved name", []Step{labelled("__a")}, true, `step 1: label "__a": a name is`},
		{"a name twice", []Step{labelled("a"), labelled("b", "a")}, true, `step 2: label "a": there is one`},
		{"TLS twice", []Step{{StartTLS: true}, {StartTLS: true}}, false, "step 2: TLS has begun before"},
		{"TLS of nobody", []Step{{Send: "a"}, {StartTLS: true}}, true, "step 2: StartTLS without Options.TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Steps: tt.steps, TLS: clear}
			if tt.noTLS {
				o.TLS = nil
			}
			p, err := New(o)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if p.About().Name != "converse" {
					t.Errorf("got %+v", p.About())
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if x := probeOf(t).Exchange(nil); x != nil {
		t.Errorf("without a step: got %v, want no exchange", x)
	}
	if !slices.ContainsFunc(mustTLS(t).About().Reports, func(f probes.Field) bool { return f.Name == "tls" }) {
		t.Error("a conversation with TLS does not report it")
	}
}

// mustTLS is a probe whose second step is TLS.
func mustTLS(t *testing.T) probes.Probe {
	t.Helper()
	p, err := New(Options{Steps: []Step{expect("a", "$0"), {StartTLS: true}, {Send: "b"}}, TLS: clear})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What was sent before TLS stays as it is until the end: the engine may still be writing it.
func TestSentBeforeTLS(t *testing.T) {
	x := mustTLS(t).(*probe).script.open()
	x.Begin()
	s := x.OnFrame(protocol.Frame{Data: []byte("abc")})
	if s.Then != protocol.StartTLS || len(s.Send) != 1 || string(s.Send[0]) != "a\n" {
		t.Fatalf("got %+v", s)
	}
	within := x.Begin()
	if string(s.Send[0]) != "a\n" || len(within.Send) != 1 || string(within.Send[0]) != "b\n" || within.Then != protocol.Done {
		t.Errorf("got %q and %+v", s.Send, within)
	}
}

// Exchanges are used again: none knows anything of the one before.
func TestReuse(t *testing.T) {
	p := probeOf(t, Step{Expect: regexp.MustCompile("^a(.*)"), Send: "$1", Labels: []Label{{"a", "$1"}}}, expect("^b", ""))
	hold := func(lines ...string) (string, string) {
		x := p.Exchange(nil)
		s := x.Begin()
		for _, text := range lines {
			s = x.OnFrame(protocol.Frame{Data: []byte(text)})
		}
		if s.Then != protocol.Done {
			x.OnEnd(protocol.EndOfStream, []byte("rest"), nil)
		}
		c := x.Conclusion()
		return c.Reason, string(c.Finding.AppendJSON(nil))
	}
	type result struct{ reason, finding string }
	var want [3]result
	talks := [3][]string{{"a1", "b"}, {"axyz", "c", "d"}, {"z"}}
	for i, lines := range talks {
		want[i].reason, want[i].finding = hold(lines...)
	}
	for i := range 30 {
		n := (i * 7) % 3
		if reason, finding := hold(talks[n]...); reason != want[n].reason || finding != want[n].finding {
			t.Fatalf("conversation %d: got %q, %s, want %+v", n, reason, finding, want[n])
		}
	}
	if strings.Contains(want[2].finding, "xyz") || strings.Contains(want[2].finding, "labels") {
		t.Errorf("got %s", want[2].finding)
	}
}

// A conversation that captures nothing allocates its finding and the text in it.
func TestAllocations(t *testing.T) {
	p := probeOf(t, expect("^220", "EHLO x\r"), expect("^250 ", "QUIT\r"))
	lines := [][]byte{[]byte("220 me ESMTP"), []byte("250-me"), []byte("250 OK")}
	allocs := testing.AllocsPerRun(100, func() {
		x := p.Exchange(nil)
		x.Begin()
		for _, text := range lines {
			x.OnFrame(protocol.Frame{Data: text})
		}
		if c := x.Conclusion(); c.Verdict != protocol.Success {
			t.Fatal(c.Reason)
		}
	})
	if allocs > 5 { // finding, heard, and now and then a pool that was emptied; the race detector has it forget a quarter
		t.Errorf("got %v allocations, want at most 5", allocs)
	}
}
