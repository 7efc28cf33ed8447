package show

import (
	"time"

	"sonde/bench/result"
	"sonde/internal/histogram"
	"sonde/report/draw"
)

// percentiles are the rows of a table of latencies. The least and the greatest are exact.
var percentiles = []struct {
	name string
	q    float64
	// least is how many counts give the row a meaning: with fewer it is the greatest again.
	least uint64
}{{"min", 0, 0}, {"p50", 0.5, 0}, {"p75", 0.75, 4}, {"p90", 0.9, 10}, {"p99", 0.99, 100}, {"p99.9", 0.999, 1000}, {"p99.99", 0.9999, 10_000}, {"max", 1, 0}}

// column is a phase in a table whose rows are percentiles.
type column struct {
	title string
	of    *histogram.Histogram
}

// percentileTable shows how long operations took and how much of that was our own: at each percentile, the latency less what it
// was without our own queueing. Of heartbeats what is ours is how late they were sent, which is beside the latency.
func (p *page) percentileTable(title string) {
	latency, peer := p.phase(result.Latency), p.phase(result.Peer)
	if latency.Count() == 0 {
		return
	}
	var rest []column
	for _, c := range []column{{"PEER", peer}, {"SERVICE", p.phase(result.Service)}, {"1ST BYTE", p.phase(result.FirstByte)}, {"SENT LATE", p.sentLate()}} {
		if c.of.Count() > 0 {
			rest = append(rest, c)
		}
	}
	const oursCell = 16
	p.Section(title, nameCell)
	p.Right("LATENCY", timeCell)
	if peer.Count() > 0 {
		p.Right("OF WHICH OURS", oursCell)
	}
	for _, c := range rest {
		p.Right(c.title, timeCell+1)
	}
	p.End()
	for _, row := range percentiles {
		if latency.Count() < row.least {
			continue
		}
		p.Left(row.name, nameCell)
		p.Right(p.Duration(latency.Quantile(row.q)), timeCell)
		if peer.Count() > 0 {
			ours, all := oursAt(latency, peer, row.q)
			p.Right(p.Duration(ours), timeCell)
			p.Right(draw.Share(uint64(ours), uint64(all)), oursCell-timeCell)
		}
		for _, c := range rest {
			p.Right(p.Duration(c.of.Quantile(row.q)), timeCell+1)
		}
		p.End()
	}
	p.latencyNotes(peer.Count() > 0, p.phase(result.Service).Count() > 0)
	p.Histogram("LATENCY", latency)
}

func (p *page) latencyNotes(peer, service bool) {
	text := "latency: from when an operation should have begun, so that a peer that stalls hides nothing"
	if p.r.Kind == result.Hold {
		text = "latency: from when a heartbeat was sent to the end of its answer"
	}
	if peer {
		text += "; ours: latency less peer, at each percentile"
	}
	if service {
		text += "; service: from when it was sent"
	}
	if p.sentLate().Count() > 0 {
		text += "; sent late: by how much sonde sent it behind its time, which is sonde's own and no part of the latency"
	}
	p.note(text)
}

// sentLate is how late heartbeats were sent; empty for other operations, of whose latency the lag is a part.
func (p *page) sentLate() *histogram.Histogram {
	if p.r.Kind != result.Hold {
		return histogram.New()
	}
	return p.phase(result.Lag)
}

// oursAt is how much of the latency at a percentile was our own, and that latency.
func oursAt(latency, peer *histogram.Histogram, q float64) (ours, all time.Duration) {
	all = latency.Quantile(q)
	return max(all-peer.Quantile(q), 0), all
}

// phaseTable shows phases of a handshake, one a row.
func (p *page) phaseTable(title string, phases []column) {
	began := false
	for _, phase := range phases {
		h := phase.of
		if h.Count() == 0 {
			continue
		}
		if !began {
			began = true
			p.Section(title, nameCell+1)
			p.Right("COUNT", draw.CountCell)
			for _, title := range []string{"MIN", "P50", "P90", "P99", "P99.9", "MAX"} {
				p.Right(title, timeCell-1)
			}
			p.End()
		}
		p.Left(phase.title, nameCell+1)
		p.Right(draw.Count(h.Count()), draw.CountCell)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			p.Right(p.Duration(h.Quantile(q)), timeCell-1)
		}
		p.End()
	}
}

// handshakePhases are those of opening a connection.
func (p *page) handshakePhases() []column {
	return []column{
		{"connect", p.phase(result.Connect)}, {"  kernel rtt", p.phase(result.KernelRTT)}, {"  ours", p.phase(result.Ours)},
		{"tls full", p.phase(result.TLS)}, {"tls resumed", p.phase(result.TLSResumed)}, {"  tls wait", p.phase(result.TLSWait)},
		{"sched delay", p.phase(result.SchedDelay)},
	}
}

func (p *page) openingNotes() {
	text := ""
	if p.phase(result.Ours).Count() > 0 {
		text = "ours = connect - kernel rtt: what this machine and sonde added"
	}
	if p.phase(result.TLSWait).Count() > 0 {
		if text != "" {
			text += "; "
		}
		text += "tls wait: what of a TLS handshake, full or resumed, was the peer's and the network's"
	}
	if text != "" {
		p.note(text)
	}
}
