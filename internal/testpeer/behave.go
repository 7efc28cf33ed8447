package testpeer

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

const (
	// greeting is what HalfClose and IgnoreFIN say. It is a whole line, so a prober has no reason to wait for more.
	greeting = "220 sonde.test ready\r\n"
	// resetBanner is what BannerReset says before its RST: no newline, so a prober waits for more and meets the reset.
	resetBanner = "SSH-2.0-sondepeer_reset"
	// dripStart is how Drip begins; x after x follows. RFC 4253 s.4.2 allows 255 bytes, which take four minutes.
	dripStart = "SSH-2.0-sondepeer_"
	// endlessBlock is how many bytes Endless hands to the kernel at a time.
	endlessBlock = 16 << 10
	// garbageSize is how many bytes Garbage sends: more than any parser takes for a first line.
	garbageSize = 4 << 10
	// holdAfterFIN is how long IgnoreFIN keeps a connection that the client has closed. A client that has gone for good
	// sends nothing more, so without a limit such connections would pile up.
	holdAfterFIN = time.Minute
	// drainLimit is how long a healthy peer that has closed its side waits for the client's FIN.
	drainLimit = time.Second
)

// behave is the life of one connection. The caller closes c when it returns.
func (p *Peer) behave(c *net.TCPConn) {
	if p.about.TLS {
		p.behaveTLS(c)
		return
	}
	switch p.about.Kind {
	case Reset:
		reset(c)
	case CloseAtOnce:
		// Closing is all there is to do.
	case Silent:
		discard(c)
	case Delayed:
		if p.pause(p.opts.Delay) {
			p.converse(c, NewSession(SSH))
		}
	case Drip:
		p.drip(c, []byte(dripStart), 'x')
	case Endless:
		endless(c)
	case Garbage:
		if write(c, garbage()) {
			discard(c)
		}
	case HalfClose:
		if write(c, []byte(greeting)) && c.CloseWrite() == nil {
			discard(c)
		}
	case IgnoreFIN:
		// A reset tells that the client has no use for the connection any more; only a FIN is ignored.
		if write(c, []byte(greeting)) && discard(c) == nil {
			p.pause(holdAfterFIN)
		}
	case BannerReset:
		// The banner is in the client's receive queue, or on its way there, before the RST leaves. Should the RST overtake
		// it, its sequence number is ahead of what the client expects and RFC 5961 s.3.2 has it ignored until the banner is in.
		write(c, []byte(resetBanner))
		reset(c)
	case Stall, Late, Full, Mortal:
		p.converse(c, p.session())
	default:
		p.converse(c, NewSession(p.about.Kind))
	}
}

// duplex is a connection whose sending side can be shut down alone: *net.TCPConn and *tls.Conn.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// converse plays the server's side of s over c. It reports whether TLS is to begin now, and what the client has sent
// ahead: TLS must see that, so that commands slipped in behind the request for TLS are never taken for protected ones
// (RFC 3207 s.6).
func (p *Peer) converse(c duplex, s Session) (ahead []byte, startTLS bool) {
	if !write(c, s.Greeting()) {
		return nil, false
	}
	var out []byte
	in := make([]byte, 0, 4<<10)
	for {
		rest := in
		for {
			n, answer, then := s.Receive(rest, out[:0])
			out, rest = answer, rest[n:]
			if then.Delay > 0 && !p.pause(then.Delay) {
				return nil, false
			}
			if !write(c, out) {
				return nil, false
			}
			if then.StartTLS {
				return rest, true
			}
			if then.Close {
				drain(c)
				return nil, false
			}
			if n == 0 {
				break
			}
		}
		in = append(in[:0], rest...)
		in = slices.Grow(in, 1<<10)
		n, err := c.Read(in[len(in):cap(in)])
		if err != nil {
			return nil, false
		}
		in = in[:len(in)+n]
	}
}

// drain sends our FIN and waits for the client's, so that bytes still on their way to us don't turn the close into a reset
// that would destroy the answer (RFC 9112 s.9.6).
func drain(c duplex) {
	if c.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(drainLimit)) != nil {
		return
	}
	discard(c)
}

// drip sends start and then fill without end, one byte at a time.
func (p *Peer) drip(c *net.TCPConn, start []byte, fill byte) {
	next := start
	for write(c, next[:1]) && p.pause(p.opts.Interval) {
		if next = next[1:]; len(next) == 0 {
			next = []byte{fill}
		}
	}
}

func endless(c *net.TCPConn) {
	block := bytes.Repeat([]byte{'x'}, endlessBlock)
	for write(c, block) {
	}
}

// garbage returns the same bytes each time. They begin with NUL, which no text protocol allows, so that it does not
// depend on luck whether a parser can make sense of them.
func garbage() []byte {
	b := append(make([]byte, 0, garbageSize), "\x00\xff\xfe\x1b[2J\x1b]0;owned\x07\r\n\xc3\x28\n"...)
	rng := rand.New(rand.NewPCG(1, 2))
	for len(b) < garbageSize {
		b = append(b, byte(rng.Uint32()))
	}
	return b
}

// write reports whether the kernel took all of b.
func write(c io.Writer, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	_, err := c.Write(b)
	return err == nil
}

// discard reads until the client's FIN (nil) or an error. It does not use io.Copy to io.Discard, which takes a 32 KiB
// buffer for each of what may be thousands of connections.
func discard(c io.Reader) error {
	var buf [512]byte
	for {
		if _, err := c.Read(buf[:]); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
