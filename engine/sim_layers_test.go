package engine

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"time"

	"sonde/internal/simkernel"
	"sonde/protocol"
)

// layers is what an exchange of a job is beside an Exchange.
type layers struct {
	connections int         // above 0: it is a Series that wants so many
	handshaker  bool        // with a handshake of its own, as its talk says
	tls         *tls.Config // with one that the engine makes, instead
}

// dress gives the exchange the methods of what it is.
func (x *simExchange) dress(job *simJob) protocol.Exchange {
	switch s, h := (simSeries{x}), (simHandshaker{x}); {
	case job.connections > 0 && job.handshaker:
		return struct {
			simHandshaker
			nexter
		}{h, s}
	case job.connections > 0:
		return s
	case job.handshaker:
		return h
	}
	return x
}

// nexter is what a Series has above an Exchange.
type nexter interface{ Next() bool }

// simSeries makes the same talk on several connections.
type simSeries struct{ *simExchange }

var _ protocol.Series = simSeries{}

// Next implements protocol.Series.
func (s simSeries) Next() bool {
	x := s.simExchange
	switch {
	case !x.ended:
		x.world.problem("job %d: asked for another connection before the end of this one", x.id)
	case x.end == protocol.EndCancelled && x.verdict == protocol.Unfinished:
		x.world.problem("job %d: asked for another connection after we stopped", x.id)
	case x.concluded > 0:
		x.world.problem("job %d: asked for another connection after its conclusion", x.id)
	}
	if !x.isNext {
		x.spent += time.Duration(x.world.loop.now - x.beganAt)
	}
	x.connection++
	x.isNext = x.connection < x.world.jobs[x.id].connections
	if x.isNext {
		x.ended, x.turn, x.heard, x.asked, x.secured, x.verdict = false, 0, nil, false, false, protocol.Success
	}
	return x.isNext
}

// simHandshaker makes a handshake: by its own turns, or by the engine's TLS.
type simHandshaker struct{ *simExchange }

var _ protocol.Handshaker = simHandshaker{}

// Handshake implements protocol.Handshaker.
func (h simHandshaker) Handshake() (protocol.Security, *tls.Config) {
	x := h.simExchange
	if x.secured {
		x.world.problem("job %d: asked how to secure a connection that is secured", x.id)
	}
	if at := x.talk().secureAt; at > 0 && !x.asked {
		return protocol.TLSLater, nil
	}
	x.secured = true
	if cfg := x.world.jobs[x.id].tls; cfg != nil {
		return protocol.TLSNow, cfg
	}
	return protocol.TLSOwn, nil
}

// OnHandshake implements protocol.Handshaker.
func (h simHandshaker) OnHandshake(r *protocol.Handshake) bool {
	x := h.simExchange
	job := &x.world.jobs[x.id]
	if job.tls == nil || !x.secured || x.handshakes > x.connection || x.concluded > 0 || x.ended {
		x.world.problem("job %d: told of a handshake that is not under way", x.id)
	}
	x.handshakes++
	x.handshakeErr = r.Err
	if r.Err == nil && (r.Took <= 0 || r.Wait < 0 || r.Wait > r.Took || len(r.Flight) == 0 || !r.State.HandshakeComplete) {
		x.world.problem("job %d: a handshake of %v, of which %v waited, with %d bytes", x.id, r.Took, r.Wait, len(r.Flight))
	}
	if r.Err != nil {
		x.verdict = protocol.Unfinished
	}
	return true
}

// OnControl implements protocol.Handshaker.
func (h simHandshaker) OnControl() protocol.Step {
	x := h.simExchange
	if x.ended || x.handshakes == 0 && len(x.world.jobs[x.id].exchanges) == 1 {
		x.world.problem("job %d: told of a record at a time without TLS", x.id)
	}
	return protocol.Step{Quiet: x.talk().turns[x.turn].quiet}
}

// seriesJob makes the same talk on several connections, which their peer may refuse, drop or leave without an answer. Now
// and then it is a handshake of its own.
func (w *world) seriesJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	talk := simkernel.Talk{Request: simText(rng, id, "ask"), Reply: simText(rng, id, "say"), Patience: worldLimits.Connect}
	job := simJob{kind: "series", profile: series, noLimit: true, layers: layers{connections: 2 + rng.IntN(3), handshaker: rng.IntN(3) == 0}}
	job.talk = simTalk{turns: []turn{{send: talk.Request, hear: talk.Reply}}}
	var scripts []simkernel.Script
	var predictions []simkernel.Prediction
	alike := rng.IntN(3) == 0 // so that a budget is spent
	for i := range job.connections {
		script, prediction := simkernel.RandomScript(rng, talk)
		if i == 0 && rng.IntN(2) == 0 { // one that is there
			script, prediction = simkernel.Script{Steps: []simkernel.Step{simkernel.Expect(talk.Request), simkernel.Send(talk.Reply)}},
				simkernel.Prediction{Fates: simkernel.Answered, Bytes: len(talk.Reply)}
		}
		if i > 0 && alike {
			script, prediction = scripts[0], predictions[0]
		}
		scripts, predictions = append(scripts, script), append(predictions, prediction)
	}
	job.later = scripts[1:]
	job.want = func(o *Outcome) string { return w.differsSeries(o, predictions) }
	return job, scripts[0]
}

