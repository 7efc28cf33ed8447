package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// series is one line over time.
type series struct {
	key  string // its class, which is its colour
	name string
	// of is the value in a bin, and whether there is one. atEnd says that it is of the bin's end, not of its whole.
	of    func(*bin) (float64, bool)
	atEnd bool
}

// percentileSeries are the lines of the percentiles, the least first.
func percentileSeries() []series {
	list := make([]series, len(percentiles))
	for i, q := range percentiles {
		word := quantileWord(q)
		list[i] = series{key: "k-" + strings.ReplaceAll(word, ".", ""), name: word, of: func(b *bin) (float64, bool) {
			return max(b.quantiles[i], 1), b.count > 0
		}}
	}
	return list
}

// chart is a picture of lines over time.
type chart struct {
	title  string
	series []series
	text   func(float64) string // a value in words
	mark   func(float64) string // the same for an axis; text if nil
	log    bool
	fill   bool // below the first line
	// unit is what the steps of the axis are multiples of, for what reaches up to top; 1 if nil.
	unit func(top float64) float64
	// below is a second, lower frame with bars; none if nil.
	below []series
	// belowName is what they are.
	belowName string
}

// draw makes the picture of t.
func (ch *chart) draw(t *timeline) string {
	right := pictureWidth - edgeRight
	if len(ch.series) > 1 {
		right = pictureWidth - edgeLabels
	}
	f := frame{edgeLeft, edgeTop, right, pictureHeight - edgeBottom}
	under := f
	if ch.below != nil {
		f.bottom = 150
		under.top = 176
	}
	c := newCanvas(ch.title, ch.describe(t), pictureWidth, pictureHeight)
	x := scale{lo: float64(t.start()), hi: float64(t.end()), from: f.left, to: f.right}
	c.shadeWarmUp(t, frame{f.left, f.top, f.right, under.bottom}, x)
	y, ticks := ch.values(t, f)
	c.valueAxis(f, y, ticks)
	if ch.below == nil {
		c.baseAxis(f, x, timeTicks(t.start(), t.end()), momentUnit(t.end()))
	} else {
		c.baseAxis(f, x, timeTicks(t.start(), t.end()), "")
		c.barsBelow(t, under, x, ch)
	}
	if ch.fill {
		c.area(t, ch.series[0], f, x, y)
	}
	for _, s := range ch.series {
		c.lineOver(t, s, x, y)
	}
	if len(ch.series) > 1 {
		c.nameLines(t, ch.series, f, y)
	}
	all := ch.told()
	for i := range t.bins {
		b := &t.bins[i]
		c.hover(frame{f.left, f.top, f.right, under.bottom}, x.at(float64(b.from)), x.at(float64(b.to))-x.at(float64(b.from)), b.tell(t, all, ch.text))
	}
	return c.element()
}

// told are all series in the order in which a reader is told of them: the topmost line first.
func (ch *chart) told() []series {
	all := slices.Clone(ch.series)
	if ch.log {
		slices.Reverse(all)
	}
	return append(all, ch.below...)
}

// words is text for an axis.
func (ch *chart) words(v float64) string {
	if ch.mark != nil {
		return ch.mark(v)
	}
	return ch.text(v)
}

