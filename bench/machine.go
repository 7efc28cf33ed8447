package bench

import (
	"bufio"
	"os"
	"runtime"
	"strings"

	"sonde/bench/result"
	"sonde/internal/kernel/limits"
)

// MachineOf describes this machine, whose limits are l.
func MachineOf(l limits.Limits) result.Machine {
	m := result.Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: int(l.CPUs), Memory: l.Memory.Total, Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	m.Hostname, _ = os.Hostname()
	m.CPUModel = cpuModel()
	return m
}

// cpuModel is the model of the first CPU (proc_cpuinfo(5)), empty where that is not told.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close() // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
