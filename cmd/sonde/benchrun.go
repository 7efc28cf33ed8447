package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sonde/bench"
	"sonde/bench/baseline"
	picture "sonde/bench/page"
	"sonde/bench/result"
	"sonde/bench/show"
	"sonde/report"
	"sonde/report/draw"
)

// benchOutputs are where the report goes besides standard output.
type benchOutputs struct {
	json, html, hdr string
	baseline        string
	failAbove       float64 // percent; below 0: never
	failOnError     bool
}

func (o *benchOptions) outputFlags() []flagSpec {
	const group = "Output"
	out := &o.out
	out.failAbove = -1
	return []flagSpec{
		{group: group, name: "json", arg: "FILE", files: true, set: toText(&out.json), help: "write the whole report to FILE as JSON; - is standard output, without the table"},
		{group: group, name: "html", arg: "FILE", files: true, set: toFile(&out.html), help: "write the report to FILE as one page for a browser, with its pictures in it"},
		{group: group, name: "hdr", arg: "FILE", files: true, set: toFile(&out.hdr), help: "write the latencies of each second to FILE as an HdrHistogram log"},
		{group: group, name: "baseline", arg: "FILE", files: true, set: toFile(&out.baseline), help: "compare with an earlier report that --json wrote"},
		{group: group, name: "fail-above", arg: "PERCENT", set: o.setFailAbove, help: "with --baseline: exit with 5 if a figure is worse by more than that and by more than noise"},
		{group: group, name: "fail-on-error", set: toSwitch(&out.failOnError), help: "exit with 4 if anything failed"},
		{group: group, name: "quiet", short: "q", set: toSwitch(&o.scan.quiet), help: "no live view and no notes on standard error"},
	}
}

func (o *benchOptions) setFailAbove(value string) error {
	percent, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
	if err != nil || !(percent >= 0) || math.IsInf(percent, 0) { // a NaN is not at least 0
		return errors.New("want a percentage, as in 5")
	}
	o.out.failAbove = percent
	return nil
}

// check refuses what could only fail at the end. named are the files that flags name: what is no output is an input.
func (b *benchOutputs) check(named []namedFile) error {
	if b.failAbove >= 0 && b.baseline == "" {
		return &usageError{"--fail-above without --baseline", "--baseline names the report to compare with"}
	}
	outputs := []namedFile{{"--json", b.json}, {"--html", b.html}, {"--hdr", b.hdr}}
	inputs := slices.DeleteFunc(slices.Clone(named), func(f namedFile) bool {
		return f.name == "-" || slices.Contains(outputs, f)
	})
	if err := checkOutputs(inputs, outputs); err != nil {
		return err
	}
	for _, out := range outputs {
		if out.name == "" || out.name == "-" {
			continue
		}
		info, err := os.Stat(filepath.Dir(out.name))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", out.flag, err)
		case !info.IsDir():
			return fmt.Errorf("%s: %s is no folder", out.flag, quoteWord(filepath.Dir(out.name)))
		}
	}
	return nil
}

// printPlan is --dryrun: where the connections would go and what the machine allows. short is nil or a *bench.Shortage.
func (o *benchOptions) printPlan(cfg *bench.Config, prepared *bench.Prepared, short error) error {
	var b strings.Builder
	n := cfg.Load.Connections
	fmt.Fprintf(&b, "%s to %s, %s of source and target: at most %s a pair\n", plural(n, "connection"),
		plural(len(cfg.Plan.Targets()), "target"), plural(cfg.Plan.Pairs(), "pair"), draw.Count(uint64((n+cfg.Plan.Pairs()-1)/cfg.Plan.Pairs())))
	for i, t := range cfg.Plan.Targets() {
		if i == 5 {
			fmt.Fprintf(&b, "  and %d more targets\n", len(cfg.Plan.Targets())-i)
			break
		}
		fmt.Fprintf(&b, "  %v\n", t.Addr)
	}
	if prepared != nil {
		fmt.Fprintf(&b, "%s: %s each at most\n", plural(len(prepared.Shares), "process"), draw.Count(uint64(slices.Max(prepared.Shares))))
		short = nil
		if prepared.Short != nil {
			short = prepared.Short
		}
	}
	var s *bench.Shortage
	switch {
	case !errors.As(short, &s):
		fmt.Fprintln(&b, "this machine's limits allow it")
	case prepared != nil:
		fmt.Fprintf(&b, "fewer than asked for: %v\n  to raise it: %s\n", s, benchRaise(s))
	default:
		fmt.Fprintf(&b, "not possible here: %v\n  to raise it: %s\n", s, benchRaise(s))
	}
	fmt.Fprintln(&b, "nothing was opened")
	if err := o.p.print(b.String()); err != nil {
		return err
	}
	if s != nil && prepared == nil {
		return exitStatus(exitFatal)
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		what += "e"
	}
	return fmt.Sprintf("%s %ss", draw.Count(uint64(n)), what)
}

