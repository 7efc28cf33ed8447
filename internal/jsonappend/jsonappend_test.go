package jsonappend

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMembers(t *testing.T) {
	for _, tt := range []struct{ before, members, want string }{
		{"", "", `{}`},
		{"", `"a":1,"b":2`, `{"a":1,"b":2,"z":true}`},
		{"x", `"a":1`, `{"x":"x","a":1,"z":true}`},
		{"x", "", `{"x":"x","z":true}`},
	} {
		o := Begin(nil)
		if tt.before != "" {
			o.String("x", tt.before)
		}
		o.Members([]byte(tt.members))
		if tt.want != `{}` {
			o.Bool("z", true)
		}
		if got := string(o.End()); got != tt.want {
			t.Errorf("members %q: got %s, want %s", tt.members, got, tt.want)
		}
	}
}

func TestObject(t *testing.T) {
	o := Begin([]byte("x"))
	o.String("s", "a\"b\\\n\x01\u2028é")
	o.Int("i", -7)
	o.Bool("b", true)
	o.Strings("l", []string{"p", "q"})
	o.Raw("r", func(dst []byte) []byte { return append(dst, "[1]"...) })
	o.Bytes("y", []byte{'k', 0xff, 0x00})
	got := string(o.End())
	want := "x" + `{"s":"a\"b\\\n\u0001\u2028é","i":-7,"b":true,"l":["p","q"],"r":[1],"y":"k\ufffd\u0000","y_base64":"a/8A"}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(got[1:]), &m); err != nil {
		t.Error(err)
	}
}

func TestStringEscapesControls(t *testing.T) {
	got := string(String(nil, "\x1b\x7f\u0080\u009b\u009f\u00a0"))
	if want := `"\u001b\u007f\u0080\u009b\u009f` + "\u00a0\""; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStringDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 1024)
	s, b := strings.Repeat("plain é \n", 20), []byte("plain é \xff")
	if n := testing.AllocsPerRun(100, func() { dst = String(dst[:0], s); dst = String(dst[:0], b) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", "\xff\xfe", "\u2028\u2029", "\"\\/\b\f\x7f", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := String(nil, s)
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q gives %s: %v", s, out, err)
		}
		if utf8.ValidString(s) && back != s {
			t.Fatalf("got %q, want %q", back, s)
		}
		if string(out) != string(String(nil, []byte(s))) {
			t.Fatalf("%q: strings and bytes differ", s)
		}
	})
}
