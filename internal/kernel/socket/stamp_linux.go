package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Timestamps implements [Sockets].
func (System) Timestamps(fd int) bool {
	return setInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE) == 0
}

// stampSpace is room for the control message of SO_TIMESTAMPING, its three timespecs of any size, and one more.
const stampSpace = 128

// ReadStamped implements [Sockets], by recvmsg(2).
func (System) ReadStamped(fd int, a, b []byte) (int, int64, syscall.Errno) {
	var vecs [2]unix.Iovec
	count := 0
	for _, p := range [2][]byte{a, b} {
		if len(p) > 0 {
			vecs[count].Base = &p[0]
			vecs[count].SetLen(len(p))
			count++
		}
	}
	var control [stampSpace]byte
	msg := unix.Msghdr{Iov: &vecs[0], Control: &control[0]}
	msg.SetIovlen(count)
	for {
		msg.SetControllen(len(control))
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, 0, errno
		}
		return int(n), stampOf(control[:msg.Controllen]), 0
	}
}

// stampOf is the software stamp among the control messages (cmsg(3)), the first of the three times of SCM_TIMESTAMPING; 0 if
// there is none.
func stampOf(control []byte) int64 {
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		if h.Len < unix.SizeofCmsghdr || int(h.Len) > len(control) {
			return 0
		}
		data := control[unix.CmsgLen(0):h.Len]
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPING && len(data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			ts := (*unix.Timespec)(unsafe.Pointer(&data[0]))
			return ts.Nano()
		}
		next := unix.CmsgSpace(len(data))
		if next >= len(control) {
			return 0
		}
		control = control[next:]
	}
	return 0
}
