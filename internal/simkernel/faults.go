package simkernel

import (
	"math/rand/v2"
	"syscall"
	"time"

	"sonde/internal/kernel/socket"
)

// surpriseMax is how long a surprise EAGAIN lasts at most.
const surpriseMax = 2 * time.Millisecond

// Faults are the liberties that a kernel and a network may take without anything being wrong. A caller must come to the
// same outcome under all of them, but for limits that pass while time is lost. Probabilities are from 0 to below 1, each
// drawn anew at every occasion.
type Faults struct {
	// Jitter is the most that a call or a poll takes beyond its constant cost.
	Jitter time.Duration
	// Stall is the probability that a call takes up to StallMax: the CPU was taken away.
	Stall    float64
	StallMax time.Duration
	// Late is the probability that a batch comes up to LateMax after it could have come.
	Late    float64
	LateMax time.Duration
	// EmptyBatch is the probability that a poll that would wait returns without events instead.
	EmptyBatch float64
	// TimerApart is the probability that a timer that is due gets a batch of its own, after the one with the events.
	TimerApart float64
	// Shuffle is the probability that a batch is in random order.
	Shuffle float64
	// Repeat is the probability that an event is in its batch twice.
	Repeat float64
	// Split is the probability that the readiness of a socket is reported by two events, in one batch or in two.
	Split float64
	// Withhold is the probability that a ready socket is reported one batch later.
	Withhold float64
	// Spurious is the probability that a batch holds an event without a reason: Readable or Writable, for a socket that is
	// still connecting Writable (Info then says Connecting, and Error gives 0).
	Spurious float64
	// ShortRead and ShortWrite are the probabilities that a call moves fewer bytes than it could. A fresh edge follows.
	ShortRead, ShortWrite float64
	// SurpriseAgain is the probability that a call gives EAGAIN though it could have moved bytes. A fresh edge follows.
	SurpriseAgain float64
	// AtOnce is the probability that a connect that is accepted or refused ends within connect(2), as on loopback.
	AtOnce float64
	// Segment is the probability that what a peer sends arrives in pieces, cut at any byte.
	Segment float64
	// NetJitter is the most that a segment takes beyond half the round-trip time. Segments keep their order.
	NetJitter time.Duration
}

// Errnos are probabilities, from 0 to 1, of failures that no script asked for.
type Errnos struct {
	// Socket, Bind and Connect make the call of that name fail within Sockets.Connect; Bind only if there is a source.
	Socket, Bind, Connect float64
	// ConnectFails makes a connect that is under way fail by SO_ERROR.
	ConnectFails float64
	// Poll makes Add fail.
	Poll float64
	// Dies makes an established connection fail within its first second.
	Dies float64
	// Write makes Writev fail once, without harm to the connection.
	Write float64
}

// The errnos that each call may give, besides those that the simulation gives for a reason.
var (
	// socket(2)
	socketErrnos = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EACCES}
	// bind(2), ip(7)
	bindErrnos = []syscall.Errno{syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EACCES}
	// connect(2), ip(7)
	connectErrnos = []syscall.Errno{
		syscall.EADDRNOTAVAIL, syscall.EAGAIN, syscall.EACCES, syscall.EPERM, syscall.ENETUNREACH, syscall.EHOSTUNREACH,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EADDRINUSE, syscall.ENOBUFS, syscall.EINVAL,
	}
	// SO_ERROR after a connect: connect(2), and what ICMP makes of it, icmp(7) and ipv6(7)
	connectFailures = []syscall.Errno{
		syscall.ETIMEDOUT, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ECONNRESET, syscall.EPROTO,
		syscall.EACCES, syscall.ENOPROTOOPT,
	}
	// epoll_ctl(2)
	pollErrnos = []syscall.Errno{syscall.ENOMEM, syscall.ENOSPC}
	// tcp(7), ip(7)
	deathErrnos = []syscall.Errno{syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH}
	// send(2)
	writeErrnos = []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM}
)

// RandomFaults turns about half of the faults on, at random strengths: runs that differ in what is on find more than runs
// that have a little of everything.
func RandomFaults(rng *rand.Rand) Faults {
	var f Faults
	for _, p := range []*float64{
		&f.EmptyBatch, &f.TimerApart, &f.Shuffle, &f.Repeat, &f.Split, &f.Withhold, &f.Spurious, &f.ShortRead,
		&f.ShortWrite, &f.SurpriseAgain, &f.AtOnce, &f.Segment,
	} {
		*p = sometimes(rng, 0.7)
	}
	f.Stall, f.StallMax = sometimes(rng, 0.01), 20*time.Millisecond
	f.Late, f.LateMax = sometimes(rng, 0.3), 5*time.Millisecond
	f.Jitter = time.Duration(sometimes(rng, float64(20*time.Microsecond)))
	f.NetJitter = time.Duration(sometimes(rng, float64(20*time.Millisecond)))
	return f
}

// RandomErrnos turns about half of the failures on, each at a probability of at most 5 in 100.
func RandomErrnos(rng *rand.Rand) Errnos {
	var e Errnos
	for _, p := range []*float64{&e.Socket, &e.Bind, &e.Connect, &e.ConnectFails, &e.Poll, &e.Dies, &e.Write} {
		*p = sometimes(rng, 0.05)
	}
	return e
}

// sometimes is 0 in half of the cases, else up to most.
func sometimes(rng *rand.Rand, most float64) float64 {
	if rng.IntN(2) == 0 {
		return 0
	}
	return rng.Float64() * most
}

// chance draws whether something of probability p happens. It draws nothing for what can't happen, so that a fault that is
// off leaves the run as it was.
func (k *Kernel) chance(p float64) bool { return p > 0 && k.rng.Float64() < p }

// upTo draws a duration from 0 to most.
func (k *Kernel) upTo(most time.Duration) int64 { return randomUpTo(k.rng, most) }

func randomUpTo(rng *rand.Rand, most time.Duration) int64 {
	if most <= 0 {
		return 0
	}
	return rng.Int64N(int64(most) + 1)
}

func (k *Kernel) draw(p float64, from []syscall.Errno) (e syscall.Errno, hit bool) {
	if !k.chance(p) {
		return 0, false
	}
	return from[k.rng.IntN(len(from))], true
}

// drawRefusal decides whether one of the calls within Connect fails out of the blue.
func (k *Kernel) drawRefusal(binds bool) (socket.Call, syscall.Errno) {
	if e, hit := k.draw(k.opts.Errnos.Socket, socketErrnos); hit {
		return socket.CallSocket, e
	}
	if binds {
		if e, hit := k.draw(k.opts.Errnos.Bind, bindErrnos); hit {
			return socket.CallBind, e
		}
	}
	e, _ := k.draw(k.opts.Errnos.Connect, connectErrnos)
	return socket.CallConnect, e
}

func (k *Kernel) drawConnectFailure() (syscall.Errno, bool) {
	return k.draw(k.opts.Errnos.ConnectFails, connectFailures)
}

func (k *Kernel) drawPollRefusal() (syscall.Errno, bool) {
	return k.draw(k.opts.Errnos.Poll, pollErrnos)
}

func (k *Kernel) drawWriteRefusal() (syscall.Errno, bool) {
	return k.draw(k.opts.Errnos.Write, writeErrnos)
}

// drawDeath decides whether a connection dies, of what, and how many nanoseconds from now.
func (k *Kernel) drawDeath() (e syscall.Errno, after int64, hit bool) {
	if e, hit = k.draw(k.opts.Errnos.Dies, deathErrnos); hit {
		after = k.upTo(time.Second)
	}
	return e, after, hit
}
