package usage

import (
	"bytes"
	"os"
	"strconv"
)

// tcp reads /proc/net/sockstat (proc_net(5)): "TCP: inuse 5 orphan 0 tw 2 alloc 7 mem 1", the last in pages.
func tcp() TCP {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return TCP{Sockets: Unknown, Memory: Unknown}
	}
	return tcpOf(text, int64(os.Getpagesize()))
}

func tcpOf(text []byte, pageSize int64) TCP {
	t := TCP{Sockets: Unknown, Memory: Unknown}
	for line := range bytes.Lines(text) {
		words := bytes.Fields(line)
		if len(words) == 0 || string(words[0]) != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(words); i += 2 {
			n, err := strconv.ParseInt(string(words[i+1]), 10, 64)
			if err != nil {
				continue
			}
			switch string(words[i]) {
			case "inuse":
				t.Sockets = n
			case "mem":
				t.Memory = n * pageSize
			}
		}
	}
	return t
}
