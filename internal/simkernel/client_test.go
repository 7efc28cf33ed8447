package simkernel

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

func addr(s string) socket.Addr { return socket.AddrFrom(netip.MustParseAddrPort(s), 0) }

// client is the least engine that is right: it dials targets, has a Talk with each, and keeps what it saw. The simulator
// is held against it, and it against the simulator.
type client struct {
	k       *Kernel
	s       Sockets
	talk    Talk
	limit   int64 // nanoseconds for a whole talk
	targets []socket.Addr
	width   int // connections at once
	next    int
	rows    []*row
	seen    []sight // by target
	flying  int
	eager   bool   // dials in the middle of a batch
	bug     string // what this client does wrong, see TestSimulatorBites
}

type row struct {
	slot, generation, target uint32
	fd                       int
	connected                bool
	unsent                   []byte
	got                      []byte
	writeErr                 syscall.Errno
	end                      int64
}

// sight is how a talk ended, as the client saw it.
type sight struct {
	fate  Fate
	errno syscall.Errno
	call  socket.Call
	got   []byte
	times int
}

func (c *client) run() error {
	c.s = c.k.Sockets()
	c.seen = make([]sight, len(c.targets))
	c.k.Again()
	return c.k.Run(c.onBatch)
}

func (c *client) onBatch(now int64, events []poller.Event) bool {
	for _, e := range events {
		if int(e.Token.Slot()) >= len(c.rows) {
			continue
		}
		r := c.rows[e.Token.Slot()]
		if stale := r.generation != e.Token.Generation(); stale && c.bug == "takes stale events at their word" && r.fd >= 0 {
			c.saw(r, WasClosed, 0, 0)
			c.close(r)
		} else if r.fd < 0 || stale {
			continue
		}
		if r.fd >= 0 {
			c.onReady(r, e.Ready)
		}
		if c.eager && c.next < len(c.targets) && c.flying < c.width {
			c.dial(now) // takes the row and the descriptor that were closed just now
		}
	}
	for _, r := range c.rows {
		if r.fd >= 0 && now >= r.end {
			c.onLimit(r)
		}
	}
	for i := 0; i < 32 && c.next < len(c.targets) && c.flying < c.width; i++ {
		if !c.dial(now) {
			break
		}
	}
	soonest := int64(0)
	for _, r := range c.rows {
		if r.fd >= 0 && (soonest == 0 || r.end < soonest) {
			soonest = r.end
		}
	}
	if c.flying < c.width && c.next < len(c.targets) && soonest == 0 {
		soonest = now + int64(time.Second) // no port, no fd: try again later
	}
	c.k.ArmTimer(soonest)
	return c.next < len(c.targets) || c.flying > 0
}

func (c *client) dial(now int64) bool {
	remote := c.targets[c.next]
	fd, call, errno := c.s.Connect(remote, socket.Addr{})
	if errno == syscall.EMFILE || errno == syscall.EADDRNOTAVAIL {
		if c.k.dials[len(c.k.dials)-1].Fault == "" {
			return false
		}
	}
	r := c.row()
	r.target, r.end = uint32(c.next), now+c.limit
	c.next++
	if errno != 0 {
		fate := NoRoute
		if errno == syscall.ECONNREFUSED {
			fate = Refused
		}
		c.saw(r, fate, call, errno)
		return true
	}
	r.fd = fd
	c.flying++
	if err := c.k.Add(fd, poller.MakeToken(r.slot, r.generation)); err != nil {
		c.s.Close(fd, true)
		c.flying--
		r.fd = -1
		c.saw(r, 0, socket.CallPoll, err.(syscall.Errno))
	}
	return true
}

// row takes the lowest free row and makes a new generation of it.
func (c *client) row() *row {
	for _, r := range c.rows {
		if r.fd < 0 {
			generation := r.generation + 1
			if c.bug == "uses a token again" {
				generation = r.generation
			}
			*r = row{slot: r.slot, generation: generation, fd: -1, unsent: c.talk.Request}
			return r
		}
	}
	r := &row{slot: uint32(len(c.rows)), generation: 1, fd: -1, unsent: c.talk.Request}
	c.rows = append(c.rows, r)
	return r
}

func (c *client) onReady(r *row, ready poller.Ready) {
	if !r.connected {
		if e := c.s.Error(r.fd); e != 0 && c.k.fds.at(r.fd).dial.Established != 0 {
			r.writeErr = e // it stood for a moment: what came before is still there
		} else if e != 0 {
			fate := NoRoute
			if e == syscall.ECONNREFUSED {
				fate = Refused
			}
			c.saw(r, fate, socket.CallSOError, e)
			c.close(r)
			return
		}
		if c.bug != "takes any Writable for the end of the connect" && c.s.Info(r.fd).Connecting {
			return
		}
		r.connected = true
	}
	if ready&poller.Writable != 0 && c.bug != "writes only when connected" || len(r.unsent) == len(c.talk.Request) {
		c.write(r)
	}
	if c.bug == "resets at a failed write" && r.writeErr != 0 {
		c.end(r, r.writeErr)
	}
	if c.bug == "takes Hangup for the end" && ready&poller.Hangup != 0 {
		c.saw(r, WasClosed, 0, 0)
		c.close(r)
	}
	if r.fd >= 0 && (ready&^poller.Writable != 0 || r.writeErr != 0) {
		c.read(r)
	}
}

