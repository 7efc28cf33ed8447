package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"sonde/internal/kernel/limits"
	"sonde/report"
)

// What sonde advises can be done: each flag that the summary, the limits' advice and the texts of help and manual name
// exists and is built.
func TestAdviceNamesFlagsThatExist(t *testing.T) {
	p := &program{}
	p.commands = []*command{newScanCommand(p), newBenchCommand(p), newServeCommand(p), newWatchCommand(p), newProbesCommand(p), newDoctorCommand(p)}
	built := map[string]bool{"--version": true}
	for _, c := range everyCommand(p.commands) {
		for _, f := range p.listedFlags(c) {
			built["--"+f.name] = true
			built["-"+f.short] = f.short != ""
		}
	}
	summary := report.NewSummary()
	for status := range report.NumStatuses {
		summary.Add(&report.Record{Status: status, Error: "why", Timing: report.NoTiming, Timestamp: time.Unix(0, 0)})
	}
	var texts strings.Builder
	if err := report.WriteSummary(&texts, &report.Run{Summary: summary}, report.Style{Width: 1000}); err != nil {
		t.Fatal(err)
	}
	machine, err := limits.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range machine.Advice() {
		texts.WriteString(a.Allows + "\n")
	}
	for _, items := range [][]item{manTargets, manStatuses, manSignals, manExits, manEnvironment} {
		for _, i := range items {
			texts.WriteString(i.text + "\n")
		}
	}
	for _, c := range everyCommand(p.commands) {
		texts.WriteString(strings.Join(c.about, "\n") + "\n")
		for _, f := range p.listedFlags(c) {
			texts.WriteString(f.help + "\n")
		}
	}
	named := regexp.MustCompile("(^|[\\s(`])(--?[a-z][-a-z]*)").FindAllStringSubmatch(texts.String(), -1)
	if len(named) < 20 {
		t.Errorf("only %d flags found in the texts: the test does not look where it should", len(named))
	}
	for _, match := range named {
		if flag := match[2]; !built[flag] && flag != "-n" && flag != "-l" && flag != "-w" && flag != "--web" { // of ulimit, man, sysctl and exporter-toolkit
			t.Errorf("a text names %s, which is no flag of this version", flag)
		}
	}
}
