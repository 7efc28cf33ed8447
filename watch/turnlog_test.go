package watch

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/track"
)

func TestTurnLog(t *testing.T) {
	for _, c := range []struct {
		turns, lines int
		has          string
	}{{1, 1, `level=WARN msg="target is down" job=j target=t0 status=connection-refused reason=no`}, {10, 10, "target=t9"},
		{11, 1, `level=WARN msg="11 targets are down" first=t0 status=connection-refused`}, {100_000, 1, `msg="100000 targets are down"`}} {
		log := &logged{}
		l := newTurnLog(slog.New(slog.NewTextHandler(log, nil)))
		res := &track.Result{Status: report.ConnectionRefused, Error: "no"}
		for i := range c.turns {
			at := &track.Target{Job: "j", Instance: fmt.Sprintf("t%d", i)}
			l.note(at, track.Change{From: flap.Unknown, To: flap.Up}, res) // which nobody need hear of
			l.note(at, track.Change{From: flap.Up, To: flap.Down}, res)
			l.note(at, track.Change{From: flap.Down, To: flap.Down}, res)
		}
		l.write()
		if text := log.String(); strings.Count(text, "\n") != c.lines || !strings.Contains(text, c.has) {
			t.Errorf("%d turns: want %d lines with %s:\n%s", c.turns, c.lines, c.has, text)
		}
		l.write()
		if n := strings.Count(log.String(), "\n"); n != c.lines {
			t.Errorf("%d turns: told again", c.turns)
		}
	}
}
