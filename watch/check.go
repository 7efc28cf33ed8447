package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"sonde/internal/clock"
	"sonde/watch/config"
	"sonde/watch/modules"
)

// Checked is what a configuration means.
type Checked struct {
	Config  *config.Config
	Modules []*modules.Module // in the file's order
	// Targets are how many each job has by the lists on this machine; those of http_sd are not asked for.
	Targets map[string]int
	// Refused is how many entries of those lists can't be probed.
	Refused int
	// Faults are such entries, at most some twenty of a job, lists that can't be read, and a spool of events without a folder: for a
	// person. Without that folder a watch does not begin.
	Faults []string
}

// Check reads a configuration, and the files that it names, and says what it means. Errors are those of New.
func Check(ctx context.Context, file string) (*Checked, error) {
	w := &Watch{options: Options{File: file}, clk: clock.NewSystem()}
	l, err := w.read(nil)
	if err != nil {
		return nil, err
	}
	c := &Checked{Config: l.config, Targets: make(map[string]int)}
	for i := range l.config.Modules {
		c.Modules = append(c.Modules, l.modules[l.config.Modules[i].Name])
	}
	return c, w.checkTargets(ctx, l, c)
}

// checkTargets reads each list of targets on this machine once.
func (w *Watch) checkTargets(ctx context.Context, l *loaded, c *Checked) error {
	f, err := newFinders(w, l)
	if err == nil {
		f, err = newFinders(w, l.withoutHTTP())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.options.File, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go f.discovery.Run(ctx)
	for len(c.Targets) < len(l.config.Jobs) {
		u, ok := <-f.discovery.Updates()
		if !ok {
			return context.Cause(ctx)
		}
		c.Targets[u.Job] = len(u.Targets)
		for _, fault := range u.Faults {
			c.Faults = append(c.Faults, fmt.Sprintf("job %q: %s", u.Job, fault))
		}
	}
	if e := l.config.Events; e != nil && e.Spool != "" {
		if _, err := os.Stat(filepath.Dir(e.Spool)); err != nil {
			c.Faults = append(c.Faults, fmt.Sprintf("events.spool: its folder: %v", err))
		}
	}
	for _, s := range f.discovery.Status() {
		c.Refused += s.Refused
		if s.Error != "" {
			c.Faults = append(c.Faults, fmt.Sprintf("job %q: %s %s: %s", s.Job, s.Kind, s.Name, s.Error))
		}
	}
	return nil
}

// withoutHTTP is l without the lists of other machines.
func (l *loaded) withoutHTTP() *loaded {
	here, c := *l, *l.config
	c.Jobs = make([]config.Job, len(l.config.Jobs))
	for i := range c.Jobs {
		c.Jobs[i] = l.config.Jobs[i]
		c.Jobs[i].HTTPSD = nil
	}
	here.config = &c
	return &here
}
