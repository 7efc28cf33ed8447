package watch

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sonde/internal/testpeer"
)

// TestChangedAtOnce: a file that changes just after it was read is noticed, though nobody was told.
func TestChangedAtOnce(t *testing.T) {
	sink := peer(t, testpeer.Sink)
	p := start(t, connects)
	p.write(connects + "jobs:\n" + job("a", "connect", time.Hour, "", sink))
	p.until("watching what the file names", func() bool { return len(p.views()) == 1 })
}

// TestFollowBusyFolder has another file written beside the configuration without end.
func TestFollowBusyFolder(t *testing.T) {
	p := start(t, "modules: {port: {probe: tcp}}\n")
	p.write("modules: {first: {probe: tcp}}\n")
	p.until("followed", func() bool { return p.now().config.Module("first") != nil })
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for ticker := time.NewTicker(settle / 10); ; {
			select {
			case <-ticker.C:
				_ = os.WriteFile(filepath.Join(filepath.Dir(p.file), "other.log"), []byte("x"), 0o600)
			case <-stop:
				ticker.Stop()
				return
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	p.write("modules: {other: {probe: tcp}}\n")
	p.until("reloaded", func() bool { return p.now().config.Module("other") != nil })
}

// TestToldOnce: a file that somebody had read, by a signal, say, is not read once more since it has changed.
func TestToldOnce(t *testing.T) {
	p := start(t, "modules: {port: {probe: tcp}, ping: {prober: icmp}}\n")
	if log := p.log.String(); !strings.Contains(log, `msg="configuration taken"`) || !strings.Contains(log, "modules=2 jobs=0") || strings.Count(log, "no ICMP probe") != 1 {
		t.Errorf("the first one: %s", log)
	}
	p.write("modules: 1\n")
	told := p.lines("configuration refused") // on a busy machine it was noticed before we ask
	if p.Reload(t.Context()) == nil {
		t.Error("taken")
	}
	p.mu.Lock()
	tried := p.tried
	p.mu.Unlock()
	if tried != sha256.Sum256([]byte("modules: 1\n")) {
		t.Error("what was tried is read once more")
	}
	p.write("modules: {other: {probe: tcp}}\n")
	p.until("reloaded", func() bool { return p.now().config.Module("other") != nil })
	if n := p.lines("configuration refused"); n != told+1 {
		t.Errorf("told %d times, want %d", n, told+1)
	}
}
