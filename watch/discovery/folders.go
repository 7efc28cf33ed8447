package discovery

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// timing is when files are read.
type timing struct {
	// settle is for how long nothing may happen before what changed is read, since a file is often written in several goes;
	// but it is read after most in any case.
	settle, most time.Duration
	// slow is the time between two looks at everything: events may be lost, and a network file system has none.
	slow time.Duration
	// poll takes the place of slow while a folder can't be watched.
	poll time.Duration
	// vanish is VanishGrace.
	vanish time.Duration
}

var usualTiming = timing{settle: 100 * time.Millisecond, most: time.Second, slow: 5 * time.Minute, poll: 5 * time.Second, vanish: VanishGrace}

// folders has the files of all jobs read when something happens in their folders. It belongs to one goroutine.
type folders struct {
	*Discovery
	sources []*source
	watcher *fsnotify.Watcher      // nil if this machine gives us none
	watched map[string]os.FileInfo // what each folder was when its watch began
	changed map[*source]bool       // to be looked at
	since   int64                  // the moment of the first event since the last look; 0: none
	settled *time.Timer
}

// run looks at all files and then at what changes, until ctx is done.
func (f *folders) run(ctx context.Context) {
	f.changed, f.watched = map[*source]bool{}, map[string]os.FileInfo{}
	f.settled = time.NewTimer(0)
	defer f.settled.Stop()
	var events <-chan fsnotify.Event
	var overflows <-chan error
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		f.watcher, events, overflows = watcher, watcher.Events, watcher.Errors
		defer watcher.Close()
	} else {
		f.options.Log.Warn("targets: files can't be watched, so they are read each " + f.timing.poll.String() + ": " + err.Error())
	}
	period := f.watch()
	f.markAll()
	slow := time.NewTimer(period)
	defer slow.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			if f.heed(event) {
				slow.Reset(f.timing.poll)
			}
		case <-overflows: // or another error of inotify(7): anything may have happened
			f.markAll()
			f.wait()
		case <-slow.C:
			// First the watches: what happens behind them is heard, what happened before them is read.
			slow.Reset(f.watch())
			f.markAll()
			f.lookAll(ctx)
		case <-f.settled.C:
			f.lookAll(ctx)
		}
	}
}

// watch sees to it that all folders are watched, under the names that they have now. It returns when to do so again.
func (f *folders) watch() time.Duration {
	period := f.timing.slow
	for _, s := range f.sources {
		folder := filepath.Dir(s.path)
		info, err := os.Stat(folder)
		if was := f.watched[folder]; err == nil && was != nil && os.SameFile(was, info) {
			continue
		}
		f.unwatch(folder)
		if err == nil && f.watcher != nil && f.watcher.Add(folder) == nil {
			f.watched[folder] = info
			continue
		}
		period = f.timing.poll
	}
	return period
}

func (f *folders) unwatch(folder string) {
	if f.watched[folder] != nil {
		delete(f.watched, folder)
		_ = f.watcher.Remove(folder) // it may be gone
	}
}

// heed marks the sources that an event is about. It reports whether a folder is not watched any more.
func (f *folders) heed(event fsnotify.Event) (isLost bool) {
	name := filepath.Clean(event.Name)
	if f.watched[name] != nil && event.Has(fsnotify.Remove|fsnotify.Rename) {
		f.unwatch(name)
		isLost = true
	}
	base := filepath.Base(name)
	// What is in a mounted ConfigMap of Kubernetes is changed by renaming the link "..data" over itself, to which the
	// files are links.
	isSwap := strings.HasPrefix(base, "..")
	for _, s := range f.sources {
		folder := filepath.Dir(s.path)
		if name == folder || filepath.Dir(name) == folder && (isSwap || base == filepath.Base(s.path) || s.pattern && matches(filepath.Base(s.path), base)) {
			f.changed[s] = true
			f.wait()
		}
	}
	return isLost
}

func (f *folders) markAll() {
	for _, s := range f.sources {
		f.changed[s] = true
	}
}

// wait puts off the look until what happens is over.
func (f *folders) wait() {
	now := f.options.Clock.Now()
	if f.since == 0 {
		f.since = now
	}
	f.settled.Reset(max(0, min(f.timing.settle, f.timing.most-time.Duration(now-f.since))))
}

// lookAll reads what changed and hands it to Run. What has vanished is looked at once more after its grace.
func (f *folders) lookAll(ctx context.Context) {
	changed := f.changed
	f.changed, f.since = map[*source]bool{}, 0
	for _, s := range f.sources {
		if !changed[s] {
			continue
		}
		r, again := s.look(f.options.Clock.Now(), f.timing.vanish)
		f.send(ctx, r)
		if again {
			f.changed[s] = true
			f.settled.Reset(f.timing.vanish)
		}
	}
}
