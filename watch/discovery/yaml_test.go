package discovery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestYAMLInPieces reads long lists in pieces: nothing else comes of it than of the whole.
func TestYAMLInPieces(t *testing.T) {
	var many strings.Builder
	for i := range 400 {
		fmt.Fprintf(&many, "- targets:\n  - a%d:80\n  - 'b\n    - c'\n# the next\n\n-\n  labels: {a: \"%d\"}\n  targets: [ x:1 ]\n", i, i)
	}
	list := many.String()
	for name, c := range map[string]struct {
		text string
		most int // how long a piece may be
	}{
		"blocks":     {"# a list\n---\n" + list, pieceBytes + 200},
		"CRLF":       {strings.ReplaceAll(list, "\n", "\r\n"), pieceBytes + 200},
		"references": {"- targets: [a]\n  labels: &same {a: b}\n" + list + "- targets: [b]\n  labels: *same\n", 1 << 20},
		"documents":  {list + "---\n" + list, 1 << 20},
		"an end":     {list + "...\n" + list, 1 << 20},
		"brackets":   {"[" + strings.Repeat("{targets: [a]},\n", 1200) + "]", 1 << 20},
		"none":       {"[]\n" + strings.Repeat("# nothing\n", 5000), 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			groups, err := decodeYAML([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			want, err := newDocument("a.yml", groups)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseYAML("a.yml", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.groups, got.groups, cmp.AllowUnexported(group{})); diff != "" {
				t.Error(diff)
			}
			all := ""
			for piece := range pieces([]byte(c.text)) {
				if all += string(piece); len(piece) > c.most {
					t.Errorf("a piece of %d bytes, want at most %d", len(piece), c.most)
				}
			}
			if all != c.text {
				t.Errorf("the pieces have %d bytes, the list %d, or others", len(all), len(c.text))
			}
		})
	}
}
