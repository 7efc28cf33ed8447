//go:build linux || darwin || freebsd

package socket

import (
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Claim takes an address and port for the caller alone until the file that it returns is closed. Nothing listens there, so
// whoever connects to it is refused; a second Claim, of any process, fails with EADDRINUSE, as does a listener. Between those
// who choose a block of ports, it says whose the block is: SO_REUSEADDR (socket(7)), which listeners set, would let two bind.
// The error is that of socket(2) or bind(2), an *os.SyscallError.
func Claim(ap netip.AddrPort) (*os.File, error) {
	var sa unix.Sockaddr
	family := unix.AF_INET6
	if ip := ap.Addr().Unmap(); ip.Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ip.As4()}
	} else {
		sa = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ip.As16()}
	}
	syscall.ForkLock.RLock() // no child is born between the two calls
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, sa); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), ap.String()), nil
}
