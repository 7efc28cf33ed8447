// Package loop is sonde's own transport: package engine, which keeps all connections on a few event loops. It is given the
// work as a scan gives it, by jobs and exchanges, and used by its defaults: an event loop for each CPU.
//
// Two things are its own. It dials at most 32 connections between two polls, however many may be in flight. And where
// descriptors or local ports run out it waits for them, where the others fail at once.
package loop

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sonde/bench/transport"
	"sonde/engine"
	"sonde/internal/kernel/socket"
	"sonde/protocol"
	"sonde/report"
)

// Transport is package engine. The zero value is ready.
type Transport struct{}

var _ transport.Transport = Transport{}

// Name implements [transport.Transport].
func (Transport) Name() string { return "loop" }

// Supports implements [transport.Transport]: all of them.
func (Transport) Supports(transport.Workload) (bool, string) { return true, "" }

// Run implements [transport.Transport].
func (Transport) Run(ctx context.Context, job transport.Job) (transport.Result, error) {
	m, err := transport.NewMeter(job)
	if err != nil {
		return transport.Result{}, err
	}
	r := &run{ctx: ctx, job: m.Job, meter: m, tally: m.Tally}
	err = r.serve()
	if stopErr := m.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return transport.Result{}, err
	}
	return m.Result(ctx)
}

// run is one Run. Its goroutine takes the outcomes; another submits the jobs, since Submit may block.
type run struct {
	ctx    context.Context
	job    transport.Job
	meter  *transport.Meter
	tally  *transport.Tally
	engine *engine.Engine
	over   atomic.Bool // nothing is begun any more
}

// config is the engine's.
func (r *run) config() engine.Config {
	limits := engine.Limits{
		Connect:   r.job.Limits.Connect,
		Handshake: r.job.Limits.Handshake,
		Read:      r.job.Limits.Read,
		Idle:      -1, // held connections are held
	}
	profile := engine.Profile{Limits: limits, Reset: true}
	switch r.job.Workload {
	case transport.TLS:
		profile.Dialogue = newShakers(r.job.TLS)
	case transport.Echo:
		profile.Dialogue = newTalkers(r)
	case transport.Hold:
		profile.Dialogue = newKeepers(r)
		profile.Heartbeat = r.job.PingInterval
	}
	return engine.Config{Connections: r.job.Connections, Clock: r.job.Clock, Profiles: []engine.Profile{profile}}
}

// serve sees the engine from its beginning to its end.
func (r *run) serve() error {
	e, err := engine.New(r.config())
	if err != nil {
		return err
	}
	r.engine = e
	if r.ctx.Err() != nil {
		r.end() // before the first job, which AfterFunc does not promise
	}
	stop := context.AfterFunc(r.ctx, r.end)
	defer stop()
	var submitting sync.WaitGroup
	switch r.job.Workload {
	case transport.Hold:
		submitting.Go(func() { r.submitEach(nil) })
		err = r.collectHeld()
	case transport.Echo:
		again := make(chan uint64, r.job.Connections)
		submitting.Go(func() { r.submitEach(again) })
		r.collectEchoes(again)
	default:
		submitting.Go(r.submitOperations)
		r.collect()
	}
	submitting.Wait()
	if waitErr := e.Wait(); err == nil {
		err = waitErr
	}
	return err
}

// end stops everything at once.
func (r *run) end() {
	r.over.Store(true)
	r.engine.Abort()
}

// outcomes yields the outcomes until the last.
func (r *run) outcomes(yield func(*engine.Outcome) bool) {
	var batch []engine.Outcome
	for more := true; more; {
		<-r.engine.Ready()
		batch, more = r.engine.Outcomes(batch[:0])
		for i := range batch {
			if !yield(&batch[i]) {
				return
			}
		}
	}
}

// batchSize is how many jobs are submitted at once: enough that the queue's lock is no cost.
const batchSize = 256

// submitOperations submits a job for each operation of Connect and TLS.
func (r *run) submitOperations() {
	defer r.engine.Finish()
	batch := make([]engine.Job, 0, batchSize)
	for !r.over.Load() {
		batch = batch[:0]
		for len(batch) < batchSize {
			op, ok := r.tally.Take()
			if !ok {
				break
			}
			batch = append(batch, r.jobOf(op))
		}
		if len(batch) == 0 {
			return
		}
		if _, err := r.engine.Submit(r.ctx, batch); err != nil {
			return
		}
	}
}

// jobOf is the job of an operation, or of a connection that is kept.
func (r *run) jobOf(i int) engine.Job {
	return engine.Job{ID: uint64(i), Remote: socket.AddrFrom(r.job.Target(i), 0)}
}

// collect counts the outcomes of Connect and TLS.
func (r *run) collect() {
	for o := range r.outcomes {
		status := statusOf(o)
		switch {
		case o.Cause == engine.NotDialed: // not begun
		case status != report.Success:
			r.tally.Fail(int(o.ID), status)
		case r.job.Workload == transport.TLS:
			r.tally.Done(int(o.ID), o.TLS)
		default:
			r.tally.Done(int(o.ID), o.Connect)
		}
	}
}

// submitEach submits a job for each connection that is kept, and then those that come again; nil ends it at once.
func (r *run) submitEach(again <-chan uint64) {
	defer r.engine.Finish()
	batch := make([]engine.Job, 0, batchSize)
	for slot := 0; slot < r.job.Connections; slot += len(batch) {
		batch = batch[:0]
		for i := slot; i < r.job.Connections && len(batch) < batchSize; i++ {
			batch = append(batch, r.jobOf(i))
		}
		if _, err := r.engine.Submit(r.ctx, batch); err != nil {
			return
		}
	}
	if again == nil {
		return
	}
	for slot := range again {
		if _, err := r.engine.Submit(r.ctx, []engine.Job{r.jobOf(int(slot))}); err != nil {
			return
		}
	}
}

// statusOf is the word for an outcome, Success for one that ended well.
func statusOf(o *engine.Outcome) report.Status {
	switch o.Cause {
	case engine.Answered, engine.Parked:
		return ofVerdict(o.Conclusion.Verdict)
	case engine.ConnectFailed:
		return transport.StatusOf(transport.Dialing, o.Errno)
	case engine.ConnectTimeout:
		return report.ConnectionTimeout
	case engine.HandshakeTimeout:
		return report.TLSTimeout
	case engine.ReadTimeout, engine.IdleTimeout, engine.TargetTimeout:
		return report.IOTimeout
	case engine.Reset:
		return transport.StatusOf(transport.Talking, o.Errno)
	case engine.PeerClosed:
		return report.ConnectionClosed
	case engine.FDLimit:
		return report.LocalFDLimit
	case engine.PortsExhausted:
		return report.LocalPortExhausted
	case engine.Cancelled, engine.NotDialed:
		return report.Cancelled
	}
	return report.LocalError
}

// ofVerdict maps the verdicts that the exchanges here give.
func ofVerdict(v protocol.Verdict) report.Status {
	switch v {
	case protocol.Success:
		return report.Success
	case protocol.NotSpoken:
		return report.ProtocolError
	case protocol.HandshakeRefused:
		return report.HandshakeError
	case protocol.Untrusted:
		return report.CertificateError
	}
	return report.ConnectionClosed
}

// since is how long ago from was.
func (r *run) since(from int64) time.Duration { return time.Duration(r.job.Clock.Now() - from) }
