package socket

import (
	"fmt"
	"syscall"
)

// Descriptor is the file descriptor of a connection or listener of package net, which stays its own: it may be sent (SendFDs) while that is
// open, and no more.
func Descriptor(of any) (int, error) {
	c, ok := of.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("%T has no file descriptor", of)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	err = raw.Control(func(fd uintptr) { n = int(fd) })
	return n, err
}
