package metrics_test

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"time"

	"sonde/report"
	"sonde/watch/metrics"
	"sonde/watch/track"
)

// The owner of the table copies it in slices, between which it goes on; who serves writes the copy.
func ExampleWriter() {
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	table := track.New(start, 60)
	id := table.Add(&track.Target{Job: "web", Instance: "192.0.2.7:443", Module: "tcp", Labels: []track.Label{{Name: "team", Value: "a"}}})
	timing := report.NoTiming
	timing.Total = 3500 * time.Millisecond
	table.Record(id, &track.Result{At: start, Status: report.ConnectionTimeout, Side: report.SideRemote, Timing: timing}, 0)

	var c track.Copy
	for from, done := uint32(0), false; !done; {
		from, done = table.Copy(&c, from, 1024, 0)
	}

	var page bytes.Buffer
	var w metrics.Writer
	if err := w.Write(&page, metrics.Text, &c, nil); err != nil {
		fmt.Println(err)
	}
	for lines := bufio.NewScanner(&page); lines.Scan(); {
		if strings.Contains(lines.Text(), "team=") {
			fmt.Println(lines.Text())
		}
	}
	// Output:
	// probe_success{job="web",instance="192.0.2.7:443",module="tcp",team="a"} 0
	// probe_up{job="web",instance="192.0.2.7:443",module="tcp",team="a"} 0
	// probe_duration_seconds{job="web",instance="192.0.2.7:443",module="tcp",team="a"} 3.5
	// probe_late_seconds{job="web",instance="192.0.2.7:443",module="tcp",team="a"} 0
	// probe_failure_info{job="web",instance="192.0.2.7:443",module="tcp",team="a",reason="connection-timeout",side="remote"} 1
}
