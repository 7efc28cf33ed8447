// Package baseline compares the report of a load with an earlier one of the same load: by how much each figure differs, and
// whether that is more than the noise between repeated runs. The test is the Mann-Whitney U test (the Wilcoxon rank-sum test),
// by the package that benchstat has it from, exact for up to 50 runs a side (25 if some are equal) and approximate above: it
// assumes no distribution, which latencies do not have.
package baseline

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aclements/go-moremath/stats"

	"sonde/bench/result"
)

const (
	// alpha is how often a difference is seen where there is none, as benchstat has it.
	alpha = 0.05
	// minRuns is how many runs a side the test needs: three against three differ by chance in one case of ten, four against
	// four in one of 35.
	minRuns = 4
)

// Comparison is what Compare found.
type Comparison struct {
	Kind string
	// OldVersion and NewVersion are the versions of sonde.
	OldVersion, NewVersion string
	// OldRuns and NewRuns are how often the load ran on each side.
	OldRuns, NewRuns int
	// Tested says that any figure was tested.
	Tested bool
	// Changes are the figures of the old report that the new one has or has lost, in the order of a report.
	Changes []Change
	// Warnings say why the difference may have another cause than sonde or its target.
	Warnings []string
}

// Change is what became of one figure.
type Change struct {
	// Figure is its name in [result.Part.Figures].
	Figure string
	// Old and New are the medians over the runs that have it.
	Old, New float64
	// Gone says that the new load did nothing that the figure could be of, in any run. Then there is nothing below.
	Gone bool
	// Percent is by how much New is more than Old (less: below zero), in percent of Old; infinite if Old alone is 0.
	Percent float64
	// Tested says that enough runs of each side have the figure for the test.
	Tested bool
	// P is how likely a difference as large as this is between runs of one and the same thing; 1 where it was not tested.
	P float64
	// Real says that the difference is more than noise (P below 5 %) and than the figure's resolution. Without a test it is
	// the resolution alone.
	Real bool
}

// Better reports whether the change, if it is one, is for the better.
func (c *Change) Better() bool {
	if moreIsBetter(c.Figure) {
		return c.New > c.Old
	}
	return c.New < c.Old
}

// worseBy is by how many percent of the old figure the new one is worse; not above 0 if it is not.
func (c *Change) worseBy() float64 {
	switch {
	case c.Gone:
		return math.Inf(1)
	case moreIsBetter(c.Figure):
		return -c.Percent
	}
	return c.Percent
}

func moreIsBetter(figure string) bool { return figure == result.OperationsPerS }

// ofUs are the figures that tell of sonde and this machine, and not of the peer: how busy it was here.
var ofUs = slices.Concat(result.QuantileFigures(result.SchedDelay), result.QuantileFigures(result.Ours), result.QuantileFigures(result.Lag))

// Worse returns the figures that are worse by more than that many percent, the worst first. Where the runs allow a test, only
// those that are more than noise are; where not, all: who sets a limit for single runs has said what they hold for noise. A
// figure that is gone is worse by any limit, and so are failures where there were none. Another figure that was 0 is not: no
// percentage tells whether it is more by a little or by much. What was late here (sched_delay, ours, lag) is no fault of what
// is measured, and never among them.
func (c *Comparison) Worse(percent float64) []Change {
	var worse []Change
	for _, change := range c.Changes {
		from0 := math.IsInf(change.Percent, 0) && change.Figure != result.FailedPercent
		if !slices.Contains(ofUs, change.Figure) && !from0 && (change.Gone || change.Real && change.worseBy() > percent) {
			worse = append(worse, change)
		}
	}
	slices.SortStableFunc(worse, func(a, b Change) int { return cmp.Compare(b.worseBy(), a.worseBy()) })
	return worse
}

