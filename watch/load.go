package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"time"

	"sonde/internal/clock"
	"sonde/internal/kernel/limits"
	"sonde/policy/pace"
	"sonde/watch/config"
	"sonde/watch/modules"
	"sonde/watch/runner"
	"sonde/watch/track"
	"sonde/watch/web"
)

// loaded is a configuration that is ready to run. It is not changed any more.
type loaded struct {
	config  *config.Config
	modules map[string]*modules.Module
	export  *export // nil: no collector is told
	at      time.Time
	hash    string // of what it says, for metrics
	text    []byte // of the file; nil: no worker is to read it
}

// Descriptors that are no connections of ours: standard streams, listeners, files that are watched, lookups, lists and collectors that
// are asked; and for each loop an epoll, two eventfds and a timerfd.
const (
	fdReserve = 256
	fdPerLoop = 4
)

// visitors is how many of so many descriptors the web server's connections may have.
func visitors(files int64) int { return min(web.MaxConnections, max(int(files/8), 1)) }

// budget is how many connections there may be, beside those of a web server if this process has one.
func budget(c *config.Config, serves bool) (connections, descriptors, visits int, err error) {
	machine, err := limits.Read()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("read this machine's limits: %w", err)
	}
	if serves {
		visits = visitors(machine.Files.Soft)
	}
	descriptors = machine.FDBudget(fdReserve + visits + fdPerLoop*cmp.Or(c.Loops, runtime.GOMAXPROCS(0)))
	if descriptors < 1 {
		return 0, 0, 0, fmt.Errorf("the limit of %d open files leaves none for connections (raise it: ulimit -n 4096)", machine.Files.Soft)
	}
	connections = c.Connections
	if connections == 0 {
		connections = descriptors
	}
	return connections, descriptors, visits, nil
}

// read reads the file and makes it ready. Modules that ask as they did in old are those of old.
func (w *Watch) read(old *loaded) (*loaded, error) {
	text, err := config.ReadFile(w.options.File)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.tried = sha256.Sum256(text)
	w.mu.Unlock()
	l, err := w.readText(text, old)
	if err == nil && w.fleet != nil {
		l.text = text
	}
	return l, err
}

// first reads the first configuration.
func (w *Watch) first() (*loaded, error) {
	if w.options.share != nil {
		return w.readText(w.options.text, nil)
	}
	return w.read(nil)
}

// readText is read of a file that holds text.
func (w *Watch) readText(text []byte, old *loaded) (*loaded, error) {
	c, err := config.Read(w.options.File, text)
	if err != nil {
		return nil, err
	}
	l := &loaded{config: c, modules: make(map[string]*modules.Module), at: w.clk.Wall(w.clk.Now())}
	// Certificates are held against the date as it is: this process may be older than the last step of the clock.
	now := func() time.Time { return time.Unix(0, clock.RealTime()).UTC() }
	for i := range c.Modules {
		m, err := modules.Compile(&c.Modules[i], now)
		if err != nil {
			return nil, err
		}
		if old != nil && old.modules[m.Name] != nil && old.modules[m.Name].Fingerprint == m.Fingerprint {
			m = old.modules[m.Name]
		}
		l.modules[m.Name] = m
	}
	for i := range c.Jobs {
		if err := modules.CheckJob(&c.Jobs[i], l.modules); err != nil {
			return nil, err
		}
	}
	if l.export, err = w.newExport(c.OTLP); err != nil {
		return nil, fmt.Errorf("%s: %w", w.options.File, err)
	}
	l.hash = fmt.Sprintf("%016x", c.Fingerprint)
	return l, nil
}

// errNotRunning is what a reload gets before the first configuration runs, and behind the end.
var errNotRunning = errors.New("there is no configuration that runs")

