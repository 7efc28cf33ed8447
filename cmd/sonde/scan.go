package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"sonde/report"
	"sonde/report/draw"
	"sonde/scan"
	"sonde/target"
)

// scanOptions is what the flags of scan say.
type scanOptions struct {
	p   *program
	cfg scan.Config

	seeded, sharded bool // --seed, --shard were given
	ipv4, ipv6      bool
	exclude         target.Set
	blocklists      []string
	excludeReserved bool
	sources         []string
	tlsFiles        tlsFiles
	dryrun          bool
	failOnError     bool

	output, metadata, statusUpdates string
	appendOutput, quiet             bool
	format                          report.Format
	formatted                       bool // --format was given

	workers workerCount
	crew    *scanCrew // nil without worker processes

	bar *draw.Block // nil without one
}

func newScanCommand(p *program) *command {
	o := &scanOptions{p: p}
	return &command{
		name:    "scan",
		summary: "probe every target and write one record for each",
		usage:   "[flags] [TARGET ...]",
		about: []string{
			"A TARGET is an address, a name, either of them with a :PORT, a block (192.0.2.0/24), a range (192.0.2.1-192.0.2.9) or a URL. " +
				"A line of a file may also be `ip,domain,tag,port`, and # begins a comment. Lists keep their order; blocks and ranges are merged " +
				"and walked in a random order, so that no network is hit in order.",
			"Records go to standard output, everything else to standard error. Targets that are down are results: the exit code is 0 all the same.",
		},
		examples: []example{
			{"sonde scan 192.0.2.0/24 -p 22,80,443", "which ports are open"},
			{"sonde scan -f hosts.txt --probe ssh -o ssh.jsonl -m ssh.json", "the versions of SSH servers, and figures of the run"},
			{"sonde scan http://192.0.2.7/health --http-status 200 --expect '\"ok\"'", "one check of a web service"},
			{"sonde scan -f hosts.txt --probe tls -p 443 --tls-depth certs", "the certificates of TLS servers, with half of a handshake"},
			{"sonde scan mail.example.com --probe smtp --starttls auto", "one check of a mail server, over TLS"},
			{"sonde scan 192.0.2.7:4444 --probe banner --send 'PING\\r\\n'", "what a server answers to a text"},
			{"sonde scan 198.51.100.0/22 -p 443 --dryrun | head", "which targets would be probed, and in which order"},
		},
		flags: scanFlags(o),
		files: true,
		run:   o.run,
	}
}

// run is the command: it checks what was asked for, then scans or lists the targets.
func (o *scanOptions) run(ctx context.Context, args []string) error {
	if err := o.complete(args); err != nil {
		return err
	}
	records := &openedLater{}
	o.cfg.Sink = records
	o.cfg.Log = slog.New(consoleLog{console: o.p.stderr})
	s, err := scan.New(o.cfg)
	if err != nil {
		return usageOf(err)
	}
	defer s.Close() // files that were only read
	if o.dryrun {
		return o.listTargets(ctx, s)
	}
	if err := o.hire(ctx, s); err != nil {
		return err
	}
	defer o.crew.close()
	if o.metadata != "" {
		// They are written at the end; better to learn now that they can't be.
		if _, err := os.Stat(filepath.Dir(o.metadata)); err != nil {
			return fmt.Errorf("find the folder of the metadata file: %w", err)
		}
	}
	o.placeBar()
	// Only now: a scan that does not begin must not empty a file.
	lines, err := o.openOutput()
	if err != nil {
		return err
	}
	records.Sink = report.NewSink(lines, o.format, o.recordStyle())
	return o.scanTargets(ctx, s, records)
}

// openedLater is a Sink that is there before its output is opened.
type openedLater struct{ report.Sink }

// complete checks the flags against each other and fills in what they leave open.
func (o *scanOptions) complete(args []string) error {
	o.cfg.Args = args
	switch {
	case o.ipv4 && o.ipv6:
		return &usageError{"--ipv4 and --ipv6 leave no address", "without either, both kinds are taken"}
	case o.ipv4:
		o.cfg.Family = target.IPv4
	case o.ipv6:
		o.cfg.Family = target.IPv6
	}
	if o.sharded && o.cfg.Shard >= max(o.cfg.Shards, 1) {
		if o.cfg.Shards == 0 {
			return &usageError{"--shard without --shards", "as in --shards 3 --shard 0"}
		}
		return &usageError{text: fmt.Sprintf("--shard %d: want 0 to %d, as --shards is %d", o.cfg.Shard, o.cfg.Shards-1, o.cfg.Shards)}
	}
	if o.cfg.Shards > 1 && !o.sharded {
		return &usageError{"--shards without --shard", fmt.Sprintf("give each run its own: --shard 0 to --shard %d", o.cfg.Shards-1)}
	}
	if o.cfg.Shards > 1 && !o.seeded {
		return &usageError{"--shards without --seed", "the runs share the targets out by the order that the seed gives: give all of them the same"}
	}
	if !o.seeded {
		o.cfg.Seed = rand.Uint64()
	}
	if o.appendOutput && o.output == "" {
		return &usageError{"--append-output without --output-file", ""}
	}
	if err := o.checkFiles(); err != nil {
		return err
	}
	if err := o.completeExclusions(); err != nil {
		return err
	}
	var err error
	if o.cfg.Sources, err = expandSources(o.sources); err != nil {
		return err
	}
	o.completeFormat()
	if err := o.completeInput(); err != nil {
		return err
	}
	if err := o.checkDepth(); err != nil {
		return err
	}
	if err := o.checkIdleFlags(); err != nil {
		return err
	}
	return o.loadTLSFiles()
}

