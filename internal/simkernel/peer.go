package simkernel

import (
	"bytes"
	"math/rand/v2"
)

// peer is the other end of a connection: its kernel (inbox, window, FINs) and its application, which follows a script.
type peer struct {
	c      *conn
	script *Script
	rng    *rand.Rand // its own, so that what a peer does depends on the seed and on which connection it is only

	inbox   []byte // taken by its kernel, not yet read by its application
	pending int    // bytes that arrived but for which inbox has no room
	heard   bool   // our FIN has arrived

	accepted bool
	at       int  // index of the step it is at
	done     int  // how far it is in that step: bytes
	resting  bool // a peerRested is on the agenda
	rested   bool // it came
	sentFin  bool
	shut     bool // its application has closed the connection
	dead     bool // the connection is reset, or failed

	app App // what serves the connection, once the script is there

	lastSent  int64 // when the last of its segments arrives: segments keep their order
	lastHeard int64 // the same for ours
}

func newPeer(c *conn, script *Script) *peer {
	if script.Answer == SelfConnect {
		script = &Script{RTT: script.RTT, Steps: []Step{Echo()}}
	}
	return &peer{
		c:      c,
		script: script,
		rng:    rand.New(rand.NewPCG(c.k.opts.Seed, uint64(len(c.k.dials)))),
	}
}

// delay is how many nanoseconds a segment takes one way.
func (p *peer) delay() int64 {
	if p.script.RTT == 0 {
		return int64(DefaultRTT / 2)
	}
	return int64(p.script.RTT / 2)
}

func (p *peer) window() int {
	if p.script.Window == 0 {
		return DefaultBuffer
	}
	return p.script.Window
}

// reachedBy is when what we send now reaches the peer.
func (p *peer) reachedBy(now int64) int64 {
	p.lastHeard = max(p.lastHeard, now+p.delay()+randomUpTo(p.rng, p.c.k.opts.Faults.NetJitter))
	return p.lastHeard
}

// post puts something that the peer sends now on its way to us.
func (p *peer) post(at int64, o occurrence) {
	p.lastSent = max(p.lastSent, at+p.delay()+randomUpTo(p.rng, p.c.k.opts.Faults.NetJitter))
	o.at, o.c = p.lastSent, p.c
	p.c.k.agenda.add(o)
}

// send sends data, in random pieces if Faults.Segment says so.
func (p *peer) send(at int64, data []byte) {
	for len(data) > 0 {
		n := len(data)
		if f := p.c.k.opts.Faults.Segment; n > 1 && f > 0 && p.rng.Float64() < f {
			n = 1 + p.rng.IntN(n-1)
		}
		p.post(at, occurrence{kind: dataArrives, data: data[:n]})
		data = data[n:]
	}
}

// onConnected is the peer's accept(2).
func (p *peer) onConnected(at int64) {
	p.accepted = true
	p.run(at)
}

// onData is called when n bytes that we wrote arrive.
func (p *peer) onData(at int64, n int) {
	if p.dead {
		return
	}
	if p.shut { // nobody will read it: RFC 9293 s.3.6.1 asks for a reset
		p.reset(at)
		return
	}
	p.pending += n
	p.take(at)
	p.run(at)
}

// take moves what has arrived into the inbox as far as its window has room, and acknowledges it.
func (p *peer) take(at int64) {
	c := p.c
	n := min(p.pending, p.window()-len(p.inbox), len(c.outbox))
	if n <= 0 {
		return
	}
	p.inbox = append(p.inbox, c.outbox[:n]...)
	c.outbox = c.outbox[n:]
	p.pending -= n
	p.post(at, occurrence{kind: ackArrives, n: n})
}

func (p *peer) onFin(at int64) {
	p.heard = true
	p.run(at)
}

func (p *peer) onReset() {
	p.dead = true
	p.inbox, p.pending = nil, 0
}

func (p *peer) onRested(at int64) {
	p.resting, p.rested = false, true
	p.run(at)
}

// ended reports whether all that we sent is read and our FIN came behind it.
func (p *peer) ended() bool { return p.heard && p.pending == 0 && len(p.inbox) == 0 }

// run goes on with the script until it has to wait for something.
func (p *peer) run(at int64) {
	for p.accepted && !p.resting && !p.shut && !p.dead {
		if p.at == len(p.script.Steps) {
			p.idle(at)
			return
		}
		step := &p.script.Steps[p.at]
		over := p.do(at, step)
		p.rested = false
		if !over {
			return
		}
		p.at++
		p.done = 0
	}
}

