package simkernel

import (
	"fmt"
	"net/netip"
	"time"

	"sonde/internal/kernel/socket"
)

// firstFD is the lowest descriptor of a socket: a process has its standard streams and the poller's own before it.
const firstFD = 7

// maxViolations bounds the list of violations: the first few tell the story.
const maxViolations = 100

// fdTable hands out descriptors, the lowest free one first (open(2)).
type fdTable struct {
	conns          []*conn // by fd - firstFD
	low            int     // no index below is free
	opened, closed int
}

func (t *fdTable) count() int { return t.opened - t.closed }

func (t *fdTable) add(c *conn) int {
	for t.low < len(t.conns) && t.conns[t.low] != nil {
		t.low++
	}
	if t.low == len(t.conns) {
		t.conns = append(t.conns, nil)
	}
	t.conns[t.low] = c
	t.opened++
	t.low++
	return t.low - 1 + firstFD
}

// at returns the open socket of fd, nil if there is none.
func (t *fdTable) at(fd int) *conn {
	if i := fd - firstFD; i >= 0 && i < len(t.conns) {
		return t.conns[i]
	}
	return nil
}

func (t *fdTable) remove(fd int) {
	i := fd - firstFD
	t.conns[i] = nil
	t.low = min(t.low, i)
	t.closed++
}

func (t *fdTable) list() []int {
	var fds []int
	for i, c := range t.conns {
		if c != nil {
			fds = append(fds, i+firstFD)
		}
	}
	return fds
}

// Violations lists how the caller broke the contract of its calls, each with its moment: a descriptor used after it was
// closed, closed while it was watched, watched twice, a token used twice, and so on. At most 100 are kept.
func (k *Kernel) Violations() []string { return k.violations }

func (k *Kernel) violation(format string, args ...any) {
	if len(k.violations) < maxViolations {
		k.violations = append(k.violations, fmt.Sprintf("%v: ", time.Duration(k.now))+fmt.Sprintf(format, args...))
	}
}

// open returns the socket of fd, or nil and a violation.
func (k *Kernel) open(call string, fd int) *conn {
	c := k.fds.at(fd)
	if c == nil {
		k.violation("%s of fd %d, which is not open", call, fd)
	}
	return c
}

// route is what local ports are counted by: one port serves many destinations (IP_BIND_ADDRESS_NO_PORT, ip(7)).
type route struct {
	source [16]byte
	remote socket.Addr
}

// portSet is the local ports in use on one route.
type portSet struct {
	used map[uint16]struct{}
	next uint16 // where the search starts: ports are not reused at once
}

const firstPort = 32768

// takePort finds a free local port on the way to remote; ok is false when all are in use.
func (k *Kernel) takePort(source, remote socket.Addr) (local socket.Addr, ok bool) {
	ip := source.AddrPort().Addr()
	if !source.IsValid() {
		ip = localIP(remote)
	}
	r := route{source: ip.As16(), remote: remote}
	set := k.ports[r]
	if set == nil {
		set = &portSet{used: make(map[uint16]struct{})}
		k.ports[r] = set
	}
	if len(set.used) >= k.opts.Ports {
		return socket.Addr{}, false
	}
	for {
		port := firstPort + set.next
		set.next = uint16((int(set.next) + 1) % k.opts.Ports)
		if _, busy := set.used[port]; !busy {
			set.used[port] = struct{}{}
			return socket.AddrFrom(netip.AddrPortFrom(ip, port), source.Zone), true
		}
	}
}

func (k *Kernel) freePort(local, remote socket.Addr) {
	r := route{source: local.IP, remote: remote}
	set := k.ports[r]
	if delete(set.used, local.Port); len(set.used) == 0 {
		delete(k.ports, r)
	}
}

// localIP is the source address that the simulated machine's routes choose.
func localIP(remote socket.Addr) netip.Addr {
	switch ip := remote.AddrPort().Addr(); {
	case ip.Is4() && ip.IsLoopback():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case ip.IsLoopback():
		return netip.IPv6Loopback()
	case ip.Is4():
		return netip.AddrFrom4([4]byte{192, 0, 2, 1}) // TEST-NET-1, RFC 5737
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}) // documentation prefix, RFC 3849
}
