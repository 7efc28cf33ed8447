// Package page draws a report of sonde bench: [Write] makes one HTML page that needs nothing from elsewhere, and [Compare]
// one SVG picture of transports side by side. It reads reports and writes to an io.Writer; it measures nothing and keeps
// nothing.
//
// The pictures are SVG, written with github.com/ajstarks/svgo over scales of this package. A plotting library would save
// the scales, but gonum.org/v1/plot parses its fonts when a process starts: 4 MiB more in RAM for each worker, drawn or
// not. A page has no script and forbids any by its own policy, so that words from a report can do nothing in a browser.
package page

import (
	"bytes"
	_ "embed" // for the template and its style
	"errors"
	"fmt"
	"html/template"
	"io"

	"sonde/bench/result"
)

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

// Write writes r as one HTML page. Its size has a limit whatever the load's length: intervals are joined until they are at
// most 180. It fails for a report without a total or with latencies that can't be read, having written nothing, and when w
// does.
func Write(w io.Writer, r *result.Report) error {
	if r.Total == nil {
		return errors.New("draw a report: it has no total")
	}
	v, err := newView(r)
	if err != nil {
		return fmt.Errorf("draw a report: %w", err)
	}
	// Parsed here and not when the process starts: few processes draw.
	t, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("draw a report: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return fmt.Errorf("draw a report: %w", err)
	}
	// The template escapes what is markup; control characters are no text in any escape.
	_, err = io.WriteString(w, printable(out.String()))
	return err
}

// view is a report as the template wants it.
type view struct {
	Style    template.CSS
	Title    string
	Version  string
	Command  string
	Schema   string
	When     string
	Notices  []string
	Tiles    []tile
	Columns  int // of tiles, on a wide screen
	Sections []section
}

// tile is one of the headline figures.
type tile struct {
	Name, Value, Unit string
	Note              string
	Bad               bool
}

// section is a part of the page with a heading of its own.
type section struct {
	ID, Title string
	Figures   []figure
	Tables    []*table
	Lists     []list
}

// figure is a picture with its legend and, unless it is of the time, its table.
type figure struct {
	Title, Note string
	Legend      []legend
	// Strip says that the legend's colours are steps of one scale.
	Strip bool
	SVG   template.HTML
	Table *table
	// Over says that the table of all intervals has its figures.
	Over bool
}

// legend is what a colour means; Key is its class.
type legend struct{ Key, Name string }

// table is figures in rows. The first column names the row.
type table struct {
	ID            string // a link's goal, which opens what is folded
	Caption, Note string
	Head          []column
	Rows          [][]string
	// Fold hides the rows until they are asked for.
	Fold bool
}

// column is the head of a column; figures stand to the right.
type column struct {
	Name   string
	Number bool
}

// list is settings with their values.
type list struct {
	Title string
	Items []item
}

type item struct{ Name, Value string }

// titles are the head lines by kind of load.
var titles = map[string]string{
	result.Hold:      "Connections held",
	result.Handshake: "Handshakes",
	result.Request:   "Requests",
}

func newView(r *result.Report) (*view, error) {
	t, err := newTimeline(r.Total.Intervals)
	if err != nil {
		return nil, err
	}
	v := &view{
		Style: template.CSS(pageStyle), Title: titles[r.Kind], Version: r.Version, Schema: r.Schema, Command: commandLine(r.Command),
		Notices: notices(r), Tiles: tiles(r),
	}
	v.Columns = len(v.Tiles)
	if v.Columns > 6 { // two rows of the same length
		v.Columns = (v.Columns + 1) / 2
	}
	if v.Title == "" {
		v.Title = "A load"
	}
	if !r.Total.Start.IsZero() {
		v.When = r.Total.Start.UTC().Format("2 January 2006, 15:04:05 UTC")
		if length := r.Total.End.Sub(r.Total.Start); length > 0 {
			v.When += ", for " + span(length)
		}
	}
	for _, s := range []section{
		{ID: "latency", Title: "Latency", Figures: latencyFigures(r, t), Tables: present(phaseTable(r.Total))},
		{ID: "load", Title: "Load over time", Figures: loadFigures(t)},
		{ID: "failures", Title: "Failures by cause", Tables: []*table{failureTable(r.Total)}},
		{ID: "search", Title: "Search for the highest rate", Tables: present(searchTable(r))},
		{ID: "runs", Title: "Repeated runs", Tables: present(runTable(r))},
		{ID: "workers", Title: "Worker processes", Tables: present(workerTable(r))},
		{ID: "setup", Title: "Set-up", Lists: []list{configuration(r), machine(r), engineCounts(r)}},
		{ID: "over-time", Title: "All figures over time", Tables: present(timeTable(t))},
	} {
		if len(s.Figures)+len(s.Tables)+len(s.Lists) > 0 {
			v.Sections = append(v.Sections, s)
		}
	}
	return v, nil
}

// present is t in a list, or an empty list if it is nil.
func present(t *table) []*table {
	if t == nil {
		return nil
	}
	return []*table{t}
}

// drawn is a picture for the template, which need not escape it: newCanvas and svg have escaped its texts.
func drawn(svg string) template.HTML { return template.HTML(svg) }
