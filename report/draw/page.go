package draw

import (
	"io"
	"strings"
	"time"
)

// Cells of tables, in columns.
const (
	CountCell = 13 // up to 9,999,999,999
	ShareCell = 8
)

// Page is a text for a person under way: lines and tables, in memory until WriteTo. Make one with [NewPage].
type Page struct {
	Style Style
	Width int // columns that its lines keep to
	buf   []byte
}

// NewPage returns an empty page as wide as the terminal of style, but at least least columns and at most most: narrower, its
// tables would break; wider, the eye would lose the row.
func NewPage(style Style, least, most int) Page {
	return Page{Style: style, Width: min(max(style.Columns(), least), most)}
}

// WriteTo implements [io.WriterTo], by one call of w.Write.
func (p *Page) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(p.buf)
	return int64(n), err
}

// Spaces appends n blanks, none if n is below zero.
func (p *Page) Spaces(n int) { p.buf = AppendSpaces(p.buf, n) }

// Duration is d as [Duration] writes it in the page's style.
func (p *Page) Duration(d time.Duration) string { return Duration(d, p.Style.ASCII) }

// Text appends the parts as they are.
func (p *Page) Text(parts ...string) {
	for _, part := range parts {
		p.buf = append(p.buf, part...)
	}
}

// End ends a line and takes the blanks off its end.
func (p *Page) End() {
	for len(p.buf) > 0 && p.buf[len(p.buf)-1] == ' ' {
		p.buf = p.buf[:len(p.buf)-1]
	}
	p.buf = append(p.buf, '\n')
}

// Colored appends s in a colour, if the style has colours.
func (p *Page) Colored(color Color, s string) { p.Text(p.Style.Paint(color, s)) }

// Section begins a section: an empty line, then its bold title in a cell of that width.
func (p *Page) Section(title string, width int) {
	p.End()
	p.Colored(Bold, title)
	p.Spaces(width - len(title))
}

// Right appends s at the right of a cell of that width.
func (p *Page) Right(s string, width int) {
	p.Spaces(width - Width(s))
	p.Text(s)
}

// Left appends s at the left of a cell of that width.
func (p *Page) Left(s string, width int) {
	p.Text(s)
	p.Spaces(width - Width(s))
}

// Wrapped appends words in lines of the page's width. The first line has used columns already; the others begin with
// indent blanks.
func (p *Page) Wrapped(text string, used, indent int) {
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case used+1+len(word) > p.Width:
			p.End()
			p.Spaces(indent)
			used = indent
		default:
			p.Text(" ")
			used++
		}
		p.Text(word)
		used += len(word)
	}
	p.End()
}
