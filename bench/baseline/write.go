package baseline

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"sonde/bench/result"
	"sonde/report"
	"sonde/report/draw"
)

// Widths in columns, as in the end report of a load.
const (
	leastWidth = 76
	mostWidth  = 120
	figureCell = 24
	valueCell  = 12
	changeCell = 10
	pCell      = 8
)

// Write writes c as a table for a person by one call of w.Write, and returns its error.
func Write(w io.Writer, c *Comparison, style report.Style) error {
	p := draw.NewPage(style, leastWidth, mostWidth)
	p.Text("bench ", visible(c.Kind), " against the baseline: ", draw.Plural(uint64(c.OldRuns), "run"), " of ", visible(c.OldVersion), " before, ",
		draw.Plural(uint64(c.NewRuns), "run"), " of ", visible(c.NewVersion), " now")
	p.End()
	p.Section("FIGURE", figureCell)
	for _, title := range []string{"BASELINE", "NOW"} {
		p.Right(title, valueCell)
	}
	p.Right("CHANGE", changeCell)
	if c.Tested {
		p.Right("P", pCell)
	}
	p.End()
	for i := range c.Changes {
		c.Changes[i].write(&p, c.Tested)
	}
	if c.Tested {
		p.Colored(draw.Dim, "~ = no more than noise between runs (Mann-Whitney U test, p >= 0.05)")
		p.End()
	} else {
		p.Colored(draw.Yellow, "no test possible: ")
		p.Wrapped(fmt.Sprintf("it needs %d runs a side or more; whether a difference is more than noise can't be told", minRuns), len("no test possible: "), 0)
	}
	for _, text := range c.Warnings {
		p.Colored(draw.Yellow, "warning: ")
		p.Wrapped(visible(text), len("warning: "), len("warning: "))
	}
	_, err := p.WriteTo(w)
	return err
}

func (c *Change) write(p *draw.Page, tested bool) {
	p.Left(c.Figure, figureCell)
	p.Right(c.value(c.Old, p), valueCell)
	now, text, color := "none", "gone", draw.Red
	if !c.Gone {
		now = c.value(c.New, p)
		text, color = c.verdict()
	}
	p.Right(now, valueCell)
	p.Spaces(changeCell - len(text))
	p.Colored(color, text)
	switch {
	case c.Tested:
		p.Right(strconv.FormatFloat(c.P, 'f', 3, 64), pCell)
		if c.Real {
			p.Colored(color, map[bool]string{true: "  better", false: "  worse"}[c.Better()])
		}
	case tested:
		p.Right("n/a", pCell)
	}
	p.End()
}

// verdict is the change as text and its colour.
func (c *Change) verdict() (string, draw.Color) {
	text := strconv.FormatFloat(c.Percent, 'f', 1, 64) + "%"
	if c.Percent > 0 {
		text = "+" + text
	}
	if math.IsInf(c.Percent, 0) {
		text = "from 0"
	}
	switch {
	case c.Tested && !c.Real:
		return "~", draw.Dim
	case !c.Real || !c.Tested:
		return text, ""
	case c.Better():
		return text, draw.Green
	}
	return text, draw.Red
}

// value is a value of the figure in its unit.
func (c *Change) value(v float64, p *draw.Page) string {
	switch {
	case moreIsBetter(c.Figure):
		return draw.Rate(v)
	case c.Figure == result.FailedPercent:
		return strconv.FormatFloat(v, 'f', 2, 64) + "%"
	case c.Figure == result.BytesPerConnection:
		return draw.Bytes(v)
	case c.Figure == result.CPUPerOperationUS && v < 1000:
		unit := "µs"
		if p.Style.ASCII {
			unit = "us"
		}
		return strconv.FormatFloat(v, 'f', 2, 64) + unit
	}
	return p.Duration(time.Duration(v * float64(time.Microsecond)))
}

func visible(s string) string { return strings.TrimSpace(string(draw.AppendVisible(nil, s))) }
