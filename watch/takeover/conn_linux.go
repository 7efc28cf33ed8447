package takeover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"sonde/internal/clock"
	"sonde/internal/kernel/socket"
)

// Conn is a connection between two processes.
type Conn struct {
	unix *net.UnixConn
	ctx  context.Context // of Give, Take or Rest; nil: of none
}

// Listener is a control socket.
type Listener struct {
	unix *net.UnixListener
	path string
}

// Listen makes the control socket, which only its user and root may connect to. One that nobody listens on any more is replaced, and
// with follows, that of the process whose place was taken.
func Listen(path string, follows bool) (*Listener, error) {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if !follows && isServed(path) {
		return nil, fmt.Errorf("control socket %s: another process listens on it", path)
	}
	// Under another name first: there is never a socket that is not ready, nor one with other rights.
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	_ = os.Remove(fresh) // of a process that had our number
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // the file may be another's by then
	if err = os.Chmod(fresh, 0o600); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		l.Close()
		_ = os.Remove(fresh)
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Listener{l, path}, nil
}

// checkFolder says why others could put a socket of theirs in the place of ours.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner := socket.Owner(info); owner != os.Geteuid() && owner != 0 {
		return fmt.Errorf("the folder belongs to user %d", owner)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("others may write to the folder (%v)", info.Mode())
	}
	return nil
}

// Accept waits for somebody who asks. Who may not, is gone already.
func (l *Listener) Accept() (*Conn, error) {
	for {
		c, err := l.unix.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if err := checkPeer(c); err == nil {
			return &Conn{unix: c}, nil
		}
		c.Close()
	}
}

// Close listens no more. The file stays if it is another process' by now; Remove takes it away before.
func (l *Listener) Close() { l.unix.Close() }

// Remove removes the control socket's file, while it is ours.
func (l *Listener) Remove() { _ = os.Remove(l.path) }

// checkPeer says why the other end may not take over, or be taken over from.
func checkPeer(c *net.UnixConn) error {
	uid, err := socket.PeerUser(c)
	if err != nil {
		return err
	}
	if uid != os.Geteuid() && uid != 0 {
		return fmt.Errorf("the process at the other end belongs to user %d", uid)
	}
	return nil
}

// Dial connects to the process that listens at path; ErrNobody if there is none.
func Dial(path string) (*Conn, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("control socket %s: %w", path, ErrNobody)
	case err != nil:
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := checkPeer(c); err != nil {
		c.Close()
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return &Conn{unix: c}, nil
}

// isServed reports whether a process listens at path.
func isServed(path string) bool {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ECONNREFUSED)
	}
	c.Close()
	return true
}

// isDeath reports whether an error is that the process at the other end closed the connection, with something unread or not.
func isDeath(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Close closes c.
func (c *Conn) Close() { c.unix.Close() }

// until has what c waits for end with ctx; the function that it returns ends that.
func (c *Conn) until(ctx context.Context) func() bool {
	c.ctx = ctx
	return context.AfterFunc(ctx, func() { _ = c.unix.SetReadDeadline(time.Unix(1, 0)) })
}

// limit is how long the next message may take to come, 0 for as long as it takes.
func (c *Conn) limit(d time.Duration) {
	at := time.Time{}
	if d > 0 {
		at = time.Unix(0, clock.RealTime()).Add(d)
	}
	_ = c.unix.SetReadDeadline(at)
	if c.ctx != nil && c.ctx.Err() != nil {
		_ = c.unix.SetReadDeadline(time.Unix(1, 0))
	}
}

// send sends a message, within the limit of an answer.
func (c *Conn) send(k kind, data []byte, fds []int) error {
	if len(data) > maxMessage {
		return fmt.Errorf("takeover: a message of %d bytes", len(data))
	}
	_ = c.unix.SetWriteDeadline(time.Unix(0, clock.RealTime()).Add(answerLimit))
	return socket.SendFDs(c.unix, append(appendHeader(make([]byte, 0, headerSize+len(data)), k, len(data)), data...), fds)
}

// receive receives a message. The descriptors are the caller's.
func (c *Conn) receive() (kind, []byte, []int, error) {
	var header [headerSize]byte
	n, fds, err := socket.ReceiveFDs(c.unix, header[:]) // they come with the first byte
	if err != nil {
		return 0, nil, nil, err
	}
	data, k := []byte(nil), kind(0)
	if _, err = io.ReadFull(c.unix, header[n:]); err == nil {
		var size int
		if k, size, err = parseHeader(header[:]); err == nil {
			data = make([]byte, size)
			_, err = io.ReadFull(c.unix, data)
		}
	}
	if err != nil {
		closeAll(fds)
		return 0, nil, nil, err
	}
	return k, data, fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		socket.System{}.Close(fd, false)
	}
}

// listenersOf are the listeners of descriptors, which it takes.
func listenersOf(fds []int) ([]net.Listener, error) {
	var all []net.Listener
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "listener")
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			closeAll(fds[i+1:])
			return all, fmt.Errorf("takeover: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}
