//go:build linux || darwin || freebsd

package socket

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// MaxFDs is how many descriptors one message holds at most: SCM_MAX_FD of Linux (unix(7)), the least of the platforms we know.
const MaxFDs = 253

// ErrTruncated ends a message that did not fit: its bytes into the buffer, or its descriptors into this process's limit on them.
var ErrTruncated = errors.New("message cut short")

// SendFDs sends data, at least one byte, and with it the right to use the descriptors (unix(7), SCM_RIGHTS), at most MaxFDs. The other
// process gets its own descriptors of the same sockets; the caller's stay open and its own. On a stream what is received may be
// less than was sent at once: who needs to tell messages apart uses "unixpacket", or one message between two answers.
//
// A socket that is being sent stays with any poller that watches it; take it away first. It blocks as c's deadlines say. After an error
// (EPIPE where the other has closed, ETOOMANYREFS where too many descriptors are on their way) the other may have got some of
// it or all: only its answer tells.
func SendFDs(c *net.UnixConn, data []byte, fds []int) error {
	if len(data) == 0 || len(fds) > MaxFDs {
		return fmt.Errorf("send %d descriptors with %d bytes: want at most %d, with a byte", len(fds), len(data), MaxFDs)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	n, _, err := c.WriteMsgUnix(data, rights, nil)
	if err != nil {
		return fmt.Errorf("send %d descriptors: %w", len(fds), err)
	}
	for n < len(data) { // of a stream; the descriptors went with the first byte
		more, err := c.Write(data[n:])
		if err != nil {
			return fmt.Errorf("send %d descriptors: %w", len(fds), err)
		}
		n += more
	}
	return nil
}

// ReceiveFDs receives bytes into buf and returns how many, with the descriptors that came with them: close-on-exec, non-blocking if they
// were so for the sender, and the caller's to close. The error at the end is io.EOF. After an error no descriptor is left behind;
// ErrTruncated is one.
func ReceiveFDs(c *net.UnixConn, buf []byte) (n int, fds []int, err error) {
	rights := make([]byte, unix.CmsgSpace(4*MaxFDs))
	n, rightsSize, flags, _, err := c.ReadMsgUnix(buf, rights) // which has the descriptors close on exec
	if err != nil {
		return 0, nil, fmt.Errorf("receive descriptors: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rightsSize])
	if err != nil {
		return 0, nil, fmt.Errorf("receive descriptors: %w", os.NewSyscallError("parse control message", err))
	}
	for i := range messages {
		some, err := unix.ParseUnixRights(&messages[i])
		if err == nil {
			fds = append(fds, some...)
		}
	}
	if flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return 0, nil, fmt.Errorf("receive descriptors: %w", ErrTruncated)
	}
	return n, fds, nil
}
