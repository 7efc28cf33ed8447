//go:build darwin || freebsd

package socket

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// System makes the calls on macOS and FreeBSD.
type System struct{}

var _ Sockets = System{}

// Connect implements [Sockets]. These systems choose the local port at bind(2): a source address costs one local port per
// connection even where the destinations differ.
func (System) Connect(remote, source Addr) (int, Call, syscall.Errno) {
	family := unix.AF_INET
	if remote.V6 {
		family = unix.AF_INET6
	}
	fd, err := newSocket(family)
	if err != nil {
		return -1, CallSocket, errnoOf(err)
	}
	if source.IsValid() {
		source.Port = 0
		if err := unix.Bind(fd, sockaddr(source)); err != nil {
			unix.Close(fd)
			return -1, CallBind, errnoOf(err)
		}
	}
	if err := unix.Connect(fd, sockaddr(remote)); err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		unix.Close(fd)
		return -1, CallConnect, errnoOf(err)
	}
	return fd, CallNone, 0
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		return unix.EINVAL
	}
	return errno
}

func sockaddr(a Addr) unix.Sockaddr {
	if a.V6 {
		return &unix.SockaddrInet6{Port: int(a.Port), ZoneId: a.Zone, Addr: a.IP}
	}
	return &unix.SockaddrInet4{Port: int(a.Port), Addr: [4]byte(a.IP[12:])}
}

// Error implements [Sockets].
func (System) Error(fd int) syscall.Errno {
	value, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return errnoOf(err)
	}
	return syscall.Errno(value)
}

// Local implements [Sockets].
func (System) Local(fd int) Addr {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return Addr{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		a := Addr{Port: uint16(sa.Port), set: true}
		a.IP[10], a.IP[11] = 0xff, 0xff
		copy(a.IP[12:], sa.Addr[:])
		return a
	case *unix.SockaddrInet6:
		return Addr{IP: sa.Addr, Zone: sa.ZoneId, Port: uint16(sa.Port), V6: true, set: true}
	}
	return Addr{}
}

// Readv implements [Sockets].
func (System) Readv(fd int, a, b []byte) (int, syscall.Errno) {
	for {
		n, err := readv(fd, a, b)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), errnoOf(err)
	}
}

// Timestamps implements [Sockets]: not for TCP.
func (System) Timestamps(int) bool { return false }

// ReadStamped implements [Sockets], without a stamp.
func (s System) ReadStamped(fd int, a, b []byte) (int, int64, syscall.Errno) {
	n, errno := s.Readv(fd, a, b)
	return n, 0, errno
}

// Writev implements [Sockets].
func (System) Writev(fd int, bufs [][]byte) (int, syscall.Errno) {
	for {
		n, err := writev(fd, bufs)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), errnoOf(err)
	}
}

// NoDelay implements [Sockets]. It may fail where the peer has reset the connection, which the next write tells.
func (System) NoDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// CloseWrite implements [Sockets].
func (System) CloseWrite(fd int) syscall.Errno { return errnoOf(unix.Shutdown(fd, unix.SHUT_WR)) }

// Close implements [Sockets].
func (System) Close(fd int, reset bool) {
	if reset {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Close(fd)
}
