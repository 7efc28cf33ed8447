//go:build !windows

package limits

import (
	"fmt"
	"os"
	"time"
)

// adviser gathers the list.
type adviser struct {
	l    Limits
	list []Advice
}

// add takes one piece of advice, unless the platform has no such setting (its name is empty) or it could not be read.
func (a *adviser) add(known int64, adv Advice) {
	if adv.Name == "" || known == Unknown {
		return
	}
	a.list = append(a.list, adv)
}

// asRoot is the command as an administrator runs it.
func (a *adviser) asRoot(format string, args ...any) string {
	command := fmt.Sprintf(format, args...)
	if a.l.Root {
		return command
	}
	return "sudo " + command
}

// raise is the command that raises a setting to want, "" if it is there already: following advice never lowers a limit.
// sysctl(8) takes -w also where it needs none.
func (a *adviser) raise(name string, now, want int64) string {
	if now >= want {
		return ""
	}
	return a.asRoot("sysctl -w %s=%d", name, want)
}

func (a *adviser) files() {
	f := a.l.Files
	budget := int64(a.l.FDBudget(FDReserve))
	raise := ""
	if f.Soft < wantFiles-1 { // the Go runtime stops one short of the hard limit
		raise = a.asRoot(knobs.processFiles, wantFiles)
		if first := a.raise(knobs.perProcess, f.PerProcess, wantFiles); first != "" && f.PerProcess != Unknown {
			raise = first + " && " + raise
		}
	}
	a.add(f.Soft, Advice{
		Name:     "open files of a process (ulimit -n)",
		Value:    fmt.Sprintf("%s, at most %s; %s in use", count(f.Soft), count(f.Hard), count(f.InUse)),
		Allows:   fmt.Sprintf("%s connections in flight, %d descriptors kept back", count(budget), FDReserve),
		Severity: atLeast(budget, defaultFlight, largeFlight),
		Raise:    raise,
	})
	a.add(f.PerProcess, Advice{
		Name:     knobs.perProcess,
		Value:    count(f.PerProcess),
		Allows:   "ulimit -n up to " + count(f.PerProcess),
		Severity: atLeast(f.PerProcess, defaultFlight, largeFlight),
		Raise:    a.raise(knobs.perProcess, f.PerProcess, wantFiles),
	})
	left := free(f.System, f.SystemInUse)
	a.add(f.System, Advice{
		Name:     knobs.system,
		Value:    fmt.Sprintf("%s; %s in use", count(f.System), count(f.SystemInUse)),
		Allows:   count(left) + " more open files in all processes together",
		Severity: atLeast(left, defaultFlight, largeFlight),
		Raise:    a.raise(knobs.system, f.System, wantFiles*4),
	})
}

func (a *adviser) ports() {
	p := a.l.Ports
	n := p.count()
	reserved := ""
	if p.Reserved > 0 {
		reserved = fmt.Sprintf(", %s reserved", count(p.Reserved))
	}
	raise := ""
	if p.First > firstPort || p.Last < lastPort {
		raise = a.asRoot(knobs.setPortRange, min(p.First, firstPort), lastPort)
	}
	a.add(n, Advice{
		Name:  knobs.portRange,
		Value: fmt.Sprintf("%d to %d%s", p.First, p.Last, reserved),
		Allows: fmt.Sprintf("%s connections at once to one address and port from each source address (--source-ip adds more)",
			count(n)),
		// A large run spreads over destinations: only one that can't even have the default is in trouble.
		Severity: atLeast(n, defaultFlight, 10*defaultFlight),
		Raise:    raise,
	})
}

// closing tells how fast connections can be closed by FIN, which leaves them in TIME_WAIT on our side.
func (a *adviser) closing() {
	t := a.l.TCP
	if n := a.l.Ports.count(); n != Unknown && t.TimeWait > 0 {
		wait, where, raise := t.TimeWait, "", a.asRoot("%s", knobs.setTimeWait)
		switch t.TimeWaitReuse {
		case 1:
			// The port may be had again when the peer's timestamps have moved on, after a second.
			wait, raise = time.Second, ""
		case 2:
			where = "; on loopback up to " + count(n)
		}
		rate := perSecond(n, wait)
		a.add(n, Advice{
			Name:  knobs.timeWait,
			Value: fmt.Sprintf("TIME_WAIT %v%s", t.TimeWait, reuseWord(t.TimeWaitReuse)),
			Allows: fmt.Sprintf("with --close fin %s targets a second at one address and port%s; --close rst leaves no TIME_WAIT",
				count(rate), where),
			Severity: atLeast(rate, 0, largeRate),
			Raise:    raise,
		})
	}
	if t.TimeWait > 0 {
		rate := perSecond(t.TimeWaitMax, t.TimeWait)
		a.add(t.TimeWaitMax, Advice{
			Name:     knobs.timeWaitMax,
			Value:    count(t.TimeWaitMax),
			Allows:   fmt.Sprintf("with --close fin %s targets a second in all; above that TIME_WAIT is cut short", count(rate)),
			Severity: atLeast(rate, 0, largeRate),
			Raise:    a.raise(knobs.timeWaitMax, t.TimeWaitMax, wantFiles),
		})
	}
	if t.FINTimeout > 0 {
		finRaise := ""
		if t.FINTimeout > wantFINTimeout*time.Second {
			finRaise = a.asRoot("sysctl -w %s=%d", knobs.finTimeout, wantFINTimeout)
		}
		a.add(0, Advice{
			Name:   knobs.finTimeout,
			Value:  t.FINTimeout.String(),
			Allows: fmt.Sprintf("a peer that never closes holds our port for %v after --close fin", t.FINTimeout),
			Raise:  finRaise,
		})
	}
}

