package scan

import (
	"math/rand/v2"
	"time"

	"sonde/engine"
	"sonde/policy/retry"
)

// course is how far a target is that may be asked more than once, or wait.
type course struct {
	job   engine.Job
	asked int             // how often the engine had it
	dials int             // and dialled it
	spent time.Duration   // of its time: connections, and waits between them
	last  *engine.Outcome // of the attempt before; nil on the first
	until int64           // not to be dialled before
}

// repeater decides which targets are asked again. It belongs to the collector.
type repeater struct {
	settings retry.Settings
	rng      *rand.Rand
}

// newRepeater returns nil if nothing is asked again.
func newRepeater(s *Scan) *repeater {
	if s.cfg.Retries == 0 {
		return nil
	}
	return &repeater{
		settings: retry.Settings{Retries: s.cfg.Retries, Budget: s.limits.Target},
		rng:      rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), // what failed together must not come back together
	}
}

// follow notes what came of an attempt. It returns the outcome to tell of, nil if the target is asked again. An attempt that we ended
// says nothing: then it is the one before.
func (c *collector) follow(e *entry, o *engine.Outcome) *engine.Outcome {
	if o.DialedAt != 0 {
		e.course.dials++
	}
	switch {
	case e.course.last != nil && (o.Cause == engine.NotDialed || o.Cause == engine.Cancelled):
		return e.course.last
	case c.repeater != nil && c.asksAgain(e.course, o):
		return nil
	}
	return o
}

// asksAgain sends a target back to the dialer whose fault may pass, if it has tries and time left. As in the engine, waiting for
// something of ours takes none of its time: what counts are its connections and the waits that are drawn here.
func (c *collector) asksAgain(t *course, o *engine.Outcome) bool {
	s := c.scan
	t.asked++
	t.spent += max(o.Total, 0)
	wait, again := c.repeater.settings.Next(c.repeater.rng, s.statusOf(o).status, t.asked, t.spent)
	if !again {
		return false
	}
	t.spent += wait
	t.job.Budget = s.limits.Target - t.spent
	last := *o
	t.last, t.until = &last, o.EndedAt+int64(wait)
	s.dialer.again <- uint32(o.ID)
	return true
}

// takeWaiting writes what is known of the targets that wait to be asked again, when the dialer has ended. There are some if the run
// was stopped. From then on nothing is asked again.
func (c *collector) takeWaiting() {
	c.repeater = nil
	for id := range c.scan.dialer.waiting() {
		if e := &c.scan.flights.entries[id]; e.course.last != nil {
			c.takeOutcome(e, e.course.last)
		}
	}
}
