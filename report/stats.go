package report

import (
	"strings"
	"time"

	"sonde/internal/histogram"
)

// Phase is a phase of a target whose duration is summed up over a run.
type Phase uint8

// The phases, in the order of the metadata.
const (
	PhaseConnect   Phase = iota // Timing.Connect
	PhaseKernelRTT              // Timing.KernelRTT
	PhaseOurs                   // Connect minus KernelRTT, never below zero: what sonde itself added
	PhaseTLS                    // Timing.TLS
	PhaseTLSCPU                 // Timing.TLSCPU
	PhaseTLSWait                // Timing.TLSWait
	PhaseFirstByte              // Timing.FirstByte
	PhaseTotal                  // Timing.Total
	NumPhases                   // how many there are; not a phase
)

var phaseWords = [NumPhases]string{"connect_us", "kernel_rtt_us", "ours_us", "tls_us", "tls_cpu_us", "tls_wait_us", "first_byte_us", "total_us"}

// String returns the word of the metadata.
func (p Phase) String() string { return phaseWords[p] }

// Counts holds a number for each status.
type Counts [NumStatuses]uint64

// Total is the sum of all.
func (c *Counts) Total() uint64 {
	sum := uint64(0)
	for _, n := range c {
		sum += n
	}
	return sum
}

// ProbeCount tells how many records a probe gave.
type ProbeCount struct {
	Probe     string
	Records   uint64
	Successes uint64
}

// maxProbes bounds the probes told apart: more than there are in the program. What goes beyond is counted as otherProbes.
const (
	maxProbes   = 64
	otherProbes = "others"
)

// Summary sums up the records of a run in a memory that does not grow with their number (about 1.6 MB, and half as much again with resumptions). It belongs to one
// goroutine. Make one with [NewSummary].
type Summary struct {
	counts  Counts
	sides   [SidePolicy + 1]uint64
	probes  []ProbeCount // few: searched from the start
	causes  causes
	phases  [NumPhases]*histogram.Histogram
	missing uint64 // of counts, those without a record
	// resumption is nil until a record tells of one.
	resumption *Resumption
	retried    Retried
}

// Retried tells of the targets that were dialled more than once.
type Retried struct {
	Targets   uint64 `json:"targets"`
	Succeeded uint64 `json:"succeeded"` // only then
}

// Retried tells of the targets that were dialled more than once, nil if none was.
func (s *Summary) Retried() *Retried {
	if s.retried.Targets == 0 {
		return nil
	}
	retried := s.retried
	return &retried
}

// NewSummary returns an empty Summary.
func NewSummary() *Summary {
	s := &Summary{causes: newCauses()}
	for p := range s.phases {
		s.phases[p] = histogram.New()
	}
	return s
}

// Add counts one record. Its cost does not depend on what was added before, and it allocates only at the first record of
// a probe and of a cause.
func (s *Summary) Add(r *Record) {
	s.counts[r.Status]++
	s.sides[r.Side]++
	s.addProbe(r)
	if r.Status != Success {
		s.causes.add(r)
	}
	if r.Attempts > 1 {
		s.retried.Targets++
		if r.Status == Success {
			s.retried.Succeeded++
		}
	}
	t := &r.Timing
	s.addPhase(PhaseConnect, t.Connect)
	s.addPhase(PhaseKernelRTT, t.KernelRTT)
	if t.Connect >= 0 && t.KernelRTT >= 0 {
		// Of whole microseconds, so that it is what anyone gets who subtracts the two in the records.
		ours := t.Connect.Truncate(time.Microsecond) - t.KernelRTT.Truncate(time.Microsecond)
		s.addPhase(PhaseOurs, max(ours, 0))
	}
	s.addPhase(PhaseTLS, t.TLS)
	s.addPhase(PhaseTLSCPU, t.TLSCPU)
	s.addPhase(PhaseTLSWait, t.TLSWait)
	s.addPhase(PhaseFirstByte, t.FirstByte)
	s.addPhase(PhaseTotal, t.Total)
	if resumer, ok := r.Result.(Resumer); ok {
		s.addResumption(resumer)
	}
}

func (s *Summary) addPhase(p Phase, d time.Duration) {
	if d >= 0 {
		s.phases[p].Record(d)
	}
}

func (s *Summary) addProbe(r *Record) {
	name := r.Probe
	if len(s.probes) >= maxProbes {
		name = otherProbes
	}
	i := 0
	for i < len(s.probes) && s.probes[i].Probe != r.Probe && s.probes[i].Probe != name {
		i++
	}
	if i == len(s.probes) {
		s.probes = append(s.probes, ProbeCount{Probe: strings.Clone(name)})
	}
	s.probes[i].Records++
	if r.Status == Success {
		s.probes[i].Successes++
	}
}

// AddMissing counts n targets that have no record, since the process that had them is gone: they are local-error, with why as
// their error, and not among Records.
func (s *Summary) AddMissing(n uint64, why string) {
	if n == 0 {
		return
	}
	s.missing += n
	s.counts[LocalError] += n
	s.sides[SideLocal] += n
	r := Record{Status: LocalError, Side: SideLocal, Error: why}
	s.causes.addTimes(&r, n)
}

// Records is how many records were added.
func (s *Summary) Records() uint64 { return s.counts.Total() - s.missing }

// Missing is how many targets were added that have no record.
func (s *Summary) Missing() uint64 { return s.missing }

// Counts is how many records had each status.
func (s *Summary) Counts() Counts { return s.counts }

// Failed is how many records had any status but success.
func (s *Summary) Failed() uint64 { return s.counts.Total() - s.counts[Success] }

// Side is how many failures were the fault of that side; of SideNone, how many records name none.
func (s *Summary) Side(side Side) uint64 { return s.sides[side] }

// Probes tells the records of each probe, in the order in which they first came. The result is the caller's.
func (s *Summary) Probes() []ProbeCount { return append([]ProbeCount(nil), s.probes...) }

// Causes tells why targets failed, the most frequent cause first. The result is the caller's.
func (s *Summary) Causes() []Cause { return s.causes.sorted() }

// Phase is the histogram of a phase over all records in which it happened, failed ones too. It is the Summary's own and
// grows on; read it only.
func (s *Summary) Phase(p Phase) *histogram.Histogram { return s.phases[p] }
