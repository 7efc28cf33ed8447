package metrics

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestDocs has docs/metrics.md tell of the families that there are, and of no others.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	names := regexp.MustCompile("`([a-z0-9_]+)`")
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \|`).FindAllSubmatch(text, -1) { // the first column
		for _, name := range names.FindAllSubmatch(row[1], -1) {
			told = append(told, string(name[1]))
		}
	}
	families := parse(t, write(t, Text, copyOf(everything(), 0), process()))
	for name := range families {
		if !slices.Contains(told, name) {
			t.Errorf("%s is not in docs/metrics.md", name)
		}
	}
	for _, name := range told {
		if families[name] == nil {
			t.Errorf("docs/metrics.md tells of %s, which is not written", name)
		}
	}
}
