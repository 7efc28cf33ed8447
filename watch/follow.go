package watch

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is for how long the folder of the configuration must be quiet before the file is looked at: an editor writes in several
// steps.
const settle = 200 * time.Millisecond

// lookEvery is how often it is looked at all the same: some file systems (NFS, FUSE) tell of nothing.
const lookEvery = time.Minute

// follow reads the configuration again when its file holds something else, until ctx ends. The folder is watched and not the
// file: files are replaced, and in a folder of links the links are.
func (w *Watch) follow(ctx context.Context) error {
	var told <-chan fsnotify.Event
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer watcher.Close()
		err = watcher.Add(filepath.Dir(w.options.File))
		told = watcher.Events
	}
	if err != nil {
		w.log.Warn("changes of the configuration are noticed within a minute only", "error", err)
	}
	last := w.now().sum
	timer := time.NewTimer(0) // it may have changed since it was read
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-told:
			timer.Reset(settle)
			continue
		case <-timer.C:
			timer.Reset(lookEvery)
		}
		data, err := os.ReadFile(w.options.File)
		if err != nil {
			continue // it is being replaced, or gone: what runs, runs
		}
		if sum := sha256.Sum256(data); sum != last {
			last = sum
			_ = w.Reload(ctx) // which logs what is wrong
		}
	}
}
