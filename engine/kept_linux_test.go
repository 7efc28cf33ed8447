package engine

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel/socket"
)

// TestExportBySocket sends connections over a unix socket, as to another process, while the engine that had them runs on: that one hears
// nothing of them any more, though the sockets live, and no descriptor is left.
func TestExportBySocket(t *testing.T) {
	const connections = 200
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b := unixConn(t, pair[0]), unixConn(t, pair[1])
	before := countFDs(t)
	s := listen(t, false)
	profile := Profile{Heartbeat: 20 * time.Millisecond, TellHeartbeats: true, Limits: Limits{Connect: time.Minute, Read: time.Minute, Idle: time.Hour}}
	from, to := keeper(t, profile), keeper(t, profile)
	kept := from.Export(t.Context(), park(t, from, s, connections))
	var fds []int
	for _, k := range kept {
		fds = append(fds, k.FD)
	}
	if err := socket.SendFDs(a, []byte{1}, fds); err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		socket.System{}.Close(fd, false)
	}
	_, fds, err = socket.ReceiveFDs(b, make([]byte, 1))
	if err != nil || len(fds) != connections {
		t.Fatalf("got %d descriptors, %v; want %d", len(fds), err, connections)
	}
	for i := range kept {
		kept[i].FD = fds[i]
	}
	if n, err := to.Adopt(kept); n != connections || err != nil {
		t.Fatalf("adopted %d, %v; want all %d", n, err, connections)
	}
	for _, o := range outcomesOf(to, 3*connections) {
		if o.Cause != HeartbeatAnswered {
			t.Fatalf("job %d: got cause %d, %v: %v; want its heartbeats answered", o.ID, o.Cause, o.Call, o.Errno)
		}
	}
	end(t, from)
	if n := from.Stats().StaleEvents; n != 0 {
		t.Errorf("the engine that exported them had %d events of them", n)
	}
	end(t, to)
	s.stop()
	if after := countFDs(t); after != before {
		t.Errorf("got %d descriptors, want %d as before", after, before)
	}
}

func unixConn(t *testing.T, fd int) *net.UnixConn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "pair")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.UnixConn)
}
