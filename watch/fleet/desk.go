package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"sonde/internal/clock"
	"sonde/internal/workers"
	"sonde/watch/crew"
	"sonde/watch/history"
	"sonde/watch/metrics"
	"sonde/watch/track"
	"sonde/watch/web"
)

// The words by which a parent calls its workers.
const (
	wordCopy     = "copy"     // the edition that it has -> track.Copy.AppendBinary
	wordPoints   = "points"   // []web.Ref -> [][]history.Point
	wordFailures = "failures" // -> []web.Failure
	wordStatus   = "status"   // -> web.Status
	wordProcess  = "process"  // -> metrics.Process
	wordProbe    = "probe"    // web.ProbeRequest -> probed
	wordPrepare  = "prepare"  // a configuration is made ready
	wordTake     = "take"     // and put to work
)

// probed is what came of a probe: an answer, or what is wrong with the question.
type probed struct {
	Answer  *web.ProbeAnswer `json:"answer,omitempty"`
	Problem *web.Problem     `json:"problem,omitempty"`
}

// Desk is what a worker answers its parent by. Its methods are called by many goroutines at once; those that web.Backend has, too, do as
// they do there.
type Desk interface {
	Copy(ctx context.Context, into *track.Copy) error
	Points(ctx context.Context, of []web.Ref) ([][]history.Point, error)
	Failures(ctx context.Context) ([]web.Failure, error)
	Status(ctx context.Context) (*web.Status, error)
	Probe(ctx context.Context, q *web.ProbeRequest) (*web.ProbeAnswer, error)
	// Process is how the worker's process is.
	Process(ctx context.Context) (*metrics.Process, error)
	// Prepare makes a configuration ready, or says what is wrong with it.
	Prepare(text []byte) error
	// Take puts to work what was prepared last; nothing if nothing was since the process began, which its parent sees to.
	Take(ctx context.Context) error
}

// Serve answers the parent's calls until the worker's context ends; see crew.Serve.
func Serve(w *workers.Worker, d Desk, clk clock.Clock) error {
	s := &server{Desk: d, clk: clk}
	return crew.Serve(w, s.answer)
}

// server turns bytes into calls of a Desk, and back.
type server struct {
	Desk
	clk clock.Clock

	copying sync.Mutex // guards copy
	copy    track.Copy
}

// answer is a crew.Handler.
func (s *server) answer(ctx context.Context, word string, data []byte) ([]byte, error) {
	switch word {
	case wordCopy:
		return s.copyFor(ctx, data)
	case wordPoints:
		var of []web.Ref
		if err := json.Unmarshal(data, &of); err != nil {
			return nil, err
		}
		return reply(s.Points(ctx, of))
	case wordFailures:
		return reply(s.Failures(ctx))
	case wordStatus:
		return reply(s.Status(ctx))
	case wordProcess:
		return reply(s.Process(ctx))
	case wordProbe:
		return reply(s.probe(ctx, data))
	case wordPrepare:
		return nil, s.Prepare(data)
	case wordTake:
		return nil, s.Take(ctx)
	}
	return nil, fmt.Errorf("no call %q", word)
}

// reply is an answer as JSON.
func reply(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func (s *server) copyFor(ctx context.Context, data []byte) ([]byte, error) {
	var known uint64
	if err := json.Unmarshal(data, &known); err != nil {
		return nil, err
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	if err := s.Copy(ctx, &s.copy); err != nil {
		return nil, err
	}
	return s.copy.AppendBinary(nil, known, s.clk.Now()), nil
}

func (s *server) probe(ctx context.Context, data []byte) (*probed, error) {
	var q web.ProbeRequest
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, err
	}
	a, err := s.Probe(ctx, &q)
	var problem *web.Problem
	if errors.As(err, &problem) {
		return &probed{Problem: problem}, nil
	}
	return &probed{Answer: a}, err
}
