package socket

import "golang.org/x/sys/unix"

// newSocket has no atomic close-on-exec and non-blocking flags on macOS; sonde starts no child while loops run.
func newSocket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	// macOS has no MSG_NOSIGNAL: a write to a closed connection must give EPIPE, not SIGPIPE.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NOSIGPIPE, 1); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func readv(fd int, a, b []byte) (int, error) {
	if len(b) == 0 {
		return unix.Read(fd, a)
	}
	return unix.Readv(fd, [][]byte{a, b})
}

func writev(fd int, bufs [][]byte) (int, error) { return unix.Writev(fd, bufs) }

// The states of TCP_CONNECTION_INFO's tcpi_state (netinet/tcp_fsm.h).
const (
	tcpsSynSent     = 2
	tcpsSynReceived = 3
	tcpsEstablished = 4
	tcpsCloseWait   = 5
)

// Info implements [Sockets]. macOS keeps its round-trip time in milliseconds, so RTTMicros is a multiple of 1,000.
func (System) Info(fd int) Info {
	ti, err := unix.GetsockoptTCPConnectionInfo(fd, unix.IPPROTO_TCP, unix.TCP_CONNECTION_INFO)
	if err != nil {
		return Info{}
	}
	return Info{
		Known:       true,
		Established: ti.State == tcpsEstablished || ti.State == tcpsCloseWait,
		Connecting:  ti.State == tcpsSynSent || ti.State == tcpsSynReceived,
		RTTMicros:   ti.Srtt * 1000,
	}
}
