package load

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/engine"
	"sonde/protocol"
	"sonde/report"
)

// requests asks over kept connections, again and again: each connection as soon as it has its answer (closed loop), or by a
// schedule of its own (open loop). A connection that is lost or that the peer ends is opened again.
type requests struct {
	*run
	talk  *talk.Talk
	pool  sync.Pool
	gap   time.Duration             // between two requests of a connection; 0: a closed loop
	until int64                     // when the last request goes out
	next  []int64                   // of each connection, when its next request is due. Its loop or the collector has it, never both.
	again chan uint64               // connections to open again
	down  map[uint64]result.Failure // connections that ended, and why the last time; the collector's
	atEnd sync.Once                 // of noteEnd
}

func newRequests(r *run) (*requests, error) {
	t, err := talk.New(r.spec.Talk)
	if err != nil {
		return nil, err
	}
	q := &requests{
		run: r, talk: t, again: make(chan uint64, r.spec.Connections), down: make(map[uint64]result.Failure),
		until: r.start + int64(r.spec.WarmUp+r.spec.Duration),
	}
	if r.spec.Requests > 0 {
		of := max(r.spec.Of, r.spec.Connections)
		// A fraction of a nanosecond is counted whole, but for what is the division's error: cut off, it would bring a request that
		// is due when the time is over into it.
		q.gap = time.Duration(math.Ceil(float64(of*q.pipeline())/r.spec.Requests*float64(time.Second) - 1e-3))
		// All connections of the load evenly over a gap, whether they ever stand or not.
		q.next = make([]int64, r.spec.Connections)
		for i := range q.next {
			q.next[i] = r.start + int64(float64(r.spec.First+uint64(i))/float64(of)*float64(q.gap))
			id := r.spec.First + uint64(i) // until it is heard of:
			q.down[id] = unsent(result.Failure{State: engine.Init.String(), Example: r.plan.Target(id).Addr.String()})
		}
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
	from := q.start + int64(q.spec.WarmUp)
	q.rec.setWindow(from, q.spec.Duration)
	// Well before, since to collect garbage takes time from the loops.
	if wait(ctx, time.Duration(from-q.clk.Now())-q.spec.WarmUp/4) && q.spec.WarmUp > 0 {
		q.look()
	}
	if wait(ctx, time.Duration(from-q.clk.Now())) {
		q.part.Held = uint64(max(q.held.Load(), 0))
		q.measure(from, q.spec.Duration)
		wait(ctx, time.Duration(q.until-q.clk.Now()))
		q.measured()
	}
	if ctx.Err() != nil {
		q.stopEarly() // what is to be told of it may be asked for before the context's own goroutine is there
	}
	q.noteEnd()
	q.engine.Stop() // before the submitter, which Stop frees
	<-submitted
}

// Connections that have nothing more to ask are closed one after the other, so quickly and in no more than so long: closed all at
// once, ten thousand would keep the loops from the answers that are still to come, whose latencies count.
const (
	letGoEach = 50 * time.Microsecond
	letGoAll  = drainLimit / 2
)

// letGoAt is when a connection is closed that has nothing more to ask.
func (q *requests) letGoAt(id uint64) int64 {
	n := q.spec.Connections
	all := min(time.Duration(n)*letGoEach, letGoAll)
	return q.until + int64(float64(all)*float64(id-q.spec.First)/float64(n))
}

// noteEnd notes how many connections stand at the end, before the first of them goes.
func (q *requests) noteEnd() {
	q.atEnd.Do(func() { q.part.HeldAtEnd = uint64(max(q.held.Load(), 0)) })
}

// take counts the end of a connection, and has it opened again.
func (q *requests) take(o *engine.Outcome) {
	lost := lastWordsOf(o.Conclusion.Finding)
	if lost != nil {
		if q.isOver() {
			q.noteEnd()
		}
		q.held.Add(-1)
		var room [6]timing
		q.rec.latencies(o.ID, phasesOf(o, room[:0])...)
	}
	delete(q.down, o.ID)
	f := q.failure(o, 0)
	f.Lost = lost != nil
	switch {
	case o.Cause == engine.Cancelled:
		f.Text = unfinished
		if lost == nil || lost.asked > 0 || !q.stopped.Load() { // else it had nothing to do until the next was due
			q.fail(o.ID, f, q.cost(o.ID, lost))
		}
	case lost != nil && lost.asked == 0 && (lost.answered || q.isOver()): // between two requests, or behind its last
		if f.Status == report.Success.String() { // by its own last word
			f = unsent(f)
		}
		if !q.stopped.Load() {
			q.down[o.ID] = f // if it is not dialled again
		}
		q.reopen(o.ID, 0)
	default:
		q.fail(o.ID, f, q.cost(o.ID, lost))
		q.down[o.ID] = f
		q.reopen(o.ID, redialAfter)
	}
}

// unsent is f as the failure of requests whose connection was not dialled in time.
func unsent(f result.Failure) result.Failure {
	f.Status, f.Side, f.Text = report.Cancelled.String(), report.SideLocal.String(), "due, but the time was over before it had a connection"
	return f
}

// isOver reports whether no request is to be sent any more.
func (q *requests) isOver() bool { return q.stopped.Load() || q.clk.Now() >= q.until }

// cost is how many requests a connection's end has cost: those under way, and those that came due since and could not be sent.
// A closed loop has none that come due; there a connection that failed before its first request counts as that one.
func (q *requests) cost(id uint64, lost *lastWords) uint64 {
	switch {
	case lost == nil && q.gap == 0:
		return 1
	case lost == nil:
		return q.missed(id)
	case q.gap == 0 && !lost.answered:
		return max(uint64(lost.asked), 1)
	}
	return uint64(lost.asked) + q.missed(id)
}

// fail counts so many requests that failed for the reason f.
func (q *requests) fail(id uint64, f result.Failure, count uint64) {
	if f.Count = count; count > 0 {
		q.rec.fail(id, f)
	}
}

// conclude counts what the schedules of connections that were down at the end have missed since they ended.
func (q *requests) conclude() {
	for id, f := range q.down {
		q.fail(id, f, q.missed(id))
	}
}

// missed takes the requests that a connection's schedule has had until now, or until its end, which nobody could send, and
// returns how many they are.
func (q *requests) missed(id uint64) uint64 {
	if q.gap == 0 {
		return 0
	}
	now := min(q.clk.Now(), q.until, q.stoppedAt.Load())
	next := &q.next[id-q.spec.First]
	if *next >= now {
		return 0
	}
	n := (now-*next-1)/int64(q.gap) + 1
	*next += n * int64(q.gap)
	return uint64(n) * uint64(q.pipeline())
}

// reopen has the connection opened again, after a while.
func (q *requests) reopen(id uint64, after time.Duration) {
	switch {
	case q.isOver():
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

// lastWords is the finding of a connection that stood: how many requests it had under way at its end, and whether any before
// them was answered.
type lastWords struct {
	asked    int
	answered bool
}

// AppendJSON implements [protocol.Finding]. No record is made of it.
func (w *lastWords) AppendJSON(dst []byte) []byte { return append(dst, "{}"...) }

// Brief implements [protocol.Finding].
func (w *lastWords) Brief() string { return "" }
