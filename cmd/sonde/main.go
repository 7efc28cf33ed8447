// Command sonde probes many TCP services at once and says of each the truth: how it is, how long each phase took and
// whose fault a failure is. This package is the command line and nothing else: flags, printing, signals and exit codes.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

// version is set by the linker (make build).
var version = ""

// Exit codes, part of the contract.
const (
	exitDone     = 0 // targets that are down are results, not failures
	exitFatal    = 1
	exitUsage    = 2
	exitStopped  = 3 // before all targets were done
	exitFailures = 4 // with --fail-on-error: a target failed
	exitWorse    = 5 // bench: worse than the baseline
)

func main() {
	// A write to a closed pipe must come back as an error: otherwise the runtime ends the program before the metadata is
	// written (package os/signal).
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Run runs the command line args, which do not hold the program's name, and returns the exit code. What was asked for goes
// to stdout, everything else to stderr.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := newProgram(stdin, stdout, stderr)
	return p.exitCode(p.run(ctx, args))
}

func newProgram(stdin io.Reader, stdout, stderr io.Writer) *program {
	p := &program{stdin: stdin, stdout: stdout, stderr: newConsole(stderr)}
	p.commands = []*command{
		newScanCommand(p), newServeCommand(p), newProbesCommand(p), newDoctorCommand(p),
		newWatchCommand(p), newBenchCommand(p),
		newCompletionCommand(p), newManCommand(p), newVersionCommand(p), newWorkerCommand(p),
	}
	adopt(p.commands)
	return p
}

// program is one run of sonde.
type program struct {
	stdin    io.Reader
	stdout   io.Writer
	stderr   *console
	commands []*command
	help     bool
	version  bool
	noColor  bool
	profiles profileNames
	words    []string // what stands behind the command, as reorder gives it
	parsed   parsed
}

// allFlags are the flags of c and those that every command has.
func (p *program) allFlags(c *command) []flagSpec {
	return append(slices.Clone(c.flags), p.commonFlags()...)
}

func (p *program) commonFlags() []flagSpec {
	return append(profileFlags(&p.profiles),
		flagSpec{group: "General", name: "no-color", help: "no colours, even on a terminal; the variable NO_COLOR does the same", set: toSwitch(&p.noColor)},
		flagSpec{group: "General", name: "help", short: "h", help: "print this help", set: toSwitch(&p.help)},
	)
}

// run parses the command line and runs its command.
func (p *program) run(ctx context.Context, args []string) error {
	top := append(p.commonFlags(), flagSpec{group: "General", name: "version", help: "print the version", set: toSwitch(&p.version)})
	at := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") || a == "-" })
	if at < 0 {
		at = len(args)
	}
	leading, err := reorder(args[:at], top)
	if err != nil {
		return err
	}
	leading = leading[:len(leading)-1] // its "--"
	p.parsed = parsed{given: make(map[string]bool)}
	app := &cli.App{
		Name: "sonde", Flags: cliFlags(top, &p.parsed), Writer: p.stdout, ErrWriter: p.stderr,
		HideHelp: true, HideHelpCommand: true, HideVersion: true,
		// Without it, urfave/cli ends the process by itself for some errors.
		ExitErrHandler: func(*cli.Context, error) {},
		Action:         func(*cli.Context) error { return p.bare() },
	}
	argv := append([]string{"sonde"}, leading...)
	if at < len(args) {
		c, rest, err := p.choose(args[at:])
		if err != nil {
			return err
		}
		flags := p.allFlags(c)
		rest, err = reorder(rest, flags)
		if err != nil {
			return err
		}
		p.words = rest
		argv = append(append(argv, c.name), rest...)
		app.Commands = []*cli.Command{{
			Name: c.name, Flags: cliFlags(flags, &p.parsed), HideHelp: true, HideHelpCommand: true,
			OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
			Action:       func(cc *cli.Context) error { return p.act(cc.Context, c, cc.Args().Slice()) },
		}}
	}
	app.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return err }
	err = app.RunContext(ctx, argv)
	if p.parsed.failed != nil {
		return p.parsed.failed // the same error, before package flag made it a text
	}
	return err
}

// bare is a command line without a command.
func (p *program) bare() error {
	switch {
	case p.version:
		return p.print(versionLine())
	case p.help:
		return p.print(p.overview())
	}
	io.WriteString(p.stderr, p.overview())
	return exitStatus(exitUsage)
}

// act runs a command whose flags are parsed.
func (p *program) act(ctx context.Context, c *command, args []string) error {
	if p.noColor {
		p.stderr.color = false
	}
	if p.help {
		return p.print(p.helpOf(c))
	}
	if len(c.subs) > 0 {
		io.WriteString(p.stderr, p.helpOf(c))
		return exitStatus(exitUsage)
	}
	return p.profiled(c, func() error { return c.run(ctx, args) })
}

// print writes what was asked for to standard output.
func (p *program) print(text string) error {
	_, err := io.WriteString(p.stdout, text)
	return err
}

func newVersionCommand(p *program) *command {
	return &command{
		name: "version", summary: "print the version",
		run: func(_ context.Context, args []string) error {
			if err := noArguments("version", args); err != nil {
				return err
			}
			return p.print(versionLine())
		},
	}
}

func versionLine() string { return "sonde " + versionWord() + "\n" }

// versionWord is what the linker was told; for `go install` and `go run`, what the go command wrote into the binary.
func versionWord() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// noArguments refuses arguments of a command that takes none.
func noArguments(command string, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{text: "sonde " + command + " takes no arguments, got " + quoteWord(args[0])}
}

// exitCode tells of err, if there is anything to tell, and returns the exit code that it means.
func (p *program) exitCode(err error) int {
	var status exitStatus
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	case isClosedPipe(err):
		return exitStopped // the reader has seen enough
	case errors.Is(err, errInterrupted), errors.Is(err, errTerminated): // and nothing was done that could be told of
		p.stderr.failure(err.Error(), "")
		return exitStopped
	case errors.As(err, &usage):
		p.stderr.failure(usage.text, usage.hint)
		return exitUsage
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		p.stderr.failure(err.Error(), hintOf(err))
	}
	return exitFatal
}
