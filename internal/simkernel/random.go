package simkernel

import (
	"math/rand/v2"
	"syscall"
	"time"
)

// Talk is the exchange that a client is going to have with a peer of a [RandomScript]: it sends Request, reads as many
// bytes as Reply has, and closes.
type Talk struct {
	// Request may be empty.
	Request []byte
	// Reply must not be empty, and must fit the receive buffer: a reset takes what did not.
	Reply []byte
	// Patience is the least of the client's limits. A peer that is to be in time is done within a quarter of it, plus what
	// Faults take; one that is to be late never is.
	Patience time.Duration
}

// Fate is a set of the ways in which a Talk may go.
type Fate uint8

// The fates.
const (
	// Answered: the whole Reply came.
	Answered Fate = 1 << iota
	// Refused: the connect failed with ECONNREFUSED.
	Refused
	// NoRoute: the connect failed with Prediction.Errno.
	NoRoute
	// Unanswered: the connect never ended; the client's limit did.
	Unanswered
	// WasReset: the connection ended by ECONNRESET or EPIPE before the whole Reply came.
	WasReset
	// WasClosed: the peer's FIN came before the whole Reply.
	WasClosed
	// Silence: the connection stands but the Reply never gets whole; the client's limit ends it.
	Silence
	// Lost: the established connection failed with Prediction.Errno.
	Lost
)

// Prediction is what a client must see of a RandomScript.
type Prediction struct {
	// Fates are the fates that may come about: one, or two where it depends on who is faster.
	Fates Fate
	// Errno goes with NoRoute and Lost.
	Errno syscall.Errno
	// Bytes is how many bytes of the Reply arrive. A client that goes on reading after a failed write reads all of them.
	Bytes int
	// AtOnce tells that connect(2) itself fails.
	AtOnce bool
}

// RandomScript makes up a peer for talk, and predicts what the client will see of it: under any Faults, but not under
// Errnos, and only if the client reads what is there before it heeds a failed write.
func RandomScript(rng *rand.Rand, talk Talk) (Script, Prediction) {
	s := Script{RTT: time.Duration(1 + rng.Int64N(int64(talk.Patience)/64))}
	var p Prediction
	switch rng.IntN(8) {
	case 0:
		p = refuseTalk(rng, &s)
	case 1, 2, 3:
		p = answerTalk(rng, talk, &s)
	default:
		p = failTalk(rng, talk, &s)
	}
	return s, p
}

// refuseTalk lets the connect fail.
func refuseTalk(rng *rand.Rand, s *Script) Prediction {
	s.AtOnce = rng.IntN(2) == 0
	switch rng.IntN(3) {
	case 0:
		s.Answer = Refuse
		return Prediction{Fates: Refused, AtOnce: s.AtOnce}
	case 1:
		s.Answer = BlackHole
		return Prediction{Fates: Unanswered}
	}
	routes := []syscall.Errno{syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EACCES}
	s.Answer, s.Errno = Unreachable, routes[rng.IntN(len(routes))]
	return Prediction{Fates: NoRoute, Errno: s.Errno, AtOnce: s.AtOnce}
}

// answerTalk sends the whole reply, and does anything afterwards.
func answerTalk(rng *rand.Rand, talk Talk, s *Script) Prediction {
	s.Delay = pause(rng, talk)
	s.Window = randomWindow(rng)
	s.Steps = append(s.Steps, Wait(pause(rng, talk)))
	if len(talk.Request) > 0 {
		s.Steps = append(s.Steps, Expect(talk.Request))
	}
	s.Steps = append(s.Steps, sendSomehow(rng, talk, talk.Reply))
	after := [][]Step{
		nil, {Close()}, {Reset()}, {Hold()}, {StopReading()}, {CloseWrite()}, {CloseWrite(), Hold()}, {Fail(syscall.ETIMEDOUT)},
		{Endless([]byte("more"), time.Millisecond)},
	}
	s.Steps = append(s.Steps, after[rng.IntN(len(after))]...)
	return Prediction{Fates: Answered, Bytes: len(talk.Reply)}
}

// failTalk sends part of the reply, or nothing, and lets the connection end badly.
func failTalk(rng *rand.Rand, talk Talk, s *Script) Prediction {
	part := talk.Reply[:rng.IntN(len(talk.Reply))]
	p := Prediction{Bytes: len(part)}
	s.Window = randomWindow(rng)
	listens := rng.IntN(2) == 0 && len(talk.Request) > 0
	if listens {
		s.Steps = append(s.Steps, Expect(talk.Request))
	}
	s.Steps = append(s.Steps, sendSomehow(rng, talk, part))
	switch rng.IntN(6) {
	case 0:
		s.Steps = append(s.Steps, Reset())
		p.Fates = WasReset
	case 1:
		s.Steps = append(s.Steps, Close())
		p.Fates = WasClosed
		if !listens && len(talk.Request) > 0 {
			p.Fates |= WasReset // the request comes too late, or was there unread
		}
	case 2:
		s.Steps = append(s.Steps, CloseWrite(), Hold())
		p.Fates = WasClosed
	case 3:
		s.Steps = append(s.Steps, Hold())
		p.Fates = Silence
	case 4:
		s.Steps = append(s.Steps, StopReading())
		p.Fates = Silence
	case 5:
		p.Errno = syscall.ETIMEDOUT
		if rng.IntN(2) == 0 {
			p.Errno = syscall.EHOSTUNREACH
		}
		s.Steps = append(s.Steps, Fail(p.Errno))
		p.Fates = Lost
	}
	return p
}

// pause is nothing or a sixteenth of the patience at most.
func pause(rng *rand.Rand, talk Talk) time.Duration {
	return time.Duration(sometimes(rng, float64(talk.Patience/16)))
}

// sendSomehow sends data at once or in pieces, within an eighth of the patience.
func sendSomehow(rng *rand.Rand, talk Talk, data []byte) Step {
	if len(data) < 2 || rng.IntN(2) == 0 {
		return Send(data)
	}
	n := 1 + rng.IntN(len(data)-1)
	pieces := (len(data) + n - 1) / n
	return SendPieces(data, n, talk.Patience/16/time.Duration(pieces))
}

// randomWindow is wide in most cases, else a few bytes.
func randomWindow(rng *rand.Rand) int {
	if rng.IntN(4) != 0 {
		return 0
	}
	return 1 + rng.IntN(64)
}