func (c *client) write(r *row) {
	for len(r.unsent) > 0 && r.writeErr == 0 {
		half := len(r.unsent) / 2
		n, e := c.s.Writev(r.fd, [][]byte{r.unsent[:half], r.unsent[half:]})
		if c.bug != "sends again what was sent" {
			r.unsent = r.unsent[n:]
		} else if n == len(r.unsent) {
			r.unsent = nil
		}
		if e == syscall.EAGAIN {
			return
		}
		r.writeErr = e
	}
}

func (c *client) read(r *row) {
	var a, b [24]byte
	for len(r.got) < len(c.talk.Reply) {
		want := min(len(c.talk.Reply)-len(r.got), len(a)+len(b))
		first := min(want, len(a))
		n, e := c.s.Readv(r.fd, a[:first], b[:want-first])
		r.got = append(append(r.got, a[:min(n, first)]...), b[:max(0, n-first)]...)
		switch {
		case e == syscall.EAGAIN:
			return
		case e != 0:
			c.end(r, e)
			return
		case n == 0 && r.writeErr != 0 && c.bug != "forgets what SO_ERROR said":
			c.end(r, r.writeErr)
			return
		case n == 0:
			c.saw(r, WasClosed, 0, 0)
			c.close(r)
			return
		case c.bug == "reads once an event":
			return
		}
	}
	c.saw(r, Answered, 0, 0)
	c.close(r)
}

func (c *client) end(r *row, e syscall.Errno) {
	fate := Lost
	if e == syscall.ECONNRESET || e == syscall.EPIPE {
		fate = WasReset
	}
	c.saw(r, fate, socket.CallRead, e)
	c.close(r)
}

func (c *client) onLimit(r *row) {
	fate := Silence
	if !r.connected {
		fate = Unanswered
	}
	c.saw(r, fate, 0, 0)
	c.close(r)
}

func (c *client) close(r *row) {
	if c.bug != "closes what is watched" {
		c.k.Remove(r.fd)
	}
	c.s.Close(r.fd, true)
	if c.bug == "closes twice" {
		c.s.Close(r.fd, true)
	}
	if c.bug == "leaks" && r.target == 3 {
		c.s.Connect(c.targets[0], socket.Addr{})
	}
	r.fd = -1
	c.flying--
}

func (c *client) saw(r *row, fate Fate, call socket.Call, e syscall.Errno) {
	s := &c.seen[r.target]
	*s = sight{fate: fate, errno: e, call: call, got: bytes.Clone(r.got), times: s.times + 1}
}

// storm makes a kernel and a client for a seed, with a random peer for each of n targets.
func storm(seed uint64, n int, errnos bool) (*client, []Prediction) {
	rng := rand.New(rand.NewPCG(seed, 1))
	o := Options{Seed: seed, Faults: RandomFaults(rng), NoInfo: rng.IntN(4) == 0, SeparateFilters: rng.IntN(4) == 0}
	if errnos {
		o.Errnos = RandomErrnos(rng)
	}
	if rng.IntN(2) == 0 {
		o.MaxFDs = 1 + rng.IntN(n)
	}
	if rng.IntN(2) == 0 {
		o.SendBuffer = 8 + rng.IntN(64)
	}
	if rng.IntN(4) == 0 {
		o.MaxBatch = 1 + rng.IntN(4)
	}
	talk := Talk{Request: randomBytes(rng, rng.IntN(100)), Reply: randomBytes(rng, 1+rng.IntN(200)), Patience: 10 * time.Second}
	o.ReceiveBuffer = len(talk.Reply) + rng.IntN(100)
	c := &client{k: New(o), talk: talk, limit: int64(talk.Patience), width: 1 + rng.IntN(n), eager: rng.IntN(2) == 0}
	predictions := make([]Prediction, n)
	for i := range predictions {
		to := socket.AddrFrom(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80), 0)
		var s Script
		s, predictions[i] = RandomScript(rng, talk)
		c.targets = append(c.targets, to)
		c.k.Peer(to, s)
	}
	return c, predictions
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.IntN(256))
	}
	return b
}

// problems holds what the client saw against what was predicted and what the kernel knows.
func (c *client) problems(predictions []Prediction) (found []string) {
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	found = append(found, c.k.Violations()...)
	if open := c.k.OpenFDs(); len(open) != 0 || c.k.Opened() != c.k.Closed() {
		report("open %v, opened %d, closed %d", open, c.k.Opened(), c.k.Closed())
	}
	faulted := make(map[socket.Addr]bool)
	for _, d := range c.k.Dials() {
		if d.Fault != "" {
			faulted[d.Remote] = true
		}
	}
	for i, p := range predictions {
		s := c.seen[i]
		if s.times != 1 {
			report("target %d: ended %d times, want once", i, s.times)
		}
		if n := len(s.got); n > len(c.talk.Reply) || !bytes.Equal(s.got, c.talk.Reply[:n]) {
			report("target %d: got other bytes than the peer sent", i)
		}
		switch {
		case faulted[c.targets[i]]:
		case s.fate&p.Fates == 0:
			report("target %d: got fate %b (errno %v of %v), want %b", i, s.fate, s.errno, s.call, p.Fates)
		case p.Errno != 0 && s.errno != p.Errno:
			report("target %d: got errno %v, want %v", i, s.errno, p.Errno)
		case p.Fates&NoRoute != 0 && (s.call == socket.CallConnect) != p.AtOnce:
			report("target %d: errno came from %v, want from connect itself: %v", i, s.call, p.AtOnce)
		case len(s.got) != p.Bytes:
			report("target %d: got %d bytes, want %d (fate %b)", i, len(s.got), p.Bytes, s.fate)
		}
	}
	return found
}
