package socket

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestPeerUser(t *testing.T) {
	dir, err := os.MkdirTemp("", "sonde") // sun_path has 108 bytes, unix(7)
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if uid, err := PeerUser(c); uid != os.Getuid() || err != nil {
		t.Errorf("got %d, %v; want us, %d", uid, err, os.Getuid())
	}
	if info, err := os.Stat(dir); err != nil || Owner(info) != os.Getuid() {
		t.Errorf("the folder is %d's, %v", Owner(info), err)
	}
}
