package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sonde/bench"
	"sonde/bench/compare"
	picture "sonde/bench/page"
	"sonde/bench/plan"
	"sonde/bench/transport"
	"sonde/internal/kernel/limits"
	"sonde/protocol"
	"sonde/report"
	"sonde/target"
)

// benchCompareOptions is what the flags of bench compare say.
type benchCompareOptions struct {
	p      *program
	cfg    compare.Config
	ports  []target.PortRange
	cacert string
	json   string
	svg    string
	quiet  bool
}

func newBenchCompareCommand(p *program) *command {
	o := &benchCompareOptions{p: p}
	return &command{
		name:    "compare",
		summary: "do the same work over sonde's transport and those of others",
		usage:   "[flags] [TARGET ...]",
		about: []string{
			"The transports are loop (sonde's engine), netpoll (cloudwego), gnet, and std (package net, a goroutine for each connection). Each does " +
				"each workload in a process of its own, one at a time, in rounds whose order turns; the figures are medians over the rounds.",
			"Without targets it starts some on this machine, in processes of their own. With two CPUs or more they have one half of them and the " +
				"transport that is measured the other.",
			"connect opens and resets connections; tls makes full handshakes; hold keeps connections and says a line over each now and " +
				"then; echo says lines over kept connections as fast as they come back. The latency is that of the connect, the handshake, or " +
				"the line and its answer.",
		},
		examples: []example{
			{"sonde bench compare", "all of it"},
			{"sonde bench compare --workload hold -c 10000 --duration 30s", "what a held connection costs"},
			{"sonde bench compare --json compare.json --svg compare.svg", "keep the figures, and draw them"},
		},
		flags: o.flags(),
		run:   o.run,
	}
}

func workloadNames() []string {
	var names []string
	for _, w := range compare.Workloads() {
		names = append(names, w.String())
	}
	return names
}

// Bounds of what may be asked for.
const (
	maxCompareConnections = 1_000_000
	maxCompareOperations  = 1_000_000_000
	maxCompareRounds      = 99
)

func (o *benchCompareOptions) flags() []flagSpec {
	c := &o.cfg
	return []flagSpec{
		{group: "What is compared", name: "workload", arg: "LIST", many: true, words: workloadNames(), def: "all", set: o.addWorkloads,
			help: "connect, tls, hold, echo"},
		{group: "What is compared", name: "transports", arg: "LIST", many: true, words: compare.Transports(), def: "all", set: o.addTransports,
			help: "loop, netpoll, gnet, std"},
		{group: "What is compared", name: "rounds", arg: "N", def: fmt.Sprint(compare.DefaultRounds), set: toCount(&c.Rounds, 1, maxCompareRounds),
			help: "how often each transport does each workload"},
		{group: "The load", name: "connections", short: "c", arg: "N", def: fmt.Sprintf("%d, hold %d", compare.DefaultConnections, compare.DefaultHeld),
			set: toCount(&c.Connections, 1, maxCompareConnections), help: "in flight at once, or held"},
		{group: "The load", name: "operations", arg: "N", set: toCount(&c.Operations, 1, maxCompareOperations),
			def: fmt.Sprintf("connect %d, tls %d, echo %d", compare.DefaultOperations(transport.Connect), compare.DefaultOperations(transport.TLS),
				compare.DefaultOperations(transport.Echo)),
			help: "in each run of connect, tls and echo"},
		{group: "The load", name: "duration", arg: "TIME", def: compare.DefaultDuration.String(), set: toDuration(&c.Duration),
			help: "how long hold keeps its connections, from when all of them stand"},
		{group: "The load", name: "ping-interval", arg: "TIME", def: compare.DefaultPing.String(), set: o.setPing,
			help: "how often hold says a line over each connection; 0: never"},
		{group: "The load", name: "size", arg: "BYTES", def: fmt.Sprint(compare.DefaultPayload), set: toSize(&c.Payload, protocol.MaxFrameSize),
			help: "of the line that echo and hold say"},
		{group: "Targets", name: "ports", short: "p", arg: "LIST", set: o.setPorts, help: "of targets that name none"},
		{group: "Targets", name: "sni", arg: "NAME", set: toText(&c.ServerName), help: "the name to ask of the targets in tls, and that their certificate must be for",
			def: "the first target's address"},
		{group: "Targets", name: "insecure", short: "k", set: toSwitch(&c.Insecure), help: "take any certificate"},
		{group: "Targets", name: "cacert", arg: "FILE", files: true, def: "those of the system", set: toFile(&o.cacert), help: "the authorities to trust, PEM"},
		{group: "Limits", name: "connect-timeout", arg: "TIME", def: "3.5s", set: toDuration(&c.Limits.Connect), help: "for a connect"},
		{group: "Limits", name: "tls-handshake-timeout", arg: "TIME", def: "5s", set: toDuration(&c.Limits.Handshake), help: "for a TLS handshake"},
		{group: "Limits", name: "read-timeout", arg: "TIME", def: "5s", set: toDuration(&c.Limits.Read), help: "for the answer to a line"},
		{group: "Output", name: "json", arg: "FILE", files: true, set: toFile(&o.json), help: "write all figures of all runs to FILE"},
		{group: "Output", name: "svg", arg: "FILE", files: true, set: toFile(&o.svg),
			help: "draw the comparison; of several workloads each to a file of its own, x.svg becoming x-hold.svg"},
		{group: "Output", name: "quiet", short: "q", set: toSwitch(&o.quiet), help: "do not tell what is being done"},
	}
}

