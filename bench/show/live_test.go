package show

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/bench/result"
	"sonde/internal/histogram"
	"sonde/report"
	"sonde/report/draw"
)

func latencies(d ...time.Duration) *histogram.Compact {
	h := histogram.New()
	for _, d := range d {
		h.Record(d)
	}
	return h.Compact()
}

func ExampleLive() {
	live := NewLive(os.Stdout, result.Hold, report.Style{Width: report.Unbounded})
	live.Update(&result.Interval{Index: 0, Opened: 8130, Held: 8130, InFlight: 8230, WarmUp: true}, 100_000)
	live.Update(&result.Interval{Index: 13, Held: 99_997, Operations: 1667, Failed: 3, Latency: latencies(time.Millisecond, 3*time.Millisecond)}, 100_000)
	live.Update(&result.Interval{Index: 14, Held: 99_990, Operations: 1667, Lost: 7}, 100_000)
	live.Update(&result.Interval{Index: 0, Held: 10, Operations: 5}, 10) // the next run
	live.Close()
	// Output:
	// 1s: 8,130/s opened, 8,130 of 100,000 held, none failed, 100 opening
	// 14s: 1,667/s, 99,997 of 100,000 held, 3 failed, 0 opening, p50 1.00ms, p99 3.00ms, max 3.00ms
	// 15s: 1,667/s, 99,990 of 100,000 held, 3 failed, 7 lost, 0 opening
	// 1s: 5.0/s, 10 of 10 held, none failed, 0 opening
}

// TestLiveBlock: a block is drawn where the one before stood, what else is told stands above it, and in the end nothing is left.
func TestLiveBlock(t *testing.T) {
	var terminal bytes.Buffer
	live := NewLive(&terminal, result.Request, report.Style{Width: 70, ASCII: true})
	live.Update(&result.Interval{Index: 0, Held: 10, Operations: 50, Failed: 1}, 10)
	live.Update(&result.Interval{Index: 2, Held: 10, Operations: 100, Failed: 1, Latency: latencies(time.Millisecond)}, 10)
	live.Update(&result.Interval{Index: 2, Held: 10, Operations: 200, Failed: 2, Latency: latencies(time.Millisecond)}, 10)
	fmt.Fprintln(live.Above(&terminal), "sonde: a worker died")
	live.Close()
	live.Close()
	block := func(lines ...string) string {
		return "\r" + strings.Join(lines, "\x1b[K\r\n") + "\x1b[K\r\x1b[A\x1b[A"
	}
	last := block("3s  200/s  10 of 10 held  3 failed  0 in flight", "p50 1.00ms  p99 1.00ms  max 1.00ms", "- #  most 200/s")
	want := block("1s  50/s  10 of 10 held  1 failed  0 in flight", "no answer in this second", "#  most 50/s") +
		block("3s  100/s  10 of 10 held  2 failed  0 in flight", "p50 1.00ms  p99 1.00ms  max 1.00ms", "+ #  most 100/s") +
		last + "\r\x1b[J" + "sonde: a worker died\n" + last + "\r\x1b[J"
	if diff := cmp.Diff(want, terminal.String()); diff != "" {
		t.Errorf("terminal differs (-want +got):\n%s", diff)
	}
}

// TestLiveFits: whatever the terminal and the figures, no line is as wide as the terminal, and there are always three.
func TestLiveFits(t *testing.T) {
	live := NewLive(&bytes.Buffer{}, result.Request, report.Style{})
	for second := range 100 {
		live.Update(&result.Interval{Index: second, Held: 1_000_000, InFlight: 123_456, Operations: uint64(second) * 12_345, Failed: 99_999, Lost: 77_777,
			Latency: latencies(time.Duration(second) * time.Second)}, 1_000_000)
	}
	for width := 20; width < 200; width++ {
		live.Resize(width)
		lines := strings.Split(live.drawn(1_000_000), "\n")
		for _, line := range lines {
			if draw.Width(line) >= width || len(lines) != 3 {
				t.Fatalf("width %d: got a line of %d columns of %d: %q", width, draw.Width(line), len(lines), line)
			}
		}
	}
	if n := len(live.rates); n != sparkSeconds {
		t.Errorf("got %d seconds kept, want %d", n, sparkSeconds)
	}
	if strings.Contains(live.drawn(1), "\x1b") {
		t.Error("got colours that were not asked for")
	}
	live.style.Color = true
	if !strings.Contains(live.drawn(1), string(draw.Red)) {
		t.Error("got no colours")
	}
}
