package page

import (
	"fmt"
	"time"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// notices are what a reader must know before any figure.
func notices(r *result.Report) []string {
	var list []string
	if p := r.Total; len(p.Intervals) == 0 && p.Opened == 0 && p.Operations == 0 {
		list = append(list, "Nothing was measured: no connection stood and no operation ended.")
	}
	if r.Stopped != "" {
		list = append(list, "The load ended early: "+r.Stopped+".")
	}
	died := 0
	for i := range r.Workers {
		if r.Workers[i].Error != "" {
			died++
		}
	}
	if died > 0 {
		list = append(list, fmt.Sprintf("%d of %d worker processes died; their shares are among the failures.", died, len(r.Workers)))
	}
	if leaked := r.Total.Engine.Leaked(); leaked != 0 {
		list = append(list, fmt.Sprintf("%d sockets were opened and not closed: a fault of sonde.", leaked))
	}
	return list
}

// tiles are the headline figures of a kind of load.
func tiles(r *result.Report) []tile {
	var list []tile
	switch r.Kind {
	case result.Hold:
		list = holdTiles(r)
	case result.Handshake:
		list = handshakeTiles(r.Total)
	default:
		list = requestTiles(r.Total)
	}
	return append(list, failureTile(r.Total))
}

func holdTiles(r *result.Report) []tile {
	p := r.Total
	list := []tile{{Name: "Connections held", Value: whole(p.Held), Note: fmt.Sprintf("of %s wanted, %s at the end", whole(p.Wanted), whole(p.HeldAtEnd)),
		Bad: p.Held < p.Wanted}}
	if p.Ramp > 0 && p.Opened > 0 {
		list = append(list, tile{Name: "Ramp", Value: span(p.Ramp), Note: number(float64(p.Opened)/p.Ramp.Seconds()) + " connections a second"})
	}
	if bytes, ok := p.MemoryPerConnection(); ok {
		list = append(list, tile{Name: "Our memory per connection", Value: number(bytes), Unit: "B", Note: knownSize(p.Usage.ResidentHeld) + " resident with all of them"})
	}
	if k := r.Kernel; k.Slab >= 0 && p.Held > 0 {
		note := "slab"
		all := k.Slab
		if k.Memory >= 0 {
			all += k.Memory
			note = "slab and buffers"
		}
		list = append(list, tile{Name: "Kernel memory per connection", Value: size(float64(all) / float64(p.Held)), Note: note + "; over loopback of both ends"})
	}
	if p.Measured > 0 {
		list = append(list, tile{Name: "CPU while held", Value: number(100 * p.Usage.MeasuredCPU.Seconds() / p.Measured.Seconds()), Unit: "%", Note: "of one core, all processes"})
	}
	return append(list, latencyTiles(p.Phases[result.Latency], "Heartbeat")...)
}

func handshakeTiles(p *result.Part) []tile {
	list := rateTiles(p, "Handshakes")
	name, h := "Connect", p.Phases[result.Connect]
	if has(&p.Phases, result.TLS) {
		name, h = "Full TLS handshake", p.Phases[result.TLS]
	} else if has(&p.Phases, result.TLSResumed) {
		name, h = "Resumed TLS handshake", p.Phases[result.TLSResumed]
	}
	return append(append(list, latencyTiles(h, name)...), oursTiles(p)...)
}

func requestTiles(p *result.Part) []tile {
	list := append(rateTiles(p, "Requests"), latencyTiles(p.Phases[result.Latency], "Latency")...)
	list = append(list, oursTiles(p)...)
	if p.Measured > 0 && p.BytesIn > 0 {
		list = append(list, tile{Name: "Read", Value: size(float64(p.BytesIn) / p.Measured.Seconds()), Unit: "/s", Note: size(float64(p.BytesIn)) + " in all"})
	}
	return list
}

// rateTiles are how many operations there were, and what each cost.
func rateTiles(p *result.Part, name string) []tile {
	list := []tile{{Name: name + " a second", Value: number(p.OperationsPerSecond()), Note: whole(p.Operations) + " in " + span(p.Measured)}}
	if cost := p.CPUPerOperation(); cost > 0 {
		list = append(list, tile{Name: "CPU per operation", Value: micros(toMicros(cost)), Note: number(p.OperationsPerCore()) + " a second per core"})
	}
	return list
}

func latencyTiles(h *histogram.Histogram, name string) []tile {
	if h == nil || h.Count() == 0 {
		return nil
	}
	q := func(q float64) string { return micros(toMicros(h.Quantile(q))) }
	return []tile{
		{Name: name + " p50", Value: q(0.5), Note: "mean " + micros(toMicros(h.Mean()))},
		{Name: name + " p99", Value: q(0.99), Note: "p99.9 " + q(0.999) + ", greatest " + q(1)},
	}
}

// oursTiles say how much of p99 was our own, of the first curve that can tell it.
func oursTiles(p *result.Part) []tile {
	for _, cv := range curves(&p.Phases) {
		if cv.of != nil {
			us, share := cv.ours(0.99)
			return []tile{{Name: "Our own part at p99", Value: micros(us), Note: percent(share) + " of " + micros(toMicros(cv.of.Quantile(0.99))) + "; " + cv.own}}
		}
	}
	return nil
}

func failureTile(p *result.Part) tile {
	total, lost := p.Failures.Total()
	t := tile{Name: "Failures", Value: whole(total), Bad: total > 0}
	switch done := p.Operations + total; {
	case total == 0:
		t.Note = "nothing failed, nothing was dropped"
	case lost > 0:
		t.Note = whole(lost) + " of them connections that were dropped"
	default:
		t.Note = percent(float64(total)/float64(done)) + " of all"
	}
	return t
}

// seconds is d with its unit, for tables.
func seconds(d time.Duration) string { return number(d.Seconds()) + " s" }
