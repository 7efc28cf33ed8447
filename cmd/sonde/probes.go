package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"sonde/probes"
	"sonde/probes/builtin"
)

// probesOptions is what the flags of probes say.
type probesOptions struct {
	p    *program
	json bool
}

func newProbesCommand(p *program) *command {
	o := &probesOptions{p: p}
	return &command{
		name:    "probes",
		summary: "list the probes, or tell all of one",
		usage:   "[flags] [NAME]",
		about:   []string{"A probe is a way to ask a target how it is; `sonde scan --probe NAME` chooses it, and so does the scheme of a URL."},
		examples: []example{
			{"sonde probes", "the list"},
			{"sonde probes banner", "what the banner probe reports, and which flags it heeds"},
		},
		flags: []flagSpec{
			{group: "Output", name: "json", help: "print JSON, one object a probe", set: toSwitch(&o.json)},
		},
		words: probeNames(),
		run:   o.run,
	}
}

func (o *probesOptions) run(_ context.Context, args []string) error {
	list := builtin.All()
	if len(args) > 1 {
		return &usageError{text: "sonde probes takes one name at most"}
	}
	if len(args) == 1 {
		if err := checkProbe(args[0]); err != nil {
			return &usageError{err.Error(), hintOf(err)}
		}
		p, _ := builtin.Find(args[0])
		list = []probes.Probe{p}
	}
	switch {
	case o.json:
		return o.printJSON(list)
	case len(args) == 1:
		return o.p.print(o.detail(list[0].About()))
	}
	rows := [][]string{{"PROBE", "PORT", "URL", "WHAT IT DOES"}}
	for _, p := range list {
		about := p.About()
		rows = append(rows, []string{about.Name, orDash(portText(about.Port)), orDash(strings.Join(about.Schemes, ",")), about.Summary})
	}
	return o.p.print(wrappedColumns(rows, widthOf(o.p.stdout)))
}

// detail is everything about one probe.
func (o *probesOptions) detail(about probes.About) string {
	h := o.p.newPage()
	h.line("probe " + about.Name)
	h.indented("  ", about.Summary)
	h.line("")
	h.line("  port for targets that name none: " + orWord(portText(about.Port), "none, --ports must say it"))
	h.line("  URL schemes that choose it: " + orWord(strings.Join(about.Schemes, ", "), "none"))
	h.head("Flags it heeds")
	if len(about.Options) == 0 {
		h.line("  none")
	}
	specs := scanFlags(&scanOptions{p: o.p})
	for i := range specs {
		for _, name := range about.Options {
			if "--"+specs[i].name == name {
				h.flag(&specs[i])
			}
		}
	}
	h.head("Fields of its result")
	if len(about.Reports) == 0 {
		h.line("  none: that the connection was established says it all")
	}
	var rows [][]string
	for _, f := range about.Reports {
		rows = append(rows, []string{"  " + f.Name, f.Type, f.Doc})
	}
	h.b.WriteString(wrappedColumns(rows, h.width))
	return h.b.String()
}

// probeJSON is a probe as `sonde probes --json` prints it.
type probeJSON struct {
	Name    string      `json:"name"`
	Summary string      `json:"summary"`
	Port    uint16      `json:"port,omitempty"`
	Schemes []string    `json:"schemes,omitempty"`
	Flags   []string    `json:"flags,omitempty"`
	Reports []fieldJSON `json:"reports,omitempty"`
}

type fieldJSON struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Doc  string `json:"doc"`
}

func (o *probesOptions) printJSON(list []probes.Probe) error {
	encoder := json.NewEncoder(o.p.stdout)
	encoder.SetEscapeHTML(false)
	for _, p := range list {
		a := p.About()
		out := probeJSON{Name: a.Name, Summary: a.Summary, Port: a.Port, Schemes: a.Schemes, Flags: a.Options}
		for _, f := range a.Reports {
			out.Reports = append(out.Reports, fieldJSON(f))
		}
		if err := encoder.Encode(out); err != nil {
			return fmt.Errorf("print the probes: %w", err)
		}
	}
	return nil
}

func portText(port uint16) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(int(port))
}

func orDash(text string) string { return orWord(text, "-") }

func orWord(text, word string) string {
	if text == "" {
		return word
	}
	return text
}
