package limits

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tree makes a fake file system of kernel files.
func tree(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// typical is a machine with everything in it.
func typical() map[string]string {
	return map[string]string{
		"proc/self/fd/0": "", "proc/self/fd/1": "", "proc/self/fd/2": "", "proc/self/fd/3": "", "proc/self/fd/5000": "",
		"proc/self/cgroup":                                          "0::/user.slice/job\n",
		"proc/self/mountinfo":                                       "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
		"sys/fs/cgroup/user.slice/job/memory.max":                   "max\n",
		"sys/fs/cgroup/user.slice/memory.max":                       "1073741824\n",
		"sys/fs/cgroup/user.slice/memory.current":                   "800000000\n",
		"sys/fs/cgroup/user.slice/memory.stat":                      "anon 500000000\ninactive_file 200000000\nactive_file 100000000\n",
		"proc/meminfo":                                              "MemTotal:        8000000 kB\nMemFree:  100 kB\nMemAvailable:    4000000 kB\nHugePages_Total:       0\n",
		"proc/sys/fs/nr_open":                                       "1048576\n",
		"proc/sys/fs/file-max":                                      "9223372036854775807\n",
		"proc/sys/fs/file-nr":                                       "1504\t0\t9223372036854775807\n",
		"proc/sys/net/core/somaxconn":                               "4096\n",
		"proc/sys/net/ipv4/ip_local_port_range":                     "32768\t60999\n",
		"proc/sys/net/ipv4/ip_local_reserved_ports":                 "8080,33000-33009,60999\n",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":                     "2048\n",
		"proc/sys/net/ipv4/tcp_max_tw_buckets":                      "131072\n",
		"proc/sys/net/ipv4/tcp_tw_reuse":                            "2\n",
		"proc/sys/net/ipv4/tcp_fin_timeout":                         "30\n",
		"proc/sys/net/ipv4/tcp_syn_retries":                         "6\n",
		"proc/sys/net/ipv4/tcp_syn_linear_timeouts":                 "4\n",
		"proc/sys/net/ipv4/tcp_mem":                                 "100\t200\t300\n",
		"proc/sys/net/ipv4/tcp_rmem":                                "4096\t131072\t6291456\n",
		"proc/sys/net/ipv4/tcp_wmem":                                "4096\t16384\t4194304\n",
		"proc/sys/net/netfilter/nf_conntrack_max":                   "262144\n",
		"proc/sys/net/netfilter/nf_conntrack_count":                 "44\n",
		"proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait": "120\n",
	}
}

func TestReadTree(t *testing.T) {
	page := int64(os.Getpagesize())
	want := none()
	want.Files = Files{Soft: 1024, Hard: Unknown, InUse: 3, PerProcess: 1 << 20, System: Unlimited, SystemInUse: 1504}
	want.Ports = Ports{First: 32768, Last: 60999, Reserved: 11}
	want.TCP = TCP{
		Backlog: 4096, SYNBacklog: 2048, TimeWait: time.Minute, TimeWaitMax: 131072, TimeWaitReuse: 2,
		FINTimeout: 30 * time.Second, SYNGiveUp: 131 * time.Second, SYNRetries: 6, Memory: 300 * page,
		Receive: Buffer{4096, 131072, 6291456}, Send: Buffer{4096, 16384, 4194304},
	}
	want.Conntrack = Conntrack{Max: 262144, InUse: 44, TimeWait: 2 * time.Minute}
	want.Memory = Memory{
		Total: 8000000 << 10, Available: 4000000 << 10, Cgroup: 1 << 30, CgroupFree: 1<<30 - 600000000,
	}
	got := none()
	got.Files.Soft = 1024
	readTree(&got, tree(typical()))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("readTree (-want +got):\n%s", diff)
	}
}

