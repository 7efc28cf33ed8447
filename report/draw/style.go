// Package draw makes text for people: units, bars, histograms and tables that keep to a terminal's width, and a block that is
// drawn over and over. It knows nothing of what it shows.
package draw

// Style is how a text for a person is to look. The zero Style suits any terminal.
type Style struct {
	Width int  // columns of the terminal; 0 means 80, Unbounded none
	Color bool // colour by SGR sequences (ECMA-48 s.8.3.117)
	ASCII bool // no character outside ASCII of our own; a peer's text keeps its letters
}

// Unbounded is the Width of what is no terminal, such as a file or a pipe: a table's lines are as long as they need to be.
const Unbounded = -1

// Columns is the width to draw for: 80 where it is not known, or there is none.
func (s Style) Columns() int {
	if s.Width <= 0 {
		return 80
	}
	return s.Width
}

// Color is a Select Graphic Rendition sequence (ECMA-48 s.8.3.117).
type Color string

// The colours, and Reset, which ends one.
const (
	Reset   Color = "\x1b[0m"
	Bold    Color = "\x1b[1m"
	Dim     Color = "\x1b[2m"
	Red     Color = "\x1b[31m"
	Green   Color = "\x1b[32m"
	Yellow  Color = "\x1b[33m"
	Magenta Color = "\x1b[35m"
)

// Paint is text in a colour, or as it is where there are no colours or color is empty.
func (s Style) Paint(color Color, text string) string {
	if !s.Color || text == "" || color == "" {
		return text
	}
	return string(color) + text + string(Reset)
}
