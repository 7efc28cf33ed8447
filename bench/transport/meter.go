package transport

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"sonde/internal/kernel/usage"
)

// MaxDials is how many dials are under way at once where all connections are opened first (Hold, Echo), for a transport
// whose dials block. A dial for each connection at once would overflow the peer's accept queue, and measure its SYN
// retransmits.
const MaxDials = 64

const (
	// sampleInterval is how often goroutines are counted, which costs next to nothing.
	sampleInterval = 10 * time.Millisecond
	// threadSamples is how many samples there are to one of the threads, which costs some 50 us: 0.05 % of a CPU.
	threadSamples = 10
)

// Meter measures one Run. Every transport goes through the same steps:
//
//	NewMeter ─► AllHeld (Hold only) ─► Stop ─► Result
//
// It owns one goroutine from NewMeter to Stop.
type Meter struct {
	// Job is the job with its defaults.
	Job Job
	// Tally counts its operations.
	Tally *Tally

	before     snapshot
	startedAt  int64         // of Job.Clock
	startedCPU time.Duration // of the process
	looking    time.Duration // CPU time of ours, spent on measuring
	heldCPU    time.Duration // of the process, when all were held
	rampDone   int           // operations that had ended well by then
	held       bool

	mu   sync.Mutex // guards the peaks in result
	done chan struct{}
	gone sync.WaitGroup

	result Result
}

// snapshot is the memory of the process with nothing in it but what is in use.
type snapshot struct{ resident, heap, stacks int64 }

// NewMeter begins to measure a job: from here on the clock runs. It fails on a job that makes no sense. The caller must come
// to Stop.
func NewMeter(job Job) (*Meter, error) {
	job, err := job.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	operations := job.Operations
	if job.Workload == Hold {
		operations = 0
	}
	m := &Meter{Job: job, Tally: newTally(operations), done: make(chan struct{})}
	if job.Workload == Echo {
		m.Tally.taken.Store(int64(job.Connections)) // of which there are never more than operations
	}
	m.result.Threads = usage.Unknown
	if job.Workload == Hold {
		if m.before, err = take(); err != nil {
			return nil, fmt.Errorf("transport: %w", err)
		}
	} else {
		runtime.GC() // no transport pays for the garbage of the one before
	}
	if m.startedCPU, err = usage.CPU(); err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	m.startedAt = job.Clock.Now()
	m.gone.Go(m.watch)
	return m, nil
}

// take looks at the memory. Two collections: what a sync.Pool kept outlives the first.
func take() (snapshot, error) {
	runtime.GC()
	debug.FreeOSMemory()
	u, err := usage.Read()
	if err != nil {
		return snapshot{}, err
	}
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	s := snapshot{resident: u.Resident}
	if v := samples[0].Value; v.Kind() == metrics.KindUint64 {
		s.heap = int64(v.Uint64())
	}
	if v := samples[1].Value; v.Kind() == metrics.KindUint64 {
		s.stacks = int64(v.Uint64())
	}
	return s, nil
}

// watch looks for the most goroutines and threads until Stop.
func (m *Meter) watch() {
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-m.done:
			return
		case <-ticker.C:
			m.sample(n%threadSamples == 0)
		}
	}
}

// Sample looks at goroutines and threads now, for a moment of which the transport knows that they are many.
func (m *Meter) Sample() { m.sample(true) }

func (m *Meter) sample(threads bool) {
	goroutines := runtime.NumGoroutine() - 1 // less ours
	m.mu.Lock()
	defer m.mu.Unlock()
	m.result.Goroutines = max(m.result.Goroutines, goroutines)
	if threads {
		m.result.Threads = max(m.result.Threads, usage.Threads())
	}
}

// AllHeld says that so many connections stand and no more will come, and measures what they take: a full garbage
// collection, whose cost counts for nobody. It fails with the errno of getrusage(2).
func (m *Meter) AllHeld(held int) error {
	m.result.Ramp = time.Duration(m.Job.Clock.Now() - m.startedAt)
	m.Sample()
	from, err := usage.CPU()
	if err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	now, err := take()
	if err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	if m.heldCPU, err = usage.CPU(); err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	m.rampDone = m.Tally.done()
	m.looking, m.held = m.heldCPU-from, true
	m.result.Held = held
	m.result.Memory = Memory{Resident: now.resident - m.before.resident, Heap: now.heap - m.before.heap, Stacks: now.stacks - m.before.stacks}
	if now.resident == usage.Unknown {
		m.result.Memory.Resident = usage.Unknown
	}
	return nil
}

// Stop says that the last operation has ended: the clock stands still. A transport calls it before it takes down what
// served all operations (loops, a client), which belongs to none. It fails with the errno of getrusage(2).
func (m *Meter) Stop() error {
	m.result.Wall = time.Duration(m.Job.Clock.Now() - m.startedAt)
	cpu, err := usage.CPU()
	m.Sample()
	close(m.done)
	m.gone.Wait()
	if err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	m.result.CPU = max(cpu-m.startedCPU-m.looking, 0)
	if m.held {
		m.result.HeldCPU = max(cpu-m.heldCPU, 0)
	}
	return nil
}

// Result is what the run did. It comes after Stop, when no goroutine counts any more. Its error is that of a ctx that
// has ended, wrapped.
func (m *Meter) Result(ctx context.Context) (Result, error) {
	m.Tally.sum(&m.result)
	if m.held {
		m.result.HeldOperations = m.result.Operations - m.rampDone
	}
	if err := ctx.Err(); err != nil {
		return m.result, fmt.Errorf("transport: %w", err)
	}
	return m.result, nil
}
