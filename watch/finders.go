package watch

import (
	"context"

	"sonde/watch/config"
	"sonde/watch/discovery"
	"sonde/watch/runner"
	"sonde/watch/track"
)

// finders find the targets of a configuration's jobs.
type finders struct {
	watch     *Watch
	loaded    *loaded
	discovery *discovery.Discovery
	jobs      map[string]*config.Job
	cancel    context.CancelFunc
	over      chan struct{} // closed when what begin began has ended
	known     chan struct{} // closed when the targets of each job are known
}

func newFinders(w *Watch, l *loaded) (*finders, error) {
	f := &finders{watch: w, loaded: l, jobs: make(map[string]*config.Job), known: make(chan struct{})}
	var jobs []discovery.Job
	for i := range l.config.Jobs {
		j := &l.config.Jobs[i]
		f.jobs[j.Name] = j
		d := discovery.Job{
			Name: j.Name, Read: l.modules[j.Module].Target, Inline: j.Targets, Files: j.Files, FileSD: j.FileSD,
		}
		for _, label := range j.Labels {
			d.Labels = append(d.Labels, track.Label(label))
		}
		for _, h := range j.HTTPSD {
			d.HTTPSD = append(d.HTTPSD, discovery.HTTPSD{URL: string(h.URL), Refresh: h.RefreshInterval, Timeout: h.Timeout})
		}
		jobs = append(jobs, d)
	}
	o := discovery.Options{Log: w.options.share.logOf(w.log), Clock: w.clk}
	if w.finders != nil {
		o.Before = w.finders.discovery
	}
	if len(jobs) == 0 {
		close(f.known)
	}
	var err error
	f.discovery, err = discovery.New(jobs, o)
	return f, err
}

// begin looks for targets until end, and hands them to the runner.
func (f *finders) begin(ctx context.Context) {
	ctx, f.cancel = context.WithCancel(ctx)
	f.over = make(chan struct{})
	go f.discovery.Run(ctx)
	go func() {
		defer close(f.over)
		told := make(map[string]bool)
		for u := range f.discovery.Updates() { // until Run has ended
			f.set(ctx, &u)
			if !told[u.Job] {
				if told[u.Job] = true; len(told) == len(f.jobs) {
					close(f.known)
				}
			}
		}
	}()
}

// set has the runner watch a job's targets.
func (f *finders) set(ctx context.Context, u *discovery.Update) {
	j := f.jobs[u.Job]
	targets := make([]runner.Target, 0, len(u.Targets))
	for i := range u.Targets {
		t := &u.Targets[i]
		if !f.watch.options.share.has(t.Key) {
			continue
		}
		entry := t.Entry
		if entry.Tag == "" {
			entry.Tag = j.Tag
		}
		targets = append(targets, runner.Target{
			Key: t.Key, Entry: entry,
			About: &track.Target{
				Job: j.Name, Module: j.Module, Instance: t.Text, Labels: t.Labels, Keep: j.Mode == config.Keep, Interval: j.Interval,
			},
		})
	}
	w := f.watch
	w.gate.Lock()
	defer w.gate.Unlock()
	w.lists.Lock()
	err := w.runner.SetTargets(ctx, u.Job, targets)
	w.lists.Unlock()
	if err == nil && w.once != nil {
		_ = w.runner.Visit(ctx, func() { w.once.listed(w.table) })
	} // else we stop, or other finders begin
}

// end ends what begin began; nothing of a nil one.
func (f *finders) end() {
	if f != nil && f.cancel != nil {
		f.cancel()
		<-f.over
	}
}