// TestReadTreeMissing reads a machine that shows nothing, and one whose files hold nonsense: both are unknown, not zero.
func TestReadTreeMissing(t *testing.T) {
	nonsense := typical()
	for name := range nonsense {
		if strings.HasPrefix(name, "proc/self/fd/") {
			delete(nonsense, name)
			continue
		}
		nonsense[name] = "-12 x\n"
	}
	for name, root := range map[string]fs.FS{"nothing": tree(nil), "nonsense": tree(nonsense)} {
		t.Run(name, func(t *testing.T) {
			want := none()
			want.TCP.TimeWait = time.Minute // a constant of the kernel
			got := none()
			readTree(&got, root)
			if name == "nonsense" {
				want.Files.InUse, got.Files.InUse = 0, 0
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("readTree (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCountReserved(t *testing.T) {
	tests := map[string]struct {
		list string
		want int64
	}{
		"none":            {"\n", 0},
		"single":          {"1005\n", 1},
		"range":           {"1002-1004\n", 3},
		"outside":         {"80,5000-6000\n", 0},
		"reaching in":     {"900-1001,1009-2000\n", 4},
		"all":             {"1-65535\n", 11},
		"several":         {"1000,1002,1004-1005\n", 4},
		"not understood":  {"abc,1003\n", 1},
		"backwards range": {"1005-1002\n", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := countReserved(tt.list, 1000, 1010); got != tt.want {
				t.Errorf("countReserved(%q) in 1000-1010: got %d, want %d", tt.list, got, tt.want)
			}
		})
	}
}

// TestSYNGiveUp holds the figures of the kernel's own documentation (ip-sysctl: tcp_syn_retries).
func TestSYNGiveUp(t *testing.T) {
	tests := map[string]struct {
		retries, linear int64
		want            time.Duration
	}{
		"default since 6.5": {6, 4, 131 * time.Second},
		"default before":    {6, Unknown, 127 * time.Second},
		"one retry":         {1, 0, 3 * time.Second},
		"none":              {0, 0, time.Second},
		"waits stop at 120": {8, 0, 127*time.Second + 2*120*time.Second},
		"unknown":           {Unknown, 4, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := synGiveUp(tt.retries, tt.linear); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCgroupMemory(t *testing.T) {
	const (
		v1Mount = "35 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
		v2Mount = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	)
	tests := map[string]struct {
		files       map[string]string
		limit, free int64
	}{
		"no cgroup": {nil, Unlimited, Unlimited},
		"version 1": {map[string]string{
			"proc/self/cgroup":                                 "9:name=systemd:/\n4:cpu,memory:/a\n0::/\n",
			"proc/self/mountinfo":                              v1Mount,
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes":     "1000\n",
			"sys/fs/cgroup/memory/a/memory.usage_in_bytes":     "400\n",
			"sys/fs/cgroup/memory/a/memory.stat":               "inactive_file 10\ntotal_inactive_file 100\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":       "9223372036854771712\n",
			"sys/fs/cgroup/memory/other/memory.limit_in_bytes": "1\n",
		}, 1000, 700},
		"version 1 unlimited": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n",
			"proc/self/mountinfo":                        v1Mount,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, Unlimited, Unlimited},
		"the tightest is not the smallest": {map[string]string{
			"proc/self/cgroup":                 "0::/a/b\n",
			"proc/self/mountinfo":              v2Mount,
			"sys/fs/cgroup/a/b/memory.max":     "1000\n",
			"sys/fs/cgroup/a/b/memory.current": "100\n",
			"sys/fs/cgroup/a/memory.max":       "2000\n",
			"sys/fs/cgroup/a/memory.current":   "1950\n",
		}, 1000, 50},
		"over the limit": {map[string]string{
			"proc/self/cgroup":               "0::/a\n",
			"proc/self/mountinfo":            v2Mount,
			"sys/fs/cgroup/a/memory.max":     "1000\n",
			"sys/fs/cgroup/a/memory.current": "1100\n",
		}, 1000, 0},
		"container: the mount's root is our cgroup": {map[string]string{
			"proc/self/cgroup":             "0::/docker/abc\n",
			"proc/self/mountinfo":          "31 23 0:28 /docker/abc /sys/fs/cgroup ro master:4 - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max":     "500\n",
			"sys/fs/cgroup/memory.current": "100\n",
		}, 500, 400},
		"the cgroup lies outside the mount": {map[string]string{
			"proc/self/cgroup":         "0::/../other\n",
			"proc/self/mountinfo":      v2Mount,
			"sys/fs/cgroup/memory.max": "600\n",
		}, 600, 600},
		"a name that only begins like the root": {map[string]string{
			"proc/self/cgroup":             "0::/docker/abcdef\n",
			"proc/self/mountinfo":          "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max":     "700\n",
			"sys/fs/cgroup/def/memory.max": "1\n",
		}, 700, 700},
		"mount point with a space": {map[string]string{
			"proc/self/cgroup":     "0::/\n",
			"proc/self/mountinfo":  `31 23 0:28 / /my\040cgroup rw - cgroup2 cgroup2 rw` + "\n",
			"my cgroup/memory.max": "800\n",
		}, 800, 800},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			limit, free := procfs{tree(tt.files)}.cgroupMemory()
			if limit != tt.limit || free != tt.free {
				t.Errorf("got limit %d, free %d, want %d, %d", limit, free, tt.limit, tt.free)
			}
		})
	}
}
