package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
)

const (
	// maxOutbound is the most bytes that wait for one client to read, above the largest HTTP answer. A client that writes
	// to echo and never reads is reset there.
	maxOutbound = 4 * testpeer.MaxHTTPBytes
	// sendBuffer is the kernel's buffer for one client, in bytes (SO_SNDBUF, socket(7)): left to itself, Linux lets it grow
	// to 4 MiB for each client that does not read.
	sendBuffer = 128 << 10
	// maxInbound is the most bytes of one client that wait while a delayed answer is due.
	maxInbound = 64 << 10
	// drainPoll is how often a connection that is to be closed is asked whether its last answer has left: gnet has no event
	// for that, and its close throws away what the kernel does not take at once.
	drainPoll = 5 * time.Millisecond
)

// services plays the healthy kinds, but for those that plain does, on one gnet engine. It implements gnet.EventHandler; gnet calls it from its loops, one
// call at a time for each connection.
type services struct {
	gnet.BuiltinEventEngine
	kinds    map[int]testpeer.Kind // by port
	maxConns int64
	conns    *atomic.Int64 // those of plain too
	scratch  sync.Pool     // *[]byte: answers are built here, gnet copies what the kernel does not take

	booted chan struct{}
	ended  chan struct{} // closed when the engine has gone, after err is set
	engine gnet.Engine   // valid once booted
	log    lastError
	err    error

	// mu keeps timers from waking a connection of an engine that has closed its pollers: by then their descriptors may
	// belong to somebody else.
	mu       sync.RWMutex
	shutdown bool
}

// dialogue is one connection's state, its gnet context. Only the connection's loop touches it.
type dialogue struct {
	session testpeer.Session
	held    []byte    // an answer that is due at resume
	resume  time.Time // zero unless an answer is held
	closing bool      // nothing more is read; the connection closes when its output has left
	then    bool      // close after held
	timer   *time.Timer
}

// startServices listens on the sites and returns when connections are taken, at most maxConns, counted in conns. Each site's queue is as long as somaxconn
// allows (gnet's default), so that a fast scan does not see its SYNs dropped.
func startServices(sites []site, loops, maxConns int, conns *atomic.Int64) (*services, error) {
	s := &services{
		kinds:    make(map[int]testpeer.Kind),
		maxConns: int64(maxConns),
		conns:    conns,
		scratch:  sync.Pool{New: func() any { return new([]byte) }},
		booted:   make(chan struct{}),
		ended:    make(chan struct{}),
	}
	var addrs []string
	for _, site := range sites {
		s.kinds[int(site.addr.Port())] = site.kind
		addrs = append(addrs, network(site.addr)+"://"+site.addr.String())
	}
	go func() {
		defer close(s.ended)
		// With SO_REUSEPORT gnet accepts and registers in one step, so OnOpen can keep the number of descriptors down.
		// Without it, accepting runs ahead of OnOpen, and gnet's engine ends for good when accept(2) gives EMFILE.
		err := gnet.Rotate(s, addrs, gnet.WithReusePort(true), gnet.WithReuseAddr(true), gnet.WithNumEventLoop(loops),
			gnet.WithSocketSendBuffer(sendBuffer), gnet.WithLogger(&s.log))
		if err == nil && s.log.last() != "" && !s.isShutdown() {
			err = errors.New(s.log.last())
		}
		if err != nil {
			s.err = fmt.Errorf("run the services: %w", err)
		}
	}()
	select {
	case <-s.booted:
		return s, nil
	case <-s.ended:
		return nil, s.err
	}
}

// close ends the engine and waits until it has gone.
func (s *services) close() {
	s.setShutdown()
	// Engine.Stop looks only twice a second whether the engine has gone; with a context that has ended it does not wait.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.engine.Stop(ctx) // the context's own error, or that the engine has gone already
	<-s.ended
}

// OnBoot implements gnet.EventHandler: the listeners are open.
func (s *services) OnBoot(e gnet.Engine) gnet.Action {
	s.engine = e
	close(s.booted)
	return gnet.None
}

// OnShutdown implements gnet.EventHandler. It is called before the pollers are closed.
func (s *services) OnShutdown(gnet.Engine) { s.setShutdown() }

