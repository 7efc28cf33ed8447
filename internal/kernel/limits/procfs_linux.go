package limits

import (
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// timeWaitLinux is TCP_TIMEWAIT_LEN, a constant of the kernel: tcp_fin_timeout does not change it (tcp(7)).
const timeWaitLinux = 60 * time.Second

// readTree fills in what the files below proc and sys tell. root is the machine's root folder. What is missing stays
// Unknown: containers hide parts of /proc/sys, and old kernels lack some of it. /proc/sys/net shows the network
// namespace of whoever reads it.
func readTree(l *Limits, root fs.FS) {
	p := procfs{root}

	l.Files.InUse = p.openFiles(l.Files.Soft)
	l.Files.PerProcess = p.number("proc/sys/fs/nr_open")
	l.Files.System = p.number("proc/sys/fs/file-max")
	// file-nr: allocated, free (always 0 since Linux 2.6), limit.
	l.Files.SystemInUse = p.numbers("proc/sys/fs/file-nr", 3)[0]

	ports := p.numbers("proc/sys/net/ipv4/ip_local_port_range", 2)
	l.Ports.First, l.Ports.Last = ports[0], ports[1]
	l.Ports.Reserved = countReserved(p.text("proc/sys/net/ipv4/ip_local_reserved_ports"), l.Ports.First, l.Ports.Last)

	l.TCP = TCP{
		Backlog:       p.number("proc/sys/net/core/somaxconn"),
		SYNBacklog:    p.number("proc/sys/net/ipv4/tcp_max_syn_backlog"),
		TimeWait:      timeWaitLinux,
		TimeWaitMax:   p.number("proc/sys/net/ipv4/tcp_max_tw_buckets"),
		TimeWaitReuse: p.number("proc/sys/net/ipv4/tcp_tw_reuse"),
		FINTimeout:    seconds(p.number("proc/sys/net/ipv4/tcp_fin_timeout")),
		SYNRetries:    p.number("proc/sys/net/ipv4/tcp_syn_retries"),
		Memory:        pages(p.numbers("proc/sys/net/ipv4/tcp_mem", 3)[2]),
		Receive:       p.buffer("proc/sys/net/ipv4/tcp_rmem"),
		Send:          p.buffer("proc/sys/net/ipv4/tcp_wmem"),
	}
	l.TCP.SYNGiveUp = synGiveUp(l.TCP.SYNRetries, p.number("proc/sys/net/ipv4/tcp_syn_linear_timeouts"))

	l.Conntrack = Conntrack{
		Max:      p.number("proc/sys/net/netfilter/nf_conntrack_max"),
		InUse:    p.number("proc/sys/net/netfilter/nf_conntrack_count"),
		TimeWait: seconds(p.number("proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait")),
	}
	l.Memory.Total, l.Memory.Available = p.memory()
	l.Memory.Cgroup, l.Memory.CgroupFree = p.cgroupMemory()
}

// procfs reads the small text files of the kernel.
type procfs struct{ root fs.FS }

// text returns a file's content, "" if it can't be read.
func (p procfs) text(name string) string {
	b, err := fs.ReadFile(p.root, name)
	if err != nil {
		return ""
	}
	return string(b)
}

// number returns the one number of a file, or Unknown.
func (p procfs) number(name string) int64 { return p.numbers(name, 1)[0] }

// numbers returns the n numbers of a file, all Unknown if there is another number of them.
func (p procfs) numbers(name string, n int) []int64 {
	values := make([]int64, n)
	fields := strings.Fields(p.text(name))
	for i := range values {
		if len(fields) != n {
			values[i] = Unknown
			continue
		}
		values[i] = parse(fields[i])
	}
	return values
}

// parse reads a decimal number. One that is too large is Unlimited (fs.file-max is an unsigned long), anything else that
// is no count is Unknown.
func parse(s string) int64 {
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case err != nil:
		return Unknown
	case n > math.MaxInt64:
		return Unlimited
	}
	return int64(n)
}

func (p procfs) buffer(name string) Buffer {
	v := p.numbers(name, 3)
	return Buffer{Min: v[0], Default: v[1], Max: v[2]}
}

// openFiles counts the descriptors below limit, without the one that the reading itself takes. Those above a limit that
// was lowered later take nothing from the budget.
func (p procfs) openFiles(limit int64) int64 {
	entries, err := fs.ReadDir(p.root, "proc/self/fd")
	if err != nil {
		return Unknown
	}
	var n int64
	for _, e := range entries {
		if fd := parse(e.Name()); fd != Unknown && (limit == Unknown || fd < limit) {
			n++
		}
	}
	return max(n-1, 0)
}

// countReserved counts the ports of a list like "8080,9000-9100" (ip_local_reserved_ports) that lie in first to last.
func countReserved(list string, first, last int64) int64 {
	if first == Unknown || last == Unknown {
		return Unknown
	}
	var n int64
	for item := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		from, to, isRange := strings.Cut(item, "-")
		if !isRange {
			to = from
		}
		lo, hi := parse(from), parse(to)
		if lo == Unknown || hi == Unknown {
			continue
		}
		// The kernel writes a bitmap: its ranges never overlap.
		n += max(min(hi, last)-max(lo, first)+1, 0)
	}
	return n
}

// synGiveUp is the time from the first SYN to ETIMEDOUT: some SYNs a second apart (tcp_syn_linear_timeouts, Linux 6.5),
// then retries with waits that double from 1 s (the initial RTO, RFC 6298 s.2) up to 120 s.
func synGiveUp(retries, linear int64) time.Duration {
	if retries == Unknown {
		return 0
	}
	total := max(linear, 0)
	wait := int64(1)
	for range min(retries, 127) + 1 { // the last wait ends in the error
		total += wait
		wait = min(wait*2, 120)
	}
	return time.Duration(total) * time.Second
}

// memory returns MemTotal and MemAvailable in bytes. The file has them in units of 1024 bytes, which it calls kB.
func (p procfs) memory() (total, available int64) {
	total, available = Unknown, Unknown
	for line := range strings.Lines(p.text("proc/meminfo")) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		n := parse(f[1])
		if n == Unknown {
			continue
		}
		switch f[0] {
		case "MemTotal:":
			total = n << 10
		case "MemAvailable:":
			available = n << 10
		}
	}
	return total, available
}

// seconds turns a setting in seconds into a duration, zero if it is not known.
func seconds(n int64) time.Duration {
	if n == Unknown {
		return 0
	}
	return time.Duration(n) * time.Second
}

// pages turns a number of pages into bytes.
func pages(n int64) int64 {
	size := int64(os.Getpagesize())
	switch {
	case n == Unknown:
		return Unknown
	case n > Unlimited/size:
		return Unlimited
	}
	return n * size
}
