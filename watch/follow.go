package watch

import (
	"context"
	"crypto/sha256"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"sonde/watch/config"
)

// settle is for how long the folder of the configuration must be quiet before the file is looked at: an editor writes in several
// steps.
const settle = 200 * time.Millisecond

// settleMost is for how long it is waited for: other programs may write there without end.
const settleMost = 2 * time.Second

// lookEvery is how often it is looked at all the same: some file systems (NFS, FUSE) tell of nothing.
const lookEvery = time.Minute

// follow reads the configuration again when its file holds something else, until ctx ends. The folder is watched and not the
// file: files are replaced, and in a folder of links the links are.
func (w *Watch) follow(ctx context.Context) error {
	var told <-chan fsnotify.Event
	var missed <-chan error // such as an overflow: what was told is lost
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer watcher.Close()
		err = watcher.Add(filepath.Dir(w.options.File))
		told, missed = watcher.Events, watcher.Errors
	}
	if err != nil {
		w.log.Warn("changes of the configuration are noticed within a minute only", "error", err)
	}
	timer := time.NewTimer(0) // it may have changed since it was read
	defer timer.Stop()
	var since int64 // when the first thing was told since it was looked at; 0: nothing was
	heard := func() {
		now := w.clk.Now()
		if since == 0 {
			since = now
		}
		if time.Duration(now-since) < settleMost {
			timer.Reset(settle)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-told:
			heard()
			continue
		case <-missed:
			heard()
			continue
		case <-timer.C:
			timer.Reset(lookEvery)
			since = 0
		}
		data, err := config.ReadFile(w.options.File)
		if err != nil {
			continue // it is being replaced, or gone: what runs, runs
		}
		w.mu.Lock()
		tried := w.tried // by whoever asked for it
		w.mu.Unlock()
		if sha256.Sum256(data) != tried {
			_ = w.Reload(ctx) // which logs what is wrong
		}
	}
}
