package runner

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"sonde/engine"
	"sonde/internal/clock"
	"sonde/internal/kernel/socket"
	"sonde/policy/breaker"
	"sonde/report"
	"sonde/target"
	"sonde/watch/schedule"
	"sonde/watch/track"
)

// A runner hands over what it has to that of another process, in this order: its kept connections (GiveUp), its turns (Freeze), what it
// knows (AppendRows), and what comes of probes that were under way (Late). Thaw takes it all back. The other, which was made
// with Options.Held, learns what is known (TakeRows) and then goes on (Follow).

// Moved is a kept connection on its way between two runners, with whose it is and by what module it is kept.
type Moved struct {
	Job       string
	Key       uint64
	Module    uint64 // its fingerprint
	Heartbeat time.Duration
	Addr      netip.AddrPort
	engine.Kept
}

// handing is a handover from this runner.
type handing struct {
	sent   uint32            // rows below it were appended: what comes of them is late
	rows   []uint32          // of what is late,
	passes []breaker.Pass    // by which it was allowed,
	late   []json.RawMessage // which are lateResults
}

// lateResult is what a turn came to whose row has been sent.
type lateResult struct {
	Job    string
	Key    uint64
	Result track.Result
}

// GiveUp takes the kept connections out of the engine that can be moved, and begins no other one until Thaw. Turns go on. It takes as long
// as a heartbeat at most, and ctx.
func (r *Runner) GiveUp(ctx context.Context) ([]Moved, error) {
	var ids []uint64
	err := r.Visit(ctx, func() {
		r.giving = true
		r.flights.each(func(id uint32, f *flight) {
			if f.use == kept && f.stood && f.row != noRow {
				ids = append(ids, r.flights.job(id))
			}
		})
	})
	if err != nil {
		return nil, err
	}
	list := r.engine.Export(ctx, ids)
	moved := make([]Moved, 0, len(list))
	err = r.Visit(context.WithoutCancel(ctx), func() {
		for _, k := range list {
			f := r.flights.at(uint32(k.ID))
			w := r.watched.at(f.row)
			m := Moved{Job: w.job.Name, Key: w.key, Module: f.module.Fingerprint, Addr: netip.AddrPortFrom(f.target.Addr, f.target.Port), Kept: k}
			if f.beat != nil {
				m.Heartbeat = w.job.Heartbeat
			}
			moved = append(moved, m)
		}
	})
	if err != nil {
		for _, k := range list {
			socket.System{}.Close(k.FD, false)
		}
	}
	return moved, err
}

// Freeze begins no turn from here on. It returns what turns are counted from, in nanoseconds since 1970 by the wall clock as it is now. To be
// called in a visit.
func (r *Runner) Freeze() (epoch int64) {
	r.frozen, r.handing = true, &handing{}
	return r.schedule.Epoch() + clock.RealTime() - r.clk.Now()
}

// Thaw goes on as before, with the connections that GiveUp gave up. To be called in a visit.
func (r *Runner) Thaw(moved []Moved) {
	r.giving = false
	r.adopt(moved)
	if r.handing == nil {
		return
	}
	now := r.clk.Now()
	h := r.handing
	r.frozen, r.handing = false, nil
	r.schedule.Resume(now)
	for i, row := range h.rows {
		var l lateResult
		if json.Unmarshal(h.late[i], &l) == nil {
			l.Result.Pass = h.passes[i] // or a trial would be under way for ever
			r.record(now, row, &l.Result)
		}
	}
}

// adopt has the engine keep connections, or ends them if it has ended.
func (r *Runner) adopt(moved []Moved) {
	list := make([]engine.Kept, len(moved))
	for i := range moved {
		list[i] = moved[i].Kept
	}
	n, err := r.engine.Adopt(list)
	if err == nil {
		return
	}
	for _, k := range list[n:] {
		socket.System{}.Close(k.FD, false)
	}
}

