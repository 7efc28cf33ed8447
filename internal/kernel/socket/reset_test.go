//go:build linux || darwin || freebsd

package socket

import (
	"errors"
	"syscall"
	"testing"
)

func TestResetOnClose(t *testing.T) {
	fd, peer := connected(t, "tcp4", "127.0.0.1:0", Addr{})
	if err := ResetOnClose(fd); err != nil {
		t.Fatal(err)
	}
	System{}.Close(fd, false)
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer got %v, want a reset", err)
	}
	if err := ResetOnClose(-1); !errors.Is(err, syscall.EBADF) {
		t.Errorf("no descriptor: got %v, want EBADF", err)
	}
}
