// Package socket makes the system calls of a TCP connection: socket(2), bind(2), connect(2), readv(2), writev(2),
// shutdown(2), getsockopt(2), close(2). This file is the contract; one file per platform provides System. The errno that
// the kernel gave is handed on as it is: who is to blame for it is decided above (docs/adr/0003).
//
// No call blocks: every descriptor is non-blocking and close-on-exec from its birth.
package socket

import (
	"net/netip"
	"syscall"
)

// Addr is an IP address and port without a pointer, so that a table of a million of them gives the garbage collector
// nothing to scan (netip.Addr holds one, for its zone). The zero Addr is "none".
type Addr struct {
	IP   [16]byte // IPv4 as ::ffff:a.b.c.d
	Zone uint32   // interface index of a link-local IPv6 address, else 0
	Port uint16
	V6   bool // false also for IPv4; IsValid tells IPv4 from none
	set  bool
}

// AddrFrom converts ap; zone is the interface index that goes with ap's zone, 0 if it has none. An IPv4-mapped IPv6
// address is taken as IPv4. An invalid ap gives the zero Addr.
func AddrFrom(ap netip.AddrPort, zone uint32) Addr {
	ip := ap.Addr().Unmap()
	if !ip.IsValid() {
		return Addr{}
	}
	return Addr{IP: ip.As16(), Zone: zone, Port: ap.Port(), V6: ip.Is6(), set: true}
}

// IsValid reports whether a holds an address.
func (a Addr) IsValid() bool { return a.set }

// AddrPort converts back. The zone, if any, is lost: it is an index here, a name there.
func (a Addr) AddrPort() netip.AddrPort {
	if !a.set {
		return netip.AddrPort{}
	}
	ip := netip.AddrFrom16(a.IP)
	if !a.V6 {
		ip = ip.Unmap()
	}
	return netip.AddrPortFrom(ip, a.Port)
}

// Call names the system call that an errno came from. It decides the blame: an errno of connect(2) itself is about our
// side, one that SO_ERROR reports came over the network.
type Call uint8

// The calls of a connection's life, in their order.
const (
	CallNone    Call = iota
	CallSocket       // socket(2), and the options set before bind
	CallBind         // bind(2) to a source address
	CallConnect      // connect(2) itself
	CallPoll         // epoll_ctl(2) or kevent(2): the socket could not be watched
	CallSOError      // SO_ERROR (socket(7)) after a non-blocking connect
	CallRead         // readv(2)
	CallWrite        // writev(2)
)

// String returns the name by which records and messages know the call.
func (c Call) String() string {
	names := [...]string{"none", "socket", "bind", "connect", "poll", "so_error", "read", "write"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

// Info is what the kernel itself knows of a connection (TCP_INFO, tcp(7)).
type Info struct {
	// Known is false where the platform tells nothing; the other fields are then zero.
	Known bool
	// Established is true from the end of the handshake until the connection is closed on both sides.
	Established bool
	// Connecting is true while the handshake is still going on (SYN sent or received).
	Connecting bool
	// RTTMicros is the kernel's smoothed round-trip time; right after the connect it is the handshake's own.
	RTTMicros uint32
	// SegsIn counts the segments received so far (RFC 4898, tcpEStatsPerfSegsIn); 0 where it is not known.
	SegsIn uint32
}

// Sockets is what a loop needs of the kernel's sockets. [System] is the real one; internal/simkernel has a simulated one.
// An implementation belongs to one loop. fd is always a descriptor that Connect returned and Close has not seen yet. An
// errno of 0 is success. Interrupted calls (EINTR) are repeated inside.
type Sockets interface {
	// Connect opens a socket, binds it to source if that is valid (its port is ignored: the kernel chooses one at connect
	// time, IP_BIND_ADDRESS_NO_PORT in ip(7)) and starts to connect it to remote. On success errno is 0 and the
	// connection is under way or established; the caller learns which from the poller. Otherwise fd is -1, no
	// descriptor is left behind, and call says which call gave errno. EADDRNOTAVAIL of CallConnect means that all local
	// ports are taken, of CallBind that there is no such source address, or none at all to reach remote from.
	Connect(remote, source Addr) (fd int, call Call, errno syscall.Errno)
	// Error returns and clears the pending error (SO_ERROR).
	Error(fd int) syscall.Errno
	// Info asks the kernel about the connection.
	Info(fd int) Info
	// Local returns the local address of the connection (getsockname(2)), the zero Addr if that fails.
	Local(fd int) Addr
	// Readv reads into a, then b (which may be empty), and returns how many bytes came. Zero bytes with errno 0 is the
	// peer's FIN. EAGAIN: nothing is there now.
	Readv(fd int, a, b []byte) (n int, errno syscall.Errno)
	// Timestamps has the kernel note from now on when bytes arrive (SO_TIMESTAMPING, software receive stamps, socket(7)), and
	// reports whether it can.
	Timestamps(fd int) bool
	// ReadStamped is Readv, and tells when the last segment of what it read arrived: nanoseconds of CLOCK_REALTIME since 1970,
	// 0 if that is not known.
	ReadStamped(fd int, a, b []byte) (n int, at int64, errno syscall.Errno)
	// Writev writes the buffers in order and returns how many bytes the kernel took, which may end inside any of them.
	// EAGAIN: none now. A closed connection gives EPIPE, never a signal.
	Writev(fd int, bufs [][]byte) (n int, errno syscall.Errno)
	// NoDelay has what is written from now on sent at once, whatever is not acknowledged yet (TCP_NODELAY, tcp(7)).
	NoDelay(fd int)
	// CloseWrite sends our FIN once what was written is out (shutdown(2), SHUT_WR).
	CloseWrite(fd int) syscall.Errno
	// Close closes fd. With reset the connection ends by RST and leaves no TIME_WAIT (SO_LINGER with a zero timeout,
	// socket(7)); otherwise as the kernel sees fit.
	Close(fd int, reset bool)
}
