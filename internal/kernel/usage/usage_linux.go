package usage

import (
	"bytes"
	"os"
	"strconv"
)

// resident prefers smaps_rollup, which counts pages: the figures in statm and status are summed up from counters that each
// CPU keeps for itself and may be off by hundreds of KiB (proc_pid_statm(5), proc_pid_smaps(5)).
func resident() int64 {
	if kib := field("/proc/self/smaps_rollup", "Rss:"); kib >= 0 {
		return kib << 10
	}
	if kib := field("/proc/self/status", "VmRSS:"); kib >= 0 { // before Linux 4.14, or without CONFIG_PROC_PAGE_MONITOR
		return kib << 10
	}
	return Unknown
}

func threads() int64 { return field("/proc/self/status", "Threads:") }

// field returns the number behind a name at the start of a line of a file, Unknown if there is none.
func field(file, name string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return Unknown
	}
	return fieldOf(text, name)
}

func fieldOf(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		value, ok := bytes.CutPrefix(line, []byte(name))
		if !ok {
			continue
		}
		words := bytes.Fields(value)
		if len(words) == 0 {
			return Unknown
		}
		n, err := strconv.ParseInt(string(words[0]), 10, 64)
		if err != nil {
			return Unknown
		}
		return n
	}
	return Unknown
}
