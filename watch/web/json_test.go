package web

import (
	"testing"
	"time"

	"sonde/report"
	"sonde/watch/history"
)

// TestQuantile holds the nearest rank of those that succeeded, whatever their order.
func TestQuantile(t *testing.T) {
	var points []history.Point
	for i := range 100 {
		points = append(points,
			history.Point{Total: time.Duration(100-i) * time.Microsecond},
			history.Point{Total: time.Hour, Status: report.IOTimeout}, history.Point{Total: report.Absent})
	}
	for percent, want := range map[int]int64{0: 1, 1: 1, 50: 50, 99: 99, 100: 100} {
		if got := quantile(points, percent); got == nil || *got != want {
			t.Errorf("%d %%: got %v, want %d us", percent, got, want)
		}
	}
	if got := quantile(points[1:3], 50); got != nil {
		t.Errorf("of none that succeeded: got %d", *got)
	}
	if got := quantile(points[:1], 99); got == nil || *got != 100 {
		t.Errorf("of one: got %v, want 100 us", got)
	}
}
