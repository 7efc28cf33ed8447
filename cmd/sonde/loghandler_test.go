package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConsoleLog(t *testing.T) {
	var stderr strings.Builder
	log := slog.New(consoleLog{console: newConsole(&stderr)})
	log.Info("not shown")
	log.With("loop", 1).Warn("accept paused", "errno", "EMFILE")
	if diff := cmp.Diff("sonde: warning: accept paused loop=1 errno=EMFILE\n", stderr.String()); diff != "" {
		t.Errorf("stderr differs (-want +got):\n%s", diff)
	}
}
