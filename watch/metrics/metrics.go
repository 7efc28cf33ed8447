// Package metrics writes what is known of targets in Prometheus' text format or as OpenMetrics, straight from a copy of the table
// ([track.Copy]): no registry, nothing allocated for a series, so that a hundred thousand targets are some hundred
// milliseconds and no garbage. The names of blackbox_exporter are kept; what it has not begins with probe_ where it is said of a
// target, with sonde_ where it is said of a job or of sonde itself. docs/metrics.md lists them all.
//
// It knows no HTTP: who serves says what format is wanted, compresses, and copies the table.
package metrics

import (
	"io"

	"sonde/protocol/http1"
	"sonde/watch/track"
)

// Format is how metrics are written.
type Format uint8

// The formats.
const (
	Text        Format = iota // Prometheus' text format, version 0.0.4
	OpenMetrics               // OpenMetrics 1.0
	NumFormats                // how many there are; not a format
)

// ContentType is that of an answer in this format.
func (f Format) ContentType() string {
	if f == OpenMetrics {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// Negotiate chooses the format for a request with this Accept header (RFC 9110 s.12.5.1): Text, unless OpenMetrics is preferred.
func Negotiate(accept string) Format {
	open, text := 0.0, 0.0
	for media, weight := range http1.Preferences(accept) {
		switch media {
		case "application/openmetrics-text":
			open = max(open, weight)
		case "text/plain", "text/*", "*/*":
			text = max(text, weight)
		}
	}
	if open > 0 && open >= text {
		return OpenMetrics
	}
	return Text
}

// Writer writes metrics again and again, and keeps its memory in between: about as many bytes as the labels of all targets have. It
// belongs to one goroutine at a time. The zero value is ready.
type Writer struct {
	encoder  encoder
	labels   []byte    // of all targets, one behind the other
	ends     []int     // of each target's labels
	features []feature // of each target: most families apply to few, and a look at a row is a miss of the cache
}

// Write writes all families of the targets and jobs in c, and then those of sonde itself; p may be nil. It writes w by chunks of some
// 64 KiB and ends at its first error.
func (w *Writer) Write(to io.Writer, f Format, c *track.Copy, p *Process) error {
	e := &w.encoder
	*e = encoder{w: to, format: f, buf: e.buf[:0]}
	w.render(c)
	for _, family := range targetFamilies {
		e.begin(family.name, family.kind, family.help)
		start := 0
		for i, end := range w.ends {
			if w.features[i]&family.of != 0 {
				family.write(e, &c.Views[i], w.labels[start:end])
			}
			start = end
		}
		if e.err != nil {
			break
		}
	}
	writeJobs(e, c)
	if p != nil {
		p.write(e)
	}
	return e.end()
}

// render renders the labels of all targets, and notes what they have.
func (w *Writer) render(c *track.Copy) {
	w.labels, w.ends, w.features = w.labels[:0], w.ends[:0], w.features[:0]
	for i := range c.Views {
		v := &c.Views[i]
		w.labels = appendLabels(w.labels, v.Target)
		w.ends = append(w.ends, len(w.labels))
		w.features = append(w.features, featuresOf(c, v))
	}
}

// end writes what is left, and returns the first error.
func (e *encoder) end() error {
	if e.format == OpenMetrics {
		e.buf = append(e.buf, "# EOF\n"...)
	}
	e.flush()
	err := e.err
	e.w, e.err = nil, nil
	return err
}