// reuseWord tells what tcp_tw_reuse does to TIME_WAIT.
func reuseWord(reuse int64) string {
	switch reuse {
	case 0:
		return ", ports not reused"
	case 1:
		return ", ports reused after 1s"
	case 2:
		return ", ports reused after 1s on loopback"
	}
	return ""
}

func (a *adviser) connecting() {
	t := a.l.TCP
	severity := Fine
	if t.SYNGiveUp > 0 && t.SYNGiveUp < connectLimit {
		severity = Short
	}
	a.add(t.SYNRetries, Advice{
		Name:     knobs.synRetries,
		Value:    count(t.SYNRetries),
		Allows:   fmt.Sprintf("a connect that nobody answers may wait %v; --connect-timeout (%v) must be below it", t.SYNGiveUp, connectLimit),
		Severity: severity,
		Raise:    a.raise(knobs.synRetries, t.SYNRetries, 6),
	})
}

// listening matters to `sonde serve` only, and to a server on this machine.
func (a *adviser) listening() {
	t := a.l.TCP
	a.add(t.Backlog, Advice{
		Name:     knobs.backlog,
		Value:    count(t.Backlog),
		Allows:   count(t.Backlog) + " connections waiting to be accepted by one listener of sonde serve",
		Severity: atLeast(t.Backlog, 0, defaultFlight),
		Raise:    a.raise(knobs.backlog, t.Backlog, wantBacklog),
	})
	a.add(t.SYNBacklog, Advice{
		Name:     knobs.synBacklog,
		Value:    count(t.SYNBacklog),
		Allows:   count(t.SYNBacklog) + " half-open connections at one listener of sonde serve before SYN cookies begin",
		Severity: atLeast(t.SYNBacklog, 0, defaultFlight),
		Raise:    a.raise(knobs.synBacklog, t.SYNBacklog, wantBacklog),
	})
}

func (a *adviser) conntrack() {
	c := a.l.Conntrack
	left := free(c.Max, c.InUse)
	allows := count(left) + " more connections known to the packet filter; above that it drops SYNs and targets look dead"
	if c.TimeWait > 0 {
		allows += fmt.Sprintf(" (%s targets a second, each kept for %v after --close fin)",
			count(perSecond(c.Max, c.TimeWait)), c.TimeWait)
	}
	a.add(c.Max, Advice{
		Name:     knobs.conntrack,
		Value:    fmt.Sprintf("%s; %s in use", count(c.Max), count(c.InUse)),
		Allows:   allows,
		Severity: atLeast(left, defaultFlight, largeFlight),
		Raise:    a.raise(knobs.conntrack, c.Max, wantFiles),
	})
}

func (a *adviser) buffers() {
	t := a.l.TCP
	if m := t.Memory; m != Unknown {
		page := m / int64(os.Getpagesize())
		full := Unlimited
		if t.Receive.Default > 0 {
			full = m / t.Receive.Default
		}
		a.add(m, Advice{
			Name:     knobs.tcpMemory,
			Value:    size(m),
			Allows:   fmt.Sprintf("%s connections with a full receive buffer; idle ones take none of it", count(full)),
			Severity: atLeast(full, defaultFlight, 0),
			Raise:    a.asRoot(knobs.setTCPMemory, page, page+page/2, page*2),
		})
	}
	for _, b := range []struct {
		name, verb string
		Buffer
	}{{knobs.receive, "receive", t.Receive}, {knobs.send, "send", t.Send}} {
		a.add(b.Default, Advice{
			Name:   b.name,
			Value:  fmt.Sprintf("%s, up to %s", size(b.Default), size(b.Max)),
			Allows: fmt.Sprintf("each connection may %s so much ahead; enough for any probe", b.verb),
		})
	}
}

func (a *adviser) memory() {
	m := a.l.Memory
	have, value := m.Available, size(m.Available)+" available"
	if have == Unknown {
		have, value = m.Total, size(m.Total)+" in all"
	}
	if m.CgroupFree < have {
		have, value = m.CgroupFree, fmt.Sprintf("%s left of the cgroup's %s", size(m.CgroupFree), size(m.Cgroup))
	}
	held := have / heldBytes
	a.add(have, Advice{
		Name:     "memory",
		Value:    value,
		Allows:   fmt.Sprintf("%s connections held, at %d bytes each in kernel and process", count(held), heldBytes),
		Severity: atLeast(held, defaultFlight, largeFlight),
	})
}

func (a *adviser) cpus() {
	value := count(a.l.CPUs)
	if a.l.Procs != a.l.CPUs {
		value += fmt.Sprintf(", %s used (GOMAXPROCS)", count(a.l.Procs))
	}
	a.add(a.l.CPUs, Advice{Name: "CPUs", Value: value, Allows: count(a.l.Procs) + " event loops (--loops), one a CPU"})
}
