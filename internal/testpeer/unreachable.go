//go:build unix

package testpeer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// reserveLimit is how long reserve may take: no other process has part in it, but a machine under load has it wait.
const reserveLimit = time.Minute

// reserve makes the peer's address one where nothing listens and nothing can: a socket of ours is bound to it and
// connected elsewhere. A SYN to it finds no listener and is answered by RST; nobody else can bind it; and since the port
// was bound by bind(2), no connect(2) is given it as its local port, so a client can't connect to itself by accident.
func (p *Peer) reserve() error {
	home, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.opts.Addr.Addr(), 0)))
	if err != nil {
		return err
	}
	defer home.Close()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(p.opts.Addr), Timeout: reserveLimit}
	c, err := d.DialContext(context.Background(), "tcp", home.Addr().String())
	if err != nil {
		return err
	}
	p.held = append(p.held, c)
	p.addr = addrPortOf(c.LocalAddr())
	if err := home.SetDeadline(time.Now().Add(reserveLimit)); err != nil {
		return err
	}
	other, err := home.Accept()
	if err != nil {
		return err
	}
	p.held = append(p.held, other)
	return nil
}

// maxFillers is how many connections fillBacklog tries before it gives up.
const maxFillers = 16

// fillBacklog makes the kernel drop every further SYN to the peer's listener, which is never accepted from.
//
// The listener's queue is shrunk to the smallest there is (listen(2): on a listening socket it changes the backlog) and
// filled by connections of our own. Linux counts a queue as full when it holds more than the backlog, so with a backlog of
// 0 the first connection fills it, and a SYN that comes later is neither answered nor refused. If SYN cookies are off
// (tcp(7), tcp_syncookies), a backlog of 0 drops even the first SYN; the filler's own timeout shows it and the peer is as
// it should be. The BSDs and macOS take 0 for "as many as possible" and let 1.5 times the backlog in, so there the
// fillers go on until one gets no answer.
func (p *Peer) fillBacklog() error {
	backlog := 0
	if runtime.GOOS != "linux" {
		backlog = 1
	}
	raw, err := p.ln.SyscallConn()
	if err != nil {
		return err
	}
	var listenErr error
	if err := raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), backlog) }); err != nil {
		return err
	}
	if listenErr != nil {
		return fmt.Errorf("listen with backlog %d: %w", backlog, listenErr)
	}
	// The kernel alone completes a handshake over loopback, in microseconds; no process has to run for it.
	d := net.Dialer{Timeout: 500 * time.Millisecond}
	for range maxFillers {
		c, err := d.DialContext(context.Background(), "tcp", p.addr.String())
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil
		}
		if err != nil {
			return err
		}
		p.held = append(p.held, c)
		if runtime.GOOS == "linux" {
			return nil
		}
	}
	return fmt.Errorf("%d connections did not fill a backlog of %d", maxFillers, backlog)
}
