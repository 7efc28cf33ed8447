// Package result is what a load did: counts, latencies and a line of time, kept by each process for its own share, merged
// without loss, and made into a report. It measures nothing and prints nothing.
package result

import (
	"encoding/json"
	"fmt"
	"time"

	"sonde/internal/histogram"
)

// Part is what one process has counted of a load, or several together. The zero value counts nothing yet.
type Part struct {
	// Start is when the first connection was asked for, End when the last operation ended.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Wanted is how many connections were asked for, Opened how many were established, reopened ones counted again. Held is
	// how many stood at once when all had been opened or had failed, and HeldAtEnd when they were let go.
	Wanted    uint64 `json:"wanted"`
	Opened    uint64 `json:"opened"`
	Held      uint64 `json:"held"`
	HeldAtEnd uint64 `json:"held_at_end"`
	// Ramp is how long opening took.
	Ramp time.Duration `json:"ramp_ns"`
	// Operations is how many ended well in Measured, the time in which they count: heartbeats, handshakes or requests.
	// WarmUp is how many ended before, and count for nothing else.
	Operations uint64        `json:"operations"`
	WarmUp     uint64        `json:"warm_up"`
	Measured   time.Duration `json:"measured_ns"`
	// BytesIn is what the answers of Operations had, without TLS and below.
	BytesIn uint64 `json:"bytes_in"`
	// Failures are what went wrong, by cause.
	Failures Failures `json:"failures"`
	Phases   Phases   `json:"phases"`
	// Intervals are the line of time, one each whole second since the load's start. Those in which nothing was are left out.
	Intervals []Interval `json:"intervals"`
	Usage     Usage      `json:"usage"`
	Engine    Engine     `json:"engine"`
}

// Usage is what a process used.
type Usage struct {
	Processes int `json:"processes"`
	// CPU is user and system time in all; MeasuredCPU is that of the time in which operations count.
	CPU         time.Duration `json:"cpu_ns"`
	MeasuredCPU time.Duration `json:"measured_cpu_ns"`
	// ResidentBefore is the memory in RAM before the first connection, ResidentHeld that with all of them, in bytes, and
	// ResidentMax the most that was seen; or -1 where that is not known: the platform does not tell, nothing was held, or, for
	// ResidentBefore, the process had grown by an earlier run.
	ResidentBefore int64 `json:"resident_before"`
	ResidentHeld   int64 `json:"resident_held"`
	ResidentMax    int64 `json:"resident_max"`
	// Descriptors is how many were open with all connections; -1 if that is not known.
	Descriptors int `json:"descriptors"`
}

// Engine is what of the engine's own counts tells whether the figures can be believed.
type Engine struct {
	Loops       int                  `json:"loops"`
	Opened      uint64               `json:"opened"`
	Closed      uint64               `json:"closed"`
	FDWaits     uint64               `json:"fd_waits"`
	PortWaits   uint64               `json:"port_waits"`
	BufferWaits uint64               `json:"buffer_waits"`
	Illegal     uint64               `json:"illegal_edges"` // changes of state that must not be: faults of sonde
	LoopLag     *histogram.Histogram `json:"loop_lag_us"`
}

// Leaked is how many sockets were opened and never closed: 0, or it is a fault of sonde.
func (e *Engine) Leaked() int64 { return int64(e.Opened) - int64(e.Closed) }

// Merge adds what other has counted, which stays as it is. Both are of one load.
func (p *Part) Merge(other *Part) {
	if p.Start.IsZero() || !other.Start.IsZero() && other.Start.Before(p.Start) {
		p.Start = other.Start
	}
	if other.End.After(p.End) {
		p.End = other.End
	}
	p.Wanted += other.Wanted
	p.Opened += other.Opened
	p.Held += other.Held
	p.HeldAtEnd += other.HeldAtEnd
	p.Ramp = max(p.Ramp, other.Ramp)
	p.Operations += other.Operations
	p.WarmUp += other.WarmUp
	p.Measured = max(p.Measured, other.Measured)
	p.BytesIn += other.BytesIn
	p.Failures.Merge(other.Failures)
	p.Phases.Merge(&other.Phases)
	for i := range other.Intervals {
		p.AddInterval(&other.Intervals[i])
	}
	p.Usage.merge(&other.Usage)
	p.Engine.merge(&other.Engine)
}

func (u *Usage) merge(o *Usage) {
	u.Processes += o.Processes
	u.CPU += o.CPU
	u.MeasuredCPU += o.MeasuredCPU
	u.ResidentBefore = sumKnown(u.ResidentBefore, o.ResidentBefore)
	u.ResidentHeld = sumKnown(u.ResidentHeld, o.ResidentHeld)
	u.ResidentMax = sumKnown(u.ResidentMax, o.ResidentMax)
	u.Descriptors = int(sumKnown(int64(u.Descriptors), int64(o.Descriptors)))
}

// sumKnown adds two amounts; what is not known makes the sum not known.
func sumKnown(a, b int64) int64 {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}

func (e *Engine) merge(o *Engine) {
	e.Loops += o.Loops
	e.Opened += o.Opened
	e.Closed += o.Closed
	e.FDWaits += o.FDWaits
	e.PortWaits += o.PortWaits
	e.BufferWaits += o.BufferWaits
	e.Illegal += o.Illegal
	if o.LoopLag != nil {
		if e.LoopLag == nil {
			e.LoopLag = histogram.New()
		}
		e.LoopLag.Merge(o.LoopLag)
	}
}

// Encode is p as bytes for another process of the same binary.
func (p *Part) Encode() ([]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode a part: %w", err)
	}
	return data, nil
}

// Decode is the reverse of Encode.
func Decode(data []byte) (*Part, error) {
	p := new(Part)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("decode a part: %w", err)
	}
	return p, nil
}