func (o *benchCompareOptions) addWorkloads(value string) error {
	words, err := splitList(value)
	for _, word := range words {
		w, parseErr := transport.ParseWorkload(word)
		if parseErr != nil {
			return &valueError{fmt.Sprintf("there is no workload %q: want %s", word, orList(workloadNames())), didYouMean(nearest(word, workloadNames()))}
		}
		o.cfg.Workloads = append(o.cfg.Workloads, w)
	}
	return err
}

func (o *benchCompareOptions) addTransports(value string) error {
	words, err := splitList(value)
	for _, word := range words {
		known := false
		for _, name := range compare.Transports() {
			known = known || name == word
		}
		if !known {
			return &valueError{fmt.Sprintf("there is no transport %q: want %s", word, orList(compare.Transports())),
				didYouMean(nearest(word, compare.Transports()))}
		}
		o.cfg.Transports = append(o.cfg.Transports, word)
	}
	return err
}

// setPing takes a length of time, or 0 for no pings.
func (o *benchCompareOptions) setPing(value string) error {
	if value == "0" || value == "0s" {
		o.cfg.PingInterval = -1
		return nil
	}
	return toDuration(&o.cfg.PingInterval)(value)
}

func (o *benchCompareOptions) setPorts(value string) (err error) {
	o.ports, err = target.ParsePorts(value)
	return err
}

func (o *benchCompareOptions) run(ctx context.Context, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	ctx, hurry, stop := stopAtSecond(ctx, o.p.stderr, "what was done is reported")
	defer stop()
	if err := o.load(ctx, args); err != nil {
		return err
	}
	o.cfg.Args = o.p.workerArgs
	o.cfg.Stderr = o.p.stderr
	if !o.quiet {
		o.cfg.OnStep = func(s compare.Step) {
			o.p.stderr.note("run %d of %d: %v over %s, round %d", s.Done+1, s.Total, s.Workload, s.Transport, s.Round)
		}
	}
	report, err := unlessHurried(hurry, func() (*compare.Report, error) { return compare.Run(ctx, o.cfg) })
	if err != nil {
		var s *plan.Shortage
		if errors.As(err, &s) {
			fewer := map[bool]string{true: "take fewer --connections"}[s.Lack != plan.LackNothing]
			return &valueError{err.Error(), joinWays(fewer, s.Raise)}
		}
		return err
	}
	report.Version = versionWord()
	if machine, err := limits.Read(); err == nil {
		report.Machine = bench.MachineOf(machine)
	}
	if err := o.p.print(compareText(report)); err != nil {
		return err
	}
	if err := o.write(report); err != nil {
		return err
	}
	if report.Stopped != "" {
		return exitStatus(exitStopped)
	}
	return nil
}

