package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/report/draw"
)

func ExampleProgressBar() {
	s := Snapshot{Elapsed: 12 * time.Second, Done: 34_567, Total: 100_000, Exact: true, InFlight: 1000, Rate: 2880}
	s.Statuses[Success], s.Statuses[ConnectionRefused] = 31_525, 3042
	fmt.Println(ProgressBar(s, Style{ASCII: true}))
	// Output:
	// ######...........  34.6%  34,567 of 100,000  1,000 in flight  2,880/s  23s left
	// success 91.2%  connection-refused 8.8%
}

func TestProgressBar(t *testing.T) {
	half := Snapshot{Elapsed: 10 * time.Second, Done: 50, Total: 100, InFlight: 5, Rate: 5}
	half.Statuses = Counts{20, 10, 9, 8, 3}
	tests := []struct {
		name  string
		s     Snapshot
		style Style
		want  string
	}{
		{"nothing yet", Snapshot{}, Style{}, "0 done  0 in flight  0.0/s  0s\n"},
		{"estimate", half, Style{Width: 60, ASCII: true},
			"#####.....  50.0%  50 of ~100  5 in flight  5.0/s  10s left\n" +
				"success 40.0%  connection-refused 20.0%"},
		{"the bar is bounded", half, Style{Width: 300},
			strings.Repeat("█", 20) + strings.Repeat("░", 20) + "  50.0%  50 of ~100  5 in flight  5.0/s  10s left\n" +
				"success 40.0%  connection-refused 20.0%  connection-timeout 18.0%  connection-reset 16.0%  connection-closed 6.0%"},
		{"no room for a bar", half, Style{Width: 50}, "50.0%  50 of ~100  5 in flight  5.0/s  10s left\n" +
			"success 40.0%  connection-refused 20.0%"},
		{"no room for all figures", half, Style{Width: 35}, "50.0%  50 of ~100  5.0/s  10s left\nsuccess 40.0%"},
		{"more than estimated", Snapshot{Done: 11, Total: 10, Elapsed: time.Second}, Style{ASCII: true},
			strings.Repeat("#", 38) + "  100%  11 of ~10  0 in flight  0.0/s  1s\n"},
		{"colour", Snapshot{Done: 1, Total: 2, Exact: true, Elapsed: time.Second, Statuses: Counts{1}}, Style{Width: 55, Color: true},
			"\x1b[32m█████\x1b[0m\x1b[2m░░░░░\x1b[0m  50.0%  1 of 2  0 in flight  0.0/s  1s left\n\x1b[32msuccess 100%\x1b[0m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ProgressBar(tt.s, tt.style)); diff != "" {
				t.Errorf("lines differ (-want +got):\n%s", diff)
			}
		})
	}
}

// A line that is as wide as the terminal is drawn on two rows by some, and then nothing draws over it.
func TestProgressBarFits(t *testing.T) {
	s := Snapshot{Elapsed: 99 * time.Hour, Done: 123_456_789, Total: 987_654_321, InFlight: 1_000_000, Rate: 123_456}
	for status := range NumStatuses {
		s.Statuses[status] = uint64(status) + 1
	}
	for width := 40; width < 200; width++ {
		for _, line := range strings.Split(ProgressBar(s, Style{Width: width}), "\n") {
			if got := draw.Width(line); got >= width {
				t.Fatalf("width %d: got a line of %d columns, %q", width, got, line)
			}
		}
	}
}
