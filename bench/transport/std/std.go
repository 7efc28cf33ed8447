// Package std is the transport that every Go program begins with: package net, and a goroutine for each connection that
// blocks where it has to wait.
//
// It is used at its best: dials by netip.AddrPort, so that no address is parsed; no keep-alive timers, which nobody else
// has; deadlines in place of timers; one buffer for each connection, made once. Between two operations nothing is
// allocated but what package net itself does.
package std

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sonde/bench/transport"
	"sonde/report"
)

// Transport is package net with a goroutine for each connection. The zero value is ready.
type Transport struct{}

var _ transport.Transport = Transport{}

// Name implements [transport.Transport].
func (Transport) Name() string { return "std" }

// Supports implements [transport.Transport]: all of them.
func (Transport) Supports(transport.Workload) (bool, string) { return true, "" }

// Run implements [transport.Transport].
func (Transport) Run(ctx context.Context, job transport.Job) (transport.Result, error) {
	m, err := transport.NewMeter(job)
	if err != nil {
		return transport.Result{}, err
	}
	r := &run{
		ctx:    ctx,
		job:    m.Job,
		tally:  m.Tally,
		dialer: net.Dialer{Timeout: m.Job.Limits.Connect, KeepAlive: -1},
		dials:  make(chan struct{}, transport.MaxDials),
		conns:  make([]atomic.Pointer[net.TCPConn], m.Job.Connections),
	}
	stop := context.AfterFunc(ctx, r.end)
	defer stop()
	if m.Job.Workload == transport.Hold {
		err = r.hold(m)
	} else {
		r.operate(m)
	}
	if stopErr := m.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return transport.Result{}, err
	}
	return m.Result(ctx)
}

// run is one Run. Each slot is a goroutine, which has one connection at a time.
type run struct {
	ctx    context.Context
	job    transport.Job
	tally  *transport.Tally
	dialer net.Dialer
	dials  chan struct{}                 // a token for each dial that is under way, where all connections are opened first
	over   atomic.Bool                   // nothing is begun any more
	conns  []atomic.Pointer[net.TCPConn] // by slot, for end
}

// end closes all connections, which wakes whoever blocks on one.
func (r *run) end() {
	r.over.Store(true)
	for i := range r.conns {
		if c := r.conns[i].Load(); c != nil {
			_ = c.Close()
		}
	}
}

// operate does all operations of a workload other than Hold.
func (r *run) operate(m *transport.Meter) {
	work := map[transport.Workload]func(slot int){transport.Connect: r.connect, transport.TLS: r.shake, transport.Echo: r.echo}[r.job.Workload]
	var slots sync.WaitGroup
	for slot := range r.job.Connections {
		slots.Go(func() { work(slot) })
	}
	m.Sample()
	slots.Wait()
}

// dial opens the connection of a slot, to be ended by RST.
func (r *run) dial(slot int, to netip.AddrPort) (*net.TCPConn, error) {
	c, err := r.dialer.DialTCP(r.ctx, "tcp", netip.AddrPort{}, to)
	if err != nil {
		return nil, err
	}
	if err := c.SetLinger(0); err != nil {
		_ = c.Close()
		return nil, err
	}
	r.conns[slot].Store(c)
	if r.over.Load() { // end may not have seen it
		_ = c.Close()
	}
	return c, nil
}

// fail counts err. When the run is over it is of our own making: the end of a Hold fails nothing.
func (r *run) fail(slot int, phase transport.Phase, err error) {
	if r.ctx.Err() != nil { // a dial hears of it before end does
		r.over.Store(true)
	}
	switch {
	case !r.over.Load():
		r.tally.Fail(slot, transport.StatusOf(phase, err))
	case r.job.Workload != transport.Hold:
		r.tally.Fail(slot, report.Cancelled)
	}
}

// take returns the next operation.
func (r *run) take() (op int, ok bool) {
	if r.over.Load() {
		return 0, false
	}
	return r.tally.Take()
}

// deadline is the moment, for package net, that is so far from now.
func (r *run) deadline(now int64, limit time.Duration) time.Time {
	return r.job.Clock.Wall(now + int64(limit)) // it carries the monotonic clock
}

func (r *run) connect(slot int) {
	for op, ok := r.take(); ok; op, ok = r.take() {
		from := r.job.Clock.Now()
		c, err := r.dial(slot, r.job.Target(op))
		if err != nil {
			r.fail(slot, transport.Dialing, err)
			continue
		}
		r.tally.Done(slot, time.Duration(r.job.Clock.Now()-from))
		_ = c.Close()
	}
}

// shake does TLS handshakes. They end without a close_notify, as those of the loop do.
func (r *run) shake(slot int) {
	for op, ok := r.take(); ok; op, ok = r.take() {
		c, err := r.dial(slot, r.job.Target(op))
		if err != nil {
			r.fail(slot, transport.Dialing, err)
			continue
		}
		from := r.job.Clock.Now()
		err = c.SetDeadline(r.deadline(from, r.job.Limits.Handshake))
		if err == nil {
			err = tls.Client(c, r.job.TLS).Handshake()
		}
		if err != nil {
			r.fail(slot, transport.Shaking, err)
		} else {
			r.tally.Done(slot, time.Duration(r.job.Clock.Now()-from))
		}
		_ = c.Close()
	}
}

// echo says the line until there is no operation left. A connection that failed is opened again for the next one.
func (r *run) echo(slot int) {
	buf := make([]byte, len(r.job.Payload))
	for ok := !r.over.Load(); ok; _, ok = r.take() { // the first operation is ours already
		r.dials <- struct{}{}
		c, err := r.dial(slot, r.job.Target(slot))
		<-r.dials
		if err != nil {
			r.fail(slot, transport.Dialing, err)
			continue
		}
		r.converse(slot, c, buf)
		_ = c.Close()
	}
}

// converse does the operation that was taken, and more, until one fails or there is none left.
func (r *run) converse(slot int, c *net.TCPConn, buf []byte) {
	for ok := true; ok; _, ok = r.take() {
		if !r.round(slot, c, buf) {
			return
		}
	}
}

// round says the line once and hears it, and counts that.
func (r *run) round(slot int, c *net.TCPConn, buf []byte) (ok bool) {
	from := r.job.Clock.Now()
	err := c.SetDeadline(r.deadline(from, r.job.Limits.Read))
	if err == nil {
		_, err = c.Write(r.job.Payload)
	}
	if err == nil {
		_, err = io.ReadFull(c, buf)
	}
	switch {
	case err != nil:
		r.fail(slot, transport.Talking, err)
		return false
	case !bytes.Equal(buf, r.job.Payload):
		r.tally.Fail(slot, report.ProtocolError)
		return false
	}
	r.tally.Done(slot, time.Duration(r.job.Clock.Now()-from))
	return true
}
