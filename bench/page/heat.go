package page

import (
	"fmt"
	"math"
	"strconv"
)

// heatLevels is how many colours the heat map has.
const heatLevels = 7

// maxHeatRows is how many rows it has at most: more are thinner than a line of text is tall by far.
const maxHeatRows = 36

// heatMap is how many latencies were of each size, over time.
type heatMap struct {
	t        *timeline
	low      int         // the finest row at the bottom
	join     int         // how many of the finest rows make one
	rows     [][]float64 // by bin, then from the bottom up; nil for a bin without latencies
	rowCount int
	// bounds are the least counts of the levels.
	bounds []float64
}

// newHeatMap joins the rows of t to those that can be seen; nil if there are no latencies.
func newHeatMap(t *timeline) *heatMap {
	first, last := math.MaxInt, -1
	for i := range t.bins {
		for row, n := range t.bins[i].cells {
			if n > 0 {
				first, last = min(first, row), max(last, row)
			}
		}
	}
	if last < 0 {
		return nil
	}
	m := &heatMap{t: t}
	for _, m.join = range []int{1, 2, 3, 4, 6, 8, 12, 16} {
		m.low = first / m.join * m.join
		if m.rowCount = (last-m.low)/m.join + 1; m.rowCount <= maxHeatRows {
			break
		}
	}
	most := 1.0
	m.rows = make([][]float64, len(t.bins))
	for i := range t.bins {
		if t.bins[i].cells == nil {
			continue
		}
		m.rows[i] = make([]float64, m.rowCount)
		for row, n := range t.bins[i].cells[m.low : last+1] {
			m.rows[i][row/m.join] += n
			most = max(most, m.rows[i][row/m.join])
		}
	}
	for level := range heatLevels {
		if bound := math.Floor(math.Pow(most, float64(level)/heatLevels)); level == 0 || bound > m.bounds[len(m.bounds)-1] {
			m.bounds = append(m.bounds, bound)
		}
	}
	return m
}

// level is the colour of a cell, -1 for one that is empty. One that has a part of a latency has the least colour.
func (m *heatMap) level(n float64) int {
	if n == 0 {
		return -1
	}
	level := 0
	for level+1 < len(m.bounds) && n >= m.bounds[level+1] {
		level++
	}
	return level
}

// value is the latency at the lower edge of a row, in microseconds.
func (m *heatMap) value(row int) float64 {
	return math.Pow(10, float64(m.low+row*m.join)/rowsPerDecade)
}

// class is that of a level, spread so that the greatest always has the strongest colour.
func (m *heatMap) class(level int) string {
	if len(m.bounds) == 1 {
		return "h" + strconv.Itoa(heatLevels-2)
	}
	return "h" + strconv.Itoa(level*(heatLevels-1)/(len(m.bounds)-1))
}

// draw makes the picture.
func (m *heatMap) draw(title string) string {
	f := frame{edgeLeft, edgeTop, pictureWidth - edgeRight, pictureHeight - edgeBottom}
	c := newCanvas(title, m.describe(), pictureWidth, pictureHeight)
	x := scale{lo: float64(m.t.start()), hi: float64(m.t.end()), from: f.left, to: f.right}
	y := scale{lo: m.value(0), hi: m.value(m.rowCount), from: f.bottom, to: f.top, log: true}

	_, _, ticks := logTicks(y.lo, y.hi, micros)
	inside := ticks[:0]
	for _, k := range ticks {
		if k.value >= y.lo*0.99 && k.value <= y.hi*1.01 {
			inside = append(inside, k)
		}
	}
	c.valueAxis(f, y, inside)
	c.baseAxis(f, x, timeTicks(m.t.start(), m.t.end()), momentUnit(m.t.end()))

	// Cells are drawn as if each were one unit wide and high: their numbers are short, and there are thousands of them.
	wide := (f.right - f.left) * float64(m.t.width) / float64(m.t.end()-m.t.start())
	high := (f.bottom - f.top) / float64(m.rowCount)
	c.Gtransform(fmt.Sprintf("translate(%s %s) scale(%.4f %.4f)", coordinate(f.left), coordinate(f.bottom), wide, -high))
	for level := range m.bounds {
		c.stroke(m.cells(level), "cell "+m.class(level))
	}
	c.Gend()
	for i := range m.t.bins {
		b := &m.t.bins[i]
		c.hover(f, x.at(float64(b.from)), x.at(float64(b.to))-x.at(float64(b.from)), b.name(m.t)+"\n"+whole(b.count)+" latencies")
	}
	return c.element()
}

// cells is the path of all cells of a level; neighbours over time are one box. The last bin may be shorter.
func (m *heatMap) cells(level int) *path {
	var p path
	whole := float64(m.t.end()-m.t.start()) / float64(m.t.width)
	for row := range m.rowCount {
		for i := 0; i < len(m.rows); i++ {
			from := i
			for i < len(m.rows) && m.rows[i] != nil && m.level(m.rows[i][row]) == level {
				i++
			}
			if i > from {
				p.box(float64(from), float64(row), min(float64(i), whole)-float64(from), 1)
			}
		}
	}
	return &p
}

func (m *heatMap) describe() string {
	return fmt.Sprintf("Columns are stretches of %d s, rows are latencies from %s to %s on a logarithmic scale. The colour of a cell is how many there were, up to %s and more.",
		m.t.width, micros(m.value(0)), micros(m.value(m.rowCount)), number(m.bounds[len(m.bounds)-1]))
}

// legend is what each colour means.
func (m *heatMap) legend() []legend {
	var list []legend
	for level, bound := range m.bounds {
		name := short(max(bound, 1))
		if level == len(m.bounds)-1 {
			name += "+"
		}
		list = append(list, legend{Key: m.class(level), Name: name})
	}
	return list
}
