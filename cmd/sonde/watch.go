package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"sonde/report"
	"sonde/watch"
	"sonde/watch/config"
	"sonde/watch/takeover"
	"sonde/watch/web"
)

// defaultListen is where the web server of watch answers.
const defaultListen = "127.0.0.1:9733"

// watchGCPercent is by how much the heap may grow between two collections. Most of it are rows and histories without pointers, of
// which a collection need not look at anything: it costs little, and at 100 % half of the memory would be garbage.
const watchGCPercent = 25

// trimHeap has collections come early, unless the environment says how often.
func trimHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(watchGCPercent)
	}
}

// watchOptions is what the flags of watch say.
type watchOptions struct {
	p         *program
	config    string
	listen    []string
	webConfig string
	pprof     bool
	check     bool
	once      bool
	takeover  bool
	control   string
	workers   config.Workers // 0: what the file says
	format    report.Format
	formatted bool
}

func newWatchCommand(p *program) *command {
	o := &watchOptions{p: p}
	formats := []report.Format{report.JSONL, report.CSV, report.Text}
	return &command{
		name:    "watch",
		summary: "probe on a schedule, keep connections, and tell how targets are",
		usage:   "--config FILE [flags]",
		about: []string{
			"It works by a file of modules (how a target is asked) and jobs (which targets, how often), or by a file of blackbox_exporter as " +
				"it is, and answers over HTTP: metrics for Prometheus, probes on demand, and a page for people. See docs/watch.md.",
			"SIGHUP, a changed file or POST /-/reload have the file read again; one that is bad leaves the old one running. SIGTERM ends it.",
			"With --takeover it takes the place of a sonde watch that runs: its listeners, kept plain TCP connections and all that it knows, so that " +
				"an upgrade drops no connection and loses no probe.",
		},
		examples: []example{
			{"sonde watch --config watch.yml", "watch, with the page at http://" + defaultListen + "/"},
			{"sonde watch --config watch.yml --check", "read the file, tell what it means and what is wrong with it"},
			{"sonde watch --config watch.yml --once", "probe every target one time; exit code 4 if one failed"},
			{"sonde watch --config watch.yml --takeover", "take the place of the one that runs, as for an upgrade"},
			{"sonde watch --config blackbox.yml --listen 127.0.0.1:9115", "stand in for blackbox_exporter"},
		},
		flags: []flagSpec{
			{group: "Watch", name: "config", arg: "FILE", files: true, help: "modules and jobs, YAML", set: toFile(&o.config)},
			{group: "Watch", name: "check", help: "read the file and the lists of targets that it names, tell what they mean, and end; exit code 1 if that is bad", set: toSwitch(&o.check)},
			{group: "Watch", name: "once", help: "probe each target one time, print the records and end; exit code 4 if one failed", set: toSwitch(&o.once)},
			{group: "Watch", name: "format", arg: "WORD", def: "text on a terminal, else jsonl", words: wordsOf(formats),
				help: "the form of the records of --once", set: o.setFormat},
			{group: "Watch", name: "workers", arg: "N|auto", words: []string{"auto"}, def: "what the file says, else none", set: o.setWorkers,
				help: "share the targets among N processes; auto: as many as the kept connections need"},
			{group: "Watch", name: "takeover", help: "take over from the sonde watch that runs with the same --listen or --control; fail if none does",
				set: toSwitch(&o.takeover)},
			{group: "Watch", name: "control", arg: "FILE", files: true, set: toFile(&o.control),
				help: "the socket for --takeover", def: "takeover.sock in $RUNTIME_DIRECTORY, else one in $TMPDIR by user and port"},
			{group: "HTTP", name: "listen", arg: "ADDRESS", many: true, def: defaultListen, help: "where to answer; ADDRESS is host:port", set: toList(&o.listen)},
			{group: "HTTP", name: "web-config", arg: "FILE", files: true, set: toFile(&o.webConfig),
				help: "TLS, client certificates and passwords, as exporter-toolkit's --web.config.file"},
			{group: "HTTP", name: "enable-pprof", help: "answer at /debug/pprof/ too", set: toSwitch(&o.pprof)},
		},
		run: o.run,
	}
}

func (o *watchOptions) setFormat(value string) error {
	o.formatted = true
	formats := []report.Format{report.JSONL, report.CSV, report.Text}
	return toWord(&o.format, wordsOf(formats), formats)(value)
}

func (o *watchOptions) setWorkers(value string) (err error) {
	o.workers, err = config.ParseWorkers(value)
	return err
}

func (o *watchOptions) run(ctx context.Context, args []string) error {
	if err := noArguments("watch", args); err != nil {
		return err
	}
	switch {
	case o.config == "":
		return &usageError{"watch: --config FILE is missing", "examples/watch has some"}
	case o.check && o.once:
		return &usageError{"watch: --check does not go with --once", "--check reads the file, --once probes"}
	case o.workers != 0 && o.once:
		return &usageError{"watch: --workers does not go with --once", "one process asks every target one time, however many there are"}
	case o.takeover && (o.once || o.check):
		return &usageError{"watch: --takeover does not go with --once or --check", "it is for one that goes on watching"}
	case o.formatted && !o.once:
		return &usageError{"watch: --format is for the records of --once", ""}
	case o.check:
		return o.checkConfig(ctx)
	case o.once:
		return o.runOnce(ctx)
	}
	return o.serve(ctx)
}

// checkConfig is --check.
func (o *watchOptions) checkConfig(ctx context.Context) error {
	c, err := watch.Check(ctx, o.config)
	if err != nil {
		return o.told(err)
	}
	if err := o.p.print(watchTable(c, widthOf(o.p.stdout))); err != nil {
		return err
	}
	if c.Refused > 0 {
		return fmt.Errorf("%s: %d of its targets can't be probed", o.config, c.Refused)
	}
	return nil
}

