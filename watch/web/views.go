package web

import (
	"context"
	"slices"
	"time"

	"sonde/internal/clock"
	"sonde/watch/track"
)

// viewAge is how old a copy may be that is used again: any number of people cost one visit to the owner of the table a second. It is
// less than tickEvery, so that each tick finds what is new.
const viewAge = 900 * time.Millisecond

// views is the one copy that all who ask look at, one after the other: it is some dozen MB at a hundred thousand targets.
type views struct {
	backend Backend
	clock   clock.Clock
	turn    chan struct{} // held by who uses the rest

	shown shown
	taken int64 // the moment of shown; 0 before the first
}

// shown is a copy with what is needed to find things in it.
type shown struct {
	track.Copy
	clock  clock.Clock
	at     time.Time
	totals totals
	byName []int32 // indexes of Views, sorted by job and instance
	// of are the targets that byName was made for.
	of []*track.Target
}

func newViews(b Backend, c clock.Clock) *views {
	return &views{backend: b, clock: c, turn: make(chan struct{}, 1), shown: shown{clock: c}}
}

// look has f look at a copy that is at most viewAge old. f must not wait for anything, and keep nothing of it but targets.
func (v *views) look(ctx context.Context, f func(*shown)) error {
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if now := v.clock.Now(); v.taken == 0 || now-v.taken >= int64(viewAge) {
		v.taken = 0
		if err := v.backend.Copy(ctx, &v.shown.Copy); err != nil {
			return err
		}
		v.taken = now
		v.shown.at = v.clock.Wall(now)
		v.shown.index()
	}
	f(&v.shown)
	return nil
}

// index counts, and sorts if these are other targets than before.
func (s *shown) index() {
	s.totals = totals{}
	same := len(s.of) == len(s.Views)
	for i := range s.Views {
		s.totals.add(&s.Views[i])
		same = same && s.of[i] == s.Views[i].Target
	}
	if same {
		return
	}
	s.byName = byName(s.Views)
	s.of = s.of[:0]
	for i := range s.Views {
		s.of = append(s.of, s.Views[i].Target)
	}
}

// target returns the one of that id; nil if there is none. Copies are sorted by id.
func (s *shown) target(id uint32) *track.View {
	i, ok := slices.BinarySearchFunc(s.Views, id, func(v track.View, id uint32) int { return int(v.ID()) - int(id) })
	if !ok {
		return nil
	}
	return &s.Views[i]
}

// named returns the one of that name; nil if there is none.
func (s *shown) named(job, instance string) *track.View {
	i, ok := slices.BinarySearchFunc(s.byName, job, func(i int32, job string) int {
		return compareName(s.Views[i].Target, job, instance)
	})
	if !ok {
		return nil
	}
	return &s.Views[s.byName[i]]
}