// AppendRows appends what is known of so many rows at most, from from on, and returns where to go on; done says that there are no more. To
// be called in a visit, behind Freeze.
func (r *Runner) AppendRows(dst []byte, from uint32, n int) (data []byte, next uint32, done bool) {
	now := r.clk.Now()
	next = min(from+uint32(n), r.watched.len())
	var row []byte
	for id := from; id < next; id++ {
		w := r.watched.at(id)
		if w.job == nil {
			continue
		}
		row = r.options.Table.AppendRow(row[:0], id, now)
		dst = appendBytes(dst, []byte(w.job.Name))
		dst = binary.AppendUvarint(dst, w.key)
		dst = binary.AppendUvarint(dst, uint64(r.schedule.Running(id)))
		dst = binary.AppendUvarint(dst, uint64(max(r.schedule.Coming(id), 0)))
		dst = appendBytes(dst, row)
	}
	r.handing.sent = next
	return dst, next, next == r.watched.len()
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// isLate keeps a turn's result for the other process, if it is the one to record it.
func (r *Runner) isLate(row uint32, res *track.Result) bool {
	if r.handing == nil || row >= r.handing.sent {
		return false
	}
	w := r.watched.at(row)
	l := lateResult{w.job.Name, w.key, *res}
	l.Result.Finding = nil // the other has nobody to show it to
	data, err := json.Marshal(&l)
	if err != nil { // a date that JSON has no form for
		return false
	}
	h := r.handing
	h.rows, h.passes, h.late = append(h.rows, row), append(h.passes, res.Pass), append(h.late, data)
	return true
}

// Late are the results that came since it was last asked, for TakeLate; nil if none did. under is how many probes are under way still. To be
// called in a visit.
func (r *Runner) Late() (data []byte, under int) {
	r.flights.each(func(_ uint32, f *flight) {
		if f.use == turned && f.row != noRow {
			under++
		}
	})
	if len(r.handing.late) == 0 {
		return nil, under
	}
	data, err := json.Marshal(r.handing.late)
	if err != nil {
		panic(err) // it is JSON
	}
	r.handing.rows, r.handing.passes, r.handing.late = nil, nil, nil
	return data, under
}

// errRows says that bytes are nothing that AppendRows made.
var errRows = errors.New("malformed rows")

// TakeRows takes what another runner knew of targets. Those that are not there yet have a claim to it until DropUnclaimed. To be called in
// a visit.
func (r *Runner) TakeRows(data []byte) error {
	bad := false
	number := func() uint64 {
		n, size := binary.Uvarint(data)
		if size <= 0 {
			bad, data = true, nil
			return 0
		}
		data = data[size:]
		return n
	}
	bytes := func() []byte {
		n := number()
		if n > uint64(len(data)) {
			bad, data = true, nil
			return nil
		}
		b := data[:n:n]
		data = data[n:]
		return b
	}
	for len(data) > 0 {
		who := owner{string(bytes()), number()}
		was := past{running: int(number()), coming: int64(number()), row: bytes()}
		if bad {
			return errRows
		}
		if row, ok := r.find(who); ok {
			r.learn(row, &was)
		} else {
			was.row = append([]byte(nil), was.row...) // the rest need not wait with it
			r.unclaimed[who] = was
		}
	}
	return nil
}

// owner is whose something is that came from another process.
type owner struct {
	job string
	key uint64
}

// past is what another process knew of a target.
type past struct {
	running int   // probes under way
	coming  int64 // the next turn, as schedule.Coming has it
	row     []byte
}

func (r *Runner) find(o owner) (row uint32, ok bool) {
	j := r.jobs[o.job]
	if j == nil {
		return 0, false
	}
	row, ok = j.rows[o.key]
	return row, ok
}

// learn takes what was known of a target that is new.
func (r *Runner) learn(row uint32, was *past) {
	if r.options.Table.TakeRow(row, was.row, r.clk.Now()) != nil {
		return // then it begins anew
	}
	if r.frozen {
		r.coming[row] = was.coming
	}
	for range min(was.running, schedule.MaxRunning) {
		r.schedule.Began(row)
		r.elsewhere[row]++
	}
}

// claim gives a new target what was known of it.
func (r *Runner) claim(row uint32, job string, key uint64) {
	who := owner{job, key}
	if was, ok := r.unclaimed[who]; ok {
		delete(r.unclaimed, who)
		if !r.frozen { // else Follow is still to come
			was.running = 0 // nobody waited for those
		}
		r.learn(row, &was)
		if !r.frozen {
			r.release(row)
		}
	}
}

// release tells of a connection that was kept elsewhere and came not along.
func (r *Runner) release(row uint32) {
	now := r.clk.Now()
	if v, ok := r.options.Table.View(row, now); ok && v.Kept().Up {
		r.options.Table.Dropped(row, r.clk.Wall(now), track.CauseReleased)
	}
}

// DropUnclaimed forgets what was known of targets that have not come. To be called in a visit.
func (r *Runner) DropUnclaimed() { clear(r.unclaimed) }

// Follow begins where another runner stopped, whose Freeze returned epoch (0: there was none), with the connections that it kept. Those of targets that are not here, are kept otherwise or
// not at all, are closed. It returns how many are ours now. To be called in a visit.
func (r *Runner) Follow(epoch int64, moved []Moved) (taken int) {
	now := r.clk.Now()
	r.frozen = false
	if epoch != 0 {
		r.schedule.Follow(epoch+now-clock.RealTime(), now, r.coming)
	}
	r.coming = nil
	defer func() { r.schedule.Resume(r.clk.Now()) }() // what follows takes a while, too
	var ours []Moved
	for i := range moved {
		if r.board(&moved[i]) {
			ours = append(ours, moved[i])
		} else {
			socket.System{}.Close(moved[i].FD, false)
		}
	}
	r.adopt(ours)
	for _, j := range r.jobs {
		if !j.Keep {
			continue
		}
		for _, row := range j.members {
			if r.watched.at(row).kept == noFlight {
				r.release(row)
				r.keep(now, row, j.Interval)
			}
		}
	}
	return len(ours)
}

// board makes a flight of a connection that was kept elsewhere. It reports false if nobody here wants it.
func (r *Runner) board(m *Moved) bool {
	row, ok := r.find(owner{m.Job, m.Key})
	if !ok {
		return false
	}
	w := r.watched.at(row)
	module := w.job.Module
	if !w.job.Keep || w.kept != noFlight || module.Fingerprint != m.Module || module.Kept == nil || w.target.Port != m.Addr.Port() ||
		w.target.Addr.IsValid() && w.target.Addr != m.Addr.Addr() {
		return false
	}
	zone, err := target.Zone(m.Addr.Addr())
	if err != nil {
		return false
	}
	id, f := r.flights.take()
	f.use, f.row, f.stage, f.stood, f.module, f.start, f.target = kept, row, inEngine, true, module, w.target, w.target
	f.probe, f.beat, f.peer, f.dns = module.Kept, module.Heartbeat, m.Addr, report.Absent
	f.target.Addr = m.Addr.Addr()
	manner := r.mannerOf(f)
	if f.profile, err = r.profiles.take(manner); err != nil || manner.heartbeat != m.Heartbeat {
		if err == nil {
			r.profiles.release(f.profile)
		}
		r.flights.release(id)
		return false
	}
	w.kept = id
	r.keeping++
	m.ID, m.Profile, m.Remote = r.flights.job(id), f.profile, socket.AddrFrom(m.Addr, zone)
	return true
}

// TakeLate records what came of turns that another runner had begun. To be called in a visit.
func (r *Runner) TakeLate(data []byte) error {
	var list []lateResult
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	now := r.clk.Now()
	for i := range list {
		l := &list[i]
		row, ok := r.find(owner{l.Job, l.Key})
		if !ok || l.Result.Status >= report.NumStatuses || l.Result.Side > report.SidePolicy {
			continue
		}
		if r.elsewhere[row] > 0 {
			r.elsewhere[row]--
			r.schedule.Done(row)
		}
		r.record(now, row, &l.Result)
	}
	return nil
}

// EndLate says that no such result comes any more. To be called in a visit.
func (r *Runner) EndLate() {
	for row, n := range r.elsewhere {
		for range n {
			r.schedule.Done(row)
		}
	}
	clear(r.elsewhere)
}
