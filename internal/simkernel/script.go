package simkernel

import (
	"fmt"
	"syscall"
	"time"

	"sonde/internal/kernel/socket"
)

// Answer is how an address answers a SYN.
type Answer uint8

const (
	// Accept: with a SYN-ACK.
	Accept Answer = iota
	// Refuse: with a RST; ECONNREFUSED.
	Refuse
	// Unreachable: not itself; a router or our own routing table says Script.Errno.
	Unreachable
	// BlackHole: not at all; ETIMEDOUT after Options.SynTimeout.
	BlackHole
	// SelfConnect: nobody listens, but the local port that the kernel chose is the one that is dialled, so that the
	// connection ends at itself: Local equals the remote address, and what is written is read back.
	SelfConnect
)

// DefaultRTT is the round-trip time of a Script that names none.
const DefaultRTT = time.Millisecond

// Script is what one address does with one connection.
type Script struct {
	// Answer is how it answers the SYN.
	Answer Answer
	// Errno is what an Unreachable address gives; 0 means EHOSTUNREACH.
	Errno syscall.Errno
	// AtOnce makes connect(2) itself end the connect, as it does on loopback, or where a route is missing.
	AtOnce bool
	// RTT is the round-trip time; 0 means DefaultRTT. A byte takes half of it.
	RTT time.Duration
	// Delay is how much later than a round-trip time the answer to the SYN comes.
	Delay time.Duration
	// Window is how many bytes the peer's kernel takes that its application has not read; 0 means DefaultBuffer.
	Window int
	// Steps are what the peer's application does with an accepted connection, in order. After the last one it reads and
	// forgets what comes, and closes when our FIN comes.
	Steps []Step
}

func (s *Script) errno() syscall.Errno {
	if s.Errno == 0 {
		return syscall.EHOSTUNREACH
	}
	return s.Errno
}

type stepKind uint8

const (
	stepWait stepKind = iota
	stepSend
	stepRead
	stepExpect
	stepReadLine
	stepEcho
	stepCloseWrite
	stepClose
	stepReset
	stepEndless
	stepStopReading
	stepHold
	stepFail
	stepServe
)

// Step is one thing that the peer's application does. While it is at one step it does nothing else: it reads only in steps
// that say so. A step that reads closes the connection if our FIN comes in the middle of it.
type Step struct {
	kind  stepKind
	data  []byte
	n     int           // bytes at a time, or to read
	gap   time.Duration // between pieces, or to wait
	errno syscall.Errno
	open  func() App
}

// Wait does nothing for d.
func Wait(d time.Duration) Step { return Step{kind: stepWait, gap: d} }

// Send sends data at once. data must not change afterwards.
func Send(data []byte) Step { return Step{kind: stepSend, data: data, n: len(data)} }

// SendPieces sends data in pieces of n bytes, the first at once and each further one gap later. n must be above 0.
func SendPieces(data []byte, n int, gap time.Duration) Step {
	return Step{kind: stepSend, data: data, n: n, gap: gap}
}

// Drip sends data byte by byte, the first at once and each further one gap later.
func Drip(data []byte, gap time.Duration) Step { return SendPieces(data, 1, gap) }

// Read reads n bytes and forgets them.
func Read(n int) Step { return Step{kind: stepRead, n: n} }

// Expect reads len(data) bytes. If they are others than data, that is a violation (Kernel.Violations): the caller's
// writes did not arrive as it meant them.
func Expect(data []byte) Step { return Step{kind: stepExpect, data: data, n: len(data)} }

// ReadLine reads up to and with the next line feed and forgets it.
func ReadLine() Step { return Step{kind: stepReadLine} }

// Echo sends back all that it reads, for ever, and closes after our FIN.
func Echo() Step { return Step{kind: stepEcho} }

// CloseWrite sends a FIN; the next steps may still read.
func CloseWrite() Step { return Step{kind: stepCloseWrite} }

