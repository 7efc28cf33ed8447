package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test binary be the child that tells its CPUs.
func TestMain(m *testing.M) {
	if os.Getenv("SONDE_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	for _, cpus := range threadCPUs() {
		os.Stdout.WriteString(cpus + "\n")
	}
}

// threadCPUs returns the CPUs of each thread of this process, in the kernel's notation (proc_pid_status(5)).
func threadCPUs() []string {
	var all []string
	files, _ := filepath.Glob("/proc/self/task/*/status")
	for _, file := range files {
		status, _ := os.ReadFile(file)
		for line := range strings.Lines(string(status)) {
			if cpus, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				all = append(all, strings.TrimSpace(cpus))
			}
		}
	}
	return all
}

func TestPinned(t *testing.T) {
	cpus, err := CPUs()
	if runtime.GOOS != "linux" {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Fatalf("got %v, want ErrUnsupported", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	last := cpus[len(cpus)-1]
	before := threadCPUs()

	var out []byte
	err = Pinned([]int{last, last}, func() (err error) {
		cmd := exec.Command(os.Args[0])
		// Under the race detector a process would wait for a second before it exits.
		cmd.Env = append(os.Environ(), "SONDE_TEST_CHILD=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
		cmd.SysProcAttr = Attributes()
		out, err = cmd.Output()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	threads := strings.Fields(string(out))
	if len(threads) < 2 {
		t.Fatalf("got CPUs %q, want those of several threads", threads)
	}
	for _, got := range threads {
		if got != strconv.Itoa(last) {
			t.Errorf("got CPUs %s of a child's thread, want %d", got, last)
		}
	}
	// Threads may have come since, but with the CPUs that all had.
	for _, got := range threadCPUs() {
		if got != before[0] {
			t.Errorf("got CPUs %s of a thread of ours afterwards, want %s", got, before[0])
		}
	}
}

func TestPinnedRefuses(t *testing.T) {
	for name, cpus := range map[string][]int{
		"a negative number":       {-1},
		"beyond the mask":         {1 << 20},
		"none that there is":      {1023},
		"one that there is not":   {0, 1023},
		"one beyond, one allowed": {0, 1024},
	} {
		t.Run(name, func(t *testing.T) {
			before := threadCPUs()
			err := Pinned(cpus, func() error {
				t.Error("start was called")
				return nil
			})
			if err == nil {
				t.Errorf("got no error for CPUs %v", cpus)
			}
			if len(before) > 0 {
				for _, got := range threadCPUs() {
					if got != before[0] {
						t.Errorf("got CPUs %s of a thread of ours afterwards, want %s", got, before[0])
					}
				}
			}
		})
	}
}

func TestPinnedHandsOnError(t *testing.T) {
	want := errors.New("no")
	for _, cpus := range [][]int{nil, firstCPU()} {
		if err := Pinned(cpus, func() error { return want }); !errors.Is(err, want) {
			t.Errorf("got %v with CPUs %v, want %v", err, cpus, want)
		}
	}
}

// firstCPU returns a CPU to be pinned to, none where that can't be done.
func firstCPU() []int {
	cpus, err := CPUs()
	if err != nil {
		return nil
	}
	return cpus[:1]
}

func TestSignal(t *testing.T) {
	for script, want := range map[string]syscall.Signal{
		"exit 3": 0, "kill -TERM $$": syscall.SIGTERM, "kill -KILL $$": syscall.SIGKILL,
	} {
		cmd := exec.Command("/bin/sh", "-c", script)
		if err := cmd.Run(); err == nil {
			t.Fatalf("%s: got no error", script)
		}
		if got := Signal(cmd.ProcessState); got != want {
			t.Errorf("%s: got signal %v, want %v", script, got, want)
		}
	}
}

// TestReadNow reads what is there while the other end stays open: a read that waits would never return.
func TestReadNow(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := w.WriteString("abc"); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 2)
	var got []string
	for range 3 {
		n, err := ReadNow(r, p)
		got = append(got, string(p[:n]))
		if err != nil {
			got = append(got, err.Error())
		}
	}
	if diff := cmp.Diff([]string{"ab", "c", "", io.EOF.Error()}, got); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
	w.Close()
	if _, err := ReadNow(r, p); err != io.EOF {
		t.Errorf("got %v at the end of the pipe, want io.EOF", err)
	}
	r.Close()
	if _, err := ReadNow(r, p); err == nil || err == io.EOF {
		t.Errorf("got %v from a closed file, want an error that is no end", err)
	}
}
