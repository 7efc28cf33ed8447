package testnet

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// DelaySYNACK gives the namespace a wire to itself on which each SYN-ACK (RFC 9293 s.3.5) takes so long: all other packets
// pass at once, so that connects are slow and nothing else is. See [DelayedDial]. The wire is served by this process until the
// test ends; those who use it may be others.
//
// It is a tun device. What the kernel routes to DelayedDial comes out of it, has its addresses exchanged and goes in again,
// now from DelayedDial to DelayedListen. Checksums stay right: they are sums in which the addresses' order does not count
// (RFC 1071).
func (n *Namespace) DelaySYNACK(t testing.TB, delay time.Duration) {
	t.Helper()
	const device = "slow"
	tun, err := n.openTun(device)
	if err != nil {
		t.Skipf("testnet: no tun device: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		mirror(tun, delay)
	}()
	t.Cleanup(func() {
		tun.Close()
		<-done
	})
	n.IP(t, "addr add "+DelayedListen+"/24 dev "+device, "link set "+device+" up")
}

// openTun makes a tun device in the namespace.
func (n *Namespace) openTun(device string) (tun *os.File, err error) {
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		// setns(2) moves this thread alone. It is not unlocked, so it ends with the goroutine and nobody else is moved.
		runtime.LockOSThread()
		tun, err = openTunAt(filepath.Join("/run/netns", n.name), device)
	}()
	<-opened
	return tun, err
}

func openTunAt(namespace, device string) (*os.File, error) {
	ns, err := unix.Open(namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", namespace, err)
	}
	defer unix.Close(ns)
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("setns: %w", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(device)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI) // bare IP packets
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TUNSETIFF %s: %w", device, err)
	}
	return os.NewFile(uintptr(fd), device), nil
}

// mirror sends back each IPv4 packet with its addresses exchanged, and a SYN-ACK after delay, until tun is closed.
func mirror(tun *os.File, delay time.Duration) {
	packet := make([]byte, 64<<10)
	for {
		n, err := tun.Read(packet)
		if err != nil {
			return
		}
		if !exchangeAddrs(packet[:n]) {
			continue // IPv6 neighbour discovery
		}
		if isSYNACK(packet[:n]) {
			late := append([]byte(nil), packet[:n]...)
			time.AfterFunc(delay, func() { _, _ = tun.Write(late) }) // too late when the test is over
			continue
		}
		_, _ = tun.Write(packet[:n]) // what can't go in is lost, as packets are
	}
}

// exchangeAddrs turns an IPv4 packet around (RFC 791 s.3.1). It reports false for any other.
func exchangeAddrs(p []byte) bool {
	if len(p) < 20 || p[0]>>4 != 4 {
		return false
	}
	var source [4]byte
	copy(source[:], p[12:16])
	copy(p[12:16], p[16:20])
	copy(p[16:20], source[:])
	return true
}

// isSYNACK reports whether an IPv4 packet is the answer to a SYN (RFC 9293 s.3.1).
func isSYNACK(p []byte) bool {
	const synACK = 0x02 | 0x10
	header := int(p[0]&15) * 4
	return p[9] == unix.IPPROTO_TCP && len(p) >= header+20 && p[header+13]&synACK == synACK
}
