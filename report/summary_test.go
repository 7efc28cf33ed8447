package report

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sonde/report/draw"
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
				if draw.Width(line) > limit {
					t.Errorf("width %d: line of %d columns: %s", width, draw.Width(line), line)
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
