package result

import (
	"encoding/json"
	"fmt"

	"sonde/internal/histogram"
)

// Phase is what a latency is of.
type Phase uint8

// The phases. Which of them a load has depends on its kind.
const (
	// SchedDelay is from when a connection should have been dialled until it was.
	SchedDelay Phase = iota
	// Connect is from connect(2) to the connection, as this process saw it; KernelRTT is the same as the kernel measured it
	// (TCP_INFO, tcp(7)); Ours is the difference, our own queueing.
	Connect
	KernelRTT
	Ours
	// TLS is a full TLS handshake (RFC 8446), TLSResumed one that resumed a session; TLSWait is what of either was the peer's
	// and the network's.
	TLS
	TLSResumed
	TLSWait
	// FirstByte is from when a request was handed to the kernel to the first byte of its answer.
	FirstByte
	// Service is from when a request was handed to the kernel to the end of its answer.
	Service
	// Latency is from when an operation should have begun to its end: it holds the time in which a request waited for the
	// answer before it, so that a peer that stalls hides nothing (no coordinated omission), and what was our own fault.
	Latency
	// Peer is Latency without what was our own: what is left is the peer's and the network's.
	Peer
	// Lag is what was our own of each operation: how late it began though nothing stood in its way, and, with kernel
	// timestamps, how long its answer lay before it was read.
	Lag
	NumPhases // how many there are; not a phase
)

var phaseWords = [NumPhases]string{
	"sched_delay_us", "connect_us", "kernel_rtt_us", "ours_us", "tls_us", "tls_resumed_us", "tls_wait_us", "first_byte_us",
	"service_us", "latency_us", "peer_us", "lag_us",
}

// String returns the name of the phase in reports.
func (p Phase) String() string { return phaseWords[p] }

// Phases are the latencies of each phase; nil where nothing was counted.
type Phases [NumPhases]*histogram.Histogram

// Of returns the histogram of p, new if there was none.
func (p *Phases) Of(phase Phase) *histogram.Histogram {
	if p[phase] == nil {
		p[phase] = histogram.New()
	}
	return p[phase]
}

// Merge adds what other has counted, which stays as it is.
func (p *Phases) Merge(other *Phases) {
	for phase, h := range other {
		if h != nil && h.Count() > 0 {
			p.Of(Phase(phase)).Merge(h)
		}
	}
}

// MarshalJSON implements [json.Marshaler]: an object with a member for each phase that has counts.
func (p Phases) MarshalJSON() ([]byte, error) {
	m := make(map[string]*histogram.Histogram)
	for phase, h := range p {
		if h != nil && h.Count() > 0 {
			m[Phase(phase).String()] = h
		}
	}
	return json.Marshal(m)
}

// UnmarshalJSON implements [json.Unmarshaler]. A phase of a later version, which this one does not know, is left out.
func (p *Phases) UnmarshalJSON(data []byte) error {
	var m map[string]*histogram.Histogram
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("phases: %w", err)
	}
	*p = Phases{}
	for phase := range p {
		p[phase] = m[Phase(phase).String()]
	}
	return nil
}
