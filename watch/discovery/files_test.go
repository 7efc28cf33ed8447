package discovery

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAtomicRename(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	write(t, path, sd("a:80"))
	r := start(t, Options{}, nil, Job{FileSD: []string{path}})
	want(t, r.next(), "a:80")
	replace(t, path, sd("b:80", "c:80"))
	want(t, r.next(), "b:80", "c:80")
	replace(t, path, "[]")
	want(t, r.next())
	replace(t, path, sd("d:80"))
	want(t, r.next(), "d:80")
}

// TestHalfWritten: a file that ends in the middle changes nothing, and is told once, until it is whole.
func TestHalfWritten(t *testing.T) {
	folder := t.TempDir()
	path, other := filepath.Join(folder, "a.json"), filepath.Join(folder, "other.json")
	write(t, path, sd("a:80"))
	write(t, other, sd("x:80"))
	r := start(t, Options{}, nil, Job{FileSD: []string{path, other}})
	want(t, r.next(), "a:80", "x:80")
	write(t, path, sd("b:80")[:15])
	replace(t, other, sd("y:80"))
	r.until("a:80", "y:80") // an event behind the half: what stands there was looked at, or is now
	r.awaitError(path, "being written")
	replace(t, other, sd("z:80"))
	r.until("a:80", "z:80")
	if told := r.log.containing("being written"); len(told) != 1 {
		t.Errorf("told %d times, want once: %q", len(told), told)
	}
	write(t, path, sd("b:80"))
	r.until("b:80", "z:80")
	if status := r.statusOf(path); status.Error != "" || status.Failures == 0 || status.LastSuccess.IsZero() {
		t.Errorf("got the status %+v", status)
	}
	if told := r.log.containing("can be read again"); len(told) != 1 {
		t.Errorf("that it is whole is told %d times", len(told))
	}
}

func (r *running) statusOf(name string) Status {
	r.t.Helper()
	for _, status := range r.Status() {
		if status.Name == name {
			return status
		}
	}
	r.t.Fatalf("no source %s", name)
	return Status{}
}

// awaitError waits until a source has failed so.
func (r *running) awaitError(name, text string) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(r.statusOf(name).Error, text) {
		<-tick.C
	}
}

// TestVanished: what a pattern no longer finds goes, what is named stays.
func TestVanished(t *testing.T) {
	folder := t.TempDir()
	named, first, second := filepath.Join(folder, "named.yml"), filepath.Join(folder, "a.json"), filepath.Join(folder, "b.json")
	write(t, named, "- targets: [n:80]\n")
	write(t, first, sd("a:80"))
	write(t, second, sd("b:80"))
	r := start(t, Options{}, nil, Job{FileSD: []string{named, filepath.Join(folder, "*.json")}})
	want(t, r.next(), "n:80", "a:80", "b:80")
	for _, path := range []string{named, first} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	want(t, r.next(), "n:80", "b:80")
	r.awaitError(named, "no such file")
	write(t, named, "- targets: [m:80]\n")
	r.until("m:80", "b:80")
	write(t, first, sd("c:80"))
	r.until("m:80", "c:80", "b:80")
}

// TestVanishGrace: a file of a pattern that is away for less than the grace has not gone.
func TestVanishGrace(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.json")
	write(t, path, sd("a:80"))
	write(t, filepath.Join(folder, "b.json"), sd("b:80"))
	r := start(t, Options{}, func(d *Discovery) { d.timing.vanish = time.Hour }, Job{FileSD: []string{filepath.Join(folder, "*.json")}})
	want(t, r.next(), "a:80", "b:80")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(folder, "b.json"), sd("c:80"))
	want(t, r.next(), "a:80", "c:80")
	replace(t, filepath.Join(folder, "b.json"), sd("d:80")) // a second look at what is missing
	want(t, r.next(), "a:80", "d:80")
	write(t, path, sd("a:80"))
	replace(t, filepath.Join(folder, "b.json"), sd("e:80"))
	want(t, r.next(), "a:80", "e:80")
}

// TestFolderVanished: what a folder that can't be read holds is not known, so its files stay, and it is watched again when it is back.
func TestFolderVanished(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "targets")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(folder, "*.json")
	write(t, filepath.Join(folder, "a.json"), sd("a:80"))
	r := start(t, Options{}, func(d *Discovery) { d.timing.poll = 10 * time.Millisecond }, Job{FileSD: []string{pattern}})
	want(t, r.next(), "a:80")
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	r.awaitError(pattern, "no such file")
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.statusOf(pattern).Failures < 4 { // it is looked for again and again
		<-tick.C
	}
	if got := r.statusOf(pattern); got.Targets != 1 {
		t.Errorf("got the status %+v, want its target to stay", got)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "b.json"), sd("b:80"))
	r.until("b:80")
	replace(t, filepath.Join(folder, "b.json"), sd("c:80")) // by an event or by the poll
	r.until("c:80")
}

