package scan

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"sonde/internal/testpeer"
	"sonde/protocol/protocoltest"
	"sonde/report"
)

// TestScanMemory has the memory of the process stay as it is, however long the list: what the first targets take is all it
// takes.
func TestScanMemory(t *testing.T) { scanMemory(t, 120_000, 20_000, "not a target %[1]d") }

// TestSoakScanMemory is TestScanMemory for a list that takes most of a minute, with names too: the answers of the resolver fill their
// cache before its memory is flat.
func TestSoakScanMemory(t *testing.T) {
	if os.Getenv("SONDE_SOAK_SEEDS") == "" {
		t.Skip("a long run: make soak")
	}
	scanMemory(t, 900_000, 450_000, ",name%[1]d.test,,%[2]d")
}

// scanMemory scans n targets of a mixed list, every third of the given form, in a process of its own, and compares its
// memory at the end with that after the first so many: what is alive on the heap, and what is resident (VmRSS,
// proc_pid_status(5)). The race detector keeps a shadow of all memory that was ever used, so under it only the first counts.
func scanMemory(t *testing.T, n, first int, third string) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc/self/status")
	}
	if !alone(t) {
		return
	}
	const growth = 2 << 20 // bytes: what is in flight differs, here and at the peers
	ssh := testpeer.New(t, testpeer.SSH, testpeer.Options{})
	refuse := testpeer.New(t, testpeer.Refuse, testpeer.Options{})
	var early, late usage
	sink := &countingSink{at: func(records int) {
		switch records {
		case first:
			early = measure(t)
		case n:
			late = measure(t) // while the scan still holds what it holds
		}
	}}
	format := strings.ReplaceAll("127.0.0.1,,tag%[1]d,%[2]d\n127.0.0.1,,tag%[1]d,%[3]d\n"+third+"\n", "%[2]d", fmt.Sprint(ssh.Addr().Port()))
	format = strings.ReplaceAll(format, "%[3]d", fmt.Sprint(refuse.Addr().Port()))
	s := open(t, Config{
		InputFiles: []string{"-"}, Stdin: &numberedLines{format: format, left: n / 3}, Sink: sink,
		Probes: []string{"ssh"}, Connections: 200, Lookup: answering,
	})
	if _, err := finish(t, t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if sink.records != n {
		t.Errorf("got %d records, want %d", sink.records, n)
	}
	t.Logf("alive: %d KiB after %d targets, %d KiB after %d; resident: %d KiB, then %d KiB",
		early.alive>>10, first, late.alive>>10, n, early.resident>>10, late.resident>>10)
	if late.alive > early.alive+growth {
		t.Errorf("got %d KiB more alive on the heap, want %d at most", (late.alive-early.alive)>>10, growth>>10)
	}
	if late.resident > early.resident+2*growth && !protocoltest.UnderRace() {
		t.Errorf("got %d KiB more resident, want %d at most", (late.resident-early.resident)>>10, 2*growth>>10)
	}
}

// countingSink keeps nothing but the number of records.
type countingSink struct {
	records int
	at      func(records int)
}

func (s *countingSink) Write(*report.Record) error {
	s.records++
	s.at(s.records)
	return nil
}

func (s *countingSink) Flush() error { return nil }

func (s *countingSink) Close() error { return nil }

// usage is memory in bytes.
type usage struct{ alive, resident int }

func measure(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	runtime.GC() // what a sync.Pool held goes with the second
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("VmRSS: %v", err)
	}
	return usage{alive: int(stats.HeapAlloc), resident: kib << 10}
}