// differsSeries says what is wrong with the end of a Series whose connections have these predictions.
func (w *world) differsSeries(o *Outcome, predictions []simkernel.Prediction) string {
	if w.options.Faults.LateMax == worldStall {
		return "" // a stall may cost one of them its answer, or all of them the budget
	}
	job := &w.jobs[o.ID]
	if len(job.exchanges) == 0 {
		return w.differs(o, predictions[0])
	}
	x := job.exchanges[0]
	if w.engine.shared.stats.bufferWaits.Load() == 0 && x.spent > seriesTarget+time.Duration(len(predictions))*time.Duration(w.slack()) {
		return fmt.Sprintf("%v were spent on %d connections, want at most %v", x.spent, x.connection, seriesTarget)
	}
	if o.Cause == TargetTimeout {
		if o.Total < seriesTarget {
			return fmt.Sprintf("the budget was spent after %v", o.Total)
		}
		return ""
	}
	if len(job.exchanges) != 1 || x.connection != len(predictions) {
		return fmt.Sprintf("%d exchanges, %d connections of %d", len(job.exchanges), x.connection, len(predictions))
	}
	if o.Connect == Absent || o.DialedAt == 0 {
		return "the phases of the first connection are lost"
	}
	return w.differs(o, predictions[len(predictions)-1])
}

// ownJob reads a handshake itself.
func (w *world) ownJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	job, script := w.talkJob(rng, id)
	job.kind, job.layers, job.noLimit = "own", layers{handshaker: true}, true
	want := job.want
	job.want = func(o *Outcome) string {
		if problem := want(o); problem != "" {
			return problem
		}
		return w.differsHandshake(o, o.Connect)
	}
	return job, script
}

// switchJob begins in the clear and reads a handshake itself behind a StartTLS step. Its peer may say its part of that
// before it was asked.
func (w *world) switchJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	greeting, hello, answer := simText(rng, id, "greet"), longText(rng, id, "hello", w.options.SendBuffer), longAnswer(rng, id)
	job := simJob{kind: "switch", profile: talks, layers: layers{handshaker: true}, noLimit: true}
	job.talk = simTalk{turns: []turn{{hear: greeting}, {send: hello, hear: answer}}, secureAt: 1}
	if rng.IntN(2) == 0 {
		job.talk.plea = longText(rng, id, "plea", w.options.SendBuffer)
	}
	steps := []simkernel.Step{simkernel.Send(greeting), simkernel.Expect(job.talk.plea), simkernel.Expect(hello), simkernel.Send(answer)}
	silent := false
	switch rng.IntN(4) {
	case 0:
		all := append(append([]byte(nil), greeting...), answer...)
		steps = []simkernel.Step{simkernel.Send(all), simkernel.Expect(job.talk.plea), simkernel.Expect(hello)}
	case 1:
		steps, silent = []simkernel.Step{simkernel.Send(greeting), simkernel.Hold()}, true
	}
	job.want = func(o *Outcome) string {
		switch {
		case w.stalled(o):
			return ""
		case silent && (o.Cause != HandshakeTimeout || o.State != Handshaking):
			return fmt.Sprintf("got cause %d in %v, want the handshake's limit", o.Cause, o.State)
		case silent:
			return ""
		}
		return wantAnswer(o)
	}
	return job, simkernel.Script{Steps: steps}
}

// differsHandshake says what is wrong with the times of a handshake that began so long after the dial.
func (w *world) differsHandshake(o *Outcome, began time.Duration) string {
	if o.TLS != Absent && (o.TLS <= 0 || o.TLSWait < 0 || o.TLSWait > o.TLS || o.TLS > o.Total+time.Duration(w.slack())) {
		return fmt.Sprintf("a handshake of %v, of which %v waited, in %v", o.TLS, o.TLSWait, o.Total)
	}
	if o.Cause != HandshakeTimeout || w.engine.shared.stats.bufferWaits.Load() > 0 {
		return ""
	}
	if early := began + worldLimits.Handshake - w.lag() - o.Total; early > 0 {
		return fmt.Sprintf("the handshake's limit %v early", early)
	}
	if late := o.Total - began - worldLimits.Handshake - 2*time.Duration(w.slack()); late > 0 {
		return fmt.Sprintf("the handshake's limit %v late", late)
	}
	return ""
}
