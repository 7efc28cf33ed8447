package transport

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel/usage"
	"sonde/report"
)

func someJob(w Workload) Job {
	return Job{Workload: w, Targets: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9")}, Connections: 10, Operations: 1000, Duration: 1}
}

// TestTally has many take at once: each operation is handed out once, and every count arrives.
func TestTally(t *testing.T) {
	const workers = 40
	m, err := NewMeter(someJob(Connect))
	if err != nil {
		t.Fatal(err)
	}
	var seen [1000]int
	var mu sync.Mutex
	var working sync.WaitGroup
	for slot := range workers {
		working.Go(func() {
			for op, ok := m.Tally.Take(); ok; op, ok = m.Tally.Take() {
				mu.Lock()
				seen[op]++
				mu.Unlock()
				if op%10 == 0 {
					m.Tally.Fail(slot, report.ConnectionReset)
				} else {
					m.Tally.Done(slot, time.Duration(op)*time.Microsecond)
				}
			}
		})
	}
	working.Wait()
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	r, err := m.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for op, n := range seen {
		if n != 1 {
			t.Errorf("operation %d was handed out %d times", op, n)
		}
	}
	if diff := cmp.Diff(map[string]int{"connection-reset": 100}, r.Failed); diff != "" || r.Operations != 900 || r.Latency.Count() != 900 {
		t.Errorf("got %d done, %d latencies, failed (-want +got):\n%s", r.Operations, r.Latency.Count(), diff)
	}
	if got := r.Latency.Max(); got != 999*time.Microsecond {
		t.Errorf("got a greatest latency of %v, want 999µs", got)
	}
	if got, want := r.CPUPerOperation(), r.CPU/1000; got != want {
		t.Errorf("CPU per operation: got %v, want %v", got, want)
	}
}

func TestTallyDoesNotAllocate(t *testing.T) {
	tally := newTally(1 << 30)
	if n := testing.AllocsPerRun(100, func() {
		op, _ := tally.Take()
		tally.Done(op, time.Millisecond)
		tally.Fail(op, report.IOTimeout)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// TestMeterMeasures has memory held, goroutines wait and CPU burnt, each at its time.
func TestMeterMeasures(t *testing.T) {
	const size, goroutines = 8 << 20, 200
	m, err := NewMeter(someJob(Hold))
	if err != nil {
		t.Fatal(err)
	}
	held := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		held[i] = 1
	}
	for range 50 {
		runtime.KeepAlive(make([]byte, 1<<20)) // garbage is no memory
	}
	release := make(chan struct{})
	var waiting sync.WaitGroup
	for range goroutines {
		waiting.Go(func() { <-release })
	}
	if err := m.AllHeld(10); err != nil {
		t.Fatal(err)
	}
	close(release)
	waiting.Wait()
	runtime.KeepAlive(held)
	burn(t, 50*time.Millisecond)
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	r, err := m.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Held != 10 || r.Memory.Heap < size || r.Memory.Heap > size*3/2 {
		t.Errorf("got %d held on %d bytes of heap, want 10 on %d", r.Held, r.Memory.Heap, size)
	}
	if r.Memory.Resident >= 0 && r.Memory.Resident < size/2 {
		t.Errorf("got %d bytes more in RAM, want about %d", r.Memory.Resident, size)
	}
	if r.Goroutines < goroutines || r.Goroutines > goroutines+100 {
		t.Errorf("got %d goroutines, want a few more than %d", r.Goroutines, goroutines)
	}
	if r.HeldCPU < 10*time.Millisecond || r.HeldCPU > r.CPU {
		t.Errorf("got %v of CPU time while held, of %v in all; want about 50ms", r.HeldCPU, r.CPU)
	}
	if r.Ramp <= 0 || r.Wall < r.Ramp+50*time.Millisecond {
		t.Errorf("got ramp %v, wall %v; want at least 50ms between them", r.Ramp, r.Wall)
	}
}

// burn takes so much of the CPU's time, and of everybody's.
func burn(t *testing.T, d time.Duration) {
	t.Helper()
	began, before := time.Now(), time.Duration(-1)
	for {
		cpu, err := usage.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if before < 0 {
			before = cpu
		}
		if cpu-before >= d && time.Since(began) >= d {
			return
		}
	}
}

func TestResultOfACancelledRun(t *testing.T) {
	m, err := NewMeter(someJob(Echo).with(func(j *Job) { j.Payload = []byte("x") }))
	if err != nil {
		t.Fatal(err)
	}
	m.Tally.Done(0, time.Millisecond)
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := m.Result(ctx); r.Operations != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("got %d operations, %v; want 1 and the context's error", r.Operations, err)
	}
}

func (j Job) with(change func(*Job)) Job {
	change(&j)
	return j
}

// TestDefaults fills in what was left out and leaves the rest.
func TestDefaults(t *testing.T) {
	job := someJob(Connect)
	job.Connections, job.Operations, job.Limits.Read = 100, 7, time.Second
	got, err := job.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	want := Limits{Connect: 3500 * time.Millisecond, Handshake: 5 * time.Second, Read: time.Second}
	if got.Connections != 7 || got.Limits != want || got.Clock == nil {
		t.Errorf("got %d connections, limits %+v, clock %v; want 7, %+v and one", got.Connections, got.Limits, got.Clock, want)
	}
}

func TestPer(t *testing.T) {
	m := Memory{Resident: 1000, Heap: 500, Stacks: -10}
	if got, want := m.Per(10), (Memory{Resident: 100, Heap: 50, Stacks: -1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := m.Per(0); got != (Memory{}) {
		t.Errorf("for none: got %+v, want nothing", got)
	}
}
