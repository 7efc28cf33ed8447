package limits

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAdvice reads like `sonde doctor` on a typical machine.
func TestAdvice(t *testing.T) {
	l := none()
	l.Files.Soft, l.Files.Hard = 1024, 1024
	l.CPUs, l.Procs = 8, 2
	readTree(&l, tree(typical()))
	l.TCP.Memory = 1 << 30

	var got []string
	for _, a := range l.Advice() {
		got = append(got, fmt.Sprintf("%-5v %s = %s\n  allows %s\n  raise %s", a.Severity, a.Name, a.Value, a.Allows, a.Raise))
	}
	want := []string{
		"short open files of a process (ulimit -n) = 1,024, at most 1,024; 3 in use\n" +
			"  allows 893 connections in flight, 128 descriptors kept back\n" +
			"  raise sudo prlimit --nofile=1048576:1048576 --pid $$",
		"fine  fs.nr_open = 1,048,576\n  allows ulimit -n up to 1,048,576\n  raise ",
	}
	if diff := cmp.Diff(want, got[:2]); diff != "" {
		t.Errorf("advice on files (-want +got):\n%s", diff)
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"tight net.ipv4.tcp_tw_reuse = TIME_WAIT 1m0s, ports reused after 1s on loopback\n" +
			"  allows with --close fin 470 targets a second at one address and port; on loopback up to 28,221; --close rst leaves no TIME_WAIT\n" +
			"  raise sudo sysctl -w net.ipv4.tcp_tw_reuse=1",
		"fine  net.ipv4.ip_local_port_range = 32768 to 60999, 11 reserved\n  allows 28,221 connections at once",
		"raise sudo sysctl -w net.ipv4.ip_local_port_range='10240 65535'",
		"allows with --close fin 2,184 targets a second in all",
		"fine  fs.file-max = unlimited; 1,504 in use\n  allows unlimited more open files in all processes together\n  raise \n",
		"fine  net.netfilter.nf_conntrack_max = 262,144; 44 in use\n  allows 262,100 more",
		"(2,184 targets a second, each kept for 2m0s after --close fin)",
		"fine  memory = 451.8 MiB left of the cgroup's 1.0 GiB\n  allows 111,311 connections held",
		"fine  CPUs = 8, 2 used (GOMAXPROCS)\n  allows 2 event loops",
		"fine  net.ipv4.tcp_syn_retries = 6\n  allows a connect that nobody answers may wait 2m11s",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("want %q in:\n%s", want, all)
		}
	}
}

// TestAdviceSeverity moves one figure at a time and finds it graded.
func TestAdviceSeverity(t *testing.T) {
	tests := map[string]struct {
		set  func(*Limits)
		name string
		want Severity
		// raise must be part of the command
		raise string
	}{
		"1,024 files are too few for the default": {
			func(l *Limits) { l.Files.Soft, l.Files.InUse, l.Files.PerProcess = 1024, 0, 1<<20 }, "ulimit", Short, "prlimit"},
		"20,000 files are few": {
			func(l *Limits) { l.Files.Soft, l.Files.InUse, l.Files.PerProcess = 20000, 0, 1<<20 }, "ulimit", Tight, "prlimit"},
		"a low fs.nr_open is raised first": {
			func(l *Limits) { l.Files.Soft, l.Files.PerProcess = 20000, 65536 }, "ulimit", Tight,
			"sysctl -w fs.nr_open=1048576 && prlimit"},
		"200 ports": {
			func(l *Limits) { l.Ports = Ports{40000, 40199, 0} }, "ip_local_port_range", Short, "10240 65535"},
		"a kernel that gives up before us": {
			func(l *Limits) { l.TCP.SYNRetries, l.TCP.SYNGiveUp = 1, 3*time.Second }, "tcp_syn_retries", Short, "=6"},
		"a packet filter's table that is nearly full": {
			func(l *Limits) { l.Conntrack.Max, l.Conntrack.InUse = 65536, 65000 }, "nf_conntrack_max", Short, "=1048576"},
		"ports that are reused after a second": {
			func(l *Limits) {
				l.Ports, l.TCP.TimeWait, l.TCP.TimeWaitReuse = Ports{32768, 60999, 0}, time.Minute, 1
			}, "tcp_tw_reuse", Fine, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := none()
			l.Root = true
			tt.set(&l)
			for _, a := range l.Advice() {
				if !strings.Contains(a.Name, tt.name) {
					continue
				}
				if a.Severity != tt.want {
					t.Errorf("%s: got %v, want %v", a.Name, a.Severity, tt.want)
				}
				if !strings.Contains(a.Raise, tt.raise) || strings.Contains(a.Raise, "sudo") {
					t.Errorf("%s: got command %q, want one with %q and, for root, no sudo", a.Name, a.Raise, tt.raise)
				}
				return
			}
			t.Errorf("no advice on %s", tt.name)
		})
	}
}

// TestAdviceNeverLowers gives no command where a machine already allows more than the command would set.
func TestAdviceNeverLowers(t *testing.T) {
	l := none()
	readTree(&l, tree(typical()))
	l.Files = Files{Soft: 1<<21 - 1, Hard: 1 << 21, PerProcess: 1 << 22, System: 1 << 23, SystemInUse: 0}
	l.Ports = Ports{First: 1024, Last: 65535}
	l.TCP.Backlog, l.TCP.SYNBacklog, l.TCP.TimeWaitMax, l.TCP.SYNRetries = 1<<16, 1<<16, 1<<21, 8
	l.TCP.TimeWaitReuse, l.TCP.FINTimeout = 1, 10*time.Second
	l.Conntrack.Max = 1 << 21
	for _, a := range l.Advice() {
		if a.Raise != "" && a.Name != "net.ipv4.tcp_mem" { // its command doubles what is there
			t.Errorf("%s = %s: got command %q, want none", a.Name, a.Value, a.Raise)
		}
	}
}

// TestAdviceUnknown leaves out what is not known instead of showing zeros.
func TestAdviceUnknown(t *testing.T) {
	l := none()
	l.CPUs, l.Procs = 1, 1
	want := []Advice{{Name: "CPUs", Value: "1", Allows: "1 event loops (--loops), one a CPU"}}
	if diff := cmp.Diff(want, l.Advice()); diff != "" {
		t.Errorf("advice (-want +got):\n%s", diff)
	}
}

func TestCountAndSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 28232: "28,232", 1048576: "1,048,576", Unknown: "unknown", Unlimited: "unlimited",
	} {
		if got := count(n); got != want {
			t.Errorf("count(%d): got %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{
		1536: "1.5 KiB", 1 << 20: "1.0 MiB", 3 << 30: "3.0 GiB", Unknown: "unknown", Unlimited: "unlimited",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d): got %q, want %q", n, got, want)
		}
	}
}
