package report

import (
	"strings"

	"sonde/report/draw"
)

// The bar of ProgressBar, in columns: it takes what the figures leave, within these bounds. A shorter one shows nothing.
const (
	minBar = 8
	maxBar = 40
)

// ProgressBar is s as two lines for a terminal, to be drawn over and over: a bar with what is done, in flight, the rate and
// the time left; and the share of each status, the most frequent first, as many as fit. Neither line is longer
// than the width in style, if that is 40 or more, less one column: some terminals break a full line. There is no newline at
// the end.
//
//	███████▉░░░░░░░░░░░░░  34.6%  34,567 of 100,000  1,000 in flight  2,880/s  23s left
//	success 91.2%  connection-refused 8.8%
//
// Without a total there is no bar and no time left, but the time elapsed.
func ProgressBar(s Snapshot, style Style) string {
	width := style.Columns() - 1
	return progressFigures(&s, style, width) + "\n" + progressShareLine(&s, style, width)
}

// progressFigures is the upper line. What does not fit is left out, the least telling first.
func progressFigures(s *Snapshot, style Style, width int) string {
	done, rest := draw.Count(s.Done)+" done", draw.Elapsed(s.Elapsed)
	if s.Total > 0 {
		estimate := "~"
		if s.Exact {
			estimate = ""
		}
		done = draw.Share(min(s.Done, s.Total), s.Total) + "  " + draw.Count(s.Done) + " of " + estimate + draw.Count(s.Total)
		if eta, ok := s.ETA(); ok {
			rest = draw.Elapsed(eta) + " left"
		}
	}
	parts := []string{done, rest, draw.Rate(s.Rate), draw.Count(s.InFlight) + " in flight"}
	for len(parts) > 1 && len(strings.Join(parts, "  ")) > width {
		parts = parts[:len(parts)-1]
	}
	// They are listed by weight and shown by meaning: the end comes last.
	shown := parts[:1:1]
	for i := len(parts) - 1; i > 0; i-- {
		shown = append(shown, parts[i])
	}
	line := strings.Join(shown, "  ")
	if s.Total > 0 {
		if columns := min(width-len(line)-2, maxBar); columns >= minBar {
			line = drawnBar(min(s.Done, s.Total), s.Total, columns, style) + "  " + line
		}
	}
	return line
}

// drawnBar is a bar with its empty part, columns wide.
func drawnBar(part, whole uint64, columns int, style Style) string {
	full, empty := draw.Bar(part, whole, columns, style.ASCII), "░"
	if style.ASCII {
		empty = "."
		full = strings.TrimSuffix(full, ".") // bar's sign for next to nothing
	}
	rest := strings.Repeat(empty, max(columns-draw.Width(full), 0))
	if !style.Color {
		return full + rest
	}
	return string(draw.Green) + full + string(draw.Reset) + string(draw.Dim) + rest + string(draw.Reset)
}

// progressShareLine is the lower line.
func progressShareLine(s *Snapshot, style Style, width int) string {
	var line strings.Builder
	used, all := 0, s.Statuses.Total()
	for _, status := range s.Statuses.top(int(NumStatuses)) {
		text := status.String() + " " + draw.Share(s.Statuses[status], all)
		if used > 0 {
			used += 2
		}
		if used += len(text); used > width {
			break
		}
		if line.Len() > 0 {
			line.WriteString("  ")
		}
		if style.Color {
			text = string(status.Color()) + text + string(draw.Reset)
		}
		line.WriteString(text)
	}
	return line.String()
}
