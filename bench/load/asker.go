package load

import (
	"time"

	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/protocol"
)

// asker is what a connection of requests says and hears, for as long as it lives.
//
//	Begin ─┬─ a request is due ─► sent ─► answers ─┬─► Begin
//	       ├─ none yet ─► Pause ─► Begin           └─ the peer's last ─► Done
//	       └─ the time is over ─► Done
type asker struct {
	run     *requests
	id      uint64
	session *talk.Session
	sends   [][]byte // the requests that go out together

	due     int64 // when the requests under way should have gone out
	ready   int64 // when they could have: due, or when the answers before them had come
	sentAt  int64
	asked   int   // requests under way
	bytes   int   // of the answer under way
	firstAt int64 // when the first byte came of what answers the requests under way
	arrived int64 // when the bytes came that are looked at now
	now     int64
	freeAt  int64 // when the last answer had come, or else the connection stood
	stood   bool  // Begin was called
	heard   bool  // an answer was whole
	verdict protocol.Verdict
	reason  string
}

var _ protocol.Timed = (*asker)(nil)

// open makes x new, for connection id.
func (x *asker) open(id uint64) {
	*x = asker{run: x.run, id: id, sends: x.sends[:0]}
	x.session = x.run.talk.Open(x.run.host(id))
}

// Begin implements [protocol.Exchange].
func (x *asker) Begin() protocol.Step {
	now := x.run.clk.Now()
	if !x.stood {
		x.stood, x.freeAt = true, now
		x.run.held.Add(1)
		x.run.rec.opened(x.id)
	}
	return x.ask(now)
}

// ask sends what is due. What has come due before the time is over goes out behind it too, as long as the engine drains.
func (x *asker) ask(now int64) protocol.Step {
	q := x.run
	x.due, x.ready = now, now
	if q.gap == 0 {
		switch {
		case now >= q.until || q.stopped.Load():
			return protocol.Step{Then: protocol.Done}
		case now < q.start:
			return protocol.Step{Then: protocol.Pause, Wait: time.Duration(q.start - now)}
		}
	} else {
		next := &q.next[x.id-q.spec.First]
		switch {
		case *next >= q.until && now >= q.until || q.stopped.Load():
			return protocol.Step{Then: protocol.Done}
		case *next > now:
			wake := *next
			if wake >= q.until {
				wake = q.letGoAt(x.id)
			}
			return protocol.Step{Then: protocol.Pause, Wait: time.Duration(wake - now)}
		}
		x.due = *next
		x.ready = max(x.due, x.freeAt)
		*next += int64(q.gap)
	}
	x.asked, x.sentAt, x.firstAt, x.bytes = q.pipeline(), now, 0, 0
	x.sends = x.sends[:0]
	for range x.asked {
		x.sends = append(x.sends, x.session.Request()...)
	}
	return protocol.Step{Send: x.sends}
}

// Parser implements [protocol.Exchange].
func (x *asker) Parser() protocol.FrameParser { return x.session.Parser() }

// Arrived implements [protocol.Timed].
func (x *asker) Arrived(at, now int64) {
	x.arrived, x.now = at, now
	if x.firstAt == 0 {
		x.firstAt = at
	}
}

// OnFrame implements [protocol.Exchange].
func (x *asker) OnFrame(f protocol.Frame) protocol.Step {
	if x.asked == 0 {
		x.verdict, x.reason = protocol.NotSpoken, "bytes that nobody asked for"
		x.asked = 1 // a failure of its own, of no request
		return protocol.Step{Then: protocol.Done}
	}
	h := x.session.Hear(f)
	x.bytes += h.Bytes
	if !h.Done {
		return protocol.Step{}
	}
	if !x.count(h) {
		return protocol.Step{Then: protocol.Done}
	}
	switch {
	case h.Last:
		if x.asked > 0 {
			x.verdict, x.reason = protocol.Closed, "the peer's last answer on the connection was not the last one wanted"
		}
		return protocol.Step{Then: protocol.Done}
	case x.asked > 0:
		return protocol.Step{}
	}
	return x.ask(x.now)
}

// count counts an answer that is whole. It returns false if the peer does not speak what was asked.
func (x *asker) count(h talk.Heard) (speaks bool) {
	x.heard = true
	first := x.asked == x.run.pipeline()
	switch h.Verdict {
	case protocol.Success:
	case protocol.Refused:
		x.asked--
		x.freeAt = x.arrived
		x.run.rec.fail(x.id, result.Failure{Status: "application-error", Side: "remote", State: "ACTIVE", Text: h.Reason,
			Example: x.run.plan.Target(x.id).Addr.String(), Count: 1})
		x.bytes = 0
		return true
	default:
		x.verdict, x.reason = h.Verdict, h.Reason
		return false
	}
	x.asked--
	peer := time.Duration(x.arrived - x.sentAt + x.ready - x.due)
	whole := time.Duration(x.now - x.due)
	timings := [...]timing{{result.Latency, whole}, {result.Peer, min(peer, whole)}, {result.Lag, max(whole-peer, 0)},
		{result.Service, time.Duration(x.now - x.sentAt)}, {result.FirstByte, time.Duration(x.firstAt - x.sentAt)}}
	told := timings[:]
	if !first {
		told = told[:len(told)-1] // its first byte may have come with the answer before it
	}
	x.run.rec.operation(x.id, x.due, x.now, x.bytes, told...)
	x.bytes, x.freeAt = 0, x.arrived
	return true
}

// OnEnd implements [protocol.Exchange].
func (x *asker) OnEnd(end protocol.End, _ []byte, err error) {
	h := x.session.End(end, err)
	if x.asked == 0 {
		if !x.heard { // else it is between two requests, and the peer may close then
			x.verdict, x.reason = h.Verdict, "ended before the first request"
		}
		return
	}
	x.verdict, x.reason = h.Verdict, h.Reason
}

// Conclusion implements [protocol.Exchange].
func (x *asker) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: x.verdict, Reason: x.reason}
	if x.stood {
		c.Finding = &lastWords{x.asked, x.heard}
	}
	x.session.Close()
	x.session = nil
	x.run.pool.Put(x)
	return c
}
