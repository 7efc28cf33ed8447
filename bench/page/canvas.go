package page

import (
	"bytes"
	"strconv"
	"strings"

	svg "github.com/ajstarks/svgo/float"
)

// The size of a picture in its own units. Letters are 10.5 of them high, 15.5 on a narrow screen, and the edges have room for
// that.
const (
	pictureWidth  = 480.0
	pictureHeight = 266.0
	edgeLeft      = 58.0
	edgeRight     = 16.0
	edgeLabels    = 54.0 // to the right, where lines carry their names
	edgeTop       = 12.0
	edgeBottom    = 46.0
)

// frame is the part of a picture that has axes, between places.
type frame struct {
	left, top, right, bottom float64
}

// canvas is one picture as it is drawn. Attributes are words of this package, never of a report; text is escaped by svg.
type canvas struct {
	*svg.SVG
	out *bytes.Buffer
}

// newCanvas begins a picture. title and desc are what a screen reader says in its place.
func newCanvas(title, desc string, width, height float64, attributes ...string) *canvas {
	out := new(bytes.Buffer)
	c := &canvas{svg.New(out), out}
	c.Decimals = 1
	view := "0 0 " + coordinate(width) + " " + coordinate(height)
	c.Startraw(append([]string{`viewBox="` + view + `"`, `role="img"`}, attributes...)...)
	c.Title(printable(title))
	c.Desc(printable(desc))
	return c
}

// document ends the picture and returns it as a file.
func (c *canvas) document() []byte {
	c.End()
	return c.out.Bytes()
}

// element ends the picture and returns it as a part of a page: without the XML declaration.
func (c *canvas) element() string {
	text := string(c.document())
	return text[strings.Index(text, "<svg"):]
}

// words writes text of class at x, y.
func (c *canvas) words(x, y float64, class, text string) {
	c.Text(x, y, printable(text), `class="`+class+`"`)
}

// stroke draws a path of class.
func (c *canvas) stroke(p *path, class string) {
	if len(p.data) > 0 {
		c.Path(string(p.data), `class="`+class+`"`)
	}
}

// valueAxis draws the marks of the vertical axis with lines across f, and its caption.
func (c *canvas) valueAxis(f frame, s scale, ticks []tick) {
	var grid path
	for _, t := range ticks {
		y := s.at(t.value)
		grid.move(f.left, y)
		grid.line(f.right, y)
	}
	c.stroke(&grid, "grid")
	for _, t := range ticks {
		c.words(f.left-6, s.at(t.value)+4, "tick end", t.text)
	}
}

// baseAxis draws the base of f with the marks of the horizontal axis and its caption below.
func (c *canvas) baseAxis(f frame, s scale, ticks []tick, caption string) {
	var base path
	base.move(f.left, f.bottom)
	base.line(f.right, f.bottom)
	for _, t := range ticks {
		base.move(s.at(t.value), f.bottom)
		base.line(s.at(t.value), f.bottom+4)
	}
	c.stroke(&base, "axis")
	if caption == "" {
		return
	}
	for _, t := range ticks {
		c.words(s.at(t.value), f.bottom+19, "tick middle", t.text)
	}
	c.words((f.left+f.right)/2, f.bottom+38, "tick middle", caption)
}

// hover lays an invisible column over f from x to x+width that tells text when the pointer rests on it.
func (c *canvas) hover(f frame, x, width float64, text string) {
	c.Group(`class="at"`)
	c.Title(printable(text))
	c.Rect(x, f.top, max(width, 0.1), f.bottom-f.top)
	c.Gend()
}

// path is the data of a path (SVG 1.1 s.8.3), to a tenth of a unit.
type path struct{ data []byte }

func (p *path) move(x, y float64) { p.add('M', x, y) }
func (p *path) line(x, y float64) { p.add('L', x, y) }
func (p *path) close()            { p.data = append(p.data, 'Z') }

func (p *path) add(op byte, x, y float64) {
	p.data = append(p.data, op)
	p.data = append(p.data, coordinate(x)...)
	p.data = append(p.data, ' ')
	p.data = append(p.data, coordinate(y)...)
}

// box adds a rectangle.
func (p *path) box(x, y, width, height float64) {
	p.move(x, y)
	p.data = append(p.data, "h"+coordinate(width)+"v"+coordinate(height)+"h"+coordinate(-width)...)
	p.close()
}

// coordinate writes v to a tenth.
func coordinate(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// printable drops what XML cannot hold (XML 1.0 s.2.2): svg escapes the rest.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
