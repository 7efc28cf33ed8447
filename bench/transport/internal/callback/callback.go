// Package callback does the workloads of package transport over a library that calls back: one whose dial blocks a
// goroutine, and which from then on tells of bytes and of the end of a connection. netpoll and gnet are both such; they share
// the work, so that what differs between them is theirs.
//
// A library's adapter dials, writes and drops when told to, and tells its Conn what happens:
//
//	Dial ─► Opened ─► OnData ... ─► OnClosed
//
// No goroutine waits for a connection once it stands. One goroutine for all says the pings and looks for answers that are
// overdue: neither library offers a client timers that cost nothing (gnet's deadlines are not supported, netpoll's are for
// reads that block a goroutine).
package callback

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sonde/bench/transport"
	"sonde/report"
)

// Line is an established connection, as a library gives it.
type Line interface {
	// Send writes p, all of it, now or when the kernel takes it; p does not change until the run is over. Not called from
	// within a callback. An error says that the connection has ended.
	Send(p []byte) error
	// Drop ends the connection by RST. It is called once at most, from any goroutine, but not from within a callback.
	Drop()
}

// DialFunc opens a connection to an address for c, by the limit of the job's, and calls c.Opened before it returns nil.
// When it returns an error c has heard nothing.
type DialFunc func(ctx context.Context, to netip.AddrPort, c *Conn) error

// Next is what an adapter does after an event.
type Next uint8

// The answers to an event.
const (
	Nothing Next = iota // go on
	Say                 // write Runner.Line
	End                 // end the connection by RST
)

// Runner is one Run.
type Runner struct {
	ctx   context.Context
	job   transport.Job
	meter *transport.Meter
	tally *transport.Tally
	dial  DialFunc
	// statusOf tells an error of the library's dial, or of a connection that it closed.
	statusOf func(phase transport.Phase, err error) report.Status

	over  atomic.Bool            // nothing is begun any more
	conns []atomic.Pointer[Conn] // by slot; Hold and Echo
	slots sync.WaitGroup         // those that are not finished
	dials chan struct{}          // a token for each dial that is under way; Hold and Echo
}

// New prepares a run of the meter's job. statusOf tells the errors of the library; see [transport.StatusOf].
func New(ctx context.Context, m *transport.Meter, dial DialFunc, statusOf func(transport.Phase, error) report.Status) *Runner {
	return &Runner{
		ctx: ctx, job: m.Job, meter: m, tally: m.Tally, dial: dial, statusOf: statusOf,
		conns: make([]atomic.Pointer[Conn], m.Job.Connections),
		dials: make(chan struct{}, transport.MaxDials),
	}
}

// Run does the job. When it returns every connection has ended or was told to.
func (r *Runner) Run() error {
	if r.job.Workload == transport.Connect {
		r.connect()
		return nil
	}
	stop := context.AfterFunc(r.ctx, r.end)
	defer stop()
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { r.watch(done) })
	defer func() { close(done); watching.Wait() }()

	r.slots.Add(r.job.Connections)
	r.open()
	var err error
	if r.job.Workload == transport.Hold {
		err = r.hold()
	}
	r.slots.Wait()
	return err
}

// connect opens and ends connections. A dial blocks, so that as many goroutines as connections are to be in flight take
// part.
func (r *Runner) connect() {
	var workers sync.WaitGroup
	for slot := range r.job.Connections {
		workers.Go(func() {
			for r.ctx.Err() == nil {
				op, ok := r.tally.Take()
				if !ok {
					return
				}
				c := &Conn{runner: r, slot: slot, saidAt: r.job.Clock.Now()}
				if err := r.dial(r.ctx, r.job.Target(op), c); err != nil {
					r.failDial(slot, err)
				}
			}
		})
	}
	r.meter.Sample()
	workers.Wait()
}

func (r *Runner) failDial(slot int, err error) {
	if r.ctx.Err() != nil {
		r.tally.Fail(slot, report.Cancelled)
		return
	}
	r.tally.Fail(slot, r.statusOf(transport.Dialing, err))
}

// open opens the connection of every slot, from a few goroutines that end with it.
func (r *Runner) open() {
	var next atomic.Int64
	var dialers sync.WaitGroup
	for range min(transport.MaxDials, r.job.Connections) {
		dialers.Go(func() {
			for slot := int(next.Add(1)) - 1; slot < r.job.Connections; slot = int(next.Add(1)) - 1 {
				r.fill(slot, true)
			}
		})
	}
	dialers.Wait()
}

// fill gives a slot a connection, which has the slot from then on, or finishes the slot. The first operation of an Echo is
// the slot's already.
func (r *Runner) fill(slot int, first bool) {
	r.dials <- struct{}{}
	defer func() { <-r.dials }()
	for !r.over.Load() {
		if r.job.Workload == transport.Echo && !first {
			if _, ok := r.tally.Take(); !ok {
				break
			}
		}
		first = false
		c := &Conn{runner: r, slot: slot}
		err := r.dial(r.ctx, r.job.Target(slot), c)
		if err == nil {
			return
		}
		if r.ctx.Err() != nil { // a dial hears of it before end does
			r.over.Store(true)
		}
		if !r.over.Load() || r.job.Workload == transport.Echo {
			r.failDial(slot, err)
		}
		if r.job.Workload == transport.Hold {
			break
		}
	}
	r.slots.Done()
}

// hold measures what stands, and keeps it for the job's time.
func (r *Runner) hold() error {
	held := 0
	for i := range r.conns {
		if c := r.conns[i].Load(); c != nil && c.stands() {
			held++
		}
	}
	err := r.meter.AllHeld(held)
	if err == nil {
		timer := time.NewTimer(r.job.Duration)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.ctx.Done():
		}
	}
	r.end()
	return err
}

// end ends all connections.
func (r *Runner) end() {
	r.over.Store(true)
	for i := range r.conns {
		if c := r.conns[i].Load(); c != nil {
			c.stop()
		}
	}
}

// Line is what Say says.
func (r *Runner) Line() []byte { return r.job.Payload }
