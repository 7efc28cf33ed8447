package page

import (
	"fmt"
	"io"
	"math"
)

// The figures that Compare draws, by their names in [Row.Figures].
const (
	MemoryPerConnection = "memory_per_connection" // bytes
	CPUPerOperation     = "cpu_us_per_operation"  // microseconds
	P99                 = "p99_us"                // microseconds
)

// Comparison is one workload done by several transports.
type Comparison struct {
	// Title is the head line, Subtitle says in one line what was done and where. Both are short: a line of the picture has
	// room for about 60 letters, and more is cut off.
	Title, Subtitle string
	// Rows are the transports in the order in which they are drawn, at most [MaxRows].
	Rows []Row
}

// Row is what one transport did.
type Row struct {
	Name string
	// Ours marks the row that is drawn in the strong colour.
	Ours bool
	// Missing says why this transport has no figures ("no TLS"); empty if it has some.
	Missing string
	// Figures are its figures by name: [MemoryPerConnection], [CPUPerOperation], [P99]. Other names are not drawn. A figure
	// that is not there, or is no number, is drawn as "n/a".
	Figures map[string]float64
}

// MaxRows is how many rows a comparison may have: more make no picture that can be read.
const MaxRows = 16

// panels are the figures that are drawn, from the top down.
var panels = []struct {
	name, title string
	text        func(float64) string
}{
	{MemoryPerConnection, "Memory per connection", size},
	{CPUPerOperation, "CPU time per operation", micros},
	{P99, "Latency, p99", micros},
}

// The measures of the picture.
const (
	compareWidth = 520.0
	barsLeft     = 92.0
	barsRight    = 420.0 // leaves room for the longest value
	barHeight    = 16.0
	barPitch     = 24.0
	panelHead    = 30.0
	panelGap     = 18.0
)

// Compare writes one SVG file with a bar of each row for each figure; figures that no row has are left out. Less is better
// in all of them. The picture has its own style, for light and dark, and needs nothing from elsewhere. It fails if there
// are more than [MaxRows] rows, or when w does.
func Compare(w io.Writer, cmp *Comparison) error {
	if len(cmp.Rows) > MaxRows {
		return fmt.Errorf("draw a comparison: %d rows, at most %d", len(cmp.Rows), MaxRows)
	}
	drawn := panels[:0:0]
	for _, p := range panels {
		for i := range cmp.Rows {
			if _, ok := cmp.Rows[i].figure(p.name); ok {
				drawn = append(drawn, p)
				break
			}
		}
	}
	perPanel := panelHead + float64(len(cmp.Rows))*barPitch
	height := 64 + float64(len(drawn))*(perPanel+panelGap) + 14
	if len(drawn) == 0 {
		height = 64 + 24 + float64(len(cmp.Rows))*barPitch
	}
	c := newCanvas(cmp.Title, cmp.describe(), compareWidth, height, `width="`+coordinate(compareWidth*1.5)+`"`)
	c.Style("text/css", compareStyle)
	c.Rect(0.5, 0.5, compareWidth-1, height-1, `rx="8"`, `class="card"`)
	c.words(20, 30, "title", cut(cmp.Title, 60))
	c.words(20, 50, "tick", cut(cmp.Subtitle, 76))
	y := 64.0
	for _, p := range drawn {
		c.words(20, y+20, "head", p.title)
		c.words(compareWidth-20, y+20, "tick end", "less is better")
		c.bars(y+panelHead, cmp.Rows, p.name, p.text)
		y += perPanel + panelGap
	}
	if len(drawn) == 0 {
		c.words(20, y+10, "tick", "No figures.")
		c.bars(y+24, cmp.Rows, "", number)
	}
	_, err := w.Write(c.document())
	return err
}

// bars draws the bar of each row from y down.
func (c *canvas) bars(y float64, rows []Row, figure string, text func(float64) string) {
	most := 0.0
	for i := range rows {
		if v, ok := rows[i].figure(figure); ok {
			most = max(most, v)
		}
	}
	x := scale{lo: 0, hi: most, from: barsLeft, to: barsRight}
	for i := range rows {
		r := &rows[i]
		class := "bar"
		if r.Ours {
			class = "bar ours"
		}
		middle := y + barHeight/2 + 4.5
		c.words(barsLeft-8, middle, "name end", cut(r.Name, 12))
		v, ok := r.figure(figure)
		if !ok {
			c.words(barsLeft+4, middle, "tick", cut(r.reason(), 64))
			y += barPitch
			continue
		}
		width := max(x.at(v)-barsLeft, 1.5)
		radius := min(3, width/2)
		var p path // square at the base, round at the value
		p.move(barsLeft, y)
		p.line(barsLeft+width-radius, y)
		p.data = fmt.Appendf(p.data, "a%.1f %.1f 0 0 1 %.1f %.1f", radius, radius, radius, radius)
		p.line(barsLeft+width, y+barHeight-radius)
		p.data = fmt.Appendf(p.data, "a%.1f %.1f 0 0 1 %.1f %.1f", radius, radius, -radius, radius)
		p.line(barsLeft, y+barHeight)
		p.close()
		c.stroke(&p, class)
		c.words(barsLeft+width+6, middle, "value", text(v))
		y += barPitch
	}
	var base path
	base.move(barsLeft, y-float64(len(rows))*barPitch-4)
	base.line(barsLeft, y-barPitch+barHeight+4)
	c.stroke(&base, "axis")
}

// figure is the row's figure of that name, and whether it has one that can be drawn.
func (r *Row) figure(name string) (float64, bool) {
	v, ok := r.Figures[name]
	return v, ok && r.Missing == "" && !math.IsNaN(v) && !math.IsInf(v, 0)
}

func (r *Row) reason() string {
	if r.Missing == "" {
		return "n/a"
	}
	return "n/a: " + r.Missing
}

// describe is the picture in words.
func (cmp *Comparison) describe() string {
	text := cmp.Subtitle
	for _, p := range panels {
		text += "\n" + p.title + ":"
		for i := range cmp.Rows {
			r := &cmp.Rows[i]
			if v, ok := r.figure(p.name); ok {
				text += " " + r.Name + " " + p.text(v) + ";"
			} else {
				text += " " + r.Name + " " + r.reason() + ";"
			}
		}
	}
	return text
}

// cut shortens s to so many letters.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// compareStyle is the style of the picture, which stands alone.
const compareStyle = `
svg{--card:#fff;--edge:#e1e0d9;--ink:#0b0b0b;--soft:#5c5b57;--axis:#c3c2b7;--bar:#b4b2a6;--ours:#2a78d6;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;max-width:100%;height:auto}
@media (prefers-color-scheme:dark){svg{--card:#1a1a19;--edge:#33332f;--ink:#fff;--soft:#c3c2b7;--axis:#4a4a45;--bar:#6b6a63;--ours:#3987e5}}
.card{fill:var(--card);stroke:var(--edge)}
text{font-size:12px;fill:var(--ink)}
.title{font-size:17px;font-weight:650}
.head{font-size:13px;font-weight:650}
.tick{fill:var(--soft)}
.value{font-variant-numeric:tabular-nums}
.end{text-anchor:end}
.bar{fill:var(--bar)}
.ours{fill:var(--ours)}
.axis{stroke:var(--axis);fill:none}
`
