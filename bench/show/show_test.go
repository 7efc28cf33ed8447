package show

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sonde/bench/result"
	"sonde/bench/result/resulttest"
	"sonde/report"
	"sonde/report/draw"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew; then read the diff")

func text(t *testing.T, r *result.Report, style report.Style) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, r, style); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func empty(kind string) *result.Report {
	return &result.Report{Schema: result.Schema, Kind: kind, Total: &result.Part{}, Kernel: result.Kernel{Memory: -1, Slab: -1, Sockets: -1}}
}

func TestWriteGolden(t *testing.T) {
	stopped := resulttest.Request()
	stopped.Stopped, stopped.Searched, stopped.Workers = "interrupted", nil, nil
	tests := []struct {
		file  string
		r     *result.Report
		style report.Style
	}{
		{"hold-80.txt", resulttest.Hold(), report.Style{}},
		{"hold-120.txt", resulttest.Hold(), report.Style{Width: 120}},
		{"handshake-100.txt", resulttest.Handshake(), report.Style{Width: 100}},
		{"request-100.txt", resulttest.Request(), report.Style{Width: 100}},
		{"request-80-ascii.txt", stopped, report.Style{ASCII: true}},
		{"request-100-color.txt", stopped, report.Style{Width: 100, Color: true}},
		{"empty.txt", empty(result.Request), report.Style{}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got, path := text(t, tt.r, tt.style), filepath.Join("testdata", tt.file)
			if *rewrite {
				if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (-want +got):\n%s", path, diff)
			}
		})
	}
}

// TestWriteFits: at any width no line is wider than the report's, none ends in a blank, none holds what a terminal acts on, and
// ASCII is ASCII.
func TestWriteFits(t *testing.T) {
	colors := regexp.MustCompile("\x1b\\[[0-9]*m")
	hostile := resulttest.Request()
	hostile.Stopped, hostile.Config["find_rate"] = "\x1b[2J", "p99<10ms\n"
	hostile.Workers = []result.Worker{{Number: 1, Error: strings.Repeat("\x1b]0;x\a日本語", 30)}}
	hostile.Total.Failures.Add(result.Failure{Status: "no such status", Text: strings.Repeat("\x1b[31mx", 50), Example: "\x1b[0m", Count: 1 << 32})
	for _, r := range []*result.Report{resulttest.Hold(), resulttest.Handshake(), resulttest.Request(), hostile, empty(result.Hold), empty(result.Handshake)} {
		for _, width := range []int{1, leastWidth, 80, 100, mostWidth, 500, report.Unbounded} {
			for _, ascii := range []bool{false, true} {
				style := report.Style{Width: width, Color: true, ASCII: ascii}
				limit := min(max(style.Columns(), leastWidth), mostWidth)
				for line := range strings.Lines(colors.ReplaceAllString(text(t, r, style), "")) {
					line = strings.TrimSuffix(line, "\n")
					if draw.Width(line) > limit {
						t.Errorf("%s, width %d: line of %d columns: %s", r.Kind, width, draw.Width(line), line)
					}
					if strings.HasSuffix(line, " ") || strings.ContainsAny(line, "\x1b\t\r\a") || !utf8.ValidString(line) {
						t.Errorf("%s, width %d: line %q holds what it should not", r.Kind, width, line)
					}
					if i := strings.IndexFunc(line, func(c rune) bool { return c >= utf8.RuneSelf }); ascii && i >= 0 && !strings.Contains(line, "日本語") {
						t.Errorf("%s: %q is not ASCII", r.Kind, line)
					}
				}
			}
		}
	}
}

// TestWarnings: each thing that makes figures less than they seem is said, and nothing is where there is nothing.
func TestWarnings(t *testing.T) {
	tests := []struct {
		name   string
		change func(p *result.Part)
		want   string // "" for no warning
	}{
		{"nothing wrong", func(*result.Part) {}, ""},
		{"rate not reached", func(p *result.Part) { p.Operations = 980 }, "the rate was not reached: 980/s of 1,000/s"},
		{"fewer connections", func(p *result.Part) { p.Held, p.HeldAtEnd, p.Opened = 8, 9, 500 }, "only 9 of 10 connections stood:"},
		{"all at the end", func(p *result.Part) { p.Held = 0 }, ""},
		{"our own queueing", func(p *result.Part) { p.Phases.Of(result.Latency).Record(2 * time.Millisecond) }, "50.0% of the latency at p99 was sonde's own queueing"},
		{"a little of our own", func(p *result.Part) { p.Phases.Of(result.Latency).Record(1040 * time.Microsecond) }, ""},
		{"slow to connect", func(p *result.Part) { p.Phases.Of(result.Ours).Record(3 * time.Millisecond) }, "ours is 3.00ms of connect at p99"},
		{"late loops", func(p *result.Part) {
			p.Engine.LoopLag = p.Phases.Of(result.SchedDelay)
			p.Engine.LoopLag.Record(9 * time.Millisecond)
		},
			"the loops were late by 9.00ms at p99"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := empty(result.Request)
			r.Config = map[string]any{"rate_per_s": 1000.0}
			p := r.Total
			p.Wanted, p.Opened, p.Held, p.HeldAtEnd, p.Operations, p.Measured = 10, 10, 10, 10, 1000, time.Second
			p.Phases.Of(result.Peer).Record(time.Millisecond)
			p.Phases.Of(result.Latency).Record(time.Millisecond)
			tt.change(p)
			got := text(t, r, report.Style{Width: 120})
			if tt.want == "" && strings.Contains(got, "warning") || tt.want != "" && !strings.Contains(got, "warning: "+tt.want) {
				t.Errorf("got %s\nwant a warning %q", got, tt.want)
			}
		})
	}
}

// TestHoldNotKnown: a hold that was stopped on its way says what it does not know, and not 0.
func TestHoldNotKnown(t *testing.T) {
	r := resulttest.Hold()
	r.Total.Usage.ResidentHeld, r.Total.Usage.Descriptors, r.Total.Ramp = -1, -1, -1
	got := text(t, r, report.Style{Width: 120})
	for _, want := range []string{"MEMORY       ours: not known\n", "FDS          not known, in 3 processes\n", "RAMP         99,997 connections opened of 10,000/s asked for\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q", got, want)
		}
	}
}

// TestNothingAnswered: where there is no line of time there is no place for one.
func TestNothingAnswered(t *testing.T) {
	r := empty(result.Request)
	r.Total.Intervals = []result.Interval{{Index: 0, Opened: 1}, {Index: 1, Opened: 1}, {Index: 2, Opened: 1}}
	r.Total.Failures.Add(result.Failure{Status: "connection-refused", Count: 3})
	if got := text(t, r, report.Style{}); strings.Contains(got, "\n\n\n") {
		t.Errorf("two blank lines together:\n%s", got)
	}
}

// writer counts the calls and fails.
type writer struct{ calls int }

func (w *writer) Write([]byte) (int, error) { w.calls++; return 0, errors.ErrUnsupported }

func TestWriteError(t *testing.T) {
	w := &writer{}
	if err := Write(w, resulttest.Hold(), report.Style{}); !errors.Is(err, errors.ErrUnsupported) || w.calls != 1 {
		t.Errorf("got %v after %d calls, want the writer's error after one", err, w.calls)
	}
}