// Close closes the connection: by FIN, or by RST if bytes from us were there unread (RFC 2525 s.2.17). What we send
// afterwards is answered by RST. It ends the script.
func Close() Step { return Step{kind: stepClose} }

// Reset resets the connection. What was sent before arrives before. It ends the script.
func Reset() Step { return Step{kind: stepReset} }

// Endless sends chunk again and again for ever, every gap (at least 10 microseconds), as far as we read it.
func Endless(chunk []byte, gap time.Duration) Step {
	return Step{kind: stepEndless, data: chunk, gap: max(gap, 10*time.Microsecond)}
}

// StopReading leaves the connection open and reads nothing any more, so that our send buffer fills up.
func StopReading() Step { return Step{kind: stepStopReading} }

// Hold reads and forgets what comes, and never closes, not even after our FIN.
func Hold() Step { return Step{kind: stepHold} }

// Fail makes the connection fail at our end with errno: ETIMEDOUT for a peer that vanished, EHOSTUNREACH for a route that
// did. It ends the script.
func Fail(errno syscall.Errno) Step { return Step{kind: stepFail, errno: errno} }

// App is a peer's application in code, for what no script can say: the server of a handshake. One App serves one
// connection.
type App interface {
	// Hear is called at the start with nothing, then with each piece that arrives, and with fin once our FIN has come
	// behind it. It returns what to send; over closes the connection after it, as Close does. in is valid during the call, and
	// out belongs to the peer.
	Hear(in []byte, fin bool) (out []byte, over bool)
}

// Serve hands the connection to an application that open makes for it. It ends the script. What an App holds is freed by
// whoever made open: the peer does not say when a connection has failed.
func Serve(open func() App) Step { return Step{kind: stepServe, open: open} }

// scripted is the scripts of one address.
type scripted struct {
	scripts []Script
	next    int
}

// Peer gives addr its scripts: the first for the first connection to it, and so on; the last serves all that follow. A call
// replaces what an earlier call gave. An address without a script refuses.
func (k *Kernel) Peer(addr socket.Addr, first Script, more ...Script) {
	k.peers[addr] = &scripted{scripts: append([]Script{first}, more...)}
}

// Otherwise sets what gives the script of an address that Peer was not called for, anew for each connection. It must be
// a function of the address and of what it counts itself, or a run does not follow from its seed.
func (k *Kernel) Otherwise(script func(addr socket.Addr) Script) { k.otherwise = script }

// nextScript is the script for a new connection to addr. It is taken by useScript.
func (k *Kernel) nextScript(addr socket.Addr) *Script {
	if p := k.peers[addr]; p != nil {
		return &p.scripts[p.next]
	}
	if k.otherwise != nil {
		s := k.otherwise(addr)
		return &s
	}
	return &Script{Answer: Refuse}
}

// useScript makes the next connection to addr find the next script.
func (k *Kernel) useScript(addr socket.Addr) {
	if p := k.peers[addr]; p != nil {
		p.next = min(p.next+1, len(p.scripts)-1)
	}
}

// String describes a step for traces.
func (s Step) String() string {
	switch s.kind {
	case stepWait:
		return fmt.Sprintf("wait %v", s.gap)
	case stepSend:
		if s.n < len(s.data) {
			return fmt.Sprintf("send %d bytes, %d every %v", len(s.data), s.n, s.gap)
		}
		return fmt.Sprintf("send %d bytes", len(s.data))
	case stepRead, stepExpect:
		return fmt.Sprintf("read %d bytes", s.n)
	case stepFail:
		return "fail " + errnoName(s.errno)
	}
	return [...]string{
		stepReadLine: "read a line", stepEcho: "echo", stepCloseWrite: "close write", stepClose: "close", stepReset: "reset",
		stepEndless: "send for ever", stepStopReading: "stop reading", stepHold: "hold", stepServe: "serve",
	}[s.kind]
}
