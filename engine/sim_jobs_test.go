package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"sonde/internal/kernel/socket"
	"sonde/internal/simkernel"
	"sonde/protocol"
)

// simJob is a job, what may come of it, and what did.
type simJob struct {
	kind    string
	profile uint16
	talk    simTalk
	addr    socket.Addr        // of its peer
	later   []simkernel.Script // of its peer, from the second connection on
	layers
	keeps   int  // how many of its exchanges park before one is Done; -1: all
	noLimit bool // its times depend on more than its own limits
	// want says what is wrong with the last outcome; empty if nothing is.
	want func(o *Outcome) string

	exchanges []*simExchange
	taken     bool  // by Offer
	endedAt   int64 // when End was called for it; 0: it was not
	away      int64 // for how long it was in nobody's hands, between an Export and its Adopt
	lost      bool  // it was exported, and nobody adopted it
	parked    int   // outcomes of cause Parked
	ended     int   // others
	last      Outcome
}

// makeJob makes up a job and its peer.
func (w *world) makeJob(rng *rand.Rand, id int) Job {
	makers := []func(*rand.Rand, int) (simJob, simkernel.Script){
		w.talkJob, w.talkJob, w.talkJob, w.chatJob, w.seriesJob, w.ownJob, w.switchJob, w.tlsJob, w.quietJob, w.farewellJob, w.connectJob, w.beatJob, w.beatJob, w.idleJob, w.selfJob, w.crowdJob,
	}
	job, script := makers[rng.IntN(len(makers))](rng, id)
	if w.options.Ports > 0 && rng.IntN(3) == 0 {
		job, script = w.crowdJob(rng, id)
	}
	if job.addr == (socket.Addr{}) {
		job.addr = address(id)
	}
	w.kernel.Peer(job.addr, script, job.later...)
	w.jobs = append(w.jobs, job)
	return Job{ID: uint64(id), Remote: job.addr, Profile: job.profile}
}

// simText is bytes that no other job says, of any length up to some rings' worth.
func simText(rng *rand.Rand, id int, word string) []byte {
	text := fmt.Appendf(nil, "%s-%d;", word, id)
	if rng.IntN(4) == 0 {
		text = bytes.Repeat(text, 1+rng.IntN(4000)/len(text))
	}
	return text
}

// longText is bytes that may be more than the send buffer takes.
func longText(rng *rand.Rand, id int, word string, sendBuffer int) []byte {
	text := simText(rng, id, word)
	if rng.IntN(2) == 0 {
		text = bytes.Repeat(text, 1+rng.IntN(6*max(sendBuffer, 20<<10))/len(text))
	}
	return text
}

// longAnswer is bytes that may need a ring of any class.
func longAnswer(rng *rand.Rand, id int) []byte {
	text := simText(rng, id, "say")
	if rng.IntN(2) == 0 {
		text = bytes.Repeat(text, 1+rng.IntN(60<<10)/len(text))
	}
	return text[:min(len(text), protocol.MaxFrameSize)]
}

// talkJob is one question and one answer, with any end that a peer can make of it.
func (w *world) talkJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	talk := simkernel.Talk{Request: simText(rng, id, "ask"), Reply: simText(rng, id, "say"), Patience: worldLimits.Connect}
	if rng.IntN(3) == 0 {
		talk.Request = nil
	}
	script, prediction := simkernel.RandomScript(rng, talk)
	job := simJob{kind: "talk", profile: talks, talk: simTalk{turns: []turn{{send: talk.Request, hear: talk.Reply}}}}
	job.want = func(o *Outcome) string {
		if w.stalled(o) && len(talk.Request) > 0 {
			return "" // the peer may not have got the whole request yet
		}
		if problem := w.differs(o, prediction); problem != "" {
			return problem
		}
		if heard := w.heard(o.ID); heard != prediction.Bytes && fateOf(o) != simkernel.Silence && o.Connect != Absent {
			return fmt.Sprintf("heard %d bytes, want %d", heard, prediction.Bytes)
		}
		return ""
	}
	return job, script
}

// simPause is half of the longest pause.
const simPause = 20 * time.Millisecond

