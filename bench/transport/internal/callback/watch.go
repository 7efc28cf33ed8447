package callback

import (
	"time"

	"sonde/bench/transport"
	"sonde/report"
)

const (
	// looksPerLimit is how often a connection is looked at within the read limit: an answer is called overdue by at most a
	// quarter of the limit too late.
	looksPerLimit = 4
	// beatFloor is the shortest time between two rounds of pings: 1,000 wakings a second are a load of their own.
	beatFloor = time.Millisecond
	// beatsPerInterval is in how many parts the connections are pinged, so that the pings do not come all at once.
	beatsPerInterval = 64
)

// watch says the pings and ends what is overdue, until done.
func (r *Runner) watch(done <-chan struct{}) {
	look := time.NewTicker(max(r.job.Limits.Read/looksPerLimit, beatFloor))
	defer look.Stop()
	var beat <-chan time.Time // never, without pings
	if r.job.Workload == transport.Hold && r.job.PingInterval > 0 {
		ticker := time.NewTicker(max(r.job.PingInterval/beatsPerInterval, beatFloor))
		defer ticker.Stop()
		beat = ticker.C
	}
	next, from := 0, r.job.Clock.Now()
	for {
		select {
		case <-done:
			return
		case <-look.C:
			r.endOverdue()
		case <-beat:
			now := r.job.Clock.Now()
			due := int(float64(now-from) / float64(r.job.PingInterval) * float64(len(r.conns)))
			for range min(due, len(r.conns)) {
				r.ping(next)
				next = (next + 1) % len(r.conns)
			}
			if due > 0 {
				from += int64(float64(due) / float64(len(r.conns)) * float64(r.job.PingInterval))
			}
		}
	}
}

// ping says the line over a held connection, unless its last echo is awaited still.
func (r *Runner) ping(slot int) {
	c := r.conns[slot].Load()
	if c == nil || r.over.Load() {
		return
	}
	c.mu.Lock()
	asks := c.state == idle
	if asks {
		c.state, c.saidAt, c.heard = asked, r.job.Clock.Now(), 0
	}
	c.mu.Unlock()
	if !asks {
		return
	}
	if err := c.line.Send(r.job.Payload); err != nil {
		if c.finish(r.statusOf(transport.Talking, err)) {
			c.line.Drop()
		}
	}
}

// endOverdue ends the connections whose echo has not come within the read limit.
func (r *Runner) endOverdue() {
	now := r.job.Clock.Now()
	for i := range r.conns {
		c := r.conns[i].Load()
		if c == nil {
			continue
		}
		c.mu.Lock()
		overdue := c.state == asked && now-c.saidAt > int64(r.job.Limits.Read)
		if overdue {
			c.close(report.IOTimeout)
		}
		c.mu.Unlock()
		if overdue {
			c.line.Drop()
		}
	}
}