// idle is what follows the last step.
func (p *peer) idle(at int64) {
	p.consume(at, len(p.inbox))
	if p.ended() {
		p.close(at)
	}
}

// do goes on with one step and reports whether it is over.
func (p *peer) do(at int64, s *Step) bool {
	switch s.kind {
	case stepWait:
		return p.rested || p.rest(at, int64(s.gap))
	case stepSend:
		return p.doSend(at, s)
	case stepRead, stepExpect:
		return p.doRead(at, s)
	case stepReadLine:
		return p.doReadLine(at)
	case stepEcho:
		return p.doEcho(at)
	case stepCloseWrite:
		p.sendFin(at)
		return true
	case stepClose:
		p.close(at)
	case stepReset:
		p.reset(at)
	case stepEndless:
		if len(p.c.backlog) == 0 { // else the window is shut: onWindow goes on
			p.send(at, s.data)
			p.rest(at, int64(s.gap))
		}
	case stepHold:
		p.consume(at, len(p.inbox))
	case stepFail:
		p.shut = true
		p.post(at, occurrence{kind: connectionFails, errno: s.errno})
	case stepServe:
		p.serve(at, s)
	case stepStopReading:
	}
	return false
}

// rest stops the script for some time. It returns false, for its callers to return.
func (p *peer) rest(at, nanoseconds int64) bool {
	p.resting = true
	p.c.k.agenda.add(occurrence{at: at + nanoseconds, kind: peerRested, c: p.c})
	return false
}

func (p *peer) doSend(at int64, s *Step) bool {
	if p.done == len(s.data) {
		return true
	}
	n := min(max(s.n, 1), len(s.data)-p.done)
	p.send(at, s.data[p.done:p.done+n])
	p.done += n
	return p.done == len(s.data) || p.rest(at, int64(s.gap))
}

func (p *peer) doRead(at int64, s *Step) bool {
	for p.done < s.n && len(p.inbox) > 0 {
		n := min(s.n-p.done, len(p.inbox))
		if s.kind == stepExpect && !bytes.Equal(p.inbox[:n], s.data[p.done:p.done+n]) {
			p.c.k.violation("%v got %q at byte %d of what it expects, want %q",
				p.c.remote.AddrPort(), p.inbox[:n], p.done, s.data[p.done:p.done+n])
		}
		p.done += n
		p.consume(at, n)
	}
	if p.done == s.n {
		return true
	}
	p.closeIfEnded(at)
	return false
}

func (p *peer) doReadLine(at int64) bool {
	for len(p.inbox) > 0 {
		if i := bytes.IndexByte(p.inbox, '\n'); i >= 0 {
			p.consume(at, i+1)
			return true
		}
		p.consume(at, len(p.inbox))
	}
	p.closeIfEnded(at)
	return false
}

func (p *peer) doEcho(at int64) bool {
	for len(p.inbox) > 0 && len(p.c.backlog) == 0 {
		p.send(at, bytes.Clone(p.inbox))
		p.consume(at, len(p.inbox))
	}
	p.closeIfEnded(at)
	return false
}

// serve has the application of the step hear what has arrived.
func (p *peer) serve(at int64, s *Step) {
	var out []byte
	over, fin := false, false
	if p.app == nil {
		p.app = s.open()
		out, over = p.app.Hear(nil, false)
		p.send(at, out)
	}
	for !over && !fin && (len(p.inbox) > 0 || p.ended()) {
		in := bytes.Clone(p.inbox)
		p.consume(at, len(in))
		fin = p.ended()
		out, over = p.app.Hear(in, fin)
		p.send(at, out)
	}
	if over || fin {
		p.close(at)
	}
}

// consume takes n bytes out of the inbox, and what waited outside in.
func (p *peer) consume(at int64, n int) {
	p.inbox = p.inbox[n:]
	p.take(at)
}

func (p *peer) closeIfEnded(at int64) {
	if p.ended() {
		p.close(at)
	}
}

func (p *peer) sendFin(at int64) {
	if !p.sentFin {
		p.sentFin = true
		p.post(at, occurrence{kind: finArrives})
	}
}

func (p *peer) close(at int64) {
	if len(p.inbox)+p.pending > 0 {
		p.reset(at)
		return
	}
	p.shut = true
	p.sendFin(at)
}

func (p *peer) reset(at int64) {
	p.shut, p.dead = true, true
	p.post(at, occurrence{kind: resetArrives})
}
