package socket

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAddr(t *testing.T) {
	for _, text := range []string{"127.0.0.1:80", "[2001:db8::1]:443", "[::1]:1"} {
		ap := netip.MustParseAddrPort(text)
		a := AddrFrom(ap, 0)
		if got := a.AddrPort(); got != ap || !a.IsValid() || a.V6 != ap.Addr().Is6() {
			t.Errorf("got %v (v6 %v), want %v", got, a.V6, ap)
		}
	}
	mapped := AddrFrom(netip.MustParseAddrPort("[::ffff:10.0.0.1]:80"), 0)
	if want := AddrFrom(netip.MustParseAddrPort("10.0.0.1:80"), 0); mapped != want {
		t.Errorf("got %v for a mapped address, want %v", mapped, want)
	}
	if a := (Addr{}); a.IsValid() || a.AddrPort().IsValid() || AddrFrom(netip.AddrPort{}, 0) != a {
		t.Error("the zero Addr is not none")
	}
	if got := AddrFrom(netip.MustParseAddrPort("[fe80::1%eth0]:80"), 3).Zone; got != 3 {
		t.Errorf("got zone %d, want 3", got)
	}
}

// connected returns a socket connected to a listener, and the accepted end.
func connected(t *testing.T, network, addr string, source Addr) (fd int, peer *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	remote := AddrFrom(ln.Addr().(*net.TCPAddr).AddrPort(), 0)
	fd, call, errno := System{}.Connect(remote, source)
	if errno != 0 {
		t.Fatalf("connect %v: %v: %v", remote, call, errno)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return fd, conn.(*net.TCPConn)
}

// until repeats a call that may say EAGAIN, at most for a minute.
func until(t *testing.T, call func() (int, syscall.Errno)) (int, syscall.Errno) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if n, errno := call(); errno != syscall.EAGAIN {
			return n, errno
		}
	}
	t.Fatal("nothing came for a minute")
	return 0, 0
}

func TestConversation(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		t.Run(network, func(t *testing.T) {
			addr := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network]
			fd, peer := connected(t, network, addr, Addr{})
			sys := System{}
			if e := sys.Error(fd); e != 0 {
				t.Errorf("SO_ERROR: got %v, want none", e)
			}
			if info := sys.Info(fd); info.Known && (!info.Established || info.Connecting || info.SegsIn != 1) {
				t.Errorf("got %+v, want an established connection with one segment in", info)
			}
			if got, want := sys.Local(fd).AddrPort(), peer.RemoteAddr().(*net.TCPAddr).AddrPort(); got != want {
				t.Errorf("local address: got %v, want %v", got, want)
			}
			var b [8]byte
			if n, errno := sys.Readv(fd, b[:], nil); n != 0 || errno != syscall.EAGAIN {
				t.Errorf("read of nothing: got %d, %v; want EAGAIN", n, errno)
			}
			if n, errno := sys.Writev(fd, [][]byte{[]byte("he"), nil, []byte("llo")}); n != 5 || errno != 0 {
				t.Errorf("writev: got %d, %v; want 5", n, errno)
			}
			got := make([]byte, 5)
			if _, err := io.ReadFull(peer, got); err != nil || string(got) != "hello" {
				t.Errorf("the peer got %q, %v", got, err)
			}
			if _, err := peer.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
			var first [4]byte
			n, errno := until(t, func() (int, syscall.Errno) { return sys.Readv(fd, first[:], b[:]) })
			if n != 6 || errno != 0 || string(first[:])+string(b[:2]) != "answer" {
				t.Errorf("readv: got %d %q %q, %v", n, first, b, errno)
			}
			if errno := sys.CloseWrite(fd); errno != 0 {
				t.Errorf("shutdown: %v", errno)
			}
			if _, err := peer.Read(got); err != io.EOF {
				t.Errorf("after our FIN the peer got %v, want EOF", err)
			}
			peer.Close()
			if n, errno := until(t, func() (int, syscall.Errno) { return sys.Readv(fd, b[:], nil) }); n != 0 || errno != 0 {
				t.Errorf("after the peer's FIN: got %d, %v; want 0", n, errno)
			}
			sys.Close(fd, false)
		})
	}
}

func TestNoDelay(t *testing.T) {
	fd, peer := connected(t, "tcp4", "127.0.0.1:0", Addr{})
	defer System{}.Close(fd, true)
	defer peer.Close()
	for want := range 2 {
		if got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || got != 0 != (want != 0) {
			t.Errorf("TCP_NODELAY is %d (%v), want %d", got, err, want)
		}
		System{}.NoDelay(fd)
	}
}

