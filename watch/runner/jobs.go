package runner

import (
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
	now := r.clk.Now()
	for key, row := range old.rows {
		same := was.Keep == j.Keep && (!j.Keep || was.Module.Fingerprint == j.Module.Fingerprint && was.Heartbeat == j.Heartbeat)
		if same && (j.Keep || was.Interval == j.Interval && was.Jitter == j.Jitter && was.Overlap == j.Overlap) {
			continue
		}
		r.unwatch(row)
		r.watch(now, row, key)
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
	for i := range targets {
		t := &targets[i]
		row, known := j.rows[t.Key]
		if known {
			delete(j.rows, t.Key)
			r.change(now, row, t)
		} else {
			row = r.options.Table.Add(t.About)
			for int(row) >= len(r.watched) {
				r.watched = append(r.watched, watched{kept: noFlight})
			}
			r.watched[row] = watched{job: j, target: t.Entry, key: t.Key, kept: noFlight}
			r.watch(now, row, t.Key)
		}
		rows[t.Key] = row
	}
	gone := j.rows
	j.rows = rows
	r.forget(gone)
}

// change takes what is said of a target that is watched already.
func (r *Runner) change(now int64, row uint32, t *Target) {
	w := &r.watched[row]
	r.options.Table.Set(row, t.About)
	if w.target == t.Entry {
		return
	}
	w.target = t.Entry
	if w.job.Keep {
		r.unwatch(row)
		r.watch(now, row, t.Key)
	}
}

// watch has the turns of a target come, or its connection kept.
func (r *Runner) watch(now int64, row uint32, key uint64) {
	j := r.watched[row].job
	switch {
	case r.options.Once:
		r.turn(now, schedule.Turn{ID: row, Due: now})
		return
	case j.Keep:
		r.keep(now, row, j.Interval)
		return
	}
	r.schedule.Set(row, schedule.Plan{Key: key, Interval: j.Interval, Jitter: j.Jitter, Overlap: j.Overlap}, now)
}

// unwatch ends what watch began.
func (r *Runner) unwatch(row uint32) {
	w := &r.watched[row]
	if w.kept != noFlight {
		r.orphan(map[uint32]bool{row: true})
		return
	}
	r.schedule.Remove(row)
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
	r.orphan(gone)
	for _, row := range rows {
		r.schedule.Remove(row)
		r.options.Table.Remove(row)
		r.watched[row] = watched{kept: noFlight}
	}
}

// orphan has the flights of rows be nobody's, and ends their connections.
func (r *Runner) orphan(rows map[uint32]bool) {
	var ended []uint64
	r.flights.each(func(id uint32, f *flight) {
		if f.row == noRow || !rows[f.row] {
			return
		}
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
			ended = append(ended, uint64(id))
		}
	})
	if len(ended) > 0 {
		r.engine.End(ended)
	}
}