// chatJob has several turns, with requests that may be larger than the send buffer and the rings.
func (w *world) chatJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	job := simJob{kind: "chat", profile: talks}
	var script simkernel.Script
	for range 1 + rng.IntN(4) {
		t := turn{send: longText(rng, id, "ask", w.options.SendBuffer), hear: longAnswer(rng, id)}
		if rng.IntN(4) == 0 { // answers before it has read
			script.Steps = append(script.Steps, simkernel.Send(t.hear), simkernel.Expect(t.send))
		} else {
			t.pause = time.Duration(rng.IntN(3)) * simPause
			script.Steps = append(script.Steps, simkernel.Expect(t.send), simkernel.Send(t.hear))
		}
		job.talk.turns = append(job.talk.turns, t)
	}
	if rng.IntN(3) == 0 { // says it all before it has read anything
		var all, asked []byte
		for i := range job.talk.turns {
			t := &job.talk.turns[i]
			t.pause = 0
			if w.options.ReceiveBuffer > bytesPerWake { // so that one wake may find more than a connection's share
				t.hear = bytes.Repeat(t.hear, max(1, protocol.MaxFrameSize/len(t.hear)))
			}
			if i > 0 {
				t.send = nil // so that one wake may find all the answers
			}
			all, asked = append(all, t.hear...), append(asked, t.send...)
		}
		script.Steps = []simkernel.Step{simkernel.Send(all), simkernel.Expect(asked)}
	}
	job.want = func(o *Outcome) string {
		if w.stalled(o) {
			return "" // the peer had not got the whole request yet
		}
		return wantAnswer(o)
	}
	return job, script
}

// stalled reports a read limit that may have passed while we were suspended.
func (w *world) stalled(o *Outcome) bool {
	return w.options.Faults.LateMax == worldStall && (o.Cause == ReadTimeout || o.Cause == HandshakeTimeout)
}

// wantAnswer wants the talk to have come to its end.
func wantAnswer(o *Outcome) string {
	if o.Cause != Answered || o.Conclusion.Verdict != protocol.Success {
		return fmt.Sprintf("got cause %d, verdict %d, errno %v; want an answer", o.Cause, o.Conclusion.Verdict, o.Errno)
	}
	return ""
}

// quietJob hears all there is and ends by silence, which must not start before the answer does.
func (w *world) quietJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	const quiet = 500 * time.Millisecond
	greeting, text := simText(rng, id, "greet"), simText(rng, id, "say")
	job := simJob{kind: "quiet", profile: talks, noLimit: true}
	job.talk.turns = []turn{{hear: greeting}, {send: simText(rng, id, "ask"), hear: text, quiet: quiet, endless: true}}
	script := simkernel.Script{Steps: []simkernel.Step{
		simkernel.Send(greeting), simkernel.Read(len(job.talk.turns[1].send)), simkernel.Wait(time.Duration(rng.Int64N(int64(2 * time.Second)))),
		simkernel.SendPieces(text, 1+len(text)/3, 20*time.Millisecond), simkernel.Hold(),
	}}
	job.want = func(o *Outcome) string {
		if w.stalled(o) {
			return "" // it can't be known whether there was silence
		}
		if problem := wantAnswer(o); problem != "" {
			return problem
		}
		if heard, want := w.heard(o.ID), len(greeting)+len(text); heard != want {
			return fmt.Sprintf("heard %d bytes before it was quiet, want %d", heard, want)
		}
		return ""
	}
	return job, script
}

// farewellJob says something in its last step, which must arrive if the connection ends by FIN.
func (w *world) farewellJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	job := simJob{kind: "farewell", profile: talks}
	greeting := simText(rng, id, "greet")
	job.talk = simTalk{turns: []turn{{hear: greeting}}, last: longText(rng, id, "bye", w.options.SendBuffer)}
	script := simkernel.Script{Steps: []simkernel.Step{simkernel.Send(greeting), simkernel.Expect(job.talk.last)}}
	job.want = func(o *Outcome) string {
		if problem := wantAnswer(o); problem != "" {
			return problem
		}
		d := w.dialOf(o)
		if !w.cfg.Profiles[talks].Reset && w.stoppedAt == 0 && w.options.Faults.LateMax != worldStall && (d.Written != len(job.talk.last) || d.Reset) {
			return fmt.Sprintf("%d bytes of the farewell were written (reset %v), want %d", d.Written, d.Reset, len(job.talk.last))
		}
		return ""
	}
	return job, script
}

// connectJob only connects.
func (w *world) connectJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	script, prediction := simkernel.RandomScript(rng, simkernel.Talk{Reply: simText(rng, id, "say"), Patience: worldLimits.Connect})
	const noConnect = simkernel.Refused | simkernel.NoRoute | simkernel.Unanswered
	job := simJob{kind: "connect", profile: connects}
	job.want = func(o *Outcome) string {
		if prediction.Fates&noConnect == 0 && (fateOf(o) == simkernel.Answered || o.Cause == Reset) {
			return "" // what came later may have been seen or not
		}
		return w.differs(o, prediction)
	}
	return job, script
}

