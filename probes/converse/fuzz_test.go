package converse

import (
	"bufio"
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"sonde/probes"
	"sonde/protocol"
)

// model holds a conversation of two steps the plain way: lines by bufio, everything in memory of its own.
func model(stream []byte, re *regexp.Regexp, send, second string) (sent string, matched bool) {
	lines := bufio.NewScanner(bytes.NewReader(stream))
	lines.Buffer(nil, 1<<20)
	for _, send := range []string{send, second} {
		var found []int
		for found == nil && lines.Scan() {
			found = re.FindSubmatchIndex(lines.Bytes())
		}
		if found == nil {
			return sent, false
		}
		if text := re.Expand(nil, []byte(send), lines.Bytes(), found); len(text) > 0 {
			sent += string(text) + "\n"
		}
	}
	return sent, true
}

// hold gives x the stream, cut in two, and then its end. It returns what was sent, and whether all steps were done.
func hold(x protocol.Exchange, stream []byte, cut int) (sent string, done bool) {
	take := func(s protocol.Step) {
		for _, b := range s.Send {
			sent += string(b)
		}
		done = s.Then == protocol.Done
	}
	take(x.Begin())
	rest := []byte{}
	for _, piece := range [][]byte{stream[:cut], stream[cut:]} {
		rest = append(bytes.Clone(rest), piece...)
		for !done {
			f, n, err := x.Parser().ParseFrame(rest)
			if err != nil {
				break
			}
			take(x.OnFrame(f))
			for i := range n {
				rest[i] = 0xA5 // the buffer is not ours any longer
			}
			rest = rest[n:]
		}
	}
	if done {
		return sent, done
	}
	if f, n, err := x.Parser().(protocol.EndParser).ParseEnd(rest); err == nil {
		take(x.OnFrame(f))
		rest = rest[n:]
	}
	if !done {
		x.OnEnd(protocol.EndOfStream, rest, nil)
	}
	return sent, done
}

// FuzzConversation holds conversations against the model: what is sent, and whether the lines that were awaited came.
func FuzzConversation(f *testing.F) {
	f.Add("^220 (.*)", "EHLO $1", "${1}x", []byte("hello\r\n220 a\r\n220 b\n"), 7)
	f.Add("", "", "$$", []byte("\n\n\r"), 1)
	f.Add("(?P<n>.)$", "$n$0", "$nn", []byte("a\xff\nb"), 0)
	f.Fuzz(func(t *testing.T, expression, send, second string, stream []byte, cut int) {
		re, err := regexp.Compile(expression)
		if err != nil || len(stream) > 1<<15 {
			return
		}
		cut = min(max(cut, 0), len(stream))
		want, matched := model(stream, re, send, second)
		p, err := New(Options{Steps: []Step{
			{Expect: re, Send: send, Labels: []Label{{Name: "first", Value: second}}},
			{Expect: re, Send: second, Labels: []Label{{Name: "second", Value: send}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time with an exchange that was used before
			x := p.Exchange(nil)
			sent, done := hold(x, stream, cut)
			if sent != want || done != matched {
				t.Fatalf("got %q, %v, want %q, %v", sent, done, want, matched)
			}
			c := x.Conclusion()
			if (c.Verdict == protocol.Success) != matched || (c.Reason == "") != matched || strings.ContainsAny(c.Reason, "\r\n") {
				t.Fatalf("got verdict %d, %q", c.Verdict, c.Reason)
			}
			var figures probes.Figures
			c.Finding.(probes.Measured).Figures(&figures)
			if *figures.RegexpFailed == matched || matched && len(figures.Expect) != 2 {
				t.Fatalf("got %+v", figures)
			}
			if !json.Valid(c.Finding.AppendJSON(nil)) {
				t.Fatalf("no JSON: %s", c.Finding.AppendJSON(nil))
			}
		}
	})
}
