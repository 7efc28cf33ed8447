package report

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sonde/internal/histogram"
)

func summaryText(t *testing.T, r *Run, style Style) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteSummary(&out, r, style); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWriteSummaryGolden(t *testing.T) {
	stopped := sampleRun()
	stopped.Stopped, stopped.Engine.Closed, stopped.Engine.Illegal = "interrupted", stopped.Engine.Opened-3, 1
	for range 2000 { // a slow machine, and a second probe
		r := Record{Probe: "tcp", Timing: NoTiming}
		r.Timing.Connect, r.Timing.KernelRTT = 40*time.Millisecond, 90*time.Microsecond
		stopped.Summary.Add(&r)
	}
	tests := []struct {
		file  string
		run   *Run
		style Style
	}{
		{"summary-80.txt", sampleRun(), Style{}},
		{"summary-120.txt", sampleRun(), Style{Width: 120}},
		{"summary-80-ascii.txt", sampleRun(), Style{Width: 80, ASCII: true}},
		{"summary-100-color.txt", stopped, Style{Width: 100, Color: true}},
		{"summary-80-tls.txt", tlsRun(), Style{}},
		{"summary-empty.txt", &Run{Start: testTime, End: testTime, Summary: NewSummary()}, Style{}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) { golden(t, tt.file, summaryText(t, tt.run, tt.style)) })
	}
}

// tlsRun is one record of a TLS server, whose session was offered again and taken, as two of three were.
func tlsRun() *Run {
	r := fullRecord()
	s := NewSummary()
	r.Status = Success
	r.Result = resumed("psk", 5000, 1200)
	s.Add(&r)
	s.addResumption(resumed("ticket", 7000, 2000))
	s.addResumption(resumed("none", 6000, 6100))
	return &Run{Start: testTime, End: testTime.Add(time.Second), Targets: 1, Excluded: 1, Summary: s,
		Engine: Engine{Loops: 1, InFlightMax: 3, HandshakesMax: 2, Opened: 2, Closed: 2, Established: 2}}
}

// TestWriteSummaryFits: at any width from the least on, no line is wider than the terminal.
func TestWriteSummaryFits(t *testing.T) {
	run := sampleRun()
	run.Summary.addResumption(resumed("session-id", 1<<40, 1<<40))
	run.Engine.InFlightMax, run.Engine.HandshakesMax = 123_456, 98_765
	colors := regexp.MustCompile("\x1b\\[[0-9]*m")
	for _, width := range []int{1, summaryMin, 80, 100, summaryMax, 500} {
		for _, ascii := range []bool{false, true} {
			text := colors.ReplaceAllString(summaryText(t, run, Style{Width: width, Color: true, ASCII: ascii}), "")
			limit := min(max(width, summaryMin), summaryMax)
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(line, "\n")
				if displayWidth(line) > limit {
					t.Errorf("width %d: line of %d columns: %s", width, displayWidth(line), line)
				}
				if strings.HasSuffix(line, " ") || strings.ContainsAny(line, "\x1b\t\r") || !utf8.ValidString(line) {
					t.Errorf("width %d: line %q holds what it should not", width, line)
				}
				if i := strings.IndexFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }); ascii && i >= 0 {
					t.Errorf("line %q is not ASCII", line)
				}
			}
		}
	}
}

func TestWriteSummaryError(t *testing.T) {
	dst := &limitedWriter{limit: 10, err: errFull}
	if err := WriteSummary(dst, sampleRun(), Style{}); !errors.Is(err, errFull) || dst.calls != 1 {
		t.Errorf("got %v after %d writes, want the writer's error after one", err, dst.calls)
	}
}

// TestAdvice: each failure has its line; success has none.
func TestAdvice(t *testing.T) {
	for s := range NumStatuses {
		if (advice[s] == "") != (s == Success) {
			t.Errorf("%v: got advice %q", s, advice[s])
		}
	}
}

