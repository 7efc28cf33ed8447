package limits

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestFDBudget(t *testing.T) {
	tests := map[string]struct {
		files   Files
		reserve int
		want    int
	}{
		"soft less in use less reserve": {Files{Soft: 1024, InUse: 24, PerProcess: Unknown, System: Unknown, SystemInUse: Unknown}, 100, 900},
		"fs.nr_open below the limit":    {Files{Soft: 1024, InUse: 24, PerProcess: 512, System: Unknown, SystemInUse: Unknown}, 100, 388},
		"machine nearly full":           {Files{Soft: 1024, InUse: 24, PerProcess: 4096, System: 5000, SystemInUse: 4700}, 100, 200},
		"only the machine's limit known": {
			Files{Soft: 1024, InUse: 24, PerProcess: 4096, System: 100, SystemInUse: Unknown}, 100, 900},
		"in use unknown":         {Files{Soft: 1024, InUse: Unknown, PerProcess: Unknown, System: Unknown, SystemInUse: Unknown}, 24, 1000},
		"never below zero":       {Files{Soft: 64, InUse: 60, PerProcess: 4096, System: 5000, SystemInUse: 100}, 128, 0},
		"machine over its limit": {Files{Soft: 64, InUse: 6, PerProcess: 4096, System: 5000, SystemInUse: 6000}, 0, 0},
		"unlimited":              {Files{Soft: Unlimited, PerProcess: Unlimited, System: Unlimited, SystemInUse: 10}, 0, math.MaxInt},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (Limits{Files: tt.files}).FDBudget(tt.reserve); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestPortBudget(t *testing.T) {
	tests := map[string]struct {
		ports   Ports
		sources int
		want    int
	}{
		"one source":         {Ports{32768, 60999, 0}, 1, 28232},
		"three sources":      {Ports{32768, 60999, 0}, 3, 84696},
		"no source given":    {Ports{32768, 60999, 0}, 0, 28232},
		"reserved ports":     {Ports{1024, 1033, 4}, 1, 6},
		"reserved unknown":   {Ports{1024, 1033, Unknown}, 1, 10},
		"one port":           {Ports{5000, 5000, 0}, 2, 2},
		"all ports reserved": {Ports{5000, 5000, 1}, 2, 0},
		"unknown range":      {Ports{Unknown, Unknown, Unknown}, 2, 32768},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (Limits{Ports: tt.ports}).PortBudget(tt.sources); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// TestReadHere reads the real machine: whatever it allows, some figures must make sense together.
func TestReadHere(t *testing.T) {
	l, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if l.Files.Soft < 1 || l.Files.Soft > l.Files.Hard {
		t.Errorf("got soft limit %d with hard limit %d, want 1 <= soft <= hard", l.Files.Soft, l.Files.Hard)
	}
	if l.CPUs < 1 || l.Procs < 1 {
		t.Errorf("got %d CPUs, %d procs, want at least one each", l.CPUs, l.Procs)
	}
	if got := l.PortBudget(1); got < 1 || got > 65535 {
		t.Errorf("got a port budget of %d, want 1 to 65535", got)
	}
	if len(l.Advice()) == 0 {
		t.Error("got no advice")
	}
}

// TestInUseCountsDescriptors opens some and sees the count and the budget move by as many.
func TestInUseCountsDescriptors(t *testing.T) {
	before, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if before.Files.InUse == Unknown {
		t.Skip("this platform does not tell the descriptors in use")
	}
	const n = 7
	for range n {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	after, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Files.InUse - before.Files.InUse; got != n {
		t.Errorf("got %d more in use, want %d", got, n)
	}
}

// childEnv makes the test binary print its own soft limit and end.
const childEnv = "SONDE_TEST_PRINT_LIMIT"

// TestSoftLimitIsRaised starts a process with a soft limit below its hard one and finds it raised by the Go runtime: that
// is why Read leaves it alone.
func TestSoftLimitIsRaised(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		l, err := Read()
		fmt.Println("limit:", l.Files.Soft, l.Files.Hard, err)
		return
	}
	script := `ulimit -Sn 64 && ulimit -Hn 200 && exec "$0" -test.run='^TestSoftLimitIsRaised$' -test.v`
	cmd := exec.Command("/bin/sh", "-c", script, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	// The runtime stops one short of the hard limit, to tell its own change from prlimit(1)'s.
	if want := "limit: 199 200 <nil>"; !strings.Contains(string(out), want) {
		t.Errorf("got %q, want %q in it", out, want)
	}
}
