package usage

import (
	"bytes"
	"os"
	"strconv"
)

// slab reads /proc/meminfo (proc_meminfo(5)): "Slab:   123456 kB".
func slab() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return Unknown
	}
	for line := range bytes.Lines(text) {
		words := bytes.Fields(line)
		if len(words) == 3 && string(words[0]) == "Slab:" {
			if n, err := strconv.ParseInt(string(words[1]), 10, 64); err == nil {
				return n << 10
			}
		}
	}
	return Unknown
}
