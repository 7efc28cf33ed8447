package watch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/track"
)

// turnLog tells the log of targets that turn up or down: each by itself when they are few, and the rest of a second as one line, so
// that a fleet that goes down at once is not a hundred thousand lines.
type turnLog struct {
	log   *slog.Logger
	mu    sync.Mutex
	lines []line
	more  [flap.Down + 1]int // turned to, beyond lines
	first [flap.Down + 1]string
}

type line struct {
	target *track.Target
	to     flap.State
	status report.Status
	reason string
}

// maxLines is how many lines of targets a second has.
const maxLines = 10

func newTurnLog(log *slog.Logger) *turnLog { return &turnLog{log: log} }

// note is called by the runner's owner.
func (l *turnLog) note(t *track.Target, c track.Change, res *track.Result) {
	// Targets that are up from the start are what everybody expects.
	if c.From == c.To || c.From == flap.Unknown && c.To == flap.Up {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) < maxLines {
		l.lines = append(l.lines, line{t, c.To, res.Status, res.Error})
		return
	}
	if l.more[c.To]++; l.more[c.To] == 1 {
		l.first[c.To] = fmt.Sprintf("%s of %s: %s", t.Instance, t.Job, res.Error)
	}
}

// run writes what was noted, each second, until ctx ends.
func (l *turnLog) run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.write()
		case <-ctx.Done():
			l.write()
			return nil
		}
	}
}

func (l *turnLog) write() {
	l.mu.Lock()
	lines, more, first := l.lines, l.more, l.first
	l.lines, l.more, l.first = nil, [flap.Down + 1]int{}, [flap.Down + 1]string{}
	l.mu.Unlock()
	for _, n := range lines {
		attrs := []any{"job", n.target.Job, "target", n.target.Instance}
		if n.to == flap.Down {
			l.log.Warn("target is down", append(attrs, "status", n.status.String(), "reason", n.reason)...)
		} else {
			l.log.Info("target is up", attrs...)
		}
	}
	for state, n := range more {
		if n > 0 {
			l.log.Warn(fmt.Sprintf("%d more targets are %s", n, flap.State(state)), "first", first[state])
		}
	}
}
