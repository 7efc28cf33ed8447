// Package baseline compares the report of a load with an earlier one of the same load: by how much each figure differs, and
// whether that is more than the noise between repeated runs. The test is the Mann-Whitney U test (the Wilcoxon rank-sum test),
// exact for so few runs, by the package that benchstat has it from: it assumes no distribution, which latencies do not have.
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
	// Tested says that both sides have runs enough for the test.
	Tested bool
	// Changes are the figures that both reports have, in the order of a report.
	Changes []Change
	// Warnings say why the difference may have another cause than sonde or its target.
	Warnings []string
}

// Change is one figure in both reports.
type Change struct {
	// Figure is its name in [result.Part.Figures].
	Figure string
	// Old and New are the medians over the runs.
	Old, New float64
	// Percent is by how much New is more than Old (less: below zero), in percent of Old; infinite if Old alone is 0.
	Percent float64
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
	if moreIsBetter(c.Figure) {
		return -c.Percent
	}
	return c.Percent
}

func moreIsBetter(figure string) bool { return figure == "operations_per_s" }

// Worse returns the figures that are worse by more than that many percent, the worst first. Where the runs allow a test, only
// those that are more than noise are; where not, all: who sets a limit for single runs has said what they hold for noise.
func (c *Comparison) Worse(percent float64) []Change {
	var worse []Change
	for _, change := range c.Changes {
		if change.Real && change.worseBy() > percent {
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
	c.Tested = len(old.Runs) >= minRuns && len(new.Runs) >= minRuns
	before, after := samples(old), samples(new)
	for _, figure := range result.FigureNames() {
		if a, b := before[figure], after[figure]; len(a) > 0 && len(b) > 0 {
			c.Changes = append(c.Changes, change(figure, a, b))
		}
	}
	if len(c.Changes) == 0 {
		return nil, &MismatchError{"the reports have no figure in common: one of them has no operation that ended well"}
	}
	return c, nil
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
	if len(old) < minRuns || len(new) < minRuns {
		return c
	}
	if test, err := stats.MannWhitneyUTest(old, new, stats.LocationDiffers); err == nil { // else all are equal
		c.P = test.P
	}
	c.Real = c.Real && c.P < alpha
	return c
}

// resolution is the difference that a figure can't tell: latencies are cut to whole microseconds.
func resolution(figure string) float64 {
	if strings.Contains(figure, "_us_p") {
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
	before, _ := old.Total.Failures.Total()
	after, _ := new.Total.Failures.Total()
	if was, is := share(before, old.Total.Operations), share(after, new.Total.Operations); math.Abs(is-was) > 0.001 {
		add("failures: %.1f%% of all before, %.1f%% now; figures are of what ended well alone", was*100, is*100)
	}
	return list
}

func share(failed, done uint64) float64 {
	if failed == 0 {
		return 0
	}
	return float64(failed) / float64(failed+done)
}

// machine is what of a machine tells it from another.
func machine(r *result.Report) map[string]any {
	m := r.Machine
	return map[string]any{
		"os": m.OS, "kernel": m.Kernel, "cpus": m.CPUs, "cpu_model": m.CPUModel, "memory": m.Memory, "go": m.Go, "hostname": m.Hostname,
	}
}