// told shows all that is wrong with a file.
func (o *watchOptions) told(err error) error {
	var all config.Errors
	if !errors.As(err, &all) {
		return err
	}
	for _, one := range all {
		o.p.stderr.failure(one.Error(), "")
	}
	return exitStatus(exitFatal)
}

// runOnce is --once.
func (o *watchOptions) runOnce(ctx context.Context) error {
	w, err := watch.New(watch.Options{File: o.config, Version: version, Once: true, Log: slog.New(consoleLog{console: o.p.stderr})})
	if err != nil {
		return o.told(err)
	}
	ctx, stop := stopOnSignal(ctx, func(error) {}, func() {})
	defer stop()
	lines := report.NewLineWriter(o.p.stdout)
	format, style := report.JSONL, report.Style{Width: report.Unbounded, ASCII: asciiOnly()}
	if isTerminal(o.p.stdout) {
		format, style = report.Text, report.Style{Width: widthOf(o.p.stdout), Color: colorWanted() && !o.p.noColor, ASCII: asciiOnly()}
	}
	if o.formatted {
		format = o.format
	}
	sink := report.NewSink(lines, format, style)
	targets, failed, err := w.Once(ctx, sink.Write)
	if closeErr := sink.Close(); err == nil {
		err = closeErr
	}
	switch {
	case ctx.Err() != nil:
		o.p.stderr.note("stopped after %s", dryTotals(uint64(targets), 0))
		return exitStatus(exitStopped)
	case err != nil:
		return err
	case failed > 0:
		o.p.stderr.note("%d of %s failed", failed, dryTotals(uint64(targets), 0))
		return exitStatus(exitFailures)
	}
	return nil
}

// serve watches until it is told to stop.
func (o *watchOptions) serve(ctx context.Context) error {
	if o.webConfig != "" {
		if err := web.CheckConfig(o.webConfig); err != nil {
			return fmt.Errorf("--web-config %s: %w", o.webConfig, err)
		}
	}
	if len(o.listen) == 0 {
		o.listen = []string{defaultListen}
	}
	control, err := o.controlSocket()
	if err != nil {
		return err
	}
	var listeners []net.Listener
	listen := func(taken []net.Listener) ([]net.Listener, error) {
		var err error
		listeners, err = o.listenOn(taken)
		return listeners, err
	}
	if !o.takeover {
		if _, err := listen(nil); err != nil {
			return err
		}
	}
	defer func() {
		for _, l := range listeners {
			l.Close() // again, if it was served
		}
	}()
	if o.pprof {
		runtime.MemProfileRate = 512 << 10 // the runtime's own, which other commands do without
	}
	trimHeap()
	log := slog.New(daemonLog(o.p.stderr))
	n, err := watch.CountWorkers(ctx, o.config, o.workers)
	if err != nil {
		return o.told(err)
	}
	if o.takeover && n > 0 {
		return errors.New("--takeover: a watch with worker processes can't take over; stop the one that runs and start this one")
	}
	w, err := watch.New(watch.Options{
		File: o.config, Version: version, Log: log, Listeners: listeners, Control: control, Takeover: o.takeover, Listen: listen,
		Web:     web.Options{ConfigFile: o.webConfig, Pprof: o.pprof, Reload: true, Log: log},
		Ready:   func() { o.ready(listeners) },
		Workers: watch.Workers{Count: n, Args: o.p.workerArgs(watchRole), Stderr: o.p.stderr},
	})
	if err != nil {
		return o.told(err)
	}
	ctx, stop := o.stopForGood(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		o.reload(ctx, w)
	}()
	defer func() {
		stop()
		<-told
	}()
	if err = w.Run(ctx); errors.Is(err, takeover.ErrNobody) {
		return fmt.Errorf("--takeover: %w; without --takeover it starts by itself", err)
	}
	return err
}

// ready tells that the watch runs: a person, and systemd (sd_notify(3), Type=notify).
func (o *watchOptions) ready(listeners []net.Listener) {
	scheme := "http"
	if web.HasTLS(o.webConfig) {
		scheme = "https"
	}
	for _, l := range listeners {
		o.p.stderr.note("watching; %s://%s/", scheme, l.Addr())
	}
	tellManager(o.readyState())
}

// tellManager tells systemd what the service is at, if systemd runs it. If it is deaf, there is nobody to tell that.
func tellManager(state string) { _, _ = daemon.SdNotify(false, state) }

// reload has the file read again at each SIGHUP, until ctx ends. What it tells is what Type=notify-reload waits for.
func (o *watchOptions) reload(ctx context.Context, w *watch.Watch) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-hangups:
			tellManager(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
			_ = w.Reload(ctx) // which logs what is wrong
			tellManager(daemon.SdNotifyReady)
		case <-ctx.Done():
			if !w.Given() { // else the service goes on, in another process
				tellManager(daemon.SdNotifyStopping)
			}
			return
		}
	}
}

// stopForGood returns a context that ends at SIGINT or SIGTERM; a second one ends the process.
func (o *watchOptions) stopForGood(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop()                                                  // from here on a signal does what it does by itself
		if why := context.Cause(ctx); why != context.Canceled { //nolint:errorlint // a signal is one, too, and no other
			o.p.stderr.note("ending: %v; once more to end at once", why)
		}
	})
	return ctx, stop
}

// daemonLog is the log of what runs for weeks: lines with a time, but where the journal has its own.
func daemonLog(w *console) slog.Handler {
	o := &slog.HandlerOptions{}
	if os.Getenv("JOURNAL_STREAM") != "" { // systemd.exec(5)
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.NewTextHandler(w, o)
}
