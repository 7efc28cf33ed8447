package histogram

import (
	"bufio"
	"fmt"
	"io"
	"time"
)

// Log is an HdrHistogram log: histograms of intervals, as HistogramLogAnalyzer and the other tools of HdrHistogram read them
// (format version 1.3). Values are in microseconds; the greatest of each interval stands beside it in milliseconds.
type Log struct {
	w     *bufio.Writer
	start time.Time
}

// NewLog begins a log whose intervals count from start. Errors of w are told by Close.
func NewLog(w io.Writer, start time.Time) *Log {
	l := &Log{w: bufio.NewWriter(w), start: start}
	seconds := float64(start.UnixNano()) / float64(time.Second)
	fmt.Fprintf(l.w, "#[Histogram log format version 1.3]\n#[StartTime: %.3f (seconds since epoch), %s]\n#[MaxValueDivisor: 1000.000]\n",
		seconds, start.UTC().Format(time.RFC3339))
	fmt.Fprintln(l.w, `"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"`)
	return l
}

// Add writes an interval that began so long after the start. One whose counts can't be read is left out.
func (l *Log) Add(at, length time.Duration, c *Compact) {
	if h, err := c.Histogram(); err == nil {
		fmt.Fprintf(l.w, "%.3f,%.3f,%.3f,%s\n", at.Seconds(), length.Seconds(), float64(h.max)/1000, h.form().Counts)
	}
}

// Close ends the log and returns the first error of the writer's, which stays open.
func (l *Log) Close() error { return l.w.Flush() }
