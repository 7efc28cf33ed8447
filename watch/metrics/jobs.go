package metrics

import (
	"time"

	"sonde/policy/breaker"
	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/track"
)

// writeJobs writes what is said of the targets of a job together.
func writeJobs(e *encoder, c *track.Copy) {
	e.begin("probe_phase_duration_seconds", histograms, "How long the phases of the probes of a job took.")
	for i := range c.Jobs {
		job := &c.Jobs[i]
		labels := appendPair(nil, "job", job.Name)
		for p := range track.NumPhases {
			if h := &job.Phases[p]; h.Count() > 0 {
				e.histogram(appendPair(labels, "phase", p.String()), h)
			}
		}
	}
	e.perJob(c, "sonde_probes_total", counter, "Probes that ended, by status.", "status", func(i int, write func(string, uint64)) {
		for status, n := range c.Jobs[i].Probes {
			write(report.Status(status).String(), n)
		}
	})
	e.perJob(c, "sonde_turns_skipped_total", counter, "Turns that were not taken, by why: the breaker was open, the probe before was not over, too late.",
		"reason", func(i int, write func(string, uint64)) {
			for why, n := range c.Jobs[i].Skipped {
				write(track.Skip(why).String(), n)
			}
		})
	e.perJob(c, "sonde_kept_connection_drops_total", counter, "Kept connections that ended, by who ended them and how.", "cause",
		func(i int, write func(string, uint64)) {
			for cause, n := range c.Jobs[i].Drops {
				write(track.Cause(cause).String(), n)
			}
		})
	writeStates(e, c)
}

// perJob writes a family with a series for each job and each value of one more label. each writes those of job i.
func (e *encoder) perJob(c *track.Copy, name string, k kind, help, label string, each func(i int, write func(value string, n uint64))) {
	e.begin(name, k, help)
	for i := range c.Jobs {
		labels := appendPair(nil, "job", c.Jobs[i].Name)
		each(i, func(value string, n uint64) {
			e.sample(labels)
			e.label(label, value)
			e.uint(n)
		})
	}
}

// states counts the targets of a job.
type states struct {
	up      [flap.Down + 1]uint64
	breaker [breaker.HalfOpen + 1]uint64
	kept    [2]uint64 // down, up
}

func writeStates(e *encoder, c *track.Copy) {
	of := make([]states, len(c.Jobs))
	for i := range c.Views {
		v := &c.Views[i]
		s := &of[v.JobIndex()]
		s.up[v.State()]++
		s.breaker[v.Breaker()]++
		if v.Target.Keep {
			s.kept[indexOf(v.Kept().Up)]++
		}
	}
	e.perJob(c, "sonde_targets", gauge, "Targets by state, after rise and fall.", "state", func(i int, write func(string, uint64)) {
		for state, n := range of[i].up {
			write(flap.State(state).String(), n)
		}
	})
	e.perJob(c, "sonde_breakers", gauge, "Circuit breakers by state, of jobs that have them.", "state", func(i int, write func(string, uint64)) {
		for state, n := range of[i].breaker {
			if c.Jobs[i].Settings.Breaker.Window > 0 {
				write(breaker.State(state).String(), n)
			}
		}
	})
	e.perJob(c, "sonde_kept_connections", gauge, "Targets to which a connection is kept, by whether it stands.", "state", func(i int, write func(string, uint64)) {
		for up, n := range of[i].kept {
			if of[i].kept != [2]uint64{} {
				write([...]string{"down", "up"}[up], n)
			}
		}
	})
}

func indexOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// histogram writes one as classic buckets.
func (e *encoder) histogram(labels []byte, h *track.Histogram) {
	sum := uint64(0)
	for i, n := range h.Counts {
		sum += n
		e.suffixed("_bucket", labels)
		e.labelName("le")
		if i < track.NumBuckets {
			e.bound(track.Bucket(i))
		} else {
			e.buf = append(e.buf, "+Inf"...)
		}
		e.buf = append(e.buf, '"')
		e.uint(sum)
	}
	e.suffixed("_sum", labels)
	e.seconds(h.Sum)
	e.suffixed("_count", labels)
	e.uint(sum)
}

// bound writes a bound in seconds; OpenMetrics has whole numbers as "1.0".
func (e *encoder) bound(d time.Duration) {
	e.buf = appendSeconds(e.buf, d)
	if e.format == OpenMetrics && d%time.Second == 0 {
		e.buf = append(e.buf, ".0"...)
	}
}

// appendPair appends a label to labels, which stays as it is.
func appendPair(labels []byte, name, value string) []byte {
	labels = labels[:len(labels):len(labels)]
	if len(labels) > 0 {
		labels = append(labels, ',')
	}
	labels = append(append(labels, name...), '=', '"')
	return append(appendEscaped(labels, value), '"')
}
