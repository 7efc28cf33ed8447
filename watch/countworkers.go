package watch

import (
	"context"
	"log/slog"
	"time"

	"sonde/internal/clock"
	"sonde/internal/workers"
	"sonde/watch/config"
)

// listPatience is how long the lists of kept targets may take when the workers are counted.
const listPatience = 10 * time.Second

// CountWorkers says how many workers a Watch by this file is to have; 0: it needs none. want is that number if it is above 0,
// [config.Auto], or 0 for what the file says. Errors are those of New.
func CountWorkers(ctx context.Context, file string, want config.Workers) (int, error) {
	if want > 0 {
		return int(want), nil
	}
	w := &Watch{options: Options{File: file}, clk: clock.NewSystem(), log: slog.New(slog.DiscardHandler)}
	l, err := w.read(nil)
	if err != nil {
		return 0, err
	}
	if want == 0 {
		want = l.config.Workers
	}
	if want != config.Auto {
		return int(want), nil
	}
	_, descriptors, _, err := budget(l.config, false)
	if err != nil {
		return 0, err
	}
	kept, err := w.countKept(ctx, l)
	if err != nil {
		return 0, err
	}
	return autoWorkers(kept, descriptors), nil
}

// autoWorkers is how many processes keep so many connections with so many descriptors each, 0 if one does. A fifth is left free: the
// runner leaves half of that to probes, shares are not quite equal, and lists grow.
func autoWorkers(kept, descriptors int) int {
	n := workers.Auto(kept, descriptors-descriptors/5)
	if n <= 1 {
		return 0
	}
	return min(n, config.MaxWorkers, workers.Most(descriptors))
}

// countKept counts the targets of jobs that keep connections, those of lists that are there in time.
func (w *Watch) countKept(ctx context.Context, l *loaded) (int, error) {
	f, err := newFinders(w, l)
	if err != nil {
		return 0, err
	}
	waiting := make(map[string]bool)
	for name, j := range f.jobs {
		if j.Mode == config.Keep {
			waiting[name] = true
		}
	}
	if len(waiting) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	kept := 0
	go f.discovery.Run(ctx)
	for u := range f.discovery.Updates() { // until Run has ended
		if waiting[u.Job] {
			delete(waiting, u.Job)
			kept += len(u.Targets)
		}
		if len(waiting) == 0 {
			cancel()
		}
	}
	return kept, nil
}
