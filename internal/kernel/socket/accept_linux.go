package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Accept takes a connection from the queue of a listening socket (accept4(2)): non-blocking, close-on-exec, without the Nagle
// algorithm (TCP_NODELAY, tcp(7)), and with a send buffer of so many bytes (SO_SNDBUF, socket(7)). EAGAIN says that the queue is
// empty.
func Accept(listener, sendBuffer int) (int, syscall.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			System{}.NoDelay(int(r))
			_ = unix.SetsockoptInt(int(r), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer) // fails on no socket
			return int(r), 0
		case unix.EINTR, unix.ECONNABORTED:
			continue
		}
		return -1, errno
	}
}
