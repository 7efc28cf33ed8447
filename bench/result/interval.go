package result

import (
	"cmp"
	"slices"
	"time"

	"sonde/internal/histogram"
)

// IntervalLength is how long an interval is.
const IntervalLength = time.Second

// Interval is a second of a load's time, in one process or several together.
type Interval struct {
	// Index counts the intervals from the load's start, which is the same moment for all processes.
	Index int `json:"index"`
	// Held is how many connections stood at its end, InFlight how many were between dial and verdict.
	Held     uint64 `json:"held"`
	InFlight uint64 `json:"in_flight"`
	// Opened, Lost, Operations and Failed are how many there were in it: connections established, connections that stood and
	// were lost, operations that ended well (those of the warm-up too), and all that failed.
	Opened     uint64 `json:"opened"`
	Lost       uint64 `json:"lost"`
	Operations uint64 `json:"operations"`
	Failed     uint64 `json:"failed"`
	// WarmUp says that its operations count for nothing.
	WarmUp bool `json:"warm_up,omitempty"`
	// Latency is of its operations, by the phase that is the load's own: Latency for hold and request, Connect for handshakes, or
	// TLS if there is TLS. nil if there were none.
	Latency *histogram.Compact `json:"latency_us,omitempty"`
	// CPU is what was used in it, Resident the memory in RAM at its end, in bytes, -1 where that is not known.
	CPU      time.Duration `json:"cpu_ns"`
	Resident int64         `json:"resident"`
}

// AddInterval counts what another process, or the same, has to say of an interval.
func (p *Part) AddInterval(other *Interval) {
	at, found := slices.BinarySearchFunc(p.Intervals, other.Index, func(i Interval, index int) int { return cmp.Compare(i.Index, index) })
	if !found {
		p.Intervals = slices.Insert(p.Intervals, at, *other)
		return
	}
	sum := NewIntervalSum(&p.Intervals[at])
	sum.Add(other)
	p.Intervals[at] = *sum.Interval()
}

// IntervalSum adds up what several processes have to say of one interval. A latency is encoded once, when all are there: to do so
// for each of fifty processes each second would keep a core busy. It belongs to one goroutine. Make one with [NewIntervalSum].
type IntervalSum struct {
	sum     Interval
	latency *histogram.Histogram
}

// NewIntervalSum begins with the interval i, which it does not keep.
func NewIntervalSum(i *Interval) *IntervalSum {
	s := &IntervalSum{sum: *i, latency: histogram.New()}
	s.sum.Latency = nil
	s.addLatency(i)
	return s
}

// Add adds what another process has to say.
func (s *IntervalSum) Add(i *Interval) {
	s.sum.merge(i)
	s.addLatency(i)
}

// addLatency leaves out what can't be read.
func (s *IntervalSum) addLatency(i *Interval) {
	if h, err := i.Latency.Histogram(); err == nil {
		s.latency.Merge(h)
	}
}

// Interval returns the sum so far.
func (s *IntervalSum) Interval() *Interval {
	i := s.sum
	i.Latency = s.latency.Compact()
	return &i
}

func (i *Interval) merge(o *Interval) {
	i.Held += o.Held
	i.InFlight += o.InFlight
	i.Opened += o.Opened
	i.Lost += o.Lost
	i.Operations += o.Operations
	i.Failed += o.Failed
	i.WarmUp = i.WarmUp || o.WarmUp
	i.CPU += o.CPU
	i.Resident = sumKnown(i.Resident, o.Resident)
}
