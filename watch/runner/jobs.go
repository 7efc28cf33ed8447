package runner

import (
	"context"
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

// job is a Job and its targets. What a change of either asks for comes to them in steps (tend).
type job struct {
	Job
	rows    map[uint64]uint32 // by key
	members []uint32          // the same rows
	ended   bool              // it is no job any more
	plan    uint32            // is another when they are to be watched anew
	begun   uint32            // lists of targets that were begun to be set; the last of them is at work, if any is
	whole   uint32            // the last of those that is all there: who is not in it is gone
}

// SetJobs says what the jobs are now, and the limits, from one moment on. How their targets are watched changes with it: what is known of
// them stays, and so do turns that are under way; connections that are kept stay too, unless the module or the heartbeat is another now.
// Jobs that are not there any more end, and their targets are forgotten. All of that comes to the targets in steps, and turns go on in
// between; SetJobs returns when it has come to all of them. There is one call of it at a time. An error is that of Visit.
func (r *Runner) SetJobs(ctx context.Context, jobs []Job, l Limits) error {
	var changed []*job
	err := r.Visit(ctx, func() {
		changed = r.setJobs(jobs)
		r.SetLimits(l)
	})
	if err != nil {
		return err
	}
	for _, j := range changed {
		if err := r.inSteps(ctx, r.tending(j)); err != nil {
			return err
		}
	}
	return nil
}

// setJobs returns the jobs whose targets are to be tended.
func (r *Runner) setJobs(jobs []Job) (changed []*job) {
	stay := make(map[string]bool)
	for i := range jobs {
		stay[jobs[i].Name] = true
		if j := r.jobs[jobs[i].Name]; j == nil {
			r.addJob(jobs[i])
		} else if r.changeJob(j, jobs[i]) {
			changed = append(changed, j)
		}
	}
	for name, j := range r.jobs {
		if !stay[name] {
			delete(r.jobs, name)
			j.ended = true
			changed = append(changed, j)
		}
	}
	return changed
}

func (r *Runner) addJob(as Job) {
	r.options.Table.SetJob(as.Name, as.Settings)
	r.jobs[as.Name] = &job{Job: as, rows: make(map[uint64]uint32)}
}

// changeJob reports whether the job's targets are to be watched anew.
func (r *Runner) changeJob(j *job, as Job) bool {
	r.options.Table.SetJob(as.Name, as.Settings)
	was := j.Job
	j.Job = as
	same := was.Keep == as.Keep
	if as.Keep {
		same = same && was.Module.Fingerprint == as.Module.Fingerprint && was.Heartbeat == as.Heartbeat
	} else { // turns may be held since the breaker is open that there was
		same = same && was.Interval == as.Interval && was.Jitter == as.Jitter && was.Overlap == as.Overlap && was.Settings.Breaker == as.Settings.Breaker
	}
	if !same {
		j.plan++
	}
	return !same
}

// watch has the turns of a target come, or its connection kept.
func (r *Runner) watch(now int64, row uint32) {
	w := r.watched.at(row)
	j := w.job
	w.plan = j.plan
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
	r.schedule.Set(row, schedule.Plan{Key: w.key, Interval: j.Interval, Jitter: j.Jitter, Overlap: j.Overlap}, now)
}

// watchAnew has rows watched as their jobs and targets say now. A probe that is under way goes on; a connection that is kept ends.
func (r *Runner) watchAnew(rows []uint32) {
	var ended []uint32
	for _, row := range rows {
		w := r.watched.at(row)
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
		r.watch(now, row)
	}
}
