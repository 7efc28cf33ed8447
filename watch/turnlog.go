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

// turnLog tells the log of targets that turn up or down: each by itself when they are few, and otherwise those of a second as one
// line for each state, so that a fleet that goes down at once is not a hundred thousand lines. One that turns again and again is told
// of once a minute.
type turnLog struct {
	log     *slog.Logger
	mu      sync.Mutex
	turns   [flap.Down + 1]turnsTo
	minute  map[*track.Target]flaps // who turned in this minute
	seconds int                     // of this minute
}

// flaps is how a target turned in a minute.
type flaps struct {
	n       int
	state   flap.State
	flapped bool // in the minute before, too: none of its turns is told by itself
}

// turnsTo are the turns to one state within a second.
type turnsTo struct {
	lines []line // the first ones
	n     int
}

type line struct {
	target *track.Target
	status report.Status
	reason string
}

const (
	// maxLines is how many lines of targets a second has for a state.
	maxLines = 10
	// maxTurns is how many turns of a target are told by themselves in a minute: down and up, twice.
	maxTurns = 4
	// maxFlaps bounds the targets whose turns are counted.
	maxFlaps = 10_000
)

func newTurnLog(log *slog.Logger) *turnLog {
	return &turnLog{log: log, minute: make(map[*track.Target]flaps)}
}

// note is called by the runner's owner.
func (l *turnLog) note(t *track.Target, c track.Change, res *track.Result) {
	// Targets that are up from the start are what everybody expects.
	if c.From == c.To || c.From == flap.Unknown && c.To == flap.Up {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.minute[t]; ok || len(l.minute) < maxFlaps {
		f.n, f.state = f.n+1, c.To
		l.minute[t] = f
		if f.flapped || f.n > maxTurns {
			return
		}
	}
	to := &l.turns[c.To]
	if to.n++; to.n <= maxLines {
		to.lines = append(to.lines, line{t, res.Status, res.Error})
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
	turns := l.turns
	l.turns = [flap.Down + 1]turnsTo{}
	l.seconds++
	flapped := l.flapped()
	l.mu.Unlock()
	for state, to := range turns {
		level := slog.LevelInfo
		if flap.State(state) == flap.Down {
			level = slog.LevelWarn
		}
		if to.n > maxLines {
			l.log.Log(context.Background(), level, fmt.Sprintf("%d targets are %s", to.n, flap.State(state)), append([]any{"first", to.lines[0].target.Instance}, to.lines[0].attrs()[4:]...)...)
			continue
		}
		for i := range to.lines {
			l.log.Log(context.Background(), level, "target is "+flap.State(state).String(), to.lines[i].attrs()...)
		}
	}
	if len(flapped) > maxLines {
		l.log.Warn(fmt.Sprintf("%d targets turned up and down in a minute", len(flapped)), flapped[0]...)
		return
	}
	for _, attrs := range flapped {
		l.log.Warn("target turned up and down", attrs...)
	}
}

// flapped ends a minute, and returns what is to be told of those whose turns were not.
func (l *turnLog) flapped() [][]any {
	if l.seconds%60 != 0 {
		return nil
	}
	var told [][]any
	next := make(map[*track.Target]flaps)
	for t, f := range l.minute {
		if f.n > maxTurns {
			next[t] = flaps{flapped: true}
		}
		if f.n > maxTurns || f.flapped && f.n > 0 {
			told = append(told, []any{"job", t.Job, "target", t.Instance, "turns", f.n, "now", f.state.String()})
		}
	}
	l.minute = next
	return told
}

// attrs are what the log says of a target that turned.
func (n *line) attrs() []any {
	attrs := []any{"job", n.target.Job, "target", n.target.Instance}
	if n.status != report.Success {
		attrs = append(attrs, "status", n.status.String(), "reason", n.reason)
	}
	return attrs
}
