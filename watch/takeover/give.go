package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Giver is the old process. Its methods are called in this order.
type Giver interface {
	// Connections takes the kept connections that can move out of the engine. Their descriptors stay the Giver's.
	Connections(ctx context.Context) ([]Connection, error)
	// Freeze begins no turn and answers no HTTP from here on. The descriptors are those of State.Listeners.
	Freeze(ctx context.Context) (*State, []int, error)
	// Rows calls send with what is known of targets, in parts of at most some MB.
	Rows(ctx context.Context, send func([]byte) error) error
	// Commit lets go of what only one process may have; the last thing that may fail.
	Commit() error
}

// Give hands over what g has, as somebody asked on c. It returns nil when the other process is the owner of all that was given. After an
// error the caller still is, and c is closed.
func (c *Conn) Give(ctx context.Context, g Giver) error {
	defer c.until(ctx)()
	err := c.give(ctx, g)
	if err != nil {
		c.Refuse(err.Error()) // if it still listens
		return err
	}
	// The commit is on its way. What comes back is that the other watches, or that it is dead; if we end ourselves, it is the owner.
	c.limit(0)
	k, _, _, err := c.receive()
	switch {
	case ctx.Err() != nil, err == nil && k == live:
		return nil
	case err == nil:
		err = fmt.Errorf("%w: %v", errMessage, k)
	case isDeath(err):
		err = errors.New("the new process has died")
	}
	c.Close()
	return err
}

// give is all that comes before the answer to the commit.
func (c *Conn) give(ctx context.Context, g Giver) error {
	list, err := g.Connections(ctx)
	if err != nil {
		return err
	}
	for len(list) > 0 {
		batch := list[:min(len(list), maxBatch)]
		list = list[len(batch):]
		fds := make([]int, len(batch))
		for i := range batch {
			fds[i] = batch[i].FD
		}
		if err := c.callJSON(connections, batch, fds); err != nil {
			return err
		}
	}
	state, fds, err := g.Freeze(ctx)
	if err != nil {
		return err
	}
	if err := c.callJSON(frozen, state, fds); err != nil {
		return err
	}
	if err := g.Rows(ctx, func(data []byte) error { return c.call(rows, data, nil) }); err != nil {
		return err
	}
	if err := c.call(all, nil, nil); err != nil {
		return err
	}
	if err := g.Commit(); err != nil {
		return err
	}
	return c.send(commit, nil, nil)
}

func (c *Conn) callJSON(k kind, v any, fds []int) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("takeover: %w", err)
	}
	return c.call(k, data, fds)
}

// call sends a message and waits until it is taken.
func (c *Conn) call(k kind, data []byte, fds []int) error {
	if err := c.send(k, data, fds); err != nil {
		return err
	}
	c.limit(answerLimit)
	got, data, _, err := c.receive()
	switch {
	case err != nil:
		return fmt.Errorf("the new process on %v: %w", k, err)
	case got == refuse:
		return fmt.Errorf("the new process on %v: %s", k, data)
	case got != taken:
		return fmt.Errorf("the new process on %v: %w: %v", k, errMessage, got)
	}
	return nil
}

// Greet hears who asks. An error says why it can't be served, which it was told.
func (c *Conn) Greet() (version string, err error) {
	c.limit(answerLimit)
	k, data, fds, err := c.receive()
	closeAll(fds)
	if err != nil {
		return "", err
	}
	var h hello
	if err = parse(data, &h, 0); k != ask || err != nil {
		err = fmt.Errorf("%w: %v", errMessage, k)
	} else if h.Protocol != Version {
		err = fmt.Errorf("it speaks version %d of the takeover, this process (%d) version %d: stop this one and start the other", h.Protocol, os.Getpid(), Version)
	}
	if err != nil {
		c.Refuse(err.Error())
		return "", err
	}
	return h.Version, nil
}

// Refuse tells who asked why there is nothing to have, and closes c.
func (c *Conn) Refuse(reason string) {
	_ = c.send(refuse, []byte(reason), nil)
	c.Close()
}

// Late hands over what came of probes that were under way, behind Give.
func (c *Conn) Late(data []byte) error { return c.call(late, data, nil) }

// Over says that nothing comes any more, and closes c.
func (c *Conn) Over() {
	_ = c.send(over, nil, nil)
	c.Close()
}
