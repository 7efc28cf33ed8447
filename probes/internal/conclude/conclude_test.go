package conclude

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sonde/internal/jsonappend"
	"sonde/protocol"
)

func TestEnded(t *testing.T) {
	malformed := &protocol.MalformedError{Format: "resp", Reason: "unknown type"}
	for _, tc := range []struct {
		name    string
		end     protocol.End
		err     error
		verdict protocol.Verdict
		reason  string
	}{
		{"fin", protocol.EndOfStream, nil, protocol.Closed, "closed before the greeting"},
		{"reset", protocol.EndReset, nil, protocol.Unfinished, "reset before the greeting"},
		{"timeout", protocol.EndTimeout, nil, protocol.Unfinished, "no end of the greeting in time"},
		{"quiet", protocol.EndQuiet, nil, protocol.Unfinished, "no end of the greeting in time"},
		{"cancelled", protocol.EndCancelled, nil, protocol.Unfinished, "cancelled before the greeting"},
		{"malformed", protocol.EndMalformed, malformed, protocol.NotSpoken, "not resp: unknown type"},
		{"too large", protocol.EndTooLarge, errors.New("line above 512"), protocol.OverLimit, "line above 512"},
		{"outgrew the buffer", protocol.EndTooLarge, nil, protocol.OverLimit, "frame above the limit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdict, reason := Ended(tc.end, tc.err, "the greeting")
			if verdict != tc.verdict || reason != tc.reason {
				t.Errorf("got %d, %q, want %d, %q", verdict, reason, tc.verdict, tc.reason)
			}
		})
	}
}

func TestEndedBeforeAnEnd(t *testing.T) {
	if _, reason := Ended(protocol.EndTimeout, nil, "the end of the head"); reason != "no end of the head in time" {
		t.Errorf("got %q", reason)
	}
	if _, reason := Ended(protocol.EndReset, nil, "the end of the head"); reason != "reset before the end of the head" {
		t.Errorf("got %q", reason)
	}
}

func TestClip(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"short", "abc", "abc"},
		{"exact", "abcd", "abcd"},
		{"long", "abcde", "abcd"},
		{"between characters", "ab\u00e9x", "ab\u00e9"},
		{"inside a character", "abc\u00e9", "abc"},
		{"not UTF-8", "\x80\x80\x80\x80\x80\x80", "\x80\x80\x80\x80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Clip([]byte(tc.in), 4); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	if got, want := Quote("a\r\n\x1b[31mb\u009bc \n"), "a   [31mb c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := len(Quote(strings.Repeat("x", 999))); got != maxQuoted {
		t.Errorf("length: got %d, want %d", got, maxQuoted)
	}
}

func TestAddText(t *testing.T) {
	o := jsonappend.Begin(nil)
	AddText(&o, "none", "")
	AddText(&o, "some", "\xff")
	if got, want := string(o.End()), `{"some":"\ufffd","some_base64":"/w=="}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCode(t *testing.T) {
	if got, want := Code("the greeting", 554, "no\nservice"), "the greeting is 554 no service"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Code("", 220, ""), "220"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLines(t *testing.T) {
	lines := [][]byte{nil, []byte("a"), nil, []byte("b")}
	if got, want := Lines(slices.Values(lines)), "\na\n\nb"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := len(Lines(slices.Values(slices.Repeat([][]byte{[]byte("abc")}, 9999)))); got != MaxText {
		t.Errorf("length: got %d, want %d", got, MaxText)
	}
}
