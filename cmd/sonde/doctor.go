package main

import (
	"context"
	"encoding/json"
	"fmt"

	"sonde/internal/kernel/limits"
)

// doctorOptions is what the flags of doctor say.
type doctorOptions struct {
	p    *program
	json bool
}

func newDoctorCommand(p *program) *command {
	o := &doctorOptions{p: p}
	return &command{
		name:    "doctor",
		summary: "show this machine's limits, and how to raise them",
		usage:   "[flags]",
		about: []string{
			"It reads and changes nothing. A limit is short if a run with the defaults meets it, tight if a large one does: " +
				"100,000 connections in flight, or 1,000 targets a second at one destination.",
		},
		examples: []example{{"sonde doctor", "before a large run"}},
		flags: []flagSpec{
			{group: "Output", name: "json", help: "print JSON, one object a limit", set: toSwitch(&o.json)},
		},
		run: o.run,
	}
}

func (o *doctorOptions) run(_ context.Context, args []string) error {
	if err := noArguments("doctor", args); err != nil {
		return err
	}
	machine, err := limits.Read()
	if err != nil {
		return fmt.Errorf("read this machine's limits: %w", err)
	}
	advice := machine.Advice()
	if o.json {
		return o.printJSON(advice)
	}
	return o.p.print(o.table(advice))
}

// table tells of each limit on two lines or three: its severity, name and value; what it allows; and how to raise it, if
// that is of use. Names and texts are too long for columns at 80.
func (o *doctorOptions) table(advice []limits.Advice) string {
	h := o.p.newPage()
	const indent = "         "
	narrow := 0
	for _, a := range advice {
		h.line(fmt.Sprintf("  %s  %s: %s", o.severity(h, a.Severity), a.Name, a.Value))
		h.indented(indent, a.Allows)
		if a.Raise != "" {
			h.line(indent + "to raise it: " + a.Raise)
		}
		if a.Severity != limits.Fine {
			narrow++
		}
	}
	if narrow == 0 {
		h.line("\nNothing stands in the way of a large run.")
		return h.b.String()
	}
	h.line("")
	h.indented("", fmt.Sprintf("%d of %d limits may stand in the way: short, of any run with the defaults; tight, of a large one. "+
		"The commands hold until the next boot; run them in the shell that sonde is started from.", narrow, len(advice)))
	return h.b.String()
}

// severity is the word of s, 5 columns wide.
func (o *doctorOptions) severity(h *page, s limits.Severity) string {
	word := fmt.Sprintf("%-5s", s)
	switch {
	case !h.bold:
		return word
	case s == limits.Short:
		return sgrRed + word + sgrReset
	case s == limits.Tight:
		return sgrYellow + word + sgrReset
	}
	return word
}

// adviceJSON is a limit as `sonde doctor --json` prints it.
type adviceJSON struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Severity string `json:"severity"`
	Allows   string `json:"allows"`
	Raise    string `json:"raise,omitempty"`
}

func (o *doctorOptions) printJSON(advice []limits.Advice) error {
	encoder := json.NewEncoder(o.p.stdout)
	encoder.SetEscapeHTML(false)
	for _, a := range advice {
		if err := encoder.Encode(adviceJSON{a.Name, a.Value, a.Severity.String(), a.Allows, a.Raise}); err != nil {
			return fmt.Errorf("print the limits: %w", err)
		}
	}
	return nil
}
