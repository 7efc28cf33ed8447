//go:build linux || darwin || freebsd

package socket

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// unixPair is the two ends of a connection over a unix socket.
func unixPair(t *testing.T, network string) (a, b *net.UnixConn) {
	t.Helper()
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: network}
	ln, err := net.ListenUnix(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.DialUnix(network, nil, addr); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestSendFDs sends as many sockets as a message holds. What a peer says reaches whoever has received them, after the sender's are
// closed.
func TestSendFDs(t *testing.T) {
	a, b := unixPair(t, "unix")
	var ours, theirs []int
	for range MaxFDs {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs = append(ours, pair[0]), append(theirs, pair[1])
	}
	if err := SendFDs(a, []byte("take these"), ours); err != nil {
		t.Fatal(err)
	}
	closeAll(ours)
	buf := make([]byte, 100)
	n, fds, err := ReceiveFDs(b, buf)
	if err != nil || string(buf[:n]) != "take these" || len(fds) != MaxFDs {
		t.Fatalf("got %q, %d descriptors, %v; want %d", buf[:n], len(fds), err, MaxFDs)
	}
	for i, fd := range fds {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d: flags %b, %v; want it to close on exec", i, flags, err)
		}
		var got [1]byte
		if _, err := unix.Write(theirs[i], []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Read(fd, got[:]); n != 1 || err != nil || got[0] != byte(i) {
			t.Errorf("descriptor %d: got %d bytes, %v, %v; want its own byte", i, n, got, err)
		}
	}
	closeAll(fds)
	closeAll(theirs)
	a.Close()
	if n, fds, err := ReceiveFDs(b, buf); n != 0 || len(fds) != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes, %d descriptors, %v; want the end", n, len(fds), err)
	}
}

// TestSendFDsRefuses wants no message that can't be sent whole.
func TestSendFDsRefuses(t *testing.T) {
	a, _ := unixPair(t, "unix")
	if err := SendFDs(a, nil, []int{0}); err == nil {
		t.Error("sent descriptors without a byte, which a stream would drop")
	}
	if err := SendFDs(a, []byte{1}, make([]int, MaxFDs+1)); err == nil {
		t.Errorf("sent %d descriptors", MaxFDs+1)
	}
	if err := SendFDs(a, []byte{1}, []int{-1}); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v, want EBADF", err)
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
