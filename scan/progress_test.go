package scan

import (
	"strings"
	"testing"

	"sonde/internal/testpeer"
	"sonde/report"
	"sonde/target"
)

// TestSnapshot looks at a running scan at each record, and when it is over. A total that claims to be exact is.
func TestSnapshot(t *testing.T) {
	port := peers(t, testpeer.Sink)[0].Port()
	ports := []target.PortRange{{From: port, To: port}}
	tests := map[string]struct {
		cfg  Config
		want uint64
	}{
		"a block":              {Config{Args: []string{"127.0.0.0/24"}, Ports: ports, Exclude: new(target.Set)}, 256},
		"a block, cut":         {Config{Args: []string{"127.0.0.0/24"}, Ports: ports, MaxTargets: 100}, 100},
		"a list with bad ones": {Config{InputFiles: []string{"-"}, Stdin: strings.NewReader(lines(300, "127.0.0.1\nbad one %d")), Ports: ports}, 600},
		"a list, cut":          {Config{InputFiles: []string{"-"}, Stdin: strings.NewReader(lines(300, "bad one %d\n127.0.0.1")), Ports: ports, MaxTargets: 5}, 10},
		"nothing":              {Config{InputFiles: []string{"-"}, Stdin: strings.NewReader("")}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s *Scan
			check := func(n int) {
				shot := s.Snapshot()
				if shot.Done > shot.Total && shot.Total != 0 || shot.Exact && shot.Total != tt.want {
					t.Errorf("at record %d: got %d of %d (exact: %v), want %d in all", n, shot.Done, shot.Total, shot.Exact, tt.want)
				}
			}
			tt.cfg.Sink = &memorySink{onWrite: check}
			s = open(t, tt.cfg)
			if got := s.Snapshot(); got != (report.Snapshot{}) {
				t.Errorf("before the run: got %+v, want nothing", got)
			}
			run, err := finish(t, t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			shot := s.Snapshot()
			if shot.Done != tt.want || shot.Total != tt.want || !shot.Exact || shot.InFlight != 0 {
				t.Errorf("at the end: got %d of %d (exact: %v), %d in flight; want all of %d, exact",
					shot.Done, shot.Total, shot.Exact, shot.InFlight, tt.want)
			}
			if shot.Statuses != run.Summary.Counts() {
				t.Errorf("got statuses %v in the snapshot and %v in the summary", shot.Statuses, run.Summary.Counts())
			}
			if run.Targets != tt.want {
				t.Errorf("got %d targets in the report, want %d", run.Targets, tt.want)
			}
		})
	}
}