// TestConfigMap is how kubelet changes what is mounted: the file is a link through "..data", which is renamed over itself.
func TestConfigMap(t *testing.T) {
	folder := t.TempDir()
	version := func(name, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name, "a.json"), text)
		link(t, name, filepath.Join(folder, "..data_tmp"))
		if err := os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..2026_1", sd("a:80"))
	link(t, filepath.Join("..data", "a.json"), filepath.Join(folder, "a.json"))
	r := start(t, Options{}, nil, Job{Name: "named", FileSD: []string{filepath.Join(folder, "a.json")}}, Job{Name: "found", FileSD: []string{filepath.Join(folder, "*.json")}})
	want(t, r.next(), "a:80")
	want(t, r.next(), "a:80")
	version("..2026_2", sd("b:80"))
	if err := os.RemoveAll(filepath.Join(folder, "..2026_1")); err != nil {
		t.Fatal(err)
	}
	want(t, r.next(), "b:80")
	want(t, r.next(), "b:80")
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func TestPatternGainsAFile(t *testing.T) {
	folder := t.TempDir()
	r := start(t, Options{}, nil, Job{Files: []string{filepath.Join(folder, "*.txt")}})
	want(t, r.next())
	write(t, filepath.Join(folder, ".hidden.txt"), "h:80\n")
	write(t, filepath.Join(folder, "a.json"), sd("j:80"))
	replace(t, filepath.Join(folder, "b.txt"), "b:80\n10.0.0.0/31:80\n")
	want(t, r.next(), "b:80", "10.0.0.0:80", "10.0.0.1:80")
	replace(t, filepath.Join(folder, "a.txt"), "a:80\n")
	want(t, r.next(), "a:80", "b:80", "10.0.0.0:80", "10.0.0.1:80")
}

// TestSlowLook: what comes with no event (a link to a file elsewhere) is seen at the next slow look.
func TestSlowLook(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	path := filepath.Join(folder, "a.json")
	write(t, filepath.Join(elsewhere, "x"), sd("a:80"))
	link(t, filepath.Join(elsewhere, "x"), path)
	r := start(t, Options{}, func(d *Discovery) { d.timing.slow = 10 * time.Millisecond }, Job{FileSD: []string{path}})
	want(t, r.next(), "a:80")
	replace(t, filepath.Join(elsewhere, "x"), sd("b:80"))
	want(t, r.next(), "b:80")
}

func TestNotAFile(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "a.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(folder, "big.json")
	write(t, big, "")
	if err := os.Truncate(big, MaxBytes+1); err != nil { // a hole, which takes no room
		t.Fatal(err)
	}
	r := start(t, Options{}, nil, Job{FileSD: []string{filepath.Join(folder, "a.json"), big, filepath.Join(folder, "none.json")}, Inline: []string{"a:80"}})
	want(t, r.next(), "a:80")
	for i, text := range []string{"", "is a directory", "more than 64 MiB", "no such file"} {
		if got := r.Status()[i]; !strings.Contains(got.Error, text) || text == "" && got.Error != "" {
			t.Errorf("got the status %+v, want the error %q", got, text)
		}
	}
}

// TestReload: a Discovery in the place of another knows from the start what that one knew.
func TestReload(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.json")
	write(t, path, sd("a:80"))
	before := start(t, Options{}, nil, Job{FileSD: []string{path}})
	want(t, before.next(), "a:80")
	before.stop()
	if _, more := <-before.Updates(); more {
		t.Error("Updates is not closed")
	}
	write(t, path, "[")
	after := start(t, Options{Before: before.Discovery}, nil, Job{FileSD: []string{path}}, Job{Name: "new", Inline: []string{"n:80"}})
	want(t, after.next(), "a:80")
	want(t, after.next(), "n:80")
	after.awaitError(path, "being written")
	write(t, path, sd("b:80"))
	after.until("b:80")
}

// TestManyTargets: 100,000 of them are read, and a second look at what has not changed costs no second copy.
func TestManyTargets(t *testing.T) {
	const count = 100_000
	path := filepath.Join(t.TempDir(), "a.json")
	write(t, path, string(manyTargets(count)))
	r := start(t, Options{}, nil, Job{FileSD: []string{path}})
	update := <-r.Updates()
	if len(update.Targets) != count || len(update.Faults) != 0 {
		t.Fatalf("got %d targets, faults %q", len(update.Targets), update.Faults)
	}
	if got := cap(update.Targets); got != count {
		t.Errorf("the list has room for %d", got)
	}
	if a, b := &update.Targets[0].Labels[0], &update.Targets[99].Labels[0]; a != b {
		t.Error("targets of one group do not share their labels")
	}
	r.stop()
	if allocs := testing.AllocsPerRun(1, func() { r.jobs[0].list() }); allocs > count/10 {
		t.Errorf("putting the list together takes %.0f allocations, want a few for each group", allocs)
	}
	s := r.jobs[0].sources[0]
	again, _ := s.look(1, 0)
	if again.isNew || again.docs != nil || again.err != nil {
		t.Errorf("a look at what is as it was gave %+v", again)
	}
}

// TestStopInTheMiddle: Run returns though nobody receives what it has to tell.
func TestStopInTheMiddle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	write(t, path, sd("a:80"))
	d, err := New([]Job{{Name: "web", Read: readPlace, FileSD: []string{path}, Inline: []string{"b:80"}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.Run(ctx)
}

// BenchmarkRead reads a file of 100,000 targets.
func BenchmarkRead(b *testing.B) {
	for _, form := range []string{"a.json", "a.yml"} {
		b.Run(form, func(b *testing.B) {
			data := manyTargets(100_000)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (&source{kind: kindFileSD}).parse(form, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
