package load

import (
	"context"
	"runtime"
	"sync"
	"time"

	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/engine"
	"sonde/protocol"
)

// requests asks over kept connections, again and again: each connection as soon as it has its answer (closed loop), or by a
// schedule of its own (open loop). A connection that is lost or that the peer ends is opened again.
type requests struct {
	*run
	talk  *talk.Talk
	pool  sync.Pool
	gap   time.Duration // between two requests of a connection; 0: a closed loop
	until int64         // when the last request goes out
	next  []int64       // of each connection, when its next request is due; 0: not known. Its loop or the collector has it, never both.
	again chan uint64   // connections to open again
}

func newRequests(r *run) (*requests, error) {
	t, err := talk.New(r.spec.Talk)
	if err != nil {
		return nil, err
	}
	q := &requests{
		run: r, talk: t, next: make([]int64, r.spec.Connections), again: make(chan uint64, r.spec.Connections),
		until: r.start + int64(r.spec.WarmUp+r.spec.Duration),
	}
	if r.spec.Requests > 0 {
		q.gap = time.Duration(float64(max(r.spec.Of, r.spec.Connections)*q.pipeline()) / r.spec.Requests * float64(time.Second))
	}
	// Twice as many shards as loops: two loops seldom meet.
	r.rec = newRecorder(2*runtime.GOMAXPROCS(0), result.Latency)
	return q, nil
}

func (q *requests) pipeline() int { return max(q.spec.Pipeline, 1) }

func (q *requests) profile(p *engine.Profile) {
	p.Dialogue = dialogue(func(id uint64) protocol.Exchange {
		x, _ := q.pool.Get().(*asker)
		if x == nil {
			x = &asker{run: q}
		}
		x.open(id)
		if q.layer == nil {
			return x
		}
		t := q.plan.Target(id).Target()
		return q.layer.Exchange(&t, x, nil, false)
	})
	p.Limits.Target = -1 // a connection lives for as long as the load
}

// redialAfter is how long a connection that failed is left alone.
const redialAfter = 100 * time.Millisecond

// submit opens the connections, opens those anew that come again, and ends it all when the time is over.
func (q *requests) submit(ctx context.Context) {
	defer q.engine.Stop()
	submitted := make(chan struct{})
	go func() {
		defer close(submitted)
		if q.submitRange(ctx) != nil {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case id := <-q.again:
				if _, err := q.engine.Submit(ctx, []engine.Job{q.plan.Job(id)}); err != nil {
					return
				}
			}
		}
	}()
	if wait(ctx, time.Duration(q.start-q.clk.Now())+q.spec.WarmUp) {
		q.part.Held = uint64(max(q.held.Load(), 0))
		q.look()
		q.measure(q.spec.Duration)
		wait(ctx, time.Duration(q.until-q.clk.Now()))
		q.measured()
	}
	q.part.HeldAtEnd = uint64(max(q.held.Load(), 0))
	q.over.Store(true)
	q.engine.Stop() // before the submitter, which Stop frees
	<-submitted
}

// take counts the end of a connection, and has it opened again.
func (q *requests) take(o *engine.Outcome) {
	lost := lastWordsOf(o.Conclusion.Finding)
	if lost != nil {
		q.held.Add(-1)
		var room [6]timing
		q.rec.latencies(o.ID, phasesOf(o, room[:0])...)
	}
	switch {
	case o.Cause == engine.Cancelled && q.over.Load():
		return
	case lost != nil && lost.asked == 0: // between two requests, or behind its last
		q.reopen(o.ID, 0)
	case q.isSuccess(o):
		q.reopen(o.ID, 0)
	default:
		f := q.failure(o, 1)
		if lost != nil {
			f = q.failure(o, uint64(lost.asked))
			f.Lost = true
		}
		f.Count += q.missed(o.ID)
		q.rec.fail(o.ID, f)
		q.reopen(o.ID, redialAfter)
	}
}

// missed takes the requests that a connection's schedule has had until now, which nobody could send, and returns how many
// they are.
func (q *requests) missed(id uint64) uint64 {
	next := &q.next[id-q.spec.First]
	if q.gap == 0 || *next == 0 {
		return 0
	}
	late := q.clk.Now() - *next
	if late <= 0 {
		return 0
	}
	n := late / int64(q.gap)
	*next += n * int64(q.gap)
	return uint64(n) * uint64(q.pipeline())
}

// reopen has the connection opened again, after a while.
func (q *requests) reopen(id uint64, after time.Duration) {
	switch {
	case q.over.Load() || q.clk.Now() >= q.until:
	case after == 0:
		q.again <- id // there is room for all
	default:
		time.AfterFunc(after, func() { q.again <- id })
	}
}

// lastWordsOf is what an asker concluded with, also over TLS; nil if the connection never stood.
func lastWordsOf(f protocol.Finding) *lastWords {
	if over, ok := f.(interface{ Inner() protocol.Finding }); ok {
		f = over.Inner()
	}
	lost, _ := f.(*lastWords)
	return lost
}

// lastWords is the finding of a connection that stood: how many requests it had under way at its end.
type lastWords struct{ asked int }

// AppendJSON implements [protocol.Finding]. No record is made of it.
func (w *lastWords) AppendJSON(dst []byte) []byte { return append(dst, "{}"...) }

// Brief implements [protocol.Finding].
func (w *lastWords) Brief() string { return "" }
