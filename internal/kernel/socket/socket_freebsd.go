package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func newSocket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NOSIGPIPE, 1); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func readv(fd int, a, b []byte) (int, error) { return vectored(unix.SYS_READV, fd, [][]byte{a, b}) }

func writev(fd int, bufs [][]byte) (int, error) { return vectored(unix.SYS_WRITEV, fd, bufs) }

// maxVecs is how many buffers one call takes here; no exchange has more than a few at once.
const maxVecs = 16

func vectored(trap uintptr, fd int, bufs [][]byte) (int, error) {
	var vecs [maxVecs]unix.Iovec
	count := 0
	for _, p := range bufs {
		if len(p) > 0 && count < maxVecs {
			vecs[count].Base = &p[0]
			vecs[count].SetLen(len(p))
			count++
		}
	}
	if count == 0 {
		return 0, nil
	}
	n, _, errno := unix.Syscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&vecs[0])), uintptr(count))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// Info implements [Sockets]. FreeBSD's TCP_INFO differs by release and is not read: Known is false, and records have no
// kernel_rtt_us there.
func (System) Info(int) Info { return Info{} }
