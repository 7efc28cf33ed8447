package takeover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sonde/internal/kernel/socket"
)

// Pausing is a listener that can stand still: who connects meanwhile waits in the backlog, for us or for another process that has the
// same socket. Make one with [NewPausing]. Its methods are safe for concurrent use.
type Pausing struct {
	net.Listener
	closed chan struct{}
	close  sync.Once
	unread atomic.Int64

	mu   sync.Mutex
	goOn chan struct{} // closed by Resume; nil: it does not stand still
}

// NewPausing returns one that accepts from l, which is its own from here on.
func NewPausing(l net.Listener) *Pausing { return &Pausing{Listener: l, closed: make(chan struct{})} }

// Accept implements net.Listener.
func (p *Pausing) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err == nil {
			p.unread.Add(1)
			return &firstRead{Conn: c, of: p}, nil
		}
		p.mu.Lock()
		goOn := p.goOn
		p.mu.Unlock()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		if goOn == nil { // it goes on already
			continue
		}
		select {
		case <-goOn:
		case <-p.closed:
			return nil, net.ErrClosed
		}
	}
}

// Close implements net.Listener.
func (p *Pausing) Close() error {
	p.close.Do(func() { close(p.closed) })
	return p.Listener.Close()
}

// Pause accepts nobody from here on but who is being accepted, and returns the socket's descriptor, which stays the listener's.
func (p *Pausing) Pause() (fd int, err error) {
	l, ok := p.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return 0, fmt.Errorf("the listener at %v is none that can be handed over", p.Addr())
	}
	if fd, err = socket.Descriptor(p.Listener); err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goOn = make(chan struct{})
	return fd, l.SetDeadline(time.Unix(1, 0))
}

// Resume accepts again; nothing if it does not stand still.
func (p *Pausing) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.goOn == nil {
		return
	}
	if l, ok := p.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = l.SetDeadline(time.Time{})
	}
	close(p.goOn)
	p.goOn = nil
}

// Unread is how many connections were accepted of which no byte was read yet.
func (p *Pausing) Unread() int64 { return p.unread.Load() }

// firstRead is a connection that says when something was read of it.
type firstRead struct {
	net.Conn
	of   *Pausing
	once sync.Once
}

func (c *firstRead) seen() { c.once.Do(func() { c.of.unread.Add(-1) }) }

// Read implements net.Conn.
func (c *firstRead) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.seen()
	}
	return n, err
}

// Close implements net.Conn.
func (c *firstRead) Close() error {
	c.seen()
	return c.Conn.Close()
}
