package yamlflow

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

func TestTokens(t *testing.T) {
	list := func(entries ...any) any { return map[string]any{"t": entries} }
	for _, tt := range []struct {
		text   string
		want   any
		mended bool
	}{
		{"{t: [127.0.0.1:8080]}", list("127.0.0.1:8080"), true},
		{"{t: [a:1, b:2 , c]}", list("a:1", "b:2", "c"), true},
		{"{t: [http://h:80/x?y=1]}", list("http://h:80/x?y=1"), true},
		{"{t: [2001:db8::1, x:1:2]}", list("2001:db8::1", "x:1:2"), true},
		{"{t: [\n  a:1, # c\n  b:2\n]}\n", list("a:1", "b:2"), true},
		{"{t: [12:30]}", list("12:30"), true},
		{"{t: [[a:1], {k: [b:2]}]}", list([]any{"a:1"}, map[string]any{"k": []any{"b:2"}}), true},
		{"- {t: [a:1]}\n- {t: [b:2]}\n", []any{list("a:1"), list("b:2")}, true},

		{"{t: [a: 1]}", list(map[string]any{"a": uint64(1)}), false},
		{`{t: ["a":1, 'b':2]}`, list(map[string]any{"a": uint64(1)}, map[string]any{"b": uint64(2)}), false},
		{`{t: ["a:1"]}`, list("a:1"), false},
		{"{t: [{k:v}]}", list(map[string]any{"k": "v"}), false},
		{"{t: http://h:80/x}", map[string]any{"t": "http://h:80/x"}, false},
		{"t: [a:1, b: 2]", list("a:1", map[string]any{"b": uint64(2)}), false},
		{"t:\n- a:1\n", list("a:1"), false},
	} {
		tokens, mended := Tokens(tt.text)
		if mended != tt.mended {
			t.Errorf("%q: mended is %v, want %v", tt.text, mended, tt.mended)
		}
		for i, token := range tokens {
			if i > 0 && (token.Prev != tokens[i-1] || tokens[i-1].Next != token) {
				t.Errorf("%q: token %d is not linked to the one before", tt.text, i)
			}
		}
		file, err := parser.Parse(tokens, 0)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		var got any
		if err := yaml.NodeToValue(file.Docs[0].Body, &got); err != nil {
			t.Errorf("%q: %v", tt.text, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.text, diff)
		}
	}
}

// FuzzTokens: nothing makes it panic or lose a letter.
func FuzzTokens(f *testing.F) {
	for _, text := range []string{"{t: [a:1, b: 2, c:d:e, :, x:]}", "[{a:[b:c]}:d]", "}]:", "{[a:", "{[:a", "{[a:\n b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens, mended := Tokens(text)
		var got, want string
		for _, token := range tokens {
			got += token.Origin
		}
		cut := lexer.Tokenize(text)
		for _, token := range cut {
			want += token.Origin
		}
		if got != want || mended == (len(tokens) == len(cut)) {
			t.Errorf("got %q in %d tokens, want %q, of %d; mended is %v", got, len(tokens), want, len(cut), mended)
		}
	})
}
