package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sonde/bench/compare"
)

// compareText is the report of bench compare as tables.
func compareText(r *compare.Report) string {
	var b strings.Builder
	where := "neither side bound to CPUs"
	if len(r.ClientCPUs) > 0 {
		where = fmt.Sprintf("transports on CPU %s, targets on CPU %s", numberList(r.ClientCPUs), numberList(r.ServerCPUs))
	}
	fmt.Fprintf(&b, "%s, %d CPUs, %s; %s\n", r.Machine.OS, r.Machine.CPUs, r.Machine.Go, where)
	for i := range r.Sections {
		s := &r.Sections[i]
		fmt.Fprintf(&b, "\n%s: %s\n", s.Workload, compareLoad(r, s))
		b.WriteString(columns(compareRows(s)))
		for _, note := range compareNotes(r, s) {
			b.WriteString("  " + note + "\n")
		}
	}
	if r.Stopped != "" {
		fmt.Fprintf(&b, "\nstopped early: %s\n", r.Stopped)
	}
	return b.String()
}

// compareRows is the table of a section, its headings first. Memory is measured for hold only.
func compareRows(s *compare.Section) [][]string {
	hold := s.Workload == "hold"
	rows := [][]string{{"TRANSPORT", "CONNS", "MEM/CONN", "VS LOOP", "GOROUTINES", "THREADS", "CPU/OP", "VS LOOP", "P50", "P99", "P99.9", "OPS/S", "FAILED", "CPU HELD"}}
	for i := range s.Rows {
		row := &s.Rows[i]
		f, ratio := row.Figures, row.Ratio
		if f == nil {
			word := "failed"
			switch {
			case row.Unsupported != "":
				word = "n/a"
			case len(row.Runs) == 0:
				word = "not run"
			}
			rows = append(rows, []string{row.Transport, word})
			continue
		}
		if ratio == nil {
			ratio = &compare.Figures{MemoryPerConnection: compare.Unknown, CPUPerOperation: compare.Unknown}
		}
		failed := 0
		for _, n := range row.Failed {
			failed += n
		}
		rows = append(rows, []string{row.Transport, plainNumber(f.Connections), byteText(f.MemoryPerConnection), ratioText(ratio.MemoryPerConnection),
			plainNumber(f.Goroutines), plainNumber(f.Threads), microText(f.CPUPerOperation), ratioText(ratio.CPUPerOperation),
			microText(f.P50), microText(f.P99), microText(f.P999), plainNumber(f.Rate), fmt.Sprint(failed), percentText(f.HeldCPU)})
	}
	for i, row := range rows {
		if len(row) > 2 && !hold {
			rows[i] = slices.Concat(row[:2], row[4:len(row)-1])
		}
	}
	return rows
}

// compareNotes says below the table what its cells have no room for.
func compareNotes(r *compare.Report, s *compare.Section) []string {
	var notes []string
	for i := range s.Rows {
		row := &s.Rows[i]
		if row.Unsupported != "" {
			notes = append(notes, "n/a: "+row.Unsupported)
		}
		if len(row.Failed) > 0 {
			var parts []string
			for _, word := range slices.Sorted(maps.Keys(row.Failed)) {
				parts = append(parts, fmt.Sprintf("%s %d", word, row.Failed[word]))
			}
			notes = append(notes, row.Transport+" failed: "+strings.Join(parts, ", "))
		}
		whole := false
		for j := range row.Runs {
			run := &row.Runs[j]
			if run.Error != "" {
				notes = append(notes, fmt.Sprintf("%s, round %d of %d: %s", row.Transport, run.Round, r.Rounds, run.Error))
			}
			whole = whole || run.Error == "" && !run.Stopped
		}
		if row.Figures != nil && !whole {
			notes = append(notes, row.Transport+": its run was stopped early")
		}
	}
	return notes
}

func numberList(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ","), "[]")
}

// The functions below write a figure, "-" for one that is unknown.

func plainNumber(v float64) string {
	if v < 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", v)
}

func ratioText(v float64) string {
	if v < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx", v)
}

func percentText(v float64) string {
	if v < 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", v)
}

// microText writes v microseconds in the unit that suits, with three digits or so.
func microText(v float64) string {
	switch {
	case v < 0:
		return "-"
	case v < 100:
		return fmt.Sprintf("%.1fus", v)
	case v < 10_000:
		return fmt.Sprintf("%.0fus", v)
	case v < 1e6:
		return fmt.Sprintf("%.1fms", v/1000)
	}
	return fmt.Sprintf("%.2fs", v/1e6)
}

// byteText writes v bytes in the unit that suits.
func byteText(v float64) string {
	switch {
	case v < 0:
		return "-"
	case v < 10<<10:
		return fmt.Sprintf("%.0fB", v)
	case v < 10<<20:
		return fmt.Sprintf("%.1fKiB", v/(1<<10))
	}
	return fmt.Sprintf("%.1fMiB", v/(1<<20))
}
