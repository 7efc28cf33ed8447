package socket

import (
	"io/fs"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// PeerUser is the user id of the process at the other end of c, when it connected or listened (unix(7), SO_PEERCRED).
func PeerUser(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return int(cred.Uid), nil
}

// Owner is the user id that a file belongs to, by its stat(2); -1 if that is not known.
func Owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
