package watch

import (
	"os"
	"path/filepath"
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
