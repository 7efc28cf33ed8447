package engine

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"sonde/internal/kernel/poller"
)

// planMoves has kept connections exported now and then, and adopted again some time later, or closed if we are stopped meanwhile. It
// returns when the last of them is adopted.
func (w *world) planMoves(rng *rand.Rand) (end int64) {
	at := int64(0)
	for range 1 + rng.IntN(5) {
		at += rng.Int64N(int64(4 * time.Second))
		var kept []poller.Token // those that are kept now
		w.kernel.At(at, func() {
			var ids []uint64
			for id := range w.jobs {
				if rng.IntN(3) > 0 {
					ids = append(ids, uint64(id))
				}
			}
			kept = w.keptOf(ids)
			w.leaving = w.engine.export(ids)
		})
		askedAt := at
		at += 1 + rng.Int64N(int64(2*time.Second))
		w.kernel.At(at, func() {
			w.checkLeft(kept)
			w.adopt(askedAt)
		})
	}
	return at
}

// keptOf are the connections with these ids that can be exported.
func (w *world) keptOf(ids []uint64) (tokens []poller.Token) {
	for i := range w.loop.table.rows {
		slot := uint32(i)
		r := &w.loop.table.rows[slot]
		if (r.state == Idle || w.loop.isHeard(w.loop.table.token(slot)) && w.loop.flight(slot).isHeartbeat()) && slices.Contains(ids, r.id) && w.loop.table.session(slot) == nil {
			tokens = append(tokens, w.loop.table.token(slot))
		}
	}
	return tokens
}

// checkLeft wants none of them to be IDLE still, unless the loop has had no time to look.
func (w *world) checkLeft(tokens []poller.Token) {
	for _, token := range tokens {
		if w.loop.is(token, Idle) && !w.loop.orders.some.Load() {
			w.problem("job %d is still IDLE, and was to be exported", w.loop.table.rows[token.Slot()].id)
		}
	}
}

// adopt gives what was exported back to the engine, in parts.
func (w *world) adopt(askedAt int64) {
	list := w.leaving.take()
	w.leaving = nil
	for part := range slices.Chunk(list, 2) {
		n, err := w.engine.Adopt(part)
		w.adopted += n
		if (n != len(part) || err != nil) && (w.stoppedAt == 0 || !errors.Is(err, ErrStopped)) {
			w.problem("adopt: took %d of %d: %v", n, len(part), err)
		}
		for i := range part {
			job := &w.jobs[part[i].ID]
			if job.away += w.kernel.Now() - askedAt + int64(w.options.Faults.LateMax); job.parked == 0 && job.ended > 0 {
				w.problem("job %d was exported after its end", part[i].ID)
			}
			switch {
			case i >= n:
				job.lost = true
				w.kernel.Sockets().Close(part[i].FD, false)
			case job.endedAt != 0: // while the engine did not have it
				job.endedAt = w.kernel.Now()
				w.engine.End([]uint64{part[i].ID})
			}
		}
	}
}
