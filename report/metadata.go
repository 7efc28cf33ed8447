package report

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"sonde/internal/histogram"
)

// Run is a run that has ended: what the metadata file and the end summary are made from.
type Run struct {
	Version  string    // of sonde
	Start    time.Time // when the first target was asked for
	End      time.Time // when the last record was written
	Targets  uint64    // targets that the source gave, those refused as bad entries included
	Excluded uint64    // addresses left out by an exclusion list without a record of their own
	Stopped  string    // why the run ended before its targets did ("interrupted", "disk full"); empty if it did not
	Summary  *Summary
	Engine   Engine
	Config   any // what was asked for, as encoding/json is to write it
}

// Duration is how long the run took, never below zero.
func (r *Run) Duration() time.Duration { return max(r.End.Sub(r.Start), 0) }

// Rate is how many records a second the run gave; 0 for a run of no length.
func (r *Run) Rate() float64 {
	seconds := r.Duration().Seconds()
	if seconds == 0 {
		return 0
	}
	return float64(r.Summary.Records()) / seconds
}

// Engine is what the engine counted.
type Engine struct {
	Loops       int    `json:"loops"`
	InFlightMax uint64 `json:"in_flight_max"` // most targets between dial and verdict at one time
	Opened      uint64 `json:"opened"`        // sockets
	Closed      uint64 `json:"closed"`
	Established uint64 `json:"established"` // connections whose handshake ended well
	// HandshakesMax is the most TLS handshakes under way at one time.
	HandshakesMax uint64 `json:"handshakes_max"`
	FDWaits       uint64 `json:"fd_waits"`      // times that admission waited for a descriptor
	PortWaits     uint64 `json:"port_waits"`    // targets that waited for a local port
	BufferWaits   uint64 `json:"buffer_waits"`  // times that a read waited for a buffer
	StaleEvents   uint64 `json:"stale_events"`  // events of a connection that was gone, ignored
	Illegal       uint64 `json:"illegal_edges"` // changes of state that must not be: faults of sonde

	LoopLag Distribution `json:"loop_lag_us"` // how late a loop served what was due
	Buffers Buffers      `json:"buffers"`
}

// Leaked is how many sockets were opened and never closed: zero, or it is a fault of sonde.
func (e *Engine) Leaked() int64 { return int64(e.Opened - e.Closed) }

// MarshalJSON implements [json.Marshaler]: the fields, and "leaked".
func (e Engine) MarshalJSON() ([]byte, error) {
	type fields Engine // without the method, or this would call itself
	return json.Marshal(struct {
		fields
		Leaked int64 `json:"leaked"`
	}{fields(e), e.Leaked()})
}

// Buffers is what the pool of read buffers counted, summed over the loops.
type Buffers struct {
	HighWaterBytes uint64 `json:"high_water_bytes"` // most bytes lent at one time
	BlockBytes     uint64 `json:"block_bytes"`      // memory held at the end
	Refused        uint64 `json:"refused"`          // times that the cap was met
}

// Distribution sums up a histogram, in whole microseconds. Quantiles are true to three digits, the rest is exact.
type Distribution struct {
	Count uint64 `json:"count"`
	Min   int64  `json:"min"`
	Mean  int64  `json:"mean"`
	P50   int64  `json:"p50"`
	P90   int64  `json:"p90"`
	P99   int64  `json:"p99"`
	P999  int64  `json:"p999"`
	Max   int64  `json:"max"`
}

// DistributionOf sums up h; all zero if h is nil or empty.
func DistributionOf(h *histogram.Histogram) Distribution {
	if h == nil {
		return Distribution{}
	}
	return Distribution{
		Count: h.Count(), Min: h.Min().Microseconds(), Mean: h.Mean().Microseconds(), P50: h.Quantile(0.50).Microseconds(),
		P90: h.Quantile(0.90).Microseconds(), P99: h.Quantile(0.99).Microseconds(), P999: h.Quantile(0.999).Microseconds(),
		Max: h.Max().Microseconds(),
	}
}

// Metadata is the object of the metadata file; docs/records.md describes it.
type Metadata struct {
	Version   string       `json:"version"`
	Start     Moment       `json:"start"`
	End       Moment       `json:"end"`
	DurationS float64      `json:"duration_s"`
	Stopped   string       `json:"stopped,omitempty"`
	Targets   uint64       `json:"targets"`
	Excluded  uint64       `json:"excluded"`
	Records   uint64       `json:"records"`
	Statuses  StatusCounts `json:"statuses"`
	// Retried is nil if no target was dialled more than once.
	Retried  *Retried  `json:"retried,omitempty"`
	RatePerS float64   `json:"rate_per_s"`
	Latency  Latencies `json:"latency"`
	// Resumption is nil if no session was offered.
	Resumption *Resumption `json:"resumption,omitempty"`
	Engine     Engine      `json:"engine"`
	Config     any         `json:"config"`
}

// Metadata returns the object for the metadata file.
func (r *Run) Metadata() Metadata {
	m := Metadata{
		Version: r.Version, Start: Moment{r.Start}, End: Moment{r.End}, DurationS: math.Round(r.Duration().Seconds()*1e6) / 1e6,
		Stopped: r.Stopped, Targets: r.Targets, Excluded: r.Excluded, Records: r.Summary.Records(),
		Statuses: StatusCounts(r.Summary.Counts()), RatePerS: math.Round(r.Rate()*10) / 10,
		Retried: r.Summary.Retried(), Resumption: r.Summary.Resumption(), Engine: r.Engine, Config: r.Config,
	}
	if m.Config == nil {
		m.Config = struct{}{}
	}
	for p := range NumPhases {
		m.Latency[p] = DistributionOf(r.Summary.Phase(p))
	}
	return m
}

// Moment is a time that is written as records write it: RFC 3339, UTC, six digits of fraction.
type Moment struct{ time.Time }

// MarshalJSON implements [json.Marshaler].
func (m Moment) MarshalJSON() ([]byte, error) {
	return append(appendTimestamp([]byte{'"'}, m.Time), '"'), nil
}

// StatusCounts is written as an object of the statuses that occurred, in the order of the closed set; "success" always.
type StatusCounts Counts

// MarshalJSON implements [json.Marshaler].
func (c StatusCounts) MarshalJSON() ([]byte, error) {
	dst := []byte{'{'}
	for s := range NumStatuses {
		if c[s] == 0 && s != Success {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), s.String()...), '"', ':')
		dst = strconv.AppendUint(dst, c[s], 10)
	}
	return append(dst, '}'), nil
}

// Latencies is written as an object of the phases that happened at least once.
type Latencies [NumPhases]Distribution

// MarshalJSON implements [json.Marshaler].
func (l Latencies) MarshalJSON() ([]byte, error) {
	var dst bytes.Buffer
	dst.WriteByte('{')
	for p, d := range l {
		if d.Count == 0 {
			continue
		}
		if dst.Len() > 1 {
			dst.WriteByte(',')
		}
		text, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		dst.WriteString(`"` + Phase(p).String() + `":`)
		dst.Write(text)
	}
	dst.WriteByte('}')
	return dst.Bytes(), nil
}
