package scan

import (
	"iter"
	"net/netip"
	"time"

	"sonde/internal/timewheel"
	"sonde/policy/pace"
)

// lobby holds targets that are not to be dialled yet: until a moment, or until the bucket of their host or subnet has a turn, in line
// with the others that want one. The entries of the in-flight table bound it, and one target is in it once at most. It has no clock;
// it belongs to the dialer.
type lobby struct {
	addr    func(id uint32) netip.Addr
	size    uint32 // of the in-flight table
	limits  []limit
	all     []queue
	unused  []uint32         // of all
	wheel   *timewheel.Wheel // a target until its moment; size + n is queue n, until its bucket has a turn
	ready   []uint32         // as in the wheel, in order: those whose moment has come
	expired []uint32         // used again
}

// limit is a rate that each bucket is held to.
type limit struct {
	*pace.Limiter
	queues map[pace.Bucket]uint32 // of the buckets for which somebody waits
}

// queue is the targets that wait for a bucket, in order.
type queue struct {
	limit int // whose bucket
	key   pace.Bucket
	due   int64 // when the bucket has its next turn
	ids   []uint32
}

// grace is by how much a turn that is taken late counts as taken on time, so that a rate is held though we wake up late: so much
// closer two dials of a bucket may be than its rate has them.
const grace = int64(10 * time.Millisecond)

func newLobby(size int, now int64, addr func(id uint32) netip.Addr, settings ...pace.Settings) *lobby {
	l := &lobby{addr: addr, size: uint32(size), wheel: timewheel.New(now)}
	for _, s := range settings {
		l.limits = append(l.limits, limit{pace.New(s), make(map[pace.Bucket]uint32)})
	}
	return l
}

// add has a target dialled as soon as its buckets have turns.
func (l *lobby) add(id uint32) { l.ready = append(l.ready, id) }

// hold is add at a later moment.
func (l *lobby) hold(id uint32, until int64) { l.wheel.Set(id, until) }

// next returns a target that is to be dialled now, having taken its turns; false if there is none.
func (l *lobby) next(now int64) (id uint32, ok bool) {
	l.expired = l.wheel.Advance(now, l.expired[:0])
	l.ready = append(l.ready, l.expired...)
	for len(l.ready) > 0 {
		first := l.ready[0]
		l.ready = l.ready[1:]
		if first >= l.size {
			id, ok = l.serve(first-l.size, now)
		} else {
			id, ok = first, l.enter(first, now)
		}
		if ok {
			return id, true
		}
	}
	return 0, false
}

// wakeAt is when next has something to do that it had not; false: nothing that it waits for.
func (l *lobby) wakeAt() (at int64, ok bool) {
	if len(l.ready) > 0 {
		return 0, true
	}
	return l.wheel.Next()
}

// waiting are the targets that are here.
func (l *lobby) waiting() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for id := range l.size {
			if _, held := l.wheel.At(id); held && !yield(id) {
				return
			}
		}
		for _, id := range l.ready {
			if id < l.size && !yield(id) {
				return
			}
		}
		for _, line := range l.all {
			for _, id := range line.ids {
				if !yield(id) {
					return
				}
			}
		}
	}
}

// enter takes the turns of a target, or puts it behind those that wait for one of them: false.
func (l *lobby) enter(id uint32, now int64) bool {
	addr := l.addr(id)
	for _, limit := range l.limits {
		if n, others := limit.queues[limit.Key(addr)]; others {
			l.all[n].ids = append(l.all[n].ids, id)
			return false
		}
	}
	refused, wait, ok := l.take(addr, now)
	if !ok {
		l.stand(id, refused, now+int64(wait))
	}
	return ok
}

// serve gives the turn that a line's bucket has now to the first target that has a turn of its other bucket, too. Those before it go
// and stand there. A line of which one was served is ready again: there may be another turn.
func (l *lobby) serve(n uint32, now int64) (id uint32, ok bool) {
	for len(l.all[n].ids) > 0 {
		line := &l.all[n]
		id, at := line.ids[0], max(line.due, now-grace)
		refused, wait, ok := l.take(l.addr(id), at)
		if !ok && refused == line.limit {
			line.due = at + int64(wait)
			if line.due <= now {
				continue // it came while we were late
			}
			l.wheel.Set(l.size+n, line.due)
			return 0, false
		}
		line.ids = line.ids[1:]
		if ok {
			l.ready = append(l.ready, l.size+n)
			return id, true
		}
		l.stand(id, refused, at+int64(wait))
	}
	limit := &l.limits[l.all[n].limit]
	delete(limit.queues, l.all[n].key)
	l.all[n] = queue{}
	l.unused = append(l.unused, n)
	return 0, false
}

// take takes a turn of each of addr's buckets, or none: then it says which limit had none, and for how long.
func (l *lobby) take(addr netip.Addr, at int64) (refused int, wait time.Duration, ok bool) {
	for i, limit := range l.limits {
		if wait, ok := limit.Take(addr, at); !ok {
			for _, taken := range l.limits[:i] {
				taken.Give(addr)
			}
			return i, wait, false
		}
	}
	return 0, 0, true
}

// stand puts a target at the end of the line for its bucket of a limit, which has its next turn at the moment due.
func (l *lobby) stand(id uint32, of int, due int64) {
	limit := &l.limits[of]
	key := limit.Key(l.addr(id))
	n, others := limit.queues[key]
	if !others {
		if last := len(l.unused) - 1; last >= 0 {
			n, l.unused = l.unused[last], l.unused[:last]
		} else {
			n, l.all = uint32(len(l.all)), append(l.all, queue{})
		}
		l.all[n] = queue{limit: of, key: key, due: due}
		limit.queues[key] = n
		l.wheel.Set(l.size+n, due)
	}
	l.all[n].ids = append(l.all[n].ids, id)
}
