package page

import (
	"math"
	"slices"
)

// scale maps the values from lo to hi to the places from..to of a picture. A logarithmic one wants lo > 0.
type scale struct {
	lo, hi   float64
	from, to float64
	log      bool
}

// at is the place of v; what is outside is put at the nearer end, so that nothing is drawn outside its frame.
func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	v = min(max(v, lo), hi)
	if s.log {
		lo, hi, v = math.Log10(lo), math.Log10(hi), math.Log10(v)
	}
	if hi <= lo {
		return s.from
	}
	return s.from + (v-lo)/(hi-lo)*(s.to-s.from)
}

// tick is a mark of an axis. One without text is a line only.
type tick struct {
	value float64
	text  string
}

// tickStep is the least of 1, 2, 2.5 or 5 times a power of ten by which most steps reach span.
func tickStep(span float64, most int) float64 {
	least := span / float64(most)
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= least*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// linearTicks marks the values from 0 to top, which is at least hi, in at most five steps. step is made a multiple of
// unit; text makes the words.
func linearTicks(hi, unit float64, text func(float64) string) (top float64, ticks []tick) {
	if !(hi > 0) || math.IsInf(hi, 1) {
		hi = unit
	}
	step := tickStep(hi/unit, 5) * unit
	if unit == 1 {
		step = max(step, 1) // counts have no halves
	}
	for i := 0; ; i++ {
		v := float64(i) * step
		ticks = append(ticks, tick{v, text(v)})
		if v >= hi*(1-1e-9) {
			return v, ticks
		}
	}
}

// logTicks widens lo to hi, both over 0, to marks that are good to read: whole decades when there are many of them, 1-2-5
// or each digit when there are few.
func logTicks(lo, hi float64, text func(float64) string) (from, to float64, ticks []tick) {
	if hi < lo*1.2 { // a line needs room around it
		lo, hi = lo/1.5, hi*1.5
	}
	digits := []float64{1, 2, 3, 5, 7, 10}
	switch decades := math.Log10(hi / lo); {
	case decades > 3:
		digits = []float64{1, 10}
	case decades > 1.2:
		digits = []float64{1, 2, 5, 10}
	}
	var marks []float64
	for power := math.Pow(10, math.Floor(math.Log10(lo)+1e-9)); power <= hi; power *= 10 {
		for _, d := range digits[:len(digits)-1] {
			marks = append(marks, d*power)
		}
		marks = append(marks, 10*power)
	}
	slices.Sort(marks)
	marks = slices.CompactFunc(marks, func(a, b float64) bool { return math.Abs(a/b-1) < 0.001 })
	first, last := 0, len(marks)-1
	for first+1 < len(marks) && marks[first+1] <= lo*1.001 {
		first++
	}
	for last-1 > first && marks[last-1] >= hi*0.999 {
		last--
	}
	for _, v := range marks[first : last+1] {
		ticks = append(ticks, tick{v, text(v)})
	}
	return marks[first], marks[last], ticks
}

// timeTicks marks the seconds from lo to hi in at most six steps of a length that people count in.
func timeTicks(lo, hi int) []tick {
	step := 0
	for _, s := range []int{1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 4 * 3600, 6 * 3600, 12 * 3600, 24 * 3600} {
		if step = s; (hi-lo)/s <= 6 {
			break
		}
	}
	for (hi-lo)/step > 6 {
		step *= 2
	}
	var ticks []tick
	for v := (lo + step - 1) / step * step; v <= hi; v += step {
		ticks = append(ticks, tick{float64(v), moment(v, hi)})
	}
	return ticks
}
