package runner

import (
	"context"
	"math"

	"sonde/watch/track"
)

// A change of a hundred thousand targets takes 80 ms of CPU, and half a second where others want it too; made in one visit, no turn would be
// begun for so long. So it is made in steps of so many targets, each a visit of its own and less than 1 ms: one that is added costs more
// than one that is looked at.
const (
	addStep  = 256
	tendStep = 1024 // for each step the loops look through their connections if some are to be ended (engine.End)
)

// inSteps has step called by the owner, each time in another visit, until it is done.
func (r *Runner) inSteps(ctx context.Context, step func() (done bool)) error {
	for done := false; !done; {
		if err := r.Visit(ctx, func() { done = step() }); err != nil {
			return err
		}
	}
	return nil
}

// SetTargets says what the targets of a job are now. What is known of those that were there before stays, and so do their turns and
// kept connections; what is not there any more is forgotten. New ones come first and what is gone goes last, and turns go on in between;
// SetTargets returns when all is done. When ctx ends before, or another call for the job begins, no target is lost or there twice, some
// of the new ones are there, and perhaps some that are not in the list: the next list is whole again. An error is that of Visit.
func (r *Runner) SetTargets(ctx context.Context, job string, targets []Target) error {
	return r.inSteps(ctx, r.listing(job, targets))
}

// listing is the steps by which targets become those of a job.
func (r *Runner) listing(name string, targets []Target) (step func() (done bool)) {
	var j *job
	var number uint32
	var tend func() bool
	return func() bool {
		if j == nil {
			if j = r.jobs[name]; j == nil {
				return true
			}
			j.begun++
			number = j.begun
		}
		if j.ended || j.begun != number {
			return true
		}
		if tend != nil {
			return tend()
		}
		n := min(len(targets), addStep)
		r.list(j, targets[:n], number)
		if targets = targets[n:]; len(targets) == 0 {
			j.whole = number
			tend = r.tending(j)
		}
		return false
	}
}

// list has targets be among those of a job, by its list of that number.
func (r *Runner) list(j *job, targets []Target, number uint32) {
	now := r.clk.Now()
	var anew []uint32
	for i := range targets {
		t := &targets[i]
		row, known := j.rows[t.Key]
		if !known {
			row = r.options.Table.Add(t.About)
			*r.watched.grow(row) = watched{job: j, target: t.Entry, key: t.Key, kept: noFlight, asking: noFlight, place: uint32(len(j.members))}
			j.rows[t.Key], j.members = row, append(j.members, row)
			r.watch(now, row)
			r.claim(row, j.Name, t.Key)
		} else if r.change(row, t) {
			anew = append(anew, row)
		}
		r.watched.at(row).list = number
	}
	r.watchAnew(anew)
}

// change takes what is said of a target that is watched already. It reports whether the connection that is kept is to another now.
func (r *Runner) change(row uint32, t *Target) (anew bool) {
	w := r.watched.at(row)
	r.options.Table.Set(row, t.About)
	was := w.target
	was.Tag = t.Entry.Tag // no peer sees it
	w.target = t.Entry
	return w.job.Keep && was != t.Entry
}

// tending is the steps by which each target of a job comes to be watched as the job says now, or to be forgotten.
func (r *Runner) tending(j *job) (step func() (done bool)) {
	left := math.MaxInt // how many there are is the owner's to know
	return func() bool {
		// From the end, where what is let go is replaced by what was looked at.
		end := min(left, len(j.members))
		left = max(end-tendStep, 0)
		r.tend(j, j.members[left:end])
		if j.ended && len(j.members) == 0 {
			r.options.Table.RemoveJob(j.Name)
		}
		return left == 0
	}
}

func (r *Runner) tend(j *job, rows []uint32) {
	var gone, anew []uint32
	for _, row := range rows {
		switch w := r.watched.at(row); {
		case j.ended || w.list < j.whole:
			gone = append(gone, row)
		case w.plan != j.plan:
			anew = append(anew, row)
		}
	}
	r.forget(gone)
	r.watchAnew(anew)
}

// forget lets rows go. A probe that is under way is ended, and nobody hears of it.
func (r *Runner) forget(rows []uint32) {
	var under []uint32
	for _, row := range rows {
		w := r.watched.at(row)
		if w.kept != noFlight {
			under = append(under, w.kept)
		}
		for id := w.asking; id != noFlight; id = r.flights.at(id).next {
			under = append(under, id)
		}
	}
	r.orphan(under)
	for _, row := range rows {
		w := r.watched.at(row)
		j := w.job
		delete(j.rows, w.key)
		last := j.members[len(j.members)-1]
		j.members[w.place], j.members = last, j.members[:len(j.members)-1]
		r.watched.at(last).place = w.place
		*w = watched{}
		r.schedule.Remove(row)
		r.options.Table.Remove(row)
		delete(r.elsewhere, row)
		delete(r.coming, row)
	}
}

// orphan has flights be nobody's, and ends their connections.
func (r *Runner) orphan(flights []uint32) {
	var jobs []uint64
	for _, id := range flights {
		f := r.flights.at(id)
		if f.use == kept {
			r.watched.at(f.row).kept = noFlight
			if f.stood {
				r.options.Table.Dropped(f.row, r.clk.Wall(r.clk.Now()), track.CauseReleased)
			}
		}
		f.row = noRow
		switch f.stage {
		case waiting:
			r.waits.Cancel(id)
			r.flights.release(id)
		case inEngine:
			jobs = append(jobs, r.flights.job(id))
		}
	}
	r.engine.End(jobs) // those of them that it has; the others are not handed to it
}
