package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
)

// Taker is the new process. Its methods are called in this order.
type Taker interface {
	// Rows takes what is known of some targets.
	Rows(data []byte) error
	// Ready makes ready to watch from s on, and to answer on the listeners, which are the Taker's from here on; the last thing that may
	// fail.
	Ready(s *State, listeners []net.Listener) error
	// Live begins to watch. The descriptors of the connections are the Taker's from here on.
	Live(connections []Connection)
	// Late takes what came of probes that were under way.
	Late(data []byte)
}

// taking is a takeover as the new process sees it.
type taking struct {
	conn      *Conn
	taker     Taker
	list      []Connection
	state     State
	listeners []net.Listener
	ready     bool
}

// Take asks the process that listens at path for what it has. It returns when t is live, with the connection on which what is late
// comes (Rest). After an error t has got nothing, and the other process, if it lives, is as it was.
func Take(ctx context.Context, path, version string, t Taker) (*Conn, error) {
	c, err := Dial(path)
	if err != nil {
		return nil, err
	}
	defer c.until(ctx)()
	k := &taking{conn: c, taker: t}
	err = k.run(version)
	if err != nil && ctx.Err() == nil && isDeath(err) && !isServed(path) {
		err = k.inherit() // the old one has died
	}
	if err != nil {
		c.Close()
		for _, one := range k.list {
			closeAll([]int{one.FD})
		}
		if !k.ready {
			for _, l := range k.listeners {
				l.Close()
			}
		}
		return nil, err
	}
	t.Live(k.list)
	_ = c.send(live, nil, nil) // if it has died, there is nobody to tell
	return c, nil
}

// run takes all messages up to the commit.
func (k *taking) run(version string) error {
	data, err := json.Marshal(hello{Version, version, os.Getpid()})
	if err != nil {
		return err
	}
	if err := k.conn.send(ask, data, nil); err != nil {
		return err
	}
	for {
		k.conn.limit(nextLimit)
		got, data, fds, err := k.conn.receive()
		if err != nil {
			return fmt.Errorf("the running process: %w", err)
		}
		switch {
		case got == commit && k.ready:
			return nil
		case got == refuse:
			return &RefusedError{string(data)}
		}
		if err := k.take(got, data, fds); err != nil {
			k.conn.Refuse(err.Error())
			return err
		}
		if err := k.conn.send(taken, nil, nil); err != nil {
			return err
		}
	}
}

// take takes one message; the descriptors are its own.
func (k *taking) take(got kind, data []byte, fds []int) error {
	switch got {
	case connections:
		var some []Connection
		if err := parse(data, &some, len(fds)); err != nil {
			closeAll(fds)
			return err
		}
		for i := range some {
			some[i].FD = fds[i]
		}
		k.list = append(k.list, some...)
		return nil
	case frozen:
		err := parse(data, &k.state, len(fds))
		if err != nil || len(k.listeners) > 0 {
			closeAll(fds)
			return errors.Join(errMessage, err)
		}
		k.listeners, err = listenersOf(fds)
		return err
	}
	closeAll(fds)
	switch got {
	case rows:
		return k.taker.Rows(data)
	case all:
		k.ready = true
		return k.taker.Ready(&k.state, k.listeners)
	}
	return fmt.Errorf("%w: %v", errMessage, got)
}

// inherit makes ready with what there is.
func (k *taking) inherit() error {
	if k.ready {
		return nil
	}
	k.ready = true
	return k.taker.Ready(&k.state, k.listeners)
}

// Rest takes what is late, until there is no more of it.
func (c *Conn) Rest(ctx context.Context, t Taker) {
	defer c.Close()
	defer c.until(ctx)()
	for {
		c.limit(nextLimit)
		k, data, fds, err := c.receive()
		closeAll(fds)
		if err != nil || k != late {
			return
		}
		t.Late(data)
		if c.send(taken, nil, nil) != nil {
			return
		}
	}
}