// measure does the load and tells of it.
func (o *benchOptions) measure(ctx context.Context, prepared *bench.Prepared) error {
	settings, err := o.settings(prepared)
	if err != nil {
		return err
	}
	old, err := o.readBaseline(settings)
	if err != nil {
		return err
	}
	ctx, hurry, stop := stopAtSecond(ctx, o.p.stderr, "what was done is reported")
	defer stop()
	live := o.newLive()
	if live != nil {
		prepared.Interval = func(i *result.Interval) {
			live.Resize(widthOf(o.p.stderr.stream))
			live.Update(i, uint64(prepared.Load.Connections))
		}
	}
	r, err := unlessHurried(hurry, func() (*result.Report, error) { return prepared.Run(ctx) })
	if live != nil {
		live.Close()
	}
	if err != nil {
		return err
	}
	r.Version, r.Command, r.Config = versionWord(), o.maskArgs(os.Args[1:]), settings
	return o.report(r, old)
}

// readBaseline reads the report to compare with, nil without one, and refuses that of another load.
func (o *benchOptions) readBaseline(settings settings) (*result.Report, error) {
	if o.out.baseline == "" {
		return nil, nil
	}
	old, err := readReport(o.out.baseline)
	if err != nil {
		return nil, err
	}
	planned := &result.Report{Schema: result.Schema, Kind: o.kind, Config: settings}
	if err := baseline.Check(old, planned); err != nil {
		return nil, &usageError{fmt.Sprintf("compare with %s: %v", o.out.baseline, err), "give the flags that the baseline was made with, as its \"command\" has them"}
	}
	return old, nil
}

// newLive is the view of the load while it runs, nil without one.
func (o *benchOptions) newLive() *show.Live {
	if o.scan.quiet {
		return nil
	}
	console := o.p.stderr
	live := show.NewLive(console.stream, o.kind, o.styleOf(console.stream))
	console.Writer = live.Above(console.stream)
	return live
}

// styleOf is how text for w looks.
func (o *benchOptions) styleOf(w io.Writer) report.Style {
	if !isTerminal(w) {
		return report.Style{Width: report.Unbounded, ASCII: asciiOnly()}
	}
	return report.Style{Width: widthOf(w), Color: colorWanted() && !o.p.noColor, ASCII: asciiOnly()}
}

// report writes the report wherever it is wanted, and returns what the exit code tells.
func (o *benchOptions) report(r, old *result.Report) error {
	var errs []error
	if o.out.json == "-" {
		errs = append(errs, r.Write(o.p.stdout))
	} else {
		errs = append(errs, show.Write(o.p.stdout, r, o.styleOf(o.p.stdout)))
	}
	for _, out := range []struct {
		what, name string
		write      func(io.Writer) error
	}{
		{"report", o.out.json, r.Write},
		{"page", o.out.html, func(w io.Writer) error { return picture.Write(w, r) }},
		{"HdrHistogram log", o.out.hdr, r.WriteHDR},
	} {
		if out.name == "" || out.name == "-" {
			continue
		}
		var text bytes.Buffer
		err := out.write(&text)
		if err == nil {
			err = report.WriteWhole(out.name, text.Bytes(), 0)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("write the %s: %w", out.what, err))
		}
	}
	worse, err := o.compare(r, old)
	errs = append(errs, err)
	if err := errors.Join(slices.DeleteFunc(errs, isClosedPipe)...); err != nil {
		return err
	}
	failed, _ := r.Total.Failures.Total()
	if err := deaths(r.Workers); err != nil {
		return err
	}
	switch {
	case r.Stopped != "":
		return exitStatus(exitStopped)
	case worse:
		return exitStatus(exitWorse)
	case o.out.failOnError && failed > 0:
		return exitStatus(exitFailures)
	}
	return nil
}

// deaths says how many workers died, if any did: what they did is not all there.
func deaths(workers []result.Worker) error {
	dead, connections := 0, uint64(0)
	for _, w := range workers {
		if w.Error != "" {
			dead++
			connections += w.Connections
		}
	}
	if dead == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d workers died: their %d connections count as local-error", dead, len(workers), connections)
}

// compare tells how r differs from old, if there is one, and whether it is worse than --fail-above allows.
func (o *benchOptions) compare(r, old *result.Report) (worse bool, err error) {
	if old == nil {
		return false, nil
	}
	c, err := baseline.Compare(old, r)
	if err != nil {
		return false, fmt.Errorf("compare with %s: %w", o.out.baseline, err)
	}
	to := o.p.stdout
	if o.out.json == "-" {
		to = o.p.stderr
	}
	if err := baseline.Write(to, c, o.styleOf(to)); err != nil {
		return false, err
	}
	return o.out.failAbove >= 0 && len(c.Worse(o.out.failAbove)) > 0, nil
}

// readReport reads an earlier report.
func readReport(name string) (*result.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError("--baseline", err)
	}
	defer f.Close() // only read
	r, err := result.Read(f)
	if err != nil {
		return nil, &valueError{fmt.Sprintf("--baseline: %s: %v", name, err), "--json writes such a file"}
	}
	return r, nil
}
