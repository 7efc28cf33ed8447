package socket

import (
	"syscall"
	"testing"
	"time"

	"sonde/internal/clock"
)

func TestReadStamped(t *testing.T) {
	fd, peer := connected(t, "tcp4", "127.0.0.1:0", Addr{})
	defer System{}.Close(fd, true)
	defer peer.Close()
	var sys System
	if !sys.Timestamps(fd) {
		t.Fatal("the kernel has no receive stamps")
	}
	b := make([]byte, 100)
	if _, _, errno := sys.ReadStamped(fd, b, nil); errno != syscall.EAGAIN {
		t.Errorf("nothing is there: got %v, want EAGAIN", errno)
	}
	// The kernel begins to stamp a while after the first socket of the machine has asked for it.
	for deadline := clock.RealTime() + int64(time.Minute); clock.RealTime() < deadline; {
		before := clock.RealTime()
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		after := clock.RealTime()
		var n int
		var at int64
		until(t, func() (int, syscall.Errno) {
			var errno syscall.Errno
			n, at, errno = sys.ReadStamped(fd, b[:2], b[50:])
			return n, errno
		})
		if n != 5 || string(b[:2]) != "he" || string(b[50:53]) != "llo" {
			t.Fatalf("read %d: %q and %q", n, b[:2], b[50:53])
		}
		if at == 0 {
			continue
		}
		if slack := int64(time.Millisecond); at < before-slack || at > after+slack {
			t.Errorf("stamped %v after it was written", time.Duration(at-before))
		}
		return
	}
	t.Error("no stamp came")
}