// beatJob keeps its connection with heartbeats, of which the peer answers some before it turns bad.
func (w *world) beatJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	t := turn{send: simText(rng, id, "beat"), hear: simText(rng, id, "alive")}
	job := simJob{kind: "beat", profile: beats, talk: simTalk{turns: []turn{t}}, keeps: -1, noLimit: true}
	answered := 1 + rng.IntN(12) // more than the idle limit's worth
	var script simkernel.Script
	if rng.IntN(3) == 0 {
		job.talk.last = longText(rng, id, "thanks", w.options.SendBuffer)
	}
	for range answered {
		script.Steps = append(script.Steps, simkernel.Expect(t.send), simkernel.Send(t.hear), simkernel.Expect(job.talk.last))
	}
	rest := simkernel.Wait(time.Duration(rng.Int64N(2 * int64(worldHeartbeat))))
	end := rng.IntN(5)
	errno := syscall.ETIMEDOUT
	script.Steps = append(script.Steps, [][]simkernel.Step{
		{simkernel.Hold()}, {simkernel.StopReading()}, {rest, simkernel.Close()}, {rest, simkernel.Reset()}, {rest, simkernel.Fail(errno)},
	}[end]...)
	if rng.IntN(4) == 0 { // we end it
		end, job.keeps = 5, answered-1
	}
	job.want = func(o *Outcome) string { return w.differsKept(o, answered, keptEnd(end)) }
	return job, script
}

// keptEnd is how a kept connection ends.
type keptEnd int

const (
	keptSilent  keptEnd = iota // the peer reads and says nothing more
	keptDeaf                   // nor does it read
	keptClosed                 // by the peer
	keptReset                  // by the peer
	keptFailed                 // with an errno
	keptDone                   // by our own exchange
	keptExpired                // by the idle limit
)

// idleJob is kept without heartbeats.
func (w *world) idleJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	t := turn{hear: simText(rng, id, "alive")}
	job := simJob{kind: "idle", profile: idles, talk: simTalk{turns: []turn{t}}, keeps: -1, noLimit: true}
	flood := bytes.Repeat([]byte("unasked"), 1+rng.IntN(20000))
	rest := simkernel.Wait(time.Duration(rng.IntN(2)) * time.Duration(rng.Int64N(int64(time.Second))))
	cases := []struct {
		end   keptEnd
		steps []simkernel.Step
	}{
		{keptExpired, []simkernel.Step{simkernel.Hold()}},
		{keptExpired, []simkernel.Step{simkernel.Endless([]byte("chatter"), 100*time.Millisecond)}},
		{keptClosed, []simkernel.Step{rest, simkernel.Close()}},
		{keptClosed, []simkernel.Step{rest, simkernel.Send(flood), simkernel.Close()}},
		{keptReset, []simkernel.Step{rest, simkernel.Reset()}},
	}
	c := cases[rng.IntN(len(cases))]
	script := simkernel.Script{Steps: append([]simkernel.Step{simkernel.Send(t.hear)}, c.steps...)}
	job.want = func(o *Outcome) string { return w.differsKept(o, 1, c.end) }
	return job, script
}

// crowdJob dials one address with many others, so that local ports run out.
func (w *world) crowdJob(*rand.Rand, int) (simJob, simkernel.Script) {
	job := simJob{kind: "crowd", profile: connects, addr: address(crowdHost), want: wantAnswer}
	return job, simkernel.Script{}
}

// crowdHost is the host that they dial.
const crowdHost = 200

// selfJob dials a dead port that the kernel chose for us too.
func (w *world) selfJob(*rand.Rand, int) (simJob, simkernel.Script) {
	job := simJob{kind: "self", profile: talks, talk: simTalk{turns: []turn{{hear: []byte("nobody")}}}}
	job.want = func(o *Outcome) string { return w.differs(o, simkernel.Prediction{Fates: simkernel.Refused}) }
	return job, simkernel.Script{Answer: simkernel.SelfConnect}
}

// heard is how many bytes the last exchange of a job got.
func (w *world) heard(id uint64) int {
	all := w.jobs[id].exchanges
	if len(all) == 0 {
		return 0
	}
	return len(all[len(all)-1].heard)
}

// dialOf is the dial that led to an outcome: the last to its address.
func (w *world) dialOf(o *Outcome) (last simkernel.Dial) {
	for _, d := range w.kernel.Dials() {
		if d.Remote == w.jobs[o.ID].addr {
			last = d
		}
	}
	return last
}
