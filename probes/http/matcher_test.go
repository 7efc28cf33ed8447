package http

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sonde/protocol"
)

// TestMatcherInParts holds texts in parts against expressions as regexp holds them whole.
func TestMatcherInParts(t *testing.T) {
	texts := []string{"", "a", "abc xyz", "z\n\nabc", "gr\u00fc\u00df dich, \u4e16\u754c \U0001f600!", "\xff\xfe\u00e9\xc3", "\xe4\xb8", strings.Repeat("ab ", 200) + "z"}
	for _, text := range []string{
		"", "^$", "^abc", "xyz$", "(?m)^abc$", `\bdich\b`, "\u4e16", "(?i)GR\u00dc", `\x{1f600}!$`, "\ufffd", "\ufffd$", "(?s)^a.*z$", "q",
	} {
		r := regexp.MustCompile(text)
		for _, body := range texts {
			for _, size := range []int{1, 2, 3, 5, 1 << 20} {
				m := newMatcher(r)
				for part := range slices.Chunk([]byte(body), size) {
					part = bytes.Clone(part)
					m.write(part)
					for i := range part {
						part[i] = 0xA5 // the buffer is somebody else's again
					}
				}
				if m.finish(); m.matched != r.MatchString(body) || !m.over {
					t.Errorf("%q in %q by %d: got %v, over %v, want %v", text, body, size, m.matched, m.over, !m.matched)
				}
			}
		}
	}
}

// TestLongBodies holds bodies against expressions that are longer than is kept of them; whatever their end, no coroutine is left.
func TestLongBodies(t *testing.T) {
	long := strings.Repeat("some text, ", maxWhole/10) + "at last"
	whole := response("200 OK", "", long)
	for _, c := range []struct {
		name    string
		checks  Checks
		says    string
		verdict protocol.Verdict
		reason  string
	}{
		{"as is wanted", Checks{RefuseBody: expressions("sum"), RequireBody: expressions("last$", "^some")}, whole, protocol.Success, ""},
		{"refused", Checks{RefuseBody: expressions("sum", "last$")}, whole, protocol.Refused, "body matches last$"},
		{"missed", Checks{RequireBody: expressions("^some", "first")}, whole, protocol.Refused, "body does not match first"},
		{"too long", Checks{RequireBody: expressions("last"), BodyLimit: maxWhole + 100}, whole, protocol.OverLimit, "body above"},
		{"cut off", Checks{RequireBody: expressions("last")}, whole[:len(whole)-3], protocol.Closed, ""},
		{"coded", Checks{RequireBody: expressions("last$"), Compression: "gzip"}, response("200 OK", "", encoded(t, "gzip", long)), protocol.Success, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newChecked(t, c.checks).Exchange(web).(*checkedExchange)
			var search []*matcher
			var got protocol.Conclusion
			play(watching{e, func() {
				if e.search != nil {
					search = e.search
				}
				if len(e.body) > maxWhole {
					t.Fatalf("%d bytes are kept", len(e.body))
				}
			}}, c.says, protocol.EndOfStream, &got)
			if got.Verdict != c.verdict || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("got %d, %q, want %d, %q", got.Verdict, got.Reason, c.verdict, c.reason)
			}
			for i, m := range search {
				if !m.over {
					t.Errorf("the coroutine of expression %d is left", i)
				}
			}
		})
	}
}

// watching looks at an exchange before each frame.
type watching struct {
	protocol.Exchange
	look func()
}

func (w watching) Parser() protocol.FrameParser {
	w.look()
	return w.Exchange.Parser()
}

// BenchmarkLongBody is what the longest part of a body costs that is looked at at once.
func BenchmarkLongBody(b *testing.B) {
	body := bytes.Repeat([]byte("abcdefghij klmno "), maxWhole/17)
	for _, text := range []string{"healthy", "(?i)status.*ok"} {
		r := regexp.MustCompile(text)
		b.Run("whole/"+text, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				r.Match(body)
			}
		})
		b.Run("parts/"+text, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				m := newMatcher(r)
				for part := range slices.Chunk(body, 4<<10) {
					m.write(part)
				}
				m.finish()
			}
		})
	}
}
