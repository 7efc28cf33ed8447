package main

import (
	"fmt"
	"strconv"
	"strings"

	"sonde/watch"
	"sonde/watch/config"
)

// watchTable is what --check tells of a configuration, in so many columns.
func watchTable(c *watch.Checked, width int) string {
	var b strings.Builder
	rows := [][]string{{"MODULE", "PROBE", "TIMEOUT", "RUNS"}}
	for _, m := range c.Modules {
		runs := "yes"
		if m.Disabled != "" {
			runs = "no: " + m.Disabled
		}
		limit := "-"
		if m.Timeout > 0 {
			limit = m.Timeout.String()
		}
		rows = append(rows, []string{m.Name, orDash(m.Probing), limit, runs})
	}
	b.WriteString(wrappedColumns(rows, width))
	if len(c.Config.Jobs) > 0 {
		rows = [][]string{{"JOB", "MODULE", "MODE", "EVERY", "TARGETS", "FROM"}}
		for i := range c.Config.Jobs {
			j := &c.Config.Jobs[i]
			rows = append(rows, []string{j.Name, j.Module, j.Mode.String(), j.Interval.String(), targetsOf(j, c.Targets[j.Name]), sourcesOf(j)})
		}
		b.WriteString("\n" + wrappedColumns(rows, width))
	}
	warnings := c.Faults
	for _, w := range c.Config.Warnings {
		if m := c.Config.Module(w.Module); !w.Disables || m.Disabled != fmt.Sprintf("line %d: %s", w.Line, w.Text) { // else the table tells it
			warnings = append(warnings, w.String())
		}
	}
	for i, text := range warnings {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "warning: %s\n", text)
	}
	return b.String()
}

// targetsOf is how many targets a job has by the lists that were read: at least so many if there are others.
func targetsOf(j *config.Job, n int) string {
	switch {
	case len(j.HTTPSD) == 0:
		return strconv.Itoa(n)
	case n == 0:
		return "-"
	}
	return strconv.Itoa(n) + "+"
}

// sourcesOf says where a job's targets come from.
func sourcesOf(j *config.Job) string {
	var parts []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(len(j.Targets), "entry", "entries")
	add(len(j.Files), "file", "files")
	add(len(j.FileSD), "file_sd pattern", "file_sd patterns")
	add(len(j.HTTPSD), "http_sd URL", "http_sd URLs")
	return orDash(strings.Join(parts, ", "))
}
