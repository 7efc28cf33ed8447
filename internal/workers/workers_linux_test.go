package workers

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	kernel "sonde/internal/kernel/process"
)

// descriptors returns what this process has open, by what it is ("pipe:[4711]"), proc_pid_fd(5).
func descriptors(t *testing.T) map[string]bool {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{}
	for _, link := range links {
		if what, err := os.Readlink(link); err == nil { // the one that Glob read the folder by is gone
			open[what] = true
		}
	}
	return open
}

// TestDescriptors looks for what a group opened, by its identity: other tests' descriptors may come and go.
func TestDescriptors(t *testing.T) {
	before := descriptors(t)
	var opened []string
	g := start(t, Options{StopGrace: forever}, "echo 0", "echo 1", "echo 2")
	messages := 0
	wait(t, g, func(e Event) {
		if messages++; messages != 3 {
			return
		}
		for what := range descriptors(t) {
			if !before[what] {
				opened = append(opened, what)
			}
		}
		// One ends otherwise than the others.
		pid, err := strconv.Atoi(string(e.(Message).Data))
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			t.Error(err)
		}
		g.Stop()
	})
	if len(opened) < 9 {
		t.Fatalf("got %v opened, want at least three pipes for each of three workers", opened)
	}
	after := descriptors(t)
	for _, what := range opened {
		if after[what] {
			t.Errorf("%s is still open", what)
		}
	}
	// A start that stops half-way, with two workers running.
	before = after
	if _, err := Start(t.Context(), options(Options{CPUs: [][]int{nil, nil, {-1}}}, "echo 0", "echo 1", "echo 2")); err == nil {
		t.Fatal("got no error for CPU -1")
	}
	for what := range descriptors(t) {
		if !before[what] {
			t.Errorf("%s is left by a failed start", what)
		}
	}
}

func TestCPUs(t *testing.T) {
	cpus, err := kernel.CPUs()
	if err != nil {
		t.Fatal(err)
	}
	first, last := cpus[0], cpus[len(cpus)-1]
	// The list begins again at the third worker.
	ends := wait(t, start(t, Options{CPUs: [][]int{{first}, {last}}}, "cpus", "cpus", "cpus"), nil)
	wellEnded(t, ends)
	for i, cpu := range []int{first, last, first} {
		if got, want := string(ends[i].Last), fmt.Sprint([]int{cpu}, 1); got != want {
			t.Errorf("worker %d: got CPUs and their number %q, want %q", i, got, want)
		}
	}
	ends = wait(t, start(t, Options{}, "cpus"), nil)
	if got, want := string(ends[0].Last), fmt.Sprint(cpus, len(cpus)); got != want {
		t.Errorf("not pinned: got CPUs and their number %q, want %q", got, want)
	}
}

// TestStarterThreadEnds calls Start on a thread that ends then. To the kernel the thread that started a process is its
// parent, so that a worker started by it would be killed.
func TestStarterThreadEnds(t *testing.T) {
	groups, threads := make(chan *Group), make(chan int)
	// The main thread never ends, so a goroutine that got it waits until another has run.
	done := make(chan struct{})
	defer close(done)
	for {
		go func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			threads <- syscall.Gettid()
			if syscall.Gettid() == os.Getpid() {
				<-done
				return
			}
			groups <- start(t, Options{StopGrace: forever}, "echo")
		}()
		thread := <-threads
		if thread == os.Getpid() {
			continue
		}
		g := <-groups
		for {
			if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(thread)); os.IsNotExist(err) {
				break
			}
			runtime.Gosched()
		}
		if err := g.Send(0, []byte("still there?")); err != nil {
			t.Error(err)
		}
		var heard []string
		ends := wait(t, g, func(e Event) {
			m, ok := e.(Message)
			if heard = append(heard, string(m.Data)); ok && len(heard) == 2 {
				g.Stop()
			}
		})
		wellEnded(t, ends)
		if len(heard) != 3 || heard[1] != "still there?" {
			t.Errorf("got %q, want an answer", heard)
		}
		return
	}
}
