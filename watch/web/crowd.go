package web

import (
	"net"
	"sync"
)

// MaxConnections is how many connections there are at once at most, over all listeners: descriptors are wanted for probes, too.
const MaxConnections = 2048

// crowd is a listener that shares places for connections with others. Who comes when all are taken waits in the kernel's queue
// (listen(2)), where he costs no descriptor, until a place is free.
type crowd struct {
	net.Listener
	places chan struct{}
	close  func() error // of the listener; once
	closed chan struct{}
}

func newCrowd(l net.Listener, places chan struct{}) *crowd {
	c := &crowd{Listener: l, places: places, closed: make(chan struct{})}
	c.close = sync.OnceValue(func() error {
		close(c.closed)
		return l.Close()
	})
	return c
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	select {
	case c.places <- struct{}{}:
	case <-c.closed:
		return nil, net.ErrClosed
	}
	conn, err := c.Listener.Accept()
	leave := sync.OnceFunc(func() { <-c.places })
	if err != nil {
		leave()
		return nil, err
	}
	return &visitor{conn, leave}, nil
}

// Close implements net.Listener.
func (c *crowd) Close() error { return c.close() }

// visitor is a connection that has a place.
type visitor struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	defer v.leave()
	return v.Conn.Close()
}
