package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System makes the calls on Linux. It holds nothing and may be shared, though the contract does not ask for that.
//
// All calls are raw: each returns at once, so the scheduler need not be told about them, and at a hundred thousand
// connections a second telling it would cost more than the work (measured: 6 to 9 calls a connection).
type System struct{}

var _ Sockets = System{}

// Connect implements [Sockets].
func (System) Connect(remote, source Addr) (int, Call, syscall.Errno) {
	family := uintptr(unix.AF_INET)
	if remote.V6 {
		family = unix.AF_INET6
	}
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1, CallSocket, errno
	}
	fd := int(r)
	if source.IsValid() {
		if call, errno := bindSource(fd, source); errno != 0 {
			unix.RawSyscall(unix.SYS_CLOSE, r, 0, 0)
			return -1, call, errno
		}
	}
	// EINTR: the connect goes on in the background (connect(2)), as if EINPROGRESS.
	if errno := callWithAddr(unix.SYS_CONNECT, fd, remote); errno != 0 && errno != unix.EINPROGRESS && errno != unix.EINTR {
		unix.RawSyscall(unix.SYS_CLOSE, r, 0, 0)
		if errno == unix.EADDRNOTAVAIL && !source.IsValid() && !hasSource(family, remote) {
			return -1, CallBind, errno
		}
		return -1, CallConnect, errno
	}
	return fd, CallNone, 0
}

// hasSource reports whether the kernel has an address to dial remote from. Without one (IPv6 routed, but no address) TCP's
// connect(2) says EADDRNOTAVAIL, as it does when all local ports are taken; that of UDP, which sends nothing, needs no
// port that TCP has taken.
func hasSource(family uintptr, remote Addr) bool {
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return true
	}
	errno = callWithAddr(unix.SYS_CONNECT, int(r), remote)
	unix.RawSyscall(unix.SYS_CLOSE, r, 0, 0)
	return errno != unix.EADDRNOTAVAIL
}

// bindSource binds fd to the address of source and leaves the port to connect(2) (IP_BIND_ADDRESS_NO_PORT, ip(7)), which
// can then share one local port among many destinations.
func bindSource(fd int, source Addr) (Call, syscall.Errno) {
	if errno := setInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); errno != 0 {
		return CallSocket, errno
	}
	source.Port = 0
	return CallBind, callWithAddr(unix.SYS_BIND, fd, source)
}

// callWithAddr makes a call of the form (fd, sockaddr, length): connect(2) or bind(2).
func callWithAddr(trap uintptr, fd int, a Addr) syscall.Errno {
	if a.V6 {
		sa := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: networkOrder(a.Port), Addr: a.IP, Scope_id: a.Zone}
		_, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unix.SizeofSockaddrInet6)
		return errno
	}
	sa := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(a.Port), Addr: [4]byte(a.IP[12:])}
	_, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unix.SizeofSockaddrInet4)
	return errno
}

// networkOrder gives the uint16 whose bytes in memory are the port's in network order, on any machine.
func networkOrder(port uint16) uint16 {
	b := [2]byte{byte(port >> 8), byte(port)}
	return *(*uint16)(unsafe.Pointer(&b))
}

func setInt(fd, level, option int, value int32) syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
	return errno
}

// Error implements [Sockets].
func (System) Error(fd int) syscall.Errno {
	var value int32
	size := uint32(unsafe.Sizeof(value))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return syscall.Errno(value)
}

// The states of TCP_INFO's tcpi_state that matter here (linux/tcp_states.h).
const (
	tcpEstablished = 1
	tcpSynSent     = 2
	tcpSynRecv     = 3
	tcpCloseWait   = 8
)

// Info implements [Sockets]. The peer may have sent its FIN already (CLOSE_WAIT): the handshake has succeeded all the same.
func (System) Info(fd int) Info {
	var ti unix.TCPInfo
	size := uint32(unsafe.Sizeof(ti))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&ti)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return Info{}
	}
	return Info{
		Known:       true,
		Established: ti.State == tcpEstablished || ti.State == tcpCloseWait,
		Connecting:  ti.State == tcpSynSent || ti.State == tcpSynRecv,
		RTTMicros:   ti.Rtt,
		SegsIn:      ti.Segs_in,
	}
}

// Local implements [Sockets].
func (System) Local(fd int) Addr {
	var sa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return Addr{}
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		a := Addr{Port: networkOrder(in.Port), set: true}
		a.IP[10], a.IP[11] = 0xff, 0xff
		copy(a.IP[12:], in.Addr[:])
		return a
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&sa))
		return Addr{IP: in.Addr, Zone: in.Scope_id, Port: networkOrder(in.Port), V6: true, set: true}
	}
	return Addr{}
}

// Readv implements [Sockets]. One buffer, which is the rule, goes by read(2): the kernel then has no vector to fetch.
func (System) Readv(fd int, a, b []byte) (int, syscall.Errno) {
	if len(b) == 0 && len(a) > 0 {
		return transfer(unix.SYS_READ, fd, unsafe.Pointer(&a[0]), len(a))
	}
	var vecs [2]unix.Iovec
	count := 0
	for _, p := range [2][]byte{a, b} {
		if len(p) > 0 {
			vecs[count].Base = &p[0]
			vecs[count].SetLen(len(p))
			count++
		}
	}
	return transfer(unix.SYS_READV, fd, unsafe.Pointer(&vecs[0]), count)
}

// maxVecs is how many buffers one writev(2) takes here; IOV_MAX is 1024, but no exchange has more than a few at once.
const maxVecs = 16

// Writev implements [Sockets]. Of more than 16 buffers the first 16 are written, which the caller sees as a short write.
func (System) Writev(fd int, bufs [][]byte) (int, syscall.Errno) {
	if len(bufs) == 1 && len(bufs[0]) > 0 {
		return transfer(unix.SYS_WRITE, fd, unsafe.Pointer(&bufs[0][0]), len(bufs[0]))
	}
	var vecs [maxVecs]unix.Iovec
	count := 0
	for _, p := range bufs {
		if len(p) > 0 && count < maxVecs {
			vecs[count].Base = &p[0]
			vecs[count].SetLen(len(p))
			count++
		}
	}
	return transfer(unix.SYS_WRITEV, fd, unsafe.Pointer(&vecs[0]), count)
}

// transfer reads or writes so many bytes at p, or so many vectors.
func transfer(trap uintptr, fd int, p unsafe.Pointer, count int) (int, syscall.Errno) {
	if count == 0 {
		return 0, 0
	}
	for {
		n, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(p), uintptr(count))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), 0
	}
}

// NoDelay implements [Sockets].
func (System) NoDelay(fd int) { setInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// CloseWrite implements [Sockets].
func (System) CloseWrite(fd int) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errno
}

// Close implements [Sockets]. close(2) is not repeated after EINTR: on Linux the descriptor is gone in any case.
func (System) Close(fd int, reset bool) {
	if reset {
		linger := unix.Linger{Onoff: 1, Linger: 0}
		unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
			uintptr(unsafe.Pointer(&linger)), unsafe.Sizeof(linger), 0)
	}
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}
