package plan

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"sonde/internal/kernel/limits"
)

func targets(t *testing.T, addrs ...string) []Target {
	t.Helper()
	var list []Target
	for _, a := range addrs {
		list = append(list, Target{Addr: netip.MustParseAddrPort(a)})
	}
	return list
}

func sources(addrs ...string) (list []netip.Addr) {
	for _, a := range addrs {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// Each pair of source and destination carries its even share, also with sources of two families.
func TestJobsAreSpreadOverPairs(t *testing.T) {
	p, err := New(targets(t, "127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"), sources("127.1.0.1", "::1", "127.1.0.2"))
	if err != nil {
		t.Fatal(err)
	}
	type pair struct {
		to   netip.AddrPort
		from uint16
	}
	counts := map[pair]int{}
	for i := range uint64(600) {
		job := p.Job(i)
		if job.ID != i {
			t.Fatalf("connection %d has the id %d", i, job.ID)
		}
		counts[pair{job.Remote.AddrPort(), job.Source}]++
	}
	if len(counts) != 6 || p.Pairs() != 6 {
		t.Errorf("%d pairs are used and %d told of, want 6", len(counts), p.Pairs())
	}
	for of, n := range counts {
		if n != 100 || of.from == 2 {
			t.Errorf("%v carries %d, want 100 and no source of the other family", of, n)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		targets []Target
		sources []netip.Addr
		want    string
	}{
		"no target":             {nil, nil, "there is no target"},
		"no source of a family": {targets(t, "[2001:db8::1]:1"), sources("127.0.0.1"), "no source address is of the family"},
		"multicast":             {targets(t, "224.0.0.1:1"), nil, "can't be connected to"},
		"link-local, no zone":   {targets(t, "[fe80::1]:1"), nil, "name its interface"},
		"no such interface":     {targets(t, "[fe80::1%nosuch0]:1"), nil, `no interface "nosuch0"`},
	} {
		_, err := New(c.targets, c.sources)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
		var unfit *TargetError
		if !errors.As(err, &unfit) && !errors.Is(err, ErrNoTarget) {
			t.Errorf("%s: got %T, want a *TargetError", name, err)
		}
	}
}

// The first of the targets take all connections, and only their pairs count.
func TestFirst(t *testing.T) {
	whole, err := New(targets(t, "127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"), sources("127.1.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	p := whole.First(2)
	if got := len(p.Targets()); got != 2 || p.Pairs() != 2 {
		t.Errorf("got %d targets and %d pairs, want 2 and 2", got, p.Pairs())
	}
	if got, want := p.Job(2).Remote.AddrPort(), whole.Targets()[0].Addr; got != want {
		t.Errorf("connection 2 goes to %v, want %v", got, want)
	}
	if got := len(whole.First(9).Targets()) + len(whole.Targets()); got != 6 {
		t.Errorf("got %d targets of the whole twice, want 6", got)
	}
}

// machine has room for everything but what the test takes away.
func machine() limits.Limits {
	return limits.Limits{
		Files:  limits.Files{Soft: 20_000, Hard: 20_000, System: 4_000_000, SystemInUse: 1000, PerProcess: 20_000},
		Ports:  limits.Ports{First: 32768, Last: 60999},
		Memory: limits.Memory{Total: 32 << 30, Available: 32 << 30, Cgroup: limits.Unlimited, CgroupFree: limits.Unlimited},
		CPUs:   2, Procs: 2,
	}
}

func TestRoom(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)}), 80).String()
	}
	wide, err := New(targets(t, many...), nil)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := New(targets(t, "127.0.0.1:80"), nil)
	if err != nil {
		t.Fatal(err)
	}
	poor := machine()
	poor.Memory.Available = 1 << 30
	low := machine()
	low.Files.Soft, low.Files.Hard = 128, 128 // less 24 and 8 for two loops: 96 each, and 24 processes
	few := machine()
	few.Files.System = 100_000
	for name, c := range map[string]struct {
		plan    *Plan
		machine limits.Limits
		want    Want
		limit   string // in the shortage; empty: there is room
	}{
		"a million in workers":    {wide, machine(), Want{Connections: 1_000_000}, ""},
		"in one process":          {wide, machine(), Want{Connections: 19_000, Processes: 1}, ""},
		"too many for one":        {wide, machine(), Want{Connections: 20_000, Processes: 1}, "ulimit -n"},
		"as many as one starts":   {wide, low, Want{Connections: 24 * 96}, ""},
		"more than one starts":    {wide, low, Want{Connections: 24*96 + 1}, "start at most 24 others"},
		"one pair full":           {narrow, machine(), Want{Connections: 12_000}, ""},
		"one pair beyond":         {narrow, machine(), Want{Connections: 12_001}, "12000 connections"},
		"memory":                  {wide, poor, Want{Connections: 1_000_000}, "memory are free"},
		"memory with TLS":         {wide, machine(), Want{Connections: 1_000_000, TLS: true}, ""},
		"memory with TLS, beyond": {wide, poor, Want{Connections: 100_000, TLS: true}, "memory are free"},
		"all processes together":  {wide, few, Want{Connections: 150_000}, "fs.file-max"},
	} {
		short := c.plan.Room(c.machine, c.want)
		switch {
		case short == nil && c.limit != "":
			t.Errorf("%s: there is room, want a shortage by %q", name, c.limit)
		case short != nil && c.limit == "":
			t.Errorf("%s: %v, want room", name, short)
		case short != nil && (!strings.Contains(short.Limit, c.limit) || short.Raise == "" && short.Lack == LackNothing || short.Allows >= c.want.Connections || short.Wanted != c.want.Connections):
			t.Errorf("%s: got %+v, want a shortage by %q with a way out", name, short, c.limit)
		}
	}
}
