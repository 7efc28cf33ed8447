package engine

import (
	"bytes"
	"time"

	"sonde/protocol"
)

// simTalk is what an exchange says and hears: turns, and what it says with its last step.
type simTalk struct {
	turns []turn
	last  []byte
	// secureAt, of a handshaker, is before which turn the handshake comes: 0 before the first byte, otherwise by a StartTLS
	// step that says plea.
	secureAt int
	plea     []byte
}

// turn is something said and one frame heard.
type turn struct {
	send, hear []byte
	quiet      time.Duration
	pause      time.Duration // what it pauses for before the turn
	endless    bool          // what is heard makes no frame
}

// Open implements protocol.Dialogue.
func (w *world) Open(id uint64) protocol.Exchange {
	job := &w.jobs[id]
	x := &simExchange{world: w, id: id, openedAt: w.loop.now, then: protocol.Done}
	if job.keeps < 0 || len(job.exchanges) < job.keeps {
		x.then = protocol.Park
	}
	if len(job.exchanges) > 0 && job.keeps == 0 {
		w.problem("job %d: a second exchange is opened", id)
	}
	job.exchanges = append(job.exchanges, x)
	return x.dress(job)
}

// simExchange has the talk of its job and objects to any byte that is not of it. It does with its memory what a pooled
// exchange may do: once it is concluded, what it sent is overwritten.
type simExchange struct {
	world       *world
	id          uint64
	turn        int
	then        protocol.Action
	heard       []byte
	sent        []byte // the memory of the last step
	ended       bool
	verdict     protocol.Verdict
	concluded   int
	openedAt    int64
	concludedAt int64

	connection   int           // which of its job's it is on, from 0
	asked        bool          // a StartTLS step was given
	restedAt     int           // the turn before which it paused last, counted from 1
	restUntil    int64         // when that pause ends; 0: it is over
	secured      bool          // Handshake has said how
	beganAt      int64         // when the connection was there
	spent        time.Duration // on connections, from there to their end
	end          protocol.End
	err          error
	handshakes   int // that OnHandshake told of
	handshakeErr error
	isNext       bool // Next was true: what follows is another connection, or its end
}

func (x *simExchange) talk() *simTalk { return &x.world.jobs[x.id].talk }

func (x *simExchange) Begin() protocol.Step {
	if x.beganAt == 0 || x.isNext {
		x.beganAt = x.world.loop.now
	}
	x.isNext = false
	if now := x.world.loop.now; x.restUntil > now {
		x.world.problem("job %d: begun again %v before its pause was over", x.id, time.Duration(x.restUntil-now))
	}
	x.restUntil = 0
	return x.step()
}

// step is the step of the turn that x is at, or the last.
func (x *simExchange) step() protocol.Step {
	talk := x.talk()
	if x.turn == talk.secureAt && x.turn > 0 && !x.asked {
		x.asked = true
		step := protocol.Step{Then: protocol.StartTLS}
		if len(talk.plea) > 0 {
			step.Send = [][]byte{bytes.Clone(talk.plea)}
		}
		return step
	}
	if x.turn == len(talk.turns) {
		x.ended = true
		return protocol.Step{Send: x.pieces(talk.last), Then: x.then}
	}
	t := &talk.turns[x.turn]
	if t.pause > 0 && x.restedAt <= x.turn {
		x.restedAt, x.restUntil = x.turn+1, x.world.loop.now+int64(t.pause)
		return protocol.Step{Then: protocol.Pause, Wait: t.pause}
	}
	return protocol.Step{Send: x.pieces(t.send), Quiet: t.quiet}
}

// pieces is text in two buffers of the exchange's own memory, which is used again for each step.
func (x *simExchange) pieces(text []byte) [][]byte {
	for i := range x.sent {
		x.sent[i] = '!' // what has to be out by now
	}
	x.sent = append(x.sent[:0], text...)
	if len(text) == 0 {
		return nil
	}
	half := len(text) / 2
	return [][]byte{nil, x.sent[:half], x.sent[half:]}
}

func (x *simExchange) Parser() protocol.FrameParser {
	if x.ended {
		x.world.problem("job %d: the exchange is asked for a parser after its end", x.id)
		return simParser(1)
	}
	t := &x.talk().turns[x.turn]
	if t.endless {
		return simParser(len(t.hear) + 1)
	}
	return simParser(len(t.hear))
}

func (x *simExchange) OnFrame(f protocol.Frame) protocol.Step {
	x.hear(f.Data)
	x.turn++
	return x.step()
}

func (x *simExchange) OnEnd(end protocol.End, rest []byte, err error) {
	x.hear(rest)
	x.ended, x.end, x.err = true, end, err
	switch end {
	case protocol.EndOfStream:
		x.verdict = protocol.Closed
	case protocol.EndQuiet:
		x.verdict = protocol.Success
	default:
		x.verdict = protocol.Unfinished
	}
}

func (x *simExchange) hear(data []byte) {
	if x.ended {
		x.world.problem("job %d: the exchange is called after its end", x.id)
	}
	x.heard = append(x.heard, data...)
	var all []byte
	for _, t := range x.talk().turns {
		all = append(all, t.hear...)
	}
	if !bytes.HasPrefix(all, x.heard) {
		x.world.problem("job %d heard %.40q, which is not its own reply", x.id, x.heard)
	}
}

func (x *simExchange) Conclusion() protocol.Conclusion {
	x.concluded++
	x.concludedAt = x.world.loop.now
	for i := range x.sent {
		x.sent[i] = '!'
	}
	return protocol.Conclusion{Verdict: x.verdict}
}

// simParser takes one frame of so many bytes.
type simParser int

func (n simParser) ParseFrame(buf []byte) (protocol.Frame, int, error) {
	if len(buf) < int(n) {
		return protocol.Frame{}, 0, protocol.ErrIncomplete
	}
	return protocol.Frame{Data: buf[:n]}, int(n), nil
}
func (n simParser) MinFrameSize() int { return 1 }
func (n simParser) Reset()            {}