// check refuses what makes no sense before anything is done.
func (o *benchCompareOptions) check(args []string) error {
	given := o.p.parsed.given
	for _, flag := range []string{"ports", "sni", "insecure", "cacert"} {
		if given[flag] && len(args) == 0 {
			return &usageError{"--" + flag + " is about targets, and none is given", "without targets sonde starts its own"}
		}
	}
	if err := checkOutputs([]namedFile{{"--cacert", o.cacert}}, []namedFile{{"--json", o.json}, {"--svg", o.svg}}); err != nil {
		return err
	}
	for _, out := range []namedFile{{"--json", o.json}, {"--svg", o.svg}} {
		if out.name == "" {
			continue
		}
		// After minutes of work it would be too late.
		if info, err := os.Stat(filepath.Dir(out.name)); err != nil {
			return fmt.Errorf("%s: %w", out.flag, err)
		} else if !info.IsDir() {
			return fmt.Errorf("%s: %s is no folder", out.flag, quoteWord(filepath.Dir(out.name)))
		}
	}
	return nil
}

// load reads what the arguments and flags name.
func (o *benchCompareOptions) load(ctx context.Context, args []string) error {
	if len(args) > 0 {
		p, err := plan.Load(ctx, plan.Options{Args: args, Ports: o.ports})
		if err != nil {
			return usageOfTarget(err, "each is compared at one port and in one way: name it once")
		}
		for _, t := range p.Targets() {
			o.cfg.Targets = append(o.cfg.Targets, t.Addr)
		}
	}
	if o.cacert != "" {
		pem, err := os.ReadFile(o.cacert)
		if err != nil {
			return fileError("--cacert", err)
		}
		o.cfg.RootPEM = pem
	}
	return nil
}

// write writes the files that were asked for.
func (o *benchCompareOptions) write(r *compare.Report) error {
	var errs []error
	if o.json != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err == nil {
			err = report.WriteWhole(o.json, append(data, '\n'), 0)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("write the figures: %w", err))
		}
	}
	if o.svg == "" {
		return errors.Join(errs...)
	}
	for i := range r.Sections {
		name := o.svg
		if len(r.Sections) > 1 {
			ext := filepath.Ext(name)
			name = strings.TrimSuffix(name, ext) + "-" + r.Sections[i].Workload + ext
		}
		var drawn bytes.Buffer
		err := picture.Compare(&drawn, comparePicture(r, &r.Sections[i]))
		if err == nil {
			err = report.WriteWhole(name, drawn.Bytes(), 0)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("draw the comparison: %w", err))
		}
	}
	return errors.Join(errs...)
}

// comparePicture is a section as the picture has it.
func comparePicture(r *compare.Report, s *compare.Section) *picture.Comparison {
	c := &picture.Comparison{Title: "sonde bench compare: " + s.Workload, Subtitle: compareLoad(r, s)}
	for i := range s.Rows {
		row := &s.Rows[i]
		drawn := picture.Row{Name: row.Transport, Ours: row.Transport == compare.Ours, Missing: row.Unsupported}
		switch f := row.Figures; {
		case f != nil:
			drawn.Figures = make(map[string]float64)
			for name, v := range map[string]float64{picture.MemoryPerConnection: f.MemoryPerConnection, picture.CPUPerOperation: f.CPUPerOperation, picture.P99: f.P99} {
				if v >= 0 {
					drawn.Figures[name] = v
				}
			}
		case row.Unsupported == "" && len(row.Runs) == 0:
			drawn.Missing = "not run"
		case row.Unsupported == "":
			drawn.Missing = "failed"
		}
		c.Rows = append(c.Rows, drawn)
	}
	return c
}

// compareLoad is what a section did, in a line.
func compareLoad(r *compare.Report, s *compare.Section) string {
	text := fmt.Sprintf("%d connections", s.Connections)
	if s.Operations > 0 {
		text += fmt.Sprintf(", %d operations", s.Operations)
	} else {
		text += fmt.Sprintf(" for %v", time.Duration(s.Duration)*time.Microsecond)
		if s.PingInterval > 0 {
			text += fmt.Sprintf(", a line each %v", time.Duration(s.PingInterval)*time.Microsecond)
		}
	}
	if r.Rounds == 1 {
		return text + ", 1 round"
	}
	return text + fmt.Sprintf(", medians of %d rounds", r.Rounds)
}
