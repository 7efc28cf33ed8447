package runner

import (
	"maps"
	"slices"
	"time"

	"sonde/policy/retry"
	"sonde/target"
	"sonde/watch/modules"
	"sonde/watch/schedule"
	"sonde/watch/track"
)

// Job is how a list of targets is watched.
type Job struct {
	Name string
	// Module says how each is asked, and Fallback how if that fails; nil: no other way.
	Module, Fallback *modules.Module
	// Interval, Jitter and Overlap are as schedule.Plan has them. Of a kept connection, the first ones are spread over Interval.
	Interval, Jitter time.Duration
	Overlap          bool
	// Keep has one connection kept to each target, asked each Heartbeat by Module.Heartbeat, if there is one.
	Keep      bool
	Heartbeat time.Duration
	// Retries repeats probes that failed; of a kept connection, its delays are those before it is made again.
	Retries  retry.Settings
	Settings track.JobSettings
}

// Target is one of a job's.
type Target struct {
	// Key tells the targets of a job apart, and stays the same for as long as it is the same target.
	Key   uint64
	Entry target.Target
	About *track.Target
}

// job is a Job and its targets.
type job struct {
	Job
	rows map[uint64]uint32 // by key
}

// SetJob begins a job, or changes how its targets are watched from their next turn on: what is known of them stays. Connections that
// are kept stay too, unless the module or the heartbeat is another now. To be called in a visit.
func (r *Runner) SetJob(j Job) {
	r.options.Table.SetJob(j.Name, j.Settings)
	old := r.jobs[j.Name]
	if old == nil {
		r.jobs[j.Name] = &job{Job: j, rows: make(map[uint64]uint32)}
		return
	}
	was := old.Job
	old.Job = j
	same := was.Keep == j.Keep
	if j.Keep {
		same = same && was.Module.Fingerprint == j.Module.Fingerprint && was.Heartbeat == j.Heartbeat
	} else { // turns may be held since the breaker is open that there was
		same = same && was.Interval == j.Interval && was.Jitter == j.Jitter && was.Overlap == j.Overlap && was.Settings.Breaker == j.Settings.Breaker
	}
	if !same {
		r.watchAnew(slices.Collect(maps.Values(old.rows)))
	}
}

// RemoveJob ends a job, and forgets its targets. To be called in a visit.
func (r *Runner) RemoveJob(name string) {
	if j := r.jobs[name]; j != nil {
		r.SetTargets(name, nil)
		delete(r.jobs, name)
	}
}

// KeepJobs ends the jobs that keep says no to. To be called in a visit.
func (r *Runner) KeepJobs(keep func(name string) bool) {
	for name := range r.jobs {
		if !keep(name) {
			r.RemoveJob(name)
		}
	}
}

// SetTargets says what the targets of a job are now. What is known of those that were there before stays, and so do their turns and
// kept connections; what is not there any more is forgotten. To be called in a visit.
func (r *Runner) SetTargets(name string, targets []Target) {
	j := r.jobs[name]
	if j == nil {
		return
	}
	now := r.clk.Now()
	rows := make(map[uint64]uint32, len(targets))
	var anew []uint32
	for i := range targets {
		t := &targets[i]
		row, known := j.rows[t.Key]
		if known {
			delete(j.rows, t.Key)
			if r.change(row, t) {
				anew = append(anew, row)
			}
		} else {
			row = r.options.Table.Add(t.About)
			for int(row) >= len(r.watched) {
				r.watched = append(r.watched, watched{kept: noFlight})
			}
			r.watched[row] = watched{job: j, target: t.Entry, key: t.Key, kept: noFlight}
			r.watch(now, row, t.Key)
			r.claim(row, name, t.Key)
		}
		rows[t.Key] = row
	}
	gone := j.rows
	j.rows = rows
	r.forget(gone)
	r.watchAnew(anew)
}

// change takes what is said of a target that is watched already. It reports whether the connection that is kept is to another now.
func (r *Runner) change(row uint32, t *Target) (anew bool) {
	w := &r.watched[row]
	r.options.Table.Set(row, t.About)
	was := w.target
	was.Tag = t.Entry.Tag // no peer sees it
	w.target = t.Entry
	return w.job.Keep && was != t.Entry
}

// watch has the turns of a target come, or its connection kept.
func (r *Runner) watch(now int64, row uint32, key uint64) {
	j := r.watched[row].job
	switch {
	case r.stopped:
		return
	case r.options.Once:
		r.turn(now, schedule.Turn{ID: row, Due: now})
		return
	case j.Keep:
		if !r.frozen { // else Follow does
			r.keep(now, row, j.Interval)
		}
		return
	}
	r.schedule.Set(row, schedule.Plan{Key: key, Interval: j.Interval, Jitter: j.Jitter, Overlap: j.Overlap}, now)
}

// watchAnew has rows watched as their jobs and targets say now. A probe that is under way goes on; a connection that is kept ends.
func (r *Runner) watchAnew(rows []uint32) {
	var ended []uint32
	for _, row := range rows {
		w := &r.watched[row]
		if w.kept != noFlight {
			ended = append(ended, w.kept)
		}
		if w.job.Keep {
			r.schedule.Remove(row)
		}
	}
	r.orphan(ended)
	now := r.clk.Now()
	for _, row := range rows {
		r.watch(now, row, r.watched[row].key)
	}
}

// forget lets rows go. A probe that is under way is ended, and nobody hears of it.
func (r *Runner) forget(rows map[uint64]uint32) {
	if len(rows) == 0 {
		return
	}
	gone := make(map[uint32]bool, len(rows))
	for _, row := range rows {
		gone[row] = true
	}
	var under []uint32
	r.flights.each(func(id uint32, f *flight) {
		if f.row != noRow && gone[f.row] {
			under = append(under, id)
		}
	})
	r.orphan(under)
	for _, row := range rows {
		r.schedule.Remove(row)
		r.options.Table.Remove(row)
		r.watched[row] = watched{kept: noFlight}
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
			r.watched[f.row].kept = noFlight
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
	r.withdraw()
	r.engine.End(jobs) // those of them that it has
}