// TestAdviceOfTLS: what is wrong with TLS is not mended by the flags of other probes alone.
func TestAdviceOfTLS(t *testing.T) {
	for status, word := range map[Status]string{ProtocolError: "--starttls", HandshakeError: "--starttls", ByteLimit: "TLS handshake"} {
		if !strings.Contains(advice[status], word) {
			t.Errorf("%v: got %q, want %q in it", status, advice[status], word)
		}
	}
}

func TestBar(t *testing.T) {
	tests := []struct {
		part, whole uint64
		width       int
		ascii       bool
		want        string
	}{
		{0, 10, 8, false, ""}, {10, 10, 8, false, "████████"}, {5, 10, 8, false, "████"}, {1, 64, 8, false, "▏"}, {7, 64, 8, false, "▉"},
		{9, 64, 8, false, "█▏"}, {1, 1 << 40, 8, false, "▏"}, {3, 0, 8, false, ""}, {3, 3, 0, false, ""},
		{0, 10, 8, true, ""}, {10, 10, 8, true, "########"}, {1, 1000, 8, true, "."},
	}
	for _, tt := range tests {
		if got := bar(tt.part, tt.whole, tt.width, tt.ascii); got != tt.want {
			t.Errorf("bar(%d, %d, %d, %t): got %q, want %q", tt.part, tt.whole, tt.width, tt.ascii, got, tt.want)
		}
	}
}

// TestHistogramRows: whatever was recorded, the rows join each other, hold every count and are not too many to read.
func TestHistogramRows(t *testing.T) {
	tests := [][]time.Duration{
		{0}, {0, 1000}, {999, 1000}, {3 * time.Microsecond, 7 * time.Microsecond}, {time.Hour}, {0, time.Hour}, {2 * time.Hour},
		{100 * time.Microsecond, 3500 * time.Millisecond}, {200 * time.Microsecond, 201 * time.Microsecond, 999 * time.Microsecond},
		{10_005 * time.Microsecond}, make([]time.Duration, 5000), {time.Millisecond, 1200 * time.Microsecond}, {5 * time.Millisecond, 79 * time.Millisecond},
	}
	for _, durations := range tests {
		h := histogram.New()
		for _, d := range durations {
			h.Record(d)
		}
		rows := histogramRows(h)
		sum := uint64(0)
		for i, row := range rows {
			sum += row.Count
			if row.From >= row.To || i > 0 && row.From != rows[i-1].To {
				t.Errorf("%v: row %d of %v does not join the one before", durations, i, rows)
			}
		}
		first, last := rows[0], rows[len(rows)-1]
		if sum != h.Count() || first.Count == 0 || last.Count == 0 || len(rows) > 22 {
			t.Errorf("%v: got %d of %d counted in %d rows %v, want all, none empty at the ends", durations, sum, h.Count(), len(rows), rows)
		}
	}
}

func TestUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		Absent: "-", 0: "0µs", 999: "0µs", 999_999: "999µs", time.Millisecond: "1.00ms", 9_994_999: "9.99ms", 9_995_000: "10.0ms",
		99_950 * time.Microsecond: "100ms", 999_499 * time.Microsecond: "999ms", 999_500 * time.Microsecond: "1.00s", 99_949 * time.Millisecond: "99.9s",
		99_950 * time.Millisecond: "1m40s", 185 * time.Second: "3m05s", time.Hour - 1: "1h00m", 26 * time.Hour: "26h00m",
	} {
		if got := formatDuration(d, false); got != want {
			t.Errorf("%d ns: got %q, want %q", d, got, want)
		}
	}
	if got := formatDuration(5*time.Microsecond, true); got != "5us" {
		t.Errorf("got %q, want 5us", got)
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1<<64 - 1: "18,446,744,073,709,551,615"} {
		if got := formatCount(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for part, want := range map[uint64]string{0: "0%", 1: "<0.1%", 100: "0.1%", 50_000: "50.0%", 99_999: ">99.9%", 100_000: "100%"} {
		if got := formatShare(part, 100_000); got != want {
			t.Errorf("%d: got %q, want %q", part, got, want)
		}
	}
}
