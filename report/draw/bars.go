package draw

import (
	"math"
	"strings"
	"time"

	"sonde/internal/histogram"
)

// Bar returns a bar of part/whole of width columns, to an eighth of a column; in ASCII to a whole one. What is not
// zero can be seen.
func Bar(part, whole uint64, width int, ascii bool) string {
	if part == 0 || whole == 0 || width <= 0 {
		return ""
	}
	share := float64(part) / float64(whole) * float64(width)
	if ascii {
		if share < 0.5 {
			return "."
		}
		return strings.Repeat("#", int(share+0.5))
	}
	eighths := max(int(share*8+0.5), 1)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string(rune('█' + 8 - rest)) // U+2589 is seven eighths, U+258F one
	}
	return text
}

// histogramRow is a row of a drawn histogram: Count durations from From up to but not including To.
type histogramRow struct {
	From, To time.Duration
	Count    uint64
}

// scales are the steps within each power of ten at which a new row begins: the coarser, the more powers there are to
// show. Each gives at most some 18 rows.
var scales = []struct {
	powers float64 // used for a span of more powers of ten than this
	steps  []float64
}{
	{5, []float64{1, 3}},
	{3, []float64{1, 2, 5}},
	{1.2, []float64{1, 1.5, 2, 3, 5, 7}},
	{0, []float64{1, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2}},
}

// histogramRows divides h, which is not empty, into rows of a logarithmic scale, from the row of the least duration to that
// of the greatest without a gap. The scale suits the bulk of h; the last thousandth has a row a power of ten, so that one
// straggler does not make the rest a single row.
func histogramRows(h *histogram.Histogram) []histogramRow {
	bulk := max(h.Quantile(0.999), histogram.Unit)
	steps := stepsFor(math.Log10(float64(bulk) / float64(max(h.Min(), histogram.Unit))))
	var rows []histogramRow
	from := time.Duration(0)
	for power := histogram.Unit; from <= h.Max(); power *= 10 {
		for _, step := range steps {
			to := time.Duration(math.Round(step*float64(power/histogram.Unit))) * histogram.Unit
			if to <= from || from > bulk && step != 1 { // below ten microseconds some steps fall together
				continue
			}
			if to > h.Min() && from <= h.Max() {
				rows = append(rows, histogramRow{From: from, To: to})
			}
			from = to
		}
	}
	i := 0
	for b := range h.Buckets() {
		at := max(b.From, h.Min()) // a cell of the histogram may begin before its least duration
		for rows[i].To <= at {
			i++
		}
		rows[i].Count += b.Count
	}
	return rows
}

func stepsFor(powers float64) []float64 {
	for _, s := range scales {
		if powers > s.powers {
			return s.steps
		}
	}
	return scales[len(scales)-1].steps
}

// edgeCell is the width of "150µs - 220µs" in columns.
const edgeCell = 6 + 3 + 6

// Histogram appends a section with h drawn on a logarithmic scale; nothing if it is empty.
func (p *Page) Histogram(title string, h *histogram.Histogram) {
	if h.Count() == 0 {
		return
	}
	rows := histogramRows(h)
	most := uint64(0)
	for _, row := range rows {
		most = max(most, row.Count)
	}
	p.Section(title, edgeCell)
	p.Right("COUNT", CountCell)
	p.Right("SHARE", ShareCell)
	p.End()
	for i, row := range rows {
		if row.Count == 0 { // a gap of any length is one line
			if rows[i-1].Count > 0 {
				p.Right("...", 6)
				p.End()
			}
			continue
		}
		p.Right(Duration(row.From, p.Style.ASCII), 6)
		p.Text(" - ")
		p.Left(Duration(row.To, p.Style.ASCII), 6)
		p.Right(Count(row.Count), CountCell)
		p.Right(Share(row.Count, h.Count()), ShareCell)
		p.Text("  ")
		p.Colored(Green, Bar(row.Count, most, p.Width-edgeCell-CountCell-ShareCell-2, p.Style.ASCII))
		p.End()
	}
}
