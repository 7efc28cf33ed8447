package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sonde/internal/clock"
	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
)

const hasPlain = true

const (
	// plainBuffer is what one read takes at most, and plainReads how many reads a connection has before the others have
	// their turn.
	plainBuffer = 64 << 10
	plainReads  = 16
	// acceptPause is how long no connection is taken after the descriptors have run out.
	acceptPause = 100 * time.Millisecond
)

// plain plays the sink and the echo on an epoll of its own: an idle connection costs this process one byte. With gnet it
// was 600 bytes of resident memory, and 1,000 once it had spoken (15,000 connections), which counts where a fleet is there to
// be held by the million.
type plain struct {
	listeners []*plainListener
	loops     []*plainLoop
	maxConns  int64
	conns     *atomic.Int64 // those of services too

	stopped atomic.Bool
	ended   chan struct{} // closed when all loops have ended, after err is set
	err     error
}

type plainListener struct {
	net.Listener
	fd     int
	isEcho bool
	isOpen bool // it stands on all addresses: those that are not loopback are turned away
}

// plainLoop is one event loop. Its Tokens are a descriptor and, as the generation, 0 for a connection or the number of a
// listener, from 1. All that it does at an event is a call that tells by itself whether there was anything to do, so that an
// event of an earlier use of a descriptor does no harm.
type plainLoop struct {
	plain   *plain
	poller  poller.Poller
	sockets socket.System
	kinds   []plainKind    // by descriptor
	unsent  map[int][]byte // what an echo could not write yet, at most maxOutbound
	again   []poller.Token // those that used up their turn
	turn    []poller.Token // scratch
	starved []poller.Token // listeners that found no descriptor left, each once
	rested  int64          // when those are looked at again
	buffer  []byte
}

// plainKind is what a descriptor is to a loop.
type plainKind uint8

const (
	notOurs plainKind = iota
	plainSink
	plainEcho
)

// startPlain listens on the sites and returns when connections are taken, at most maxConns, counted in conns.
func startPlain(sites []site, loops, maxConns int, conns *atomic.Int64) (*plain, error) {
	p := &plain{maxConns: int64(maxConns), conns: conns, ended: make(chan struct{})}
	if err := p.open(sites, loops); err != nil {
		p.free()
		return nil, fmt.Errorf("run the services: %w", err)
	}
	var running sync.WaitGroup
	errs := make([]error, loops)
	for i, l := range p.loops {
		running.Go(func() {
			if errs[i] = l.poller.Run(l.onBatch); errs[i] != nil {
				p.stop() // the other loops
			}
			l.closeAll()
		})
	}
	go func() {
		running.Wait()
		if err := errors.Join(errs...); err != nil {
			p.err = fmt.Errorf("run the services: %w", err)
		}
		p.free()
		close(p.ended)
	}()
	return p, nil
}

func (p *plain) open(sites []site, loops int) error {
	var config net.ListenConfig
	for _, s := range sites {
		ln, err := config.Listen(context.Background(), network(s.addr), s.addr.String())
		if err != nil {
			return err
		}
		l := &plainListener{Listener: ln, isEcho: s.kind == testpeer.Echo, isOpen: !s.addr.Addr().IsLoopback()}
		p.listeners = append(p.listeners, l)
		raw, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			return err
		}
		if err := raw.Control(func(fd uintptr) { l.fd = int(fd) }); err != nil {
			return err
		}
	}
	for range loops {
		mechanism, err := poller.Open(clock.NewSystem())
		if err != nil {
			return err
		}
		l := &plainLoop{plain: p, poller: mechanism, unsent: make(map[int][]byte), buffer: make([]byte, plainBuffer)}
		p.loops = append(p.loops, l)
		for i, ln := range p.listeners { // every loop takes from every queue, whichever is awake
			if err := mechanism.Add(ln.fd, poller.MakeToken(uint32(ln.fd), uint32(i+1))); err != nil {
				return err
			}
		}
	}
	return nil
}

// free closes what open has opened. No loop runs.
func (p *plain) free() {
	for _, l := range p.loops {
		_ = l.poller.Close() // its own descriptors, of which nothing is left to tell
	}
	for _, ln := range p.listeners {
		_ = ln.Close()
	}
}

func (p *plain) stop() {
	p.stopped.Store(true)
	for _, l := range p.loops {
		l.poller.Wake()
	}
}

