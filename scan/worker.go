package scan

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"sonde/engine"
	"sonde/internal/workers"
	"sonde/report"
)

// Messages of a worker begin with a byte that tells what follows.
const (
	wireRecords = 'r' // records, as appendWire has them
	wireState   = 's' // a state as JSON; the final message is one
)

// Commands of the parent.
const (
	commandStop  = "stop"  // admit nothing more
	commandAbort = "abort" // cancel what is in flight
)

// state is how far a worker is, and at its end what it did besides the records.
type state struct {
	InFlight uint64       `json:"in_flight"`
	Targets  uint64       `json:"targets"` // that the source gave
	Total    uint64       `json:"total"`   // as report.Snapshot has it
	Exact    bool         `json:"exact"`
	Engine   engine.Stats `json:"engine"`

	Excluded uint64 `json:"excluded,omitempty"`
	Err      string `json:"err,omitempty"` // what ended the share early
}

const (
	stateEvery = 200 * time.Millisecond
	// pipeBatch is how many bytes of records are sent at once at most: enough to make a message cheap, little beside what a
	// parent of many workers can hold.
	pipeBatch = 64 << 10
)

// pipe is the Sink of a worker: its parent. A send waits while the parent is busy, and with it the collector, the loops and
// at last the targets.
type pipe struct {
	worker *workers.Worker
	batch  []byte
}

// ToParent returns the Sink of a worker's Config.
func ToParent(w *workers.Worker) report.Sink {
	return &pipe{worker: w, batch: []byte{wireRecords}}
}

// Write implements report.Sink.
func (p *pipe) Write(r *report.Record) error {
	p.batch = appendWire(p.batch, r)
	if len(p.batch) < pipeBatch {
		return nil
	}
	return p.Flush()
}

// Flush implements report.Sink.
func (p *pipe) Flush() error {
	if len(p.batch) == 1 {
		return nil
	}
	err := p.worker.Send(p.batch)
	p.batch = p.batch[:1]
	return err
}

// Close implements report.Sink.
func (p *pipe) Close() error { return p.Flush() }

// Work is a worker's side of RunWorkers: it runs the scan, whose Sink is ToParent(w), until that has ended or the parent says
// so. What ended the share early is told to the parent, which is no error here.
func (s *Scan) Work(w *workers.Worker) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go s.obey(w, cancel)
	done := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		s.tellState(w, done)
	}()
	run, err := s.Run(ctx)
	close(done)
	<-told
	var last state
	if run == nil {
		last.Err = err.Error()
	} else {
		last = s.state()
		last.Excluded, last.Targets = run.Excluded, run.Targets
		if err != nil {
			last.Err = err.Error()
		}
	}
	data, jsonErr := json.Marshal(last)
	if jsonErr != nil {
		return jsonErr
	}
	return w.Finish(append([]byte{wireState}, data...))
}

// obey takes the parent's commands. A parent that is gone, or that speaks no more sense, needs no more records.
func (s *Scan) obey(w *workers.Worker, cancel context.CancelCauseFunc) {
	for command := range w.Commands() {
		switch string(command) {
		case commandStop:
			cancel(errStopped)
		case commandAbort:
			cancel(errStopped)
			s.Abort()
		}
	}
	<-w.Context().Done()
	cancel(context.Cause(w.Context()))
	s.Abort()
}

// errStopped is why a worker's part of a scan stopped; the parent knows more.
var errStopped = errors.New("stopped")

func (s *Scan) state() state {
	shot := s.progress.snapshot()
	st := state{InFlight: shot.InFlight, Targets: s.progress.targets.Load(), Total: shot.Total, Exact: shot.Exact}
	s.progress.mu.Lock()
	defer s.progress.mu.Unlock()
	if s.progress.stats != nil { // Run has begun
		st.Engine = s.progress.stats()
	}
	return st
}

func (s *Scan) tellState(w *workers.Worker, done <-chan struct{}) {
	ticker := time.NewTicker(stateEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		st := s.state()
		st.Engine.LoopLag = nil // complete at the end only
		data, err := json.Marshal(st)
		if err != nil || w.Send(append([]byte{wireState}, data...)) != nil {
			return // the collector meets the same error
		}
	}
}
