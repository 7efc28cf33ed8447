package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sonde/internal/testpeer"
)

// pids are the processes of the workers; the children of this one, all of which are workers.
func (p *play) pids() []int {
	p.t.Helper()
	var pids []int
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(os.Getpid()) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestFleetKeeps keeps some hundred connections from three processes and kills one of them: its connections are gone from the metrics
// until another process has them, and those of the others stay.
func TestFleetKeeps(t *testing.T) {
	const kept = 600
	p := startIn(t, 3, connects+"jobs:\n"+job("kept", "ping", 0, "mode: keep\n    heartbeat: 500ms", names(t, testpeer.Redis, kept)...))
	const up = `sonde_kept_connections{job="kept",state="up"}`
	const probes = `sonde_probes_total{job="kept",status="success"}`
	p.until("all connections kept", func() bool { return p.figure(up) == kept })
	counted := p.figure(probes)
	before := p.views()

	pids := p.pids()
	if len(pids) != 3 {
		t.Fatalf("got processes %v, want 3", pids)
	}
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.until("that it died", func() bool { return strings.Contains(p.log.String(), "a worker process died") })
	p.until("all connections kept again", func() bool {
		if n := p.figure(probes); n >= 0 && n < counted {
			t.Fatalf("%s fell from %v to %v", probes, counted, n)
		}
		return p.figure(up) == kept
	})
	same := 0
	for instance, v := range p.views() {
		was := before[instance]
		if v.Kept().Since.Equal(was.Kept().Since) {
			same++
		}
	}
	if same < kept/4 || same >= kept {
		t.Errorf("%d of %d connections are the same as before one of three workers died", same, kept)
	}
	restarts := 0.0
	for i := range 3 {
		restarts += p.figure(fmt.Sprintf(`sonde_worker_restarts_total{worker="%d"}`, i))
	}
	if restarts != 1 {
		t.Errorf("got %v restarts, want 1", restarts)
	}
	p.end()
	if left := p.pids(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}