// OnOpen implements gnet.EventHandler.
func (s *services) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	if s.conns.Add(1) > s.maxConns || !arrivedOnLoopback(socket.System{}, c.Fd()) {
		return nil, abort(c)
	}
	session := testpeer.NewSession(s.kinds[portOf(c)])
	c.SetContext(&dialogue{session: session})
	return session.Greeting(), gnet.None
}

// OnClose implements gnet.EventHandler.
func (s *services) OnClose(c gnet.Conn, _ error) gnet.Action {
	s.conns.Add(-1)
	if d, ok := c.Context().(*dialogue); ok && d.timer != nil {
		d.timer.Stop()
	}
	return gnet.None
}

// OnTraffic implements gnet.EventHandler: bytes came, or a timer woke the connection.
func (s *services) OnTraffic(c gnet.Conn) gnet.Action {
	d, ok := c.Context().(*dialogue)
	switch {
	case !ok:
		return gnet.Close
	case d.closing:
		return s.finish(c, d)
	case d.resume.IsZero():
		return s.converse(c, d)
	case time.Now().Before(d.resume):
		if c.InboundBuffered() > maxInbound {
			return abort(c)
		}
		return gnet.None
	}
	answer := d.held
	d.held, d.resume = nil, time.Time{}
	if action := s.send(c, d, answer, d.then); action != gnet.None || d.closing {
		return action
	}
	return s.converse(c, d)
}

// converse lets the session answer what has been received, until it wants more bytes or time.
func (s *services) converse(c gnet.Conn, d *dialogue) gnet.Action {
	scratch := s.scratch.Get().(*[]byte)
	defer s.scratch.Put(scratch)
	for {
		in, err := c.Peek(-1)
		if err != nil || len(in) == 0 {
			return gnet.None
		}
		n, answer, then := d.session.Receive(in, (*scratch)[:0])
		*scratch = answer[:0]
		if n > 0 { // Discard takes 0 for "all"
			if _, err := c.Discard(n); err != nil {
				return abort(c)
			}
		}
		if then.Delay > 0 {
			d.held, d.then, d.resume = append([]byte(nil), answer...), then.Close, time.Now().Add(then.Delay)
			s.wakeAfter(c, d, then.Delay)
			return gnet.None
		}
		if action := s.send(c, d, answer, then.Close); action != gnet.None || d.closing || n == 0 {
			return action
		}
	}
}

// send writes an answer. With last the connection closes once it has left.
func (s *services) send(c gnet.Conn, d *dialogue, answer []byte, last bool) gnet.Action {
	if len(answer) > 0 {
		if _, err := c.Write(answer); err != nil {
			return gnet.Close
		}
		if c.OutboundBuffered() > maxOutbound {
			return abort(c)
		}
	}
	if !last {
		return gnet.None
	}
	d.closing = true
	return s.finish(c, d)
}

// finish closes the connection if its output has left, else looks again later.
func (s *services) finish(c gnet.Conn, d *dialogue) gnet.Action {
	if c.InboundBuffered() > 0 {
		if _, err := c.Discard(c.InboundBuffered()); err != nil {
			return abort(c)
		}
	}
	if c.OutboundBuffered() == 0 {
		return gnet.Close
	}
	s.wakeAfter(c, d, drainPoll)
	return gnet.None
}

// wakeAfter has OnTraffic called for c after delay, if c is still there then.
func (s *services) wakeAfter(c gnet.Conn, d *dialogue, delay time.Duration) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer = time.AfterFunc(delay, func() {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if !s.shutdown {
			_ = c.Wake(nil) // fails only when the poller is gone
		}
	})
}

func (s *services) setShutdown() {
	s.mu.Lock()
	s.shutdown = true
	s.mu.Unlock()
}

func (s *services) isShutdown() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.shutdown
}

// arrivedOnLoopback reports whether the connection fd was made to a loopback address: the one true local address, which
// gnet does not know of a connection through a listener on 0.0.0.0. An address that can't be learned is not trusted.
func arrivedOnLoopback(sockets interface{ Local(fd int) socket.Addr }, fd int) bool {
	return sockets.Local(fd).AddrPort().Addr().IsLoopback()
}

// abort closes c by RST.
func abort(c gnet.Conn) gnet.Action {
	_ = c.SetLinger(0) // fails only on a connection that is gone already
	return gnet.Close
}

// portOf is the port of the listener that c came through.
func portOf(c gnet.Conn) int { return c.LocalAddr().(*net.TCPAddr).Port }
