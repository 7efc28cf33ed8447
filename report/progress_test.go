package report

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ExampleProgressLine() {
	s := Snapshot{Elapsed: 12 * time.Second, Done: 34_567, Total: 100_000, Exact: true, InFlight: 1000, Rate: 2880}
	s.Statuses[Success], s.Statuses[ConnectionRefused] = 31_525, 3042
	fmt.Println(ProgressLine(s))
	// Output:
	// 12s: 34,567 of 100,000 (34.6%), 1,000 in flight, 2,880/s, 23s left: success 91.2%, connection-refused 8.8%
}

func TestProgressLine(t *testing.T) {
	many := Counts{1, 2, 3, 4, 5, 5}
	tests := []struct {
		name string
		s    Snapshot
		want string
	}{
		{"nothing yet", Snapshot{}, "0s: 0, 0 in flight, 0.0/s"},
		{"no total", Snapshot{Elapsed: 61 * time.Second, Done: 5, Rate: 0.04}, "1m01s: 5, 0 in flight, 0.0/s"},
		{"estimate", Snapshot{Elapsed: time.Second, Done: 5, Total: 10, Rate: 9.96}, "1s: 5 of ~10 (50.0%), 0 in flight, 10.0/s, 1s left"},
		{"more than estimated", Snapshot{Elapsed: time.Second, Done: 11, Total: 10, Rate: 11}, "1s: 11 of ~10, 0 in flight, 11/s"},
		{"all done", Snapshot{Elapsed: 2 * time.Hour, Done: 10, Total: 10, Exact: true}, "2h00m: 10 of 10 (100%), 0 in flight, 0.0/s"},
		{"far away", Snapshot{Elapsed: time.Hour, Done: 1, Total: 1 << 63, Exact: true, Rate: 1},
			"1h00m: 1 of 9,223,372,036,854,775,808 (<0.1%), 0 in flight, 1.0/s, 1000h00m left"},
		{"all that is left is in flight", Snapshot{Elapsed: 7 * time.Second, Done: 998, Total: 1000, Exact: true, InFlight: 2, Rate: 0},
			"7s: 998 of 1,000 (99.8%), 2 in flight, 0.0/s"},
		{"the most frequent four", Snapshot{Statuses: many},
			"0s: 0, 0 in flight, 0.0/s: connection-closed 25.0%, host-unreachable 25.0%, connection-reset 20.0%, connection-timeout 15.0%"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ProgressLine(tt.s)); diff != "" {
				t.Errorf("line differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusUpdates(t *testing.T) {
	known := Snapshot{Elapsed: 1500 * time.Millisecond, Done: 5, Total: 10, Exact: true, InFlight: 2, Rate: 3.333}
	known.Statuses[Success], known.Statuses[Cancelled] = 4, 1
	text := string(AppendStatusHeader(nil)) + "\n" + string(AppendStatusUpdate(nil, testTime, &known)) + "\n" +
		string(AppendStatusUpdate(nil, testTime, &Snapshot{})) + "\n"
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll() // refuses rows of another length
	if err != nil {
		t.Fatal(err)
	}
	zeros := strings.Split(strings.Repeat("0,", int(NumStatuses)-2)+"0", ",")
	head := []string{"timestamp", "elapsed_s", "done", "total", "total_exact", "in_flight", "rate_per_s", "eta_s", "success", "connection-refused"}
	want := [][]string{
		append(append([]string{"2026-03-04T05:06:07.089012Z", "1.500", "5", "10", "true", "2", "3.3", "2", "4"}, zeros[:len(zeros)-1]...), "1"),
		append([]string{"2026-03-04T05:06:07.089012Z", "0.000", "0", "", "", "0", "0.0", "", "0"}, zeros...),
	}
	if diff := cmp.Diff(head, rows[0][:len(head)]); diff != "" {
		t.Errorf("header differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, rows[1:]); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}