// close ends all connections and waits until they are gone.
func (p *plain) close() {
	p.stop()
	<-p.ended
}

func (l *plainLoop) onBatch(now int64, events []poller.Event) bool {
	l.turn, l.again = l.again, l.turn[:0]
	for _, ev := range events {
		l.serve(now, ev.Token)
	}
	for _, token := range l.turn {
		l.serve(now, token)
	}
	if len(l.starved) > 0 && now >= l.rested {
		l.again = append(l.again, l.starved...)
		l.starved = l.starved[:0]
	}
	if len(l.again) > 0 {
		l.poller.Again()
	}
	return !l.plain.stopped.Load()
}

func (l *plainLoop) serve(now int64, token poller.Token) {
	fd := int(token.Slot())
	switch n := token.Generation(); {
	case n > 0:
		l.accept(now, token, l.plain.listeners[n-1])
	case fd >= len(l.kinds) || l.kinds[fd] == notOurs:
	default:
		l.flush(fd)
		if l.kinds[fd] != notOurs {
			l.read(fd, token)
		}
	}
}

// accept takes the connections that wait, as many as one turn allows.
func (l *plainLoop) accept(now int64, token poller.Token, ln *plainListener) {
	p := l.plain
	for range plainReads {
		fd, errno := socket.Accept(ln.fd, sendBuffer)
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno != 0: // no descriptors, or no memory: those that wait make no new edge
			if !slices.Contains(l.starved, token) { // but those that come do
				l.starved = append(l.starved, token)
			}
			l.rested = now + int64(acceptPause)
			l.poller.ArmTimer(l.rested)
			return
		}
		if p.conns.Add(1) > p.maxConns || ln.isOpen && !arrivedOnLoopback(l.sockets, fd) ||
			l.poller.Add(fd, poller.MakeToken(uint32(fd), 0)) != nil {
			l.sockets.Close(fd, true)
			p.conns.Add(-1)
			continue
		}
		if fd >= len(l.kinds) {
			l.kinds = append(l.kinds, make([]plainKind, fd+1-len(l.kinds))...)
		}
		l.kinds[fd] = plainSink
		if ln.isEcho {
			l.kinds[fd] = plainEcho
		}
	}
	l.again = append(l.again, token)
}

// read takes what a client sent, and sends it back if that is its kind.
func (l *plainLoop) read(fd int, token poller.Token) {
	for range plainReads {
		n, errno := l.sockets.Readv(fd, l.buffer, nil)
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno == syscall.EINTR:
			continue
		case errno == 0 && n == 0 && l.unsent[fd] != nil:
			return // once that has left, its edge finds the end of the stream again
		case errno != 0 || n == 0:
			l.close(fd, false)
			return
		}
		if l.kinds[fd] != plainEcho {
			continue
		}
		if l.send(fd, l.buffer[:n]); l.kinds[fd] == notOurs {
			return
		}
	}
	l.again = append(l.again, token)
}

// flush sends what could not be sent before.
func (l *plainLoop) flush(fd int) {
	if rest, waits := l.unsent[fd]; waits {
		delete(l.unsent, fd)
		l.send(fd, rest)
	}
}

// send writes b behind what waits, and keeps a copy of what does not fit: the socket makes an edge when there is room. A client
// that writes and does not read is reset.
func (l *plainLoop) send(fd int, b []byte) {
	if rest, waits := l.unsent[fd]; waits {
		if len(rest)+len(b) > maxOutbound {
			l.close(fd, true)
			return
		}
		l.unsent[fd] = append(rest, b...)
		return
	}
	for len(b) > 0 {
		n, errno := l.sockets.Writev(fd, [][]byte{b})
		switch errno {
		case 0:
			b = b[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			l.unsent[fd] = slices.Clone(b)
			return
		default:
			l.close(fd, false)
			return
		}
	}
}

func (l *plainLoop) close(fd int, reset bool) {
	delete(l.unsent, fd)
	l.kinds[fd] = notOurs
	l.poller.Remove(fd)
	l.sockets.Close(fd, reset)
	l.plain.conns.Add(-1)
}

func (l *plainLoop) closeAll() {
	for fd, kind := range l.kinds {
		if kind != notOurs {
			l.close(fd, false)
		}
	}
}
