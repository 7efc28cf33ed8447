package usage

import (
	"runtime"
	"testing"
)

// TestResident has memory that is written to counted, all of it.
func TestResident(t *testing.T) {
	const size = 64 << 20
	before, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	held := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		held[i] = 1
	}
	after, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(held)
	if grown := after.Resident - before.Resident; grown < size*9/10 || grown > 4*size { // -race keeps a shadow of it
		t.Errorf("got %d bytes more for %d bytes held", grown, size)
	}
}

// TestThreads counts a thread that a goroutine holds for itself.
func TestThreads(t *testing.T) {
	const n = 20
	held, release := make(chan struct{}), make(chan struct{})
	for range n {
		go func() {
			runtime.LockOSThread()
			held <- struct{}{}
			<-release
		}()
	}
	for range n {
		<-held
	}
	got := Threads()
	close(release)
	if got < n {
		t.Errorf("got %d threads, want at least the %d that are held", got, n)
	}
}

func TestField(t *testing.T) {
	const text = "Name:\tsonde\nVmRSS:\t    1234 kB\nThreads:\t7\nOdd:\tx\nNone:\n"
	for name, want := range map[string]int64{"VmRSS:": 1234, "Threads:": 7, "Odd:": Unknown, "None:": Unknown, "Absent:": Unknown} {
		if got := fieldOf([]byte(text), name); got != want {
			t.Errorf("%s got %d, want %d", name, got, want)
		}
	}
	if got := field("/proc/self/no-such-file", "Rss:"); got != Unknown {
		t.Errorf("a file that is not there: got %d, want %d", got, Unknown)
	}
}