func TestWritevTakesSixteenBuffers(t *testing.T) {
	fd, peer := connected(t, "tcp4", "127.0.0.1:0", Addr{})
	defer System{}.Close(fd, true)
	var bufs [][]byte
	for range 20 {
		bufs = append(bufs, []byte("x"))
	}
	n, errno := System{}.Writev(fd, bufs)
	if n != 16 || errno != 0 {
		t.Fatalf("got %d, %v; want a short write of 16", n, errno)
	}
	got := make([]byte, 16)
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != strings.Repeat("x", 16) {
		t.Errorf("the peer got %q, %v", got, err)
	}
}

func TestCloseByReset(t *testing.T) {
	fd, peer := connected(t, "tcp4", "127.0.0.1:0", Addr{})
	System{}.Close(fd, true)
	_, err := peer.Read(make([]byte, 1))
	if opErr, ok := err.(*net.OpError); !ok || !strings.Contains(opErr.Err.Error(), "reset") {
		t.Errorf("the peer got %v, want a reset", err)
	}
}

func TestSourceAddress(t *testing.T) {
	source := AddrFrom(netip.MustParseAddrPort("127.0.0.9:77"), 0)
	fd, peer := connected(t, "tcp4", "127.0.0.1:0", source)
	defer System{}.Close(fd, true)
	got := peer.RemoteAddr().(*net.TCPAddr).AddrPort()
	if got.Addr() != netip.MustParseAddr("127.0.0.9") || got.Port() == 77 {
		t.Errorf("dialled from %v, want 127.0.0.9 and a port of the kernel's choice", got)
	}
}

func TestConnectFails(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	remote := AddrFrom(ln.Addr().(*net.TCPAddr).AddrPort(), 0)
	ln.Close()
	notOurs := AddrFrom(netip.MustParseAddrPort("192.0.2.1:0"), 0) // TEST-NET-1, RFC 5737
	if fd, call, errno := (System{}).Connect(remote, notOurs); fd != -1 || call != CallBind || errno != syscall.EADDRNOTAVAIL {
		t.Errorf("source that is not ours: got %d, %v, %v; want bind and EADDRNOTAVAIL", fd, call, errno)
	}
	broadcast := AddrFrom(netip.MustParseAddrPort("255.255.255.255:80"), 0)
	if fd, call, errno := (System{}).Connect(broadcast, Addr{}); fd != -1 || call != CallConnect || errno == 0 {
		t.Errorf("broadcast: got %d, %v, %v; want connect to fail", fd, call, errno)
	}
	fd, call, errno := System{}.Connect(remote, Addr{})
	if errno == 0 { // told by SO_ERROR where the refusal does not come within connect(2)
		_, errno = until(t, func() (int, syscall.Errno) {
			if e := (System{}).Error(fd); e != 0 {
				return 0, e
			}
			return 0, syscall.EAGAIN
		})
		System{}.Close(fd, false)
		call = CallConnect
	}
	if call != CallConnect || errno != syscall.ECONNREFUSED {
		t.Errorf("dead port: got %v, %v; want connect and ECONNREFUSED", call, errno)
	}
}

// TestSegmentsOfASelfConnect holds what tells a connection to itself from others without a call: more segments in than
// the one of a handshake.
func TestSegmentsOfASelfConnect(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	self, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Connect(fd, self); err != nil {
		t.Fatal(err)
	}
	if info := (System{}).Info(fd); info.Known && info.SegsIn <= 1 {
		t.Errorf("got %d segments in, want more than 1", info.SegsIn)
	}
	if got, want := (System{}).Local(fd).Port, uint16(self.(*syscall.SockaddrInet4).Port); got != want {
		t.Errorf("got local port %d, want %d", got, want)
	}
}

func TestCallsDoNotAllocate(t *testing.T) {
	fd, peer := connected(t, "tcp4", "127.0.0.1:0", Addr{})
	defer System{}.Close(fd, true)
	go io.Copy(io.Discard, peer)
	var b [16]byte
	bufs := [][]byte{b[:4]}
	if n := testing.AllocsPerRun(100, func() {
		System{}.Info(fd)
		System{}.Error(fd)
		System{}.Local(fd)
		System{}.Readv(fd, b[:8], b[8:])
		System{}.Writev(fd, bufs)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
