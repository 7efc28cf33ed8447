package web

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"sonde/internal/clock"
)

// seldom is a handler of log records that passes each warning and error on once a minute at most: what goes wrong with one request goes wrong
// with the next. Two are the same if they differ only in digits, such as those of a port.
type seldom struct {
	slog.Handler
	state *seldomState
}

// The limits of a seldom: when so many different ones are remembered, the minute begins anew.
const (
	seldomEvery = time.Minute
	maxSeldom   = 256
)

type seldomState struct {
	clock clock.Clock

	mu    sync.Mutex
	since int64
	told  map[string]bool
}

func newSeldom(to slog.Handler, c clock.Clock) slog.Handler {
	return seldom{to, &seldomState{clock: c, told: map[string]bool{}}}
}

// Enabled implements slog.Handler. What goes well, such as that it listens, is told by who opened the listeners.
func (s seldom) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && s.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (s seldom) Handle(ctx context.Context, r slog.Record) error {
	var key strings.Builder
	key.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		key.WriteString(" " + a.Value.String())
		return true
	})
	if !s.state.first(strings.Map(dropDigit, key.String())) {
		return nil
	}
	return s.Handler.Handle(ctx, r)
}

func dropDigit(r rune) rune {
	if '0' <= r && r <= '9' {
		return -1
	}
	return r
}

// first reports whether key is new in its minute.
func (s *seldomState) first(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.clock.Now(); now-s.since >= int64(seldomEvery) || len(s.told) >= maxSeldom {
		s.since = now
		clear(s.told)
	}
	if s.told[key] {
		return false
	}
	s.told[key] = true
	return true
}

// WithAttrs implements slog.Handler.
func (s seldom) WithAttrs(attrs []slog.Attr) slog.Handler {
	return seldom{s.Handler.WithAttrs(attrs), s.state}
}

// WithGroup implements slog.Handler.
func (s seldom) WithGroup(name string) slog.Handler {
	return seldom{s.Handler.WithGroup(name), s.state}
}

// lines is a writer of log lines, as net/http's server wants one.
type lines struct{ log *slog.Logger }

func (l lines) Write(line []byte) (int, error) {
	l.log.Warn(strings.TrimSpace(string(line)))
	return len(line), nil
}
