package main

import (
	"strings"
	"unicode/utf8"
)

// wrap breaks text at spaces into lines of at most width columns; a longer word has a line of its own. A piece in
// backquotes is not broken.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range unbroken(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// unbroken cuts text at its spaces, but for those between backquotes.
func unbroken(text string) []string {
	var words []string
	quoted := false
	for _, word := range strings.Fields(text) {
		if quoted {
			words[len(words)-1] += " " + word
		} else {
			words = append(words, word)
		}
		if strings.Count(word, "`")%2 == 1 {
			quoted = !quoted
		}
	}
	return words
}

// columns aligns rows of cells, two spaces apart, the last column not padded.
func columns(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell
			if i < len(row)-1 {
				line += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// wrappedColumns is columns with the last cell of each row wrapped, so that no line is wider than width, if that can be.
func wrappedColumns(rows [][]string, width int) string {
	used := 0
	for i := 0; len(rows) > 0 && i < len(rows[0])-1; i++ {
		widest := 0
		for _, row := range rows {
			widest = max(widest, utf8.RuneCountInString(row[i]))
		}
		used += widest + 2
	}
	var broken [][]string
	for _, row := range rows {
		last := len(row) - 1
		for n, line := range wrap(row[last], max(width-used, minLastColumn)) {
			cells := make([]string, len(row))
			if n == 0 {
				copy(cells, row)
			}
			cells[last] = line
			broken = append(broken, cells)
		}
	}
	return columns(broken)
}

// minLastColumn is how narrow the wrapped column may get.
const minLastColumn = 20
