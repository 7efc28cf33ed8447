package runner

import "sonde/target"

// watched is a target of a job, by its row in the table.
type watched struct {
	job    *job // nil: the row is free
	target target.Target
	key    uint64
	kept   uint32 // the flight of its connection, if its job keeps one
	asking uint32 // the last of its turns that are under way; flight.next is the one before
	place  uint32 // in job.members
	list   uint32 // the last list of the job that it was in
	plan   uint32 // that of the job by which it is watched
}

// allWatched has them by row, in pages: it grows without being moved.
type allWatched struct{ pages []*[pageSize]watched }

// at is that of a row for which there was grow.
func (a *allWatched) at(row uint32) *watched { return &a.pages[row>>pageBits][row&(pageSize-1)] }

// grow is at for any row.
func (a *allWatched) grow(row uint32) *watched {
	for int(row>>pageBits) >= len(a.pages) {
		a.pages = append(a.pages, new([pageSize]watched))
	}
	return a.at(row)
}

// len is how many rows there may be.
func (a *allWatched) len() uint32 { return uint32(len(a.pages)) << pageBits }

// asks notes that a flight is a turn of its target.
func (r *Runner) asks(id uint32, f *flight) {
	w := r.watched.at(f.row)
	f.next, w.asking = w.asking, id
}

// answered notes that it is over. There are schedule.MaxRunning of them at most.
func (r *Runner) answered(id uint32, f *flight) {
	at := &r.watched.at(f.row).asking
	for *at != id {
		at = &r.flights.at(*at).next
	}
	*at = f.next
}
