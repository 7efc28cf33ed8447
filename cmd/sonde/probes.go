package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
		schemes := strings.Join(slices.Concat(about.Schemes, about.TLSSchemes), ",")
		rows = append(rows, []string{about.Name, orDash(portText(about.Port)), orDash(schemes), about.Summary})
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
	if about.Name != tlsProbe {
		h.line("  over TLS (--tls): port " + orWord(portText(about.TLSPort), "as without") +
			", URL schemes " + orWord(strings.Join(about.TLSSchemes, ", "), "none") + alpnText(about.ALPN))
	}
	h.head("Flags it heeds")
	if len(about.Options) == 0 {
		h.line("  none of its own")
	}
	specs := scanFlags(&scanOptions{p: o.p})
	for i := range specs {
		for _, name := range about.Options {
			if "--"+specs[i].name == name {
				h.flag(&specs[i])
			}
		}
	}
	if about.Name != tlsProbe {
		h.indented("  ", "over TLS also what is offered and believed, from --sni to --pem: `sonde probes "+tlsProbe+"` lists it")
	}
	h.head("Fields of its result")
	if len(about.Reports) == 0 {
		h.line("  none: that the connection was established says it all")
	}
	h.b.WriteString(wrappedColumns(fieldRows(about.Reports), h.width))
	return h.b.String()
}

// fieldRows are the fields of a result as rows. A member of another field stands below it, further in and by its own name
// alone: "chain[].subject_dn" behind "chain".
func fieldRows(fields []probes.Field) [][]string {
	var rows [][]string
	listed := make(map[string]int) // how deep each field stands
	for _, f := range fields {
		name, depth := f.Name, 1
		if dot := strings.LastIndexByte(f.Name, '.'); dot >= 0 {
			if above, ok := listed[strings.TrimSuffix(f.Name[:dot], "[]")]; ok {
				name, depth = f.Name[dot+1:], above+1
			}
		}
		listed[f.Name] = depth
		rows = append(rows, []string{strings.Repeat("  ", depth) + name, f.Type, f.Doc})
	}
	return rows
}

// alpnText tells which protocols a probe offers over TLS; "" if none.
func alpnText(alpn []string) string {
	if len(alpn) == 0 {
		return ""
	}
	return ", ALPN " + strings.Join(alpn, ", ")
}

// probeJSON is a probe as `sonde probes --json` prints it.
type probeJSON struct {
	Name       string      `json:"name"`
	Summary    string      `json:"summary"`
	Port       uint16      `json:"port,omitempty"`
	Schemes    []string    `json:"schemes,omitempty"`
	TLSPort    uint16      `json:"tls_port,omitempty"`
	TLSSchemes []string    `json:"tls_schemes,omitempty"`
	ALPN       []string    `json:"alpn,omitempty"`
	Flags      []string    `json:"flags,omitempty"`
	Reports    []fieldJSON `json:"reports,omitempty"`
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
		out := probeJSON{
			Name: a.Name, Summary: a.Summary, Port: a.Port, Schemes: a.Schemes,
			TLSPort: a.TLSPort, TLSSchemes: a.TLSSchemes, ALPN: a.ALPN, Flags: a.Options,
		}
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