// checkFiles refuses an output that is an input or another output.
func (o *scanOptions) checkFiles() error {
	var inputs []namedFile
	for _, name := range o.cfg.InputFiles {
		inputs = append(inputs, namedFile{"--input-file", name})
	}
	for _, name := range o.blocklists {
		inputs = append(inputs, namedFile{"--blocklist-file", name})
	}
	return checkOutputs(inputs, []namedFile{
		{"--output-file", o.output}, {"--metadata-file", o.metadata}, {"--status-updates-file", o.statusUpdates},
	})
}

func (o *scanOptions) completeExclusions() error {
	if o.excludeReserved {
		o.exclude.AddReserved()
	}
	for _, name := range o.blocklists {
		if err := o.exclude.AddFile(name); err != nil {
			return fmt.Errorf("read the blocklist: %w", err)
		}
	}
	o.cfg.Exclude = &o.exclude
	return nil
}

func (o *scanOptions) completeFormat() {
	if !o.formatted && o.toStdout() && isTerminal(o.p.stdout) {
		o.format = report.Text
	}
}

// toStdout reports whether the results go to standard output.
func (o *scanOptions) toStdout() bool { return o.output == "" || o.output == "-" }

// completeInput makes standard input the source when nothing else is.
func (o *scanOptions) completeInput() error {
	if slices.Contains(o.cfg.Args, "-") {
		return &usageError{`"-" is no target`, "-f - reads targets from standard input"}
	}
	if len(o.cfg.Args) == 0 && len(o.cfg.InputFiles) == 0 {
		o.cfg.InputFiles = []string{"-"}
	}
	if slices.Contains(o.cfg.InputFiles, "-") {
		o.cfg.Stdin = o.p.stdin
		if o.typed() {
			o.p.stderr.note("reading targets from the terminal, end with Ctrl-D")
		}
	}
	return nil
}

// typed reports whether somebody types the targets, into whose lines no progress is to run.
func (o *scanOptions) typed() bool { return o.cfg.Stdin != nil && isTerminal(o.cfg.Stdin) }

// usageOf makes the usage errors of scan those of the command line.
func usageOf(err error) error {
	var usage *scan.UsageError
	if errors.As(err, &usage) {
		return &usageError{usage.Error(), usage.Hint}
	}
	return err
}

// openOutput opens where the records go.
func (o *scanOptions) openOutput() (*report.LineWriter, error) {
	if o.toStdout() {
		if o.bar != nil && isTerminal(o.p.stdout) {
			return report.NewLineWriter(o.bar.Above(o.p.stdout)), nil
		}
		return report.NewLineWriter(o.p.stdout), nil
	}
	lines, err := report.Create(o.output, o.appendOutput)
	if err != nil {
		return nil, fmt.Errorf("open the output: %w", err)
	}
	if n := lines.Mended(); n > 0 {
		o.p.stderr.warn("%s ended in a line that was cut short: removed its %d bytes", o.output, n)
	}
	return lines, nil
}

// placeBar makes the bar, if there is to be one, and has all messages appear above it.
func (o *scanOptions) placeBar() {
	console := o.p.stderr
	if o.quiet || o.dryrun || o.typed() || !console.terminal || os.Getenv("TERM") == "dumb" || widthOf(console.stream) < minBarWidth {
		return
	}
	o.bar = draw.NewBlock(console.stream)
	console.Writer = o.bar.Above(console.stream)
}

// recordStyle is how a table of records looks.
func (o *scanOptions) recordStyle() report.Style {
	if !o.toStdout() || !isTerminal(o.p.stdout) {
		return report.Style{Width: report.Unbounded, ASCII: asciiOnly()}
	}
	return report.Style{Width: widthOf(o.p.stdout), Color: colorWanted() && !o.p.noColor, ASCII: asciiOnly()}
}

// listTargets is --dryrun.
func (o *scanOptions) listTargets(ctx context.Context, s *scan.Scan) error {
	ctx, stop := stopOnSignal(ctx, func(error) {}, func() {})
	defer stop()
	lines, err := o.openOutput()
	if err != nil {
		return err
	}
	var bad uint64
	n, err := s.DryRun(ctx, lines, func(e *target.InputError) {
		bad++
		o.p.stderr.warn("%v", e)
	})
	if flushErr := lines.Close(); err == nil {
		err = flushErr
	}
	if !o.quiet {
		o.p.stderr.note("%s, nothing was sent", dryTotals(n, bad))
	}
	if err != nil && ctx.Err() != nil {
		return exitStatus(exitStopped)
	}
	return err
}

func dryTotals(n, bad uint64) string {
	text := fmt.Sprintf("%d targets", n)
	if n == 1 {
		text = "1 target"
	}
	switch bad {
	case 0:
		return text
	case 1:
		return text + " and 1 entry that gives none"
	}
	return fmt.Sprintf("%s and %d entries that give none", text, bad)
}