// values makes the vertical scale for all that is drawn in f.
func (ch *chart) values(t *timeline, f frame) (scale, []tick) {
	lo, hi := math.Inf(1), 0.0
	for _, s := range ch.series {
		for i := range t.bins {
			if v, ok := s.of(&t.bins[i]); ok {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	y := scale{from: f.bottom, to: f.top, log: ch.log}
	var ticks []tick
	if ch.log {
		if hi == 0 {
			lo, hi = 1, 10
		}
		y.lo, y.hi, ticks = logTicks(lo, hi, ch.words)
		return y, ticks
	}
	unit := 1.0
	if ch.unit != nil {
		unit = ch.unit(hi)
	}
	y.hi, ticks = linearTicks(hi, unit, ch.words)
	return y, ticks
}

// describe says in words what the picture shows: the range of each series.
func (ch *chart) describe(t *timeline) string {
	text := fmt.Sprintf("From %s to %s (%s).", moment(t.start(), t.end()), moment(t.end(), t.end()), momentUnit(t.end()))
	for _, s := range ch.told() {
		lo, hi := math.Inf(1), math.Inf(-1)
		for i := range t.bins {
			if v, ok := s.of(&t.bins[i]); ok {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
		if hi >= lo {
			text += fmt.Sprintf(" %s: from %s to %s.", s.name, ch.text(lo), ch.text(hi))
		}
	}
	return text
}

// shadeWarmUp marks the time whose operations count for nothing.
func (c *canvas) shadeWarmUp(t *timeline, f frame, x scale) {
	var p path
	for i := range t.bins {
		if b := &t.bins[i]; b.warmUp {
			p.box(x.at(float64(b.from)), f.top, x.at(float64(b.to))-x.at(float64(b.from)), f.bottom-f.top)
		}
	}
	c.stroke(&p, "warm")
}

// lineOver draws s. It breaks where there is no value; a value alone becomes a dot.
func (c *canvas) lineOver(t *timeline, s series, x, y scale) {
	var line, dots path
	value := func(i int) (float64, bool) {
		if i < 0 || i >= len(t.bins) {
			return 0, false
		}
		return s.of(&t.bins[i])
	}
	for i := range t.bins {
		v, ok := value(i)
		if !ok {
			continue
		}
		at := x.at(s.at(&t.bins[i]))
		_, before := value(i - 1)
		_, after := value(i + 1)
		switch {
		case before:
			line.line(at, y.at(v))
		case after:
			line.move(at, y.at(v))
		default: // a line of no length shows as a dot, for its ends are round
			dots.move(at, y.at(v))
			dots.line(at, y.at(v))
		}
	}
	c.stroke(&line, "line "+s.key)
	c.stroke(&dots, "line dot "+s.key)
}

// at is the second at which the value of s in b stands.
func (s *series) at(b *bin) float64 {
	if s.atEnd {
		return float64(b.to)
	}
	return b.middle()
}

// area fills from s down to the base of f.
func (c *canvas) area(t *timeline, s series, f frame, x, y scale) {
	var p path
	from := -1.0
	at := 0.0
	finish := func() {
		if from >= 0 {
			p.line(at, f.bottom)
			p.line(from, f.bottom)
			p.close()
		}
		from = -1
	}
	for i := range t.bins {
		v, ok := s.of(&t.bins[i])
		if !ok {
			finish()
			continue
		}
		at = x.at(s.at(&t.bins[i]))
		if from < 0 {
			from = at
			p.move(at, y.at(v))
		} else {
			p.line(at, y.at(v))
		}
	}
	finish()
	c.stroke(&p, "area "+s.key)
}

// labelPitch is how far apart names of lines stand at least.
const labelPitch = 16.5

// nameLines writes the name of each line beside its last value, moved apart where they would touch.
func (c *canvas) nameLines(t *timeline, list []series, f frame, y scale) {
	type label struct {
		at   float64
		name string
	}
	var labels []label
	for _, s := range slices.Backward(list) { // of two that touch the later stands above, as p99.9 does over p99
		for i := len(t.bins) - 1; i >= 0; i-- {
			if v, ok := s.of(&t.bins[i]); ok {
				labels = append(labels, label{y.at(v), s.name})
				break
			}
		}
	}
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.at, b.at) })
	lowest := f.bottom
	for i := len(labels) - 1; i >= 0; i-- {
		labels[i].at = min(labels[i].at, lowest)
		lowest = labels[i].at - labelPitch
	}
	least := f.top
	for i := range labels {
		labels[i].at = max(labels[i].at, least)
		least = labels[i].at + labelPitch
		c.words(f.right+6, labels[i].at+4, "label", labels[i].name)
	}
}

// barsBelow draws ch's second frame, its bars one over the other.
func (c *canvas) barsBelow(t *timeline, f frame, x scale, ch *chart) {
	hi := 0.0
	for _, s := range ch.below {
		for i := range t.bins {
			v, _ := s.of(&t.bins[i])
			hi = max(hi, v)
		}
	}
	y := scale{from: f.bottom, to: f.top}
	step := tickStep(hi, 2)
	y.hi = step * math.Ceil(hi/step)
	c.valueAxis(f, y, []tick{{0, ch.words(0)}, {y.hi, ch.words(y.hi)}})
	c.words(f.left, f.top-6, "tick", ch.belowName)
	for _, s := range ch.below {
		var p path
		for i := range t.bins {
			b := &t.bins[i]
			if v, ok := s.of(b); ok && v > 0 {
				left, top := x.at(float64(b.from)), min(y.at(v), f.bottom-1)
				p.box(left, top, max(x.at(float64(b.to))-left-0.6, 0.8), f.bottom-top)
			}
		}
		c.stroke(&p, "mass "+s.key)
	}
	c.baseAxis(f, x, timeTicks(t.start(), t.end()), momentUnit(t.end()))
}

// tell is what happened in b, a line each.
func (b *bin) tell(t *timeline, list []series, text func(float64) string) string {
	words := b.name(t)
	for i := range list {
		if v, ok := list[i].of(b); ok {
			words += "\n" + list[i].name + ": " + text(v)
		}
	}
	return words
}

// name is the time of b in words.
func (b *bin) name(t *timeline) string {
	words := moment(b.from, t.end())
	if t.width > 1 {
		words += " to " + moment(b.to, t.end())
	}
	if t.end() <= 120 {
		words += " s"
	}
	if b.warmUp {
		words += ", warm-up"
	}
	return words
}
