package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sonde/internal/kernel/socket"
)

// Kept is a connection that is parked, on its way from one Engine to another, in this process or the next (Export, Adopt). This is all
// there is to it: nothing of ours is unsent or half read while a connection is parked, and what the peer sends meanwhile, its FIN
// included, lies with the kernel.
//
// FD is owned by whoever has the Kept. Who passes it to another process (unix(7), SCM_RIGHTS) closes its own once the other has it:
// until then neither can end the connection by close(2).
type Kept struct {
	ID      uint64 // of the job; the adopter's outcomes are told by it
	Profile uint16 // the adopter's, by which it treats the connection
	Remote  socket.Addr
	FD      int
	// Idle and Heartbeat are how long it was, at the Export, until the idle limit and the next heartbeat; negative if they had passed,
	// Never without one. They go on from there at the Adopt: the time between is nobody's silence.
	Idle, Heartbeat time.Duration
}

// Never is how long it is until something that will not be.
const Never = off

// Export takes kept connections out of the engine, and hands their descriptors to the caller: those of the ids that are parked. One in
// the middle of a heartbeat is waited for until that has come to its end or ctx is done. Left where they are, to be ended by End if
// nobody wants them, are those that are not kept (yet), those over TLS, whose keys can't leave this process, and those that turn
// out to be closed. No Outcome follows for what is exported: it comes from whoever adopts it. In Stats it counts as closed.
//
// Export blocks, for as long as ctx allows and a heartbeat takes at most; loops go on, and Outcomes may wait meanwhile. Give it many
// ids at once, as with End.
func (e *Engine) Export(ctx context.Context, ids []uint64) []Kept {
	x := e.export(ids)
	select {
	case <-x.done:
	case <-ctx.Done():
	}
	return x.take()
}

func (e *Engine) export(ids []uint64) *export {
	x := &export{ids: setOf(ids), awaited: len(e.loops), done: make(chan struct{})}
	for _, l := range e.loops {
		if !l.ask(x) {
			x.arrived()
		}
	}
	return x
}

// export is the order to give up connections, and what has become of it.
type export struct {
	ids  idSet
	done chan struct{} // closed when nothing is awaited any more

	mu      sync.Mutex
	kept    []Kept
	awaited int  // loops that have not looked yet, and heartbeats
	over    bool // the caller waits no more
}

func (x *export) carryOut(l *loop) {
	for i := range l.table.rows {
		slot := uint32(i)
		r := &l.table.rows[slot]
		if !x.ids.has(r.id) || l.table.session(slot) != nil {
			continue
		}
		switch r.state {
		case Idle:
			l.leave(slot, x)
		case Active, Handshaking:
			if l.flight(slot).isHeartbeat() {
				l.letGo(slot) // of an earlier Export, which may have given up
				x.await()
				r.flags |= leaving
				l.leaving[slot] = x
			}
		}
	}
	x.arrived()
}

func (x *export) await() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.awaited++
}

func (x *export) arrived() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.awaited--; x.awaited == 0 {
		close(x.done)
	}
}

// take returns what has been given up, and has no more given up.
func (x *export) take() []Kept {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	return x.kept
}

// leave gives an IDLE connection up, unless nobody waits for it any more.
func (l *loop) leave(slot uint32, x *export) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	r := &l.table.rows[slot]
	left := func(at int64) time.Duration {
		if at == 0 || at == int64(off) {
			return Never
		}
		return time.Duration(at - l.now)
	}
	x.kept = append(x.kept, Kept{
		ID: r.id, Profile: r.profile, Remote: r.remote, FD: int(r.fd), Idle: left(r.idleUntil), Heartbeat: left(r.nextHeartbeat),
	})
	l.wheel.Cancel(slot)
	l.poller.Detach(int(r.fd))
	l.admission.inFlight--
	l.shared.stats.inFlight.Add(-1)
	l.vacate(slot)
}

// letGo tells who waits for a connection's heartbeat to end that this one does not come any more, or was given up already.
func (l *loop) letGo(slot uint32) {
	if r := &l.table.rows[slot]; r.flags&leaving != 0 {
		r.flags &^= leaving
		l.leaving[slot].arrived()
		delete(l.leaving, slot)
	}
}

// Adopt takes over connections that an Export gave up, of this engine's or another's, and returns how many, in order; their
// descriptors are the engine's from then on, the others' the caller's still. It fails with ErrStopped after Finish or Stop, and where
// a Profile or FD is none. From then on they are as if they had always been here: kept, with heartbeats as their profile says,
// each to end with one Outcome. What came in between is noticed at once: a FIN makes PeerClosed.
//
// It does not wait. Connections that are adopted count among Config.Connections and Descriptors, but none is refused for want of room:
// nothing is dialled until there is some again. One that can't be watched for want of memory ends as FDLimit (epoll_ctl(2)). In
// Stats they count as opened.
func (e *Engine) Adopt(kept []Kept) (taken int, err error) {
	if e.shared.inbox.isFinished() {
		return 0, ErrStopped
	}
	profiles := *e.shared.profiles.Load()
	for i := range kept {
		if k := &kept[i]; int(k.Profile) >= len(profiles) || k.FD < 0 {
			return 0, fmt.Errorf("engine: adopt descriptor %d by profile %d of %d", k.FD, k.Profile, len(profiles))
		}
	}
	share := (len(kept) + len(e.loops) - 1) / len(e.loops)
	for taken < len(kept) {
		some := kept[taken:min(taken+share, len(kept))]
		l := e.loops[e.adopted.Add(1)%uint64(len(e.loops))]
		if !l.ask(adoption(append([]Kept(nil), some...))) {
			return taken, ErrStopped
		}
		taken += len(some)
	}
	return taken, nil
}

// adoption is the order to take over connections.
type adoption []Kept

func (list adoption) carryOut(l *loop) {
	l.profiles = *l.shared.profiles.Load() // they may name a new one
	for i := range list {
		l.adopt(&list[i])
	}
}

// adopt goes on with a connection that was parked elsewhere.
func (l *loop) adopt(k *Kept) {
	a := &l.admission
	slot := l.table.insert(k.ID, k.Remote, k.Profile)
	r := &l.table.rows[slot]
	r.fd, r.flags = int32(k.FD), written
	l.shared.stats.begun()
	a.inFlight++
	a.open++
	if errno := errnoOf(l.poller.Add(k.FD, l.table.token(slot))); errno != 0 {
		l.outcomes = append(l.outcomes, l.outcome(slot, FDLimit, socket.CallPoll, errno))
		a.inFlight--
		l.shared.stats.inFlight.Add(-1)
		l.sockets.Close(k.FD, false)
		l.vacate(slot)
		return
	}
	l.table.alight(slot)
	l.transition(slot, Idle)
	profile := l.profile(slot)
	if profile.KernelTimestamps {
		l.sockets.Timestamps(k.FD)
	}
	r.idleUntil = hence(l.now, min(k.Idle, profile.Limits.Idle))
	if every := profile.Heartbeat; every > 0 {
		next := k.Heartbeat
		if next > every+HeartbeatGrid(every) { // it was kept by another profile
			next = spread(k.ID, every)
		}
		r.nextHeartbeat = l.together(hence(l.now, next), r.idleUntil, every)
	}
	l.armIdle(slot)
	l.onIdleReadable(slot) // what came in between, or before and was told to nobody, need make no edge
}

// hence is the moment d after now, or before it; never 0.
func hence(now int64, d time.Duration) int64 {
	if d < 0 {
		return max(now+int64(d), 1)
	}
	return after(now, d)
}
