package watch

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sonde/internal/testlog"
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
		log := &testlog.Log{}
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

func TestTurnLogOfOneThatFlaps(t *testing.T) {
	log := &testlog.Log{}
	l := newTurnLog(slog.New(slog.NewTextHandler(log, nil)))
	at := &track.Target{Job: "j", Instance: "t"}
	res := &track.Result{Status: report.ConnectionReset}
	seconds := func(n, turns int) (lines []string) {
		begin := len(log.String())
		for range n {
			for range turns {
				l.note(at, track.Change{From: flap.Down, To: flap.Up}, &track.Result{})
				l.note(at, track.Change{From: flap.Up, To: flap.Down}, res)
			}
			l.write()
		}
		return strings.Split(log.String()[begin:], "\n")
	}
	if lines := seconds(60, 1); len(lines) != 4+1+1 || !strings.Contains(lines[4], `msg="target turned up and down" job=j target=t turns=120 now=down`) {
		t.Errorf("the first minute: %q", lines)
	}
	if lines := seconds(60, 1); len(lines) != 1+1 {
		t.Errorf("the second minute: %q", lines)
	}
	if lines := append(seconds(1, 1), seconds(59, 0)...); len(lines) != 1+1+1 || !strings.Contains(lines[1], "turns=2 now=down") {
		t.Errorf("the minute in which it settles: %q", lines)
	}
	if lines := seconds(1, 1); len(lines) != 2+1 {
		t.Errorf("once more: %q", lines)
	}
	if lines := seconds(59, 0); len(lines) != 1 {
		t.Errorf("a calm minute: %q", lines)
	}
}