// Compare compares two reports. It returns a *MismatchError if they are not of the same load: then no figure of one says
// anything about the other. Another machine, another number of processors or a load that was stopped is a warning.
func Compare(old, new *result.Report) (*Comparison, error) {
	if err := sameLoad(old, new); err != nil {
		return nil, err
	}
	c := &Comparison{
		Kind: new.Kind, OldVersion: old.Version, NewVersion: new.Version, OldRuns: max(len(old.Runs), 1), NewRuns: max(len(new.Runs), 1),
		Warnings: warnings(old, new),
	}
	before, after := samples(old), samples(new)
	lost := gone(new.Total)
	for _, figure := range result.FigureNames() {
		switch a, b := before[figure], after[figure]; {
		case len(a) == 0:
		case len(b) > 0:
			c.Changes = append(c.Changes, change(figure, a, b))
			c.Tested = c.Tested || c.Changes[len(c.Changes)-1].Tested
		case slices.Contains(lost, figure):
			c.Changes = append(c.Changes, Change{Figure: figure, Old: median(a), Gone: true, P: 1})
		}
	}
	if len(c.Changes) == 0 {
		return nil, &MismatchError{"the reports have no figure in common"}
	}
	return c, nil
}

// gone are the figures that p can't have since it did nothing that they are of. Quantiles of a phase that merely has too few
// counts for them are not among them: that there are fewer is the rate's to tell. Nor are full TLS handshakes where all that
// counted were resumed, and round trips that the kernel does not tell.
func gone(p *result.Part) []string {
	var figures []string
	if p.Operations == 0 {
		figures = append(figures, result.CPUPerOperationUS)
	}
	if p.Held == 0 {
		figures = append(figures, result.BytesPerConnection)
	}
	none := func(phase result.Phase) bool { return p.Phases[phase] == nil || p.Phases[phase].Count() == 0 }
	excuses := map[result.Phase]result.Phase{result.TLS: result.TLSResumed, result.KernelRTT: result.Connect}
	for phase := range result.NumPhases {
		if excuse, ok := excuses[phase]; none(phase) && (!ok || none(excuse)) {
			figures = append(figures, result.QuantileFigures(phase)...)
		}
	}
	return figures
}

// samples are the values of each figure, one for each run.
func samples(r *result.Report) map[string][]float64 {
	m := map[string][]float64{}
	for _, run := range r.Runs {
		for figure, v := range run.Figures {
			m[figure] = append(m[figure], v)
		}
	}
	if len(r.Runs) > 0 {
		return m
	}
	for figure, v := range r.Total.Figures() {
		m[figure] = []float64{v}
	}
	return m
}

func change(figure string, old, new []float64) Change {
	c := Change{Figure: figure, Old: median(old), New: median(new), P: 1}
	switch {
	case c.Old != 0:
		c.Percent = (c.New - c.Old) / c.Old * 100
	case c.New != 0:
		c.Percent = math.Inf(1)
	}
	c.Real = math.Abs(c.New-c.Old) > resolution(figure)
	if c.Tested = len(old) >= minRuns && len(new) >= minRuns; !c.Tested {
		return c
	}
	if test, err := stats.MannWhitneyUTest(old, new, stats.LocationDiffers); err == nil { // else all are equal
		c.P = test.P
	}
	c.Real = c.Real && c.P < alpha
	return c
}

// failuresTold is the least difference in failures that is one, as a share of all: 1 in 1,000, as a promise has it.
const failuresTold = 0.001

// resolution is the difference that a figure can't tell: latencies are cut to whole microseconds.
func resolution(figure string) float64 {
	switch {
	case figure == result.FailedPercent:
		return 100 * failuresTold
	case strings.Contains(figure, "_us_p"):
		return 1
	}
	return 0
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// warnings tells what besides sonde and its target may have changed the figures.
func warnings(old, new *result.Report) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, d := range differences(machine(old), machine(new)) {
		add("another machine: %s", d)
	}
	for _, r := range []struct {
		name string
		*result.Report
	}{{"the baseline", old}, {"this load", new}} {
		if r.Stopped != "" {
			add("%s was stopped early: %s", r.name, r.Stopped)
		}
	}
	if was, is := old.Total.FailedShare(), new.Total.FailedShare(); math.Abs(is-was) > failuresTold {
		add("failures: %.1f%% of all before, %.1f%% now; figures are of what ended well alone", was*100, is*100)
	}
	return list
}

// machine is what of a machine tells it from another.
func machine(r *result.Report) map[string]any {
	m := r.Machine
	return map[string]any{
		"os": m.OS, "kernel": m.Kernel, "cpus": m.CPUs, "cpu_model": m.CPUModel, "memory": m.Memory, "go": m.Go, "hostname": m.Hostname,
	}
}
