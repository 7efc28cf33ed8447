//go:build unix

package scan

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/report"
)

// TestFewDescriptors asks for 2,000 connections at once where a process may open 256 files: all 500 targets are scanned, those
// that wait for a descriptor blame nobody, and the report tells of the wait.
func TestFewDescriptors(t *testing.T) {
	const addrEnv, n, files = "SONDE_SCAN_ADDR", 500, 256
	if os.Getenv(addrEnv) == "" { // here: the peers, which need descriptors of their own
		peer := testpeer.New(t, testpeer.Delayed, testpeer.Options{Delay: time.Second}) // time enough to open them all
		alone(t, addrEnv+"="+peer.Addr().String())
		return
	}
	limit := syscall.Rlimit{Cur: files, Max: files}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	records, run := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(strings.Repeat(os.Getenv(addrEnv)+"\n", n)),
		Probes: []string{"ssh"}, Connections: 2000, Loops: 2,
	})
	if len(records) != n {
		t.Errorf("got %d records, want %d", len(records), n)
	}
	late := 0
	for i := range records {
		r := &records[i]
		want(t, r, report.Success, report.SideNone)
		if r.Timing.SchedDelay >= 50*time.Millisecond {
			late++
		}
	}
	if run.Engine.FDWaits == 0 {
		t.Error("got no fd_waits in the report")
	}
	if late == 0 {
		t.Error("got no record that tells of the wait as its sched_delay")
	}
	// 14 lookups of 2 sockets, 2 loops of 4 descriptors and the reserve are not for connections.
	if got := run.Engine.InFlightMax; got < files/2 || got > files-14*fdPerLookup-2*fdPerLoop-fdReserve {
		t.Errorf("got %d in flight at most, want most of %d, less what else needs a descriptor", got, files)
	}
}

// TestNoDescriptors refuses to begin where not one connection can be opened, and says what to do.
func TestNoDescriptors(t *testing.T) {
	if !alone(t) {
		return
	}
	limit := syscall.Rlimit{Cur: 30, Max: 30}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{Args: []string{"127.0.0.1:80"}})
	if want := "the limit of 30 open files leaves none for connections (raise it: ulimit -n 4096)"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %q", err, want)
	}
}
