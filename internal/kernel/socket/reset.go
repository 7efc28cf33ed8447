//go:build linux || darwin || freebsd

package socket

import "golang.org/x/sys/unix"

// ResetOnClose has close(2) of fd end the connection by RST and leave no TIME_WAIT (SO_LINGER with a zero timeout,
// socket(7)). It is for a socket that a library owns and closes; [Sockets].Close does it by itself. The error is the errno of
// setsockopt(2).
func ResetOnClose(fd int) error {
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
