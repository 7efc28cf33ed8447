package std

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sonde/bench/transport"
)

// hold opens all connections and keeps them for the job's time.
func (r *run) hold(m *transport.Meter) error {
	var ramp, slots sync.WaitGroup
	var held atomic.Int64
	ramp.Add(r.job.Connections)
	for slot := range r.job.Connections {
		slots.Go(func() { r.keep(slot, &held, &ramp) })
	}
	ramp.Wait()
	err := m.AllHeld(int(held.Load()))
	if err == nil {
		timer := time.NewTimer(r.job.Duration)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.ctx.Done():
		}
	}
	r.end()
	slots.Wait()
	return err
}

// keep opens the connection of a slot and keeps it until the run is over. It always waits in a read, so that it learns at
// once when the peer closes; the deadline of that read is the next ping.
func (r *run) keep(slot int, held *atomic.Int64, ramp *sync.WaitGroup) {
	c, ok := r.open(slot)
	if ok {
		held.Add(1)
	}
	ramp.Done()
	if !ok {
		return
	}
	defer c.Close()
	defer held.Add(-1)
	buf := make([]byte, max(len(r.job.Payload), 1))
	for r.listen(slot, c, buf) && r.round(slot, c, buf) {
	}
}

// listen waits for the time of the next ping, and throws away what comes unasked. It returns false when the connection has
// ended.
func (r *run) listen(slot int, c *net.TCPConn, buf []byte) bool {
	if r.job.PingInterval > 0 {
		if err := c.SetDeadline(r.deadline(r.job.Clock.Now(), r.job.PingInterval)); err != nil {
			r.fail(slot, transport.Talking, err)
			return false
		}
	}
	for {
		_, err := c.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return !r.over.Load()
		case err != nil:
			r.fail(slot, transport.Talking, err)
			return false
		}
	}
}

// open dials the connection of a slot, in its turn.
func (r *run) open(slot int) (*net.TCPConn, bool) {
	r.dials <- struct{}{}
	defer func() { <-r.dials }()
	if r.over.Load() {
		return nil, false
	}
	c, err := r.dial(slot, r.job.Target(slot))
	if err != nil {
		r.fail(slot, transport.Dialing, err)
		return nil, false
	}
	return c, true
}
