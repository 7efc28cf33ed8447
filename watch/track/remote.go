package track

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Remote takes in what another process knows of its targets, so that the copies of several become one. It belongs to one goroutine at a
// time. The zero value knows nothing yet.
type Remote struct {
	edition uint64
	ids     []uint32
	targets []*Target // one for each of ids
	jobs    []Job     // as they were told last
	past    []Job     // what processes counted that are no more
}

// Edition is that of the last copy, for the process to leave its targets out of the next one (see [Copy.AppendBinary]); 0 for none.
func (r *Remote) Edition() uint64 { return r.edition }

// Lost says that the process is no more, and with it what it knew. What it counted of jobs stays: the sum of a counter over several
// processes must not fall when one of them begins anew.
func (r *Remote) Lost() {
	r.past = addJobs(r.past, r.jobs, nil)
	for i := range r.past {
		r.past[i].Targets = 0
	}
	r.edition, r.ids, r.targets, r.jobs = 0, nil, nil, nil
}

// Append appends the targets of a copy to into, and adds up what is said of jobs. Ids are those of the process and first together. A
// target that is as it was has the pointer that it had. now is the moment by this process' monotonic clock. An error is of data, and
// then nothing of it is in into.
func (r *Remote) Append(into *Copy, data []byte, first uint32, now int64) error {
	c := &coder{data: data, reading: true, now: now, names: make(map[string]string)}
	var edition uint64
	var whole bool
	var n int
	number(c, &edition)
	c.flag(&whole)
	var jobs []Job
	if err := json.Unmarshal(c.take(), &jobs); err != nil {
		return fmt.Errorf("%w: jobs: %w", errWire, err)
	}
	number(c, &n)
	if n < 0 || n > len(c.data) || !whole && (edition != r.edition || n != len(r.ids)) {
		return errWire
	}
	ids, targets, before := r.ids, r.targets, len(into.Views)
	if whole {
		ids, targets = make([]uint32, 0, n), make([]*Target, 0, n)
	}
	into.Views = slices.Grow(into.Views, n)
	for i := range n {
		into.Views = append(into.Views, View{})
		v := &into.Views[before+i]
		number(c, &v.id)
		if whole {
			t := &Target{}
			c.target(t)
			ids, targets = append(ids, v.id), append(targets, r.same(v.id, t))
		}
		c.view(v)
		if c.malformed || ids[i] != v.id || i > 0 && ids[i-1] >= v.id || v.id > math.MaxUint32-first || int64(v.job) >= int64(len(jobs)) {
			into.Views = into.Views[:before]
			return errWire
		}
		v.Target, v.id = targets[i], first+v.id
	}
	if c.malformed || len(c.data) > 0 {
		into.Views = into.Views[:before]
		return errWire
	}
	r.edition, r.ids, r.targets, r.jobs = edition, ids, targets, jobs
	index := make([]uint32, len(jobs))
	into.Jobs = addJobs(into.Jobs, jobs, index)
	for i := before; i < len(into.Views); i++ {
		into.Views[i].job = index[into.Views[i].job]
	}
	return nil
}

// AppendPast adds what was counted of jobs by processes that are no more, and forgets the jobs that is says are none. It belongs behind all
// calls of Append, whose order and settings of jobs hold.
func (r *Remote) AppendPast(into *Copy, is func(job string) bool) {
	r.past = slices.DeleteFunc(r.past, func(j Job) bool { return !is(j.Name) })
	into.Jobs = addJobs(into.Jobs, r.past, nil)
}

// same is the target of that id as it was, if t says nothing else of it, and else t.
func (r *Remote) same(id uint32, t *Target) *Target {
	if i, ok := slices.BinarySearch(r.ids, id); ok && r.targets[i].Equal(t) {
		return r.targets[i]
	}
	return t
}

// Equal reports whether both say the same.
func (t *Target) Equal(other *Target) bool {
	return t.Job == other.Job && t.Module == other.Module && t.Instance == other.Instance && t.Keep == other.Keep &&
		t.Interval == other.Interval && slices.Equal(t.Labels, other.Labels)
}

// addJobs adds jobs to those of the same names in all, and notes where each of them is, if index is not nil.
func addJobs(all, jobs []Job, index []uint32) []Job {
	for i := range jobs {
		j := &jobs[i]
		at := slices.IndexFunc(all, func(k Job) bool { return k.Name == j.Name })
		if at < 0 {
			at = len(all)
			all = append(all, Job{Name: j.Name, Settings: j.Settings})
		}
		all[at].add(j)
		if index != nil {
			index[i] = uint32(at)
		}
	}
	return all
}

// add adds what other counted.
func (j *Job) add(other *Job) {
	j.Targets += other.Targets
	for i, n := range other.Probes {
		j.Probes[i] += n
	}
	for i, n := range other.Skipped {
		j.Skipped[i] += n
	}
	for i, n := range other.Drops {
		j.Drops[i] += n
	}
	for i := range other.Phases {
		j.Phases[i].Merge(&other.Phases[i])
	}
}
