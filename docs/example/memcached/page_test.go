package memcached

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPageShowsThisCode wants the Go code of docs/adding-a-probe.md to be the probe and its test, whole and in order.
func TestPageShowsThisCode(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var blocks []string
	for rest, found := read("../../adding-a-probe.md"), true; found; {
		var block string
		_, rest, found = strings.Cut(rest, "```go\n")
		if block, rest, _ = strings.Cut(rest, "```\n"); found {
			blocks = append(blocks, block)
		}
	}
	want := read("memcached.go") + "\n" + read("memcached_test.go")
	if diff := cmp.Diff(want, strings.Join(blocks, "\n")); diff != "" {
		t.Errorf("the page's code differs (-files +page):\n%s", diff)
	}
}