// Reload reads the configuration again and puts it to work. An error says what is wrong with it; then the old one runs on. Whoever asks
// may go away meanwhile: half a configuration never runs.
func (w *Watch) Reload(context.Context) error {
	w.loading.Lock()
	defer w.loading.Unlock()
	w.mu.Lock()
	old, given, runs := w.current, w.given, w.loads.taken > 0 && !w.ending
	w.mu.Unlock()
	switch {
	case given:
		return errGiven
	case !runs:
		return errNotRunning
	}
	next, err := w.read(old)
	if err == nil {
		err = w.applyLocked(w.life, next)
	}
	if w.life.Err() != nil {
		return err // nobody needs to hear of it
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.loads.refused++
		w.config.Error, w.config.Failed = err.Error(), w.clk.Wall(w.clk.Now())
		w.log.Error("configuration refused, the old one runs on", "file", w.options.File, "error", err)
		return err
	}
	return nil
}

// apply puts the first configuration to work.
func (w *Watch) apply(l *loaded) error {
	w.loading.Lock()
	defer w.loading.Unlock()
	return w.applyLocked(w.life, l)
}

// applyLocked puts l to work, here or in the workers.
func (w *Watch) applyLocked(ctx context.Context, l *loaded) error {
	work := w.work
	if w.fleet != nil {
		work = w.workElsewhere
	}
	if err := work(ctx, l); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current, w.finding = l, w.finders
	w.loads.taken++
	w.config.File, w.config.Loaded, w.config.Error = w.options.File, l.at, ""
	w.config.Warnings = nil
	for _, warning := range l.config.Warnings {
		w.config.Warnings = append(w.config.Warnings, warning.String())
	}
	if w.options.share == nil { // else the parent tells it
		w.tellTaken(l.config)
	}
	return nil
}

// tellTaken tells the log of a configuration that runs from now on.
func (w *Watch) tellTaken(c *config.Config) {
	for _, warning := range c.Warnings {
		w.log.Warn(warning.String(), "file", c.Name)
	}
	if !w.options.Once {
		w.log.Info("configuration taken", "file", c.Name, "modules", len(c.Modules), "jobs", len(c.Jobs))
	}
}

// work has the runner work by l, at once, and discovery look for its targets.
func (w *Watch) work(_ context.Context, l *loaded) error {
	ctx := w.life // what has begun is not left half way, whoever asked for it goes away
	finders, err := newFinders(w, l)
	if err != nil {
		return err
	}
	if w.once == nil && !w.held {
		if err := w.deliverTo(l.config.Events); err != nil {
			return err
		}
	}
	w.exportBy(l.export)
	w.finders.end() // in the middle of a list, perhaps: the next ones have it whole
	w.finders = finders
	jobs := make([]runner.Job, len(l.config.Jobs))
	for i := range jobs {
		jobs[i] = jobOf(&l.config.Jobs[i], l)
	}
	w.lists.Lock()
	err = w.runner.SetJobs(ctx, jobs, limitsOf(l.config, w.onLoopback(), w.options.share))
	w.lists.Unlock()
	if err != nil {
		return err
	}
	finders.begin(w.life)
	return nil
}

// jobOf is what the runner hears of a job.
func jobOf(j *config.Job, l *loaded) runner.Job {
	m := l.modules[j.Module]
	return runner.Job{
		Name: j.Name, Module: m, Fallback: l.modules[m.Fallback], Interval: j.Interval, Jitter: j.Jitter, Overlap: j.Overlap,
		Keep: j.Mode == config.Keep, Heartbeat: j.Heartbeat, Retries: j.Retry(),
		Settings: track.JobSettings{Flap: j.FlapSettings(), Breaker: j.BreakerSettings()},
	}
}

// limitsOf are those that hold whatever the jobs.
func limitsOf(c *config.Config, onLoopback bool, s *share) runner.Limits {
	return runner.Limits{
		HostRate: s.rate(pace.Settings{PerSecond: c.HostRate}), SubnetRate: s.rate(c.SubnetRate), Allow: setOf(c.Allowed(onLoopback)),
	}
}
