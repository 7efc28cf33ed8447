package watch

import (
	"fmt"
	"log/slog"

	"sonde/policy/pace"
)

// share is the part of the targets that is a worker's. A nil one is all of them.
type share struct {
	Worker   int  `json:"worker"`
	Count    int  `json:"count"`
	Loopback bool `json:"loopback"` // only this machine reaches the parent's web server
}

// has reports whether a target is in the share. It depends on the target alone, so that a reload moves nobody.
func (s *share) has(key uint64) bool { return s == nil || key%uint64(s.Count) == uint64(s.Worker) }

// rate is the share of a rate. Any worker may have targets of a host, so only together they may use all of it.
func (s *share) rate(whole pace.Settings) pace.Settings {
	if s != nil {
		whole.PerSecond /= float64(s.Count)
	}
	return whole
}

// file is the name of a file that is this worker's alone.
func (s *share) file(name string) string {
	if s == nil || name == "" {
		return name
	}
	return fmt.Sprintf("%s.%d", name, s.Worker)
}

// logOf is a log of what all workers would tell alike: one of them does.
func (s *share) logOf(log *slog.Logger) *slog.Logger {
	if s == nil || s.Worker == 0 {
		return log
	}
	return slog.New(slog.DiscardHandler)
}
