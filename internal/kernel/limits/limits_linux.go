package limits

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func read(l *Limits) error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("getrlimit RLIMIT_NOFILE: %w", err)
	}
	l.Files.Soft, l.Files.Hard = fromRlimit(files.Cur), fromRlimit(files.Max)
	l.Root = os.Geteuid() == 0
	readTree(l, os.DirFS("/"))
	return nil
}

func fromRlimit(n uint64) int64 {
	if n > uint64(Unlimited) { // RLIM_INFINITY is the largest uint64
		return Unlimited
	}
	return int64(n)
}

// knobs names Linux's settings; sysctl(8), prlimit(1).
var knobs = knobTable{
	processFiles: "prlimit --nofile=%d:%[1]d --pid $$",
	perProcess:   "fs.nr_open",
	system:       "fs.file-max",
	portRange:    "net.ipv4.ip_local_port_range",
	setPortRange: "sysctl -w net.ipv4.ip_local_port_range='%d %d'",
	backlog:      "net.core.somaxconn",
	synBacklog:   "net.ipv4.tcp_max_syn_backlog",
	timeWaitMax:  "net.ipv4.tcp_max_tw_buckets",
	timeWait:     "net.ipv4.tcp_tw_reuse",
	setTimeWait:  "sysctl -w net.ipv4.tcp_tw_reuse=1",
	finTimeout:   "net.ipv4.tcp_fin_timeout",
	synRetries:   "net.ipv4.tcp_syn_retries",
	tcpMemory:    "net.ipv4.tcp_mem",
	setTCPMemory: "sysctl -w net.ipv4.tcp_mem='%d %d %d'",
	receive:      "net.ipv4.tcp_rmem",
	send:         "net.ipv4.tcp_wmem",
	conntrack:    "net.netfilter.nf_conntrack_max",
}
