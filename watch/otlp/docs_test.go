package otlp

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"slices"
	"testing"

	"sonde/internal/histogram"
	"sonde/watch/metrics"
	"sonde/watch/track"
)

// TestDocs has docs/otlp.md tell of the metrics that there are, and of no others.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/otlp.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("## Metrics"))
	var told []string
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \|`).FindAllSubmatch(text, -1) { // the first column
		for _, name := range regexp.MustCompile("`([a-z0-9_.]+)`").FindAllSubmatch(row[1], -1) {
			told = append(told, string(name[1]))
		}
	}
	e := measurable(t, "http://127.0.0.1:1")
	read := e.read
	e.read = func(ctx context.Context, use func(*track.Copy, *metrics.Process)) error {
		return read(ctx, func(c *track.Copy, p *metrics.Process) {
			p.Usage.Resident, p.Engine.LoopLag = 1<<20, histogram.New()
			use(c, p)
		})
	}
	var sent []string
	for _, m := range e.measure(t.Context()).ResourceMetrics[0].ScopeMetrics[0].Metrics {
		sent = append(sent, m.Name)
		if !slices.Contains(told, m.Name) {
			t.Errorf("%s is not in docs/otlp.md", m.Name)
		}
	}
	for _, name := range told {
		if !slices.Contains(sent, name) {
			t.Errorf("docs/otlp.md tells of %s, which is not sent", name)
		}
	}
}
