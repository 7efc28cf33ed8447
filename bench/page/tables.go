package page

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// meanings are what the phases are, in a line.
var meanings = [result.NumPhases]string{
	result.SchedDelay: "late dialling",
	result.Connect:    "connect, as sonde saw it",
	result.KernelRTT:  "connect, as the kernel measured it",
	result.Ours:       "connect, our own queueing",
	result.TLS:        "TLS handshake, full",
	result.TLSResumed: "TLS handshake, resumed",
	result.TLSWait:    "TLS handshake, the peer's part",
	result.FirstByte:  "write to the first byte",
	result.Service:    "write to the end of the answer",
	result.Latency:    "intended start to the end",
	result.Peer:       "the same without what was ours",
	result.Lag:        "what was our own of each",
}

// phaseTable is the percentiles of all phases; nil if there are none.
func phaseTable(p *result.Part) *table {
	t := &table{Caption: "All phases", Head: []column{{"Phase", false}, {"p50", true}, {"p90", true}, {"p99", true}, {"p99.9", true}, {"greatest", true},
		{"mean", true}, {"least", true}, {"count", true}, {"what it is", false}}}
	for phase, h := range p.Phases {
		if h != nil && h.Count() > 0 {
			t.Rows = append(t.Rows, slices.Concat([]string{result.Phase(phase).String()}, summary(h), []string{whole(h.Count()), meanings[phase]}))
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// summary is percentiles, greatest, mean and least of h.
func summary(h *histogram.Histogram) []string {
	var cells []string
	for _, q := range percentiles {
		cells = append(cells, micros(toMicros(h.Quantile(q))))
	}
	return append(cells, micros(toMicros(h.Max())), micros(toMicros(h.Mean())), micros(toMicros(h.Min())))
}

// failureTable is the reasons, the most frequent first.
func failureTable(p *result.Part) *table {
	t := &table{Head: []column{{"Status", false}, {"count", true}, {"side", false}, {"state", false}, {"connection", false}, {"error", false}, {"for example", false}}}
	for _, f := range p.Failures.ByCount() {
		stood := "never stood"
		if f.Lost {
			stood = "dropped"
		}
		t.Rows = append(t.Rows, []string{f.Status, whole(f.Count), f.Side, f.State, stood, f.Text, f.Example})
	}
	if len(t.Rows) == 0 {
		return &table{Note: "None."}
	}
	return t
}

// searchTable is the rates that were tried; nil if there was no search.
func searchTable(r *result.Report) *table {
	if len(r.Searched) == 0 {
		return nil
	}
	t := &table{Head: []column{{"Rate asked for", true}, {"achieved", true}, {"latency of the promise", true}, {"promise", false}}}
	for _, s := range r.Searched {
		kept := "kept"
		if !s.Kept {
			kept = "broken"
		}
		t.Rows = append(t.Rows, []string{number(s.Rate) + " /s", number(s.Achieved) + " /s", micros(toMicros(s.Value)), kept})
	}
	return t
}

// runTable is how much the figures of repeated runs differ; nil if there was one run.
func runTable(r *result.Report) *table {
	values := map[string][]float64{}
	for _, run := range r.Runs {
		for name, v := range run.Figures {
			values[name] = append(values[name], v)
		}
	}
	if len(values) == 0 {
		return nil
	}
	t := &table{Caption: fmt.Sprintf("%d runs", len(r.Runs)), Head: []column{{"Figure", false}, {"least", true}, {"median", true}, {"greatest", true}, {"spread", true}}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := slices.Sorted(slices.Values(values[name]))
		median := (v[(len(v)-1)/2] + v[len(v)/2]) / 2
		spread := "n/a"
		if median > 0 {
			spread = percent((v[len(v)-1] - v[0]) / median)
		}
		t.Rows = append(t.Rows, []string{name, number(v[0]), number(median), number(v[len(v)-1]), spread})
	}
	return t
}

// workerTable is how the worker processes ended; nil if there were none.
func workerTable(r *result.Report) *table {
	if len(r.Workers) == 0 {
		return nil
	}
	t := &table{Head: []column{{"Worker", false}, {"process", true}, {"connections", true}, {"CPU", true}, {"end", false}}, Fold: len(r.Workers) > 16}
	t.Caption = fmt.Sprintf("%d worker processes", len(r.Workers))
	for _, w := range r.Workers {
		end := "well"
		if w.Error != "" {
			end = "died: " + w.Error
		}
		t.Rows = append(t.Rows, []string{strconv.Itoa(w.Number), strconv.Itoa(w.PID), whole(w.Connections), seconds(w.CPU), end})
	}
	return t
}

// timeTable is all bins as figures, for those who can't see the pictures; nil if there are none.
func timeTable(t *timeline) *table {
	if t == nil {
		return nil
	}
	tab := &table{ID: "table-over-time", Caption: fmt.Sprintf("%d stretches of %d s", len(t.bins), t.width), Fold: true, Head: []column{{"From", true}}}
	unit, _, _ := strings.Cut(momentUnit(t.end()), " ")
	tab.Head[0].Name = "From (" + unit + ")"
	for _, name := range []string{"operations/s", "failures", "dropped", "held", "in flight", "opened", "memory", "cores"} {
		tab.Head = append(tab.Head, column{name, true})
	}
	for _, q := range percentiles {
		tab.Head = append(tab.Head, column{quantileWord(q), true})
	}
	for i := range t.bins {
		b := &t.bins[i]
		row := []string{moment(b.from, t.end()), number(b.perSecond(b.operations)), whole(b.failed), whole(b.lost), whole(b.held),
			whole(b.inFlight), whole(b.opened), knownSize(b.resident), number(b.cpu.Seconds() / b.seconds())}
		for _, us := range b.quantiles {
			if b.count == 0 {
				row = append(row, "")
			} else {
				row = append(row, micros(us))
			}
		}
		tab.Rows = append(tab.Rows, row)
	}
	return tab
}

// configuration is what was asked for.
func configuration(r *result.Report) list {
	l := list{Title: "Configuration"}
	for _, name := range slices.Sorted(maps.Keys(r.Config)) {
		l.Items = append(l.Items, item{name, setting(r.Config[name])})
	}
	return l
}

func machine(r *result.Report) list {
	m := &r.Machine
	l := list{Title: "Machine"}
	for _, i := range []item{
		{"system", m.OS}, {"kernel", m.Kernel}, {"CPUs that may be used", strconv.Itoa(m.CPUs)}, {"CPU", m.CPUModel},
		{"memory", knownSize(m.Memory)}, {"go", m.Go}, {"host", m.Hostname}, {"sonde", r.Version},
	} {
		if i.Value != "" {
			l.Items = append(l.Items, i)
		}
	}
	return l
}

// engineCounts are what tells whether the figures can be believed.
func engineCounts(r *result.Report) list {
	e, u := &r.Total.Engine, &r.Total.Usage
	l := list{Title: "Process and engine", Items: []item{
		{"processes", strconv.Itoa(u.Processes)}, {"event loops", strconv.Itoa(e.Loops)},
		{"sockets opened", whole(e.Opened)}, {"sockets closed", whole(e.Closed)},
		{"waits for a descriptor", whole(e.FDWaits)}, {"waits for a port", whole(e.PortWaits)}, {"waits for a buffer", whole(e.BufferWaits)},
		{"descriptors in use", knownCount(int64(u.Descriptors))},
		{"memory before", knownSize(u.ResidentBefore)}, {"memory with all", knownSize(u.ResidentHeld)}, {"memory at most", knownSize(u.ResidentMax)},
		{"CPU in all", seconds(u.CPU)}, {"CPU in the measured time", seconds(u.MeasuredCPU)},
		{"kernel sockets", knownCount(r.Kernel.Sockets)}, {"kernel buffers", knownSize(r.Kernel.Memory)}, {"kernel slab", knownSize(r.Kernel.Slab)},
	}}
	if h := e.LoopLag; h != nil && h.Count() > 0 {
		l.Items = append(l.Items, item{"loop lag", fmt.Sprintf("p50 %s, p99 %s, greatest %s", micros(toMicros(h.Quantile(0.5))),
			micros(toMicros(h.Quantile(0.99))), micros(toMicros(h.Max())))})
	}
	return l
}

func knownCount(n int64) string {
	if n < 0 {
		return "not known"
	}
	return whole(uint64(n))
}
