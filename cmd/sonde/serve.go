package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"sonde/report"
	"sonde/serve"
)

// serveOptions is what the flags of serve say.
type serveOptions struct {
	p       *program
	cfg     serve.Config
	targets string
	json    bool
	quiet   bool
	workers workerCount
	listen  []netip.Addr

	caFile, clientCert, clientKey string
}

func newServeCommand(p *program) *command {
	o := &serveOptions{p: p}
	return &command{
		name:    "serve",
		summary: "run a fleet of targets on this machine, healthy and faulty ones",
		usage:   "[flags]",
		about: []string{
			"It serves one target of each kind on loopback addresses, prints them and runs until SIGINT or SIGTERM. No other server is " +
				"needed to try sonde. The kind of a target is its tag; the table tells which probe suits it and which status that must give.",
		},
		examples: []example{
			{"sonde serve", "one target of each kind"},
			{"sonde serve --tls --targets fleet.txt --ca-file ca.pem", "the kinds that speak TLS, and what a scan needs to trust them"},
			{"sonde serve --demo 1000 --targets fleet.txt", "a fleet as on a common day, and the list to scan it by"},
			{"sonde serve --kinds sink --all-loopback --port-base 9999", "all of 127.0.0.0/8 at one port, for scans of millions"},
			{"sonde serve --kinds echo --workers 8 --targets echo.txt", "eight processes, for more connections than one may have descriptors"},
		},
		flags: []flagSpec{
			{group: "The fleet", name: "demo", arg: "N", help: fmt.Sprintf("a fleet of N targets, at most %d, nine in ten of them healthy", serve.MaxTargets),
				set: toCount(&o.cfg.Demo, 1, serve.MaxTargets)},
			{group: "The fleet", name: "kinds", arg: "LIST", many: true, words: kindNames(), def: "all", set: o.addKinds,
				help: "run only these kinds, as in http,silent"},
			{group: "The fleet", name: "host", arg: "ADDRESS", def: "127.0.0.1", set: o.setHost, help: "the first address, one of loopback"},
			{group: "The fleet", name: "port-base", arg: "PORT", def: fmt.Sprintf("%d, or what is free above", serve.DefaultPortBase), set: o.setPortBase,
				help: "the first port; each kind has one of its own"},
			{group: "The fleet", name: "all-loopback", set: toSwitch(&o.cfg.AllLoopback),
				help: "the healthy kinds answer on every address of 127.0.0.0/8"},
			{group: "The fleet", name: "loops", arg: "N", def: "1", set: toCount(&o.cfg.Loops, 1, maxLoops), help: "event loops"},
			{group: "The fleet", name: "workers", arg: "N|auto", words: []string{"auto"}, def: "none", set: o.workers.set,
				help: "serve from N processes, each at an address of its own from --host on, for more connections than one process may have descriptors; auto is one an address of --listen, else one a CPU"},
			{group: "The fleet", name: "listen", arg: "LIST", many: true, set: o.addListen, help: "the addresses of the --workers, one each"},
			{group: "TLS", name: "tls", set: toSwitch(&o.cfg.TLS),
				help: "run the kinds that speak TLS, or break it, instead of those that do not"},
			{group: "TLS", name: "delay", arg: "TIME", set: toDuration(&o.cfg.Delay),
				help: "have each of them wait so long before it answers a ClientHello"},
			{group: "TLS", name: "ca-file", arg: "FILE", files: true, set: toFile(&o.caFile),
				help: "write the authority of their certificates to FILE, for `sonde scan --cacert`; it is another each time"},
			{group: "TLS", name: "client-cert", arg: "FILE", files: true, set: toFile(&o.clientCert),
				help: "write a certificate that they accept of a client to FILE, for `sonde scan --cert`; wants --client-key"},
			{group: "TLS", name: "client-key", arg: "FILE", files: true, set: toFile(&o.clientKey),
				help: "write its key to FILE, which only you may read"},
			{group: "Output", name: "targets", arg: "FILE", files: true, set: toFile(&o.targets),
				help: "write the targets to FILE, as `sonde scan -f` reads them; it appears whole, when all of them listen"},
			{group: "Output", name: "json", help: "print JSON, one object a target", set: toSwitch(&o.json)},
			{group: "Output", name: "quiet", short: "q", help: "print nothing", set: toSwitch(&o.quiet)},
		},
		run: o.run,
	}
}

func kindNames() []string {
	var names []string
	for _, a := range serve.Kinds() {
		names = append(names, string(a.Kind))
	}
	return names
}

func (o *serveOptions) addKinds(value string) error {
	words, err := splitList(value)
	if err != nil {
		return err
	}
	for _, word := range words {
		found := false
		for _, a := range serve.Kinds() {
			if string(a.Kind) == word {
				o.cfg.Kinds = append(o.cfg.Kinds, a.Kind)
				found = true
			}
		}
		if !found {
			return &valueError{fmt.Sprintf("there is no kind %q: want %s", word, orList(kindNames())), didYouMean(nearest(word, kindNames()))}
		}
	}
	return nil
}

func (o *serveOptions) setHost(value string) error {
	addr, err := netip.ParseAddr(value)
	if err != nil || !addr.IsLoopback() {
		return errors.New("want an address of loopback, as in 127.0.0.1")
	}
	o.cfg.Host = addr
	return nil
}

func (o *serveOptions) setPortBase(value string) error {
	port := 0
	if err := toCount(&port, 1, 65535)(value); err != nil {
		return err
	}
	o.cfg.PortBase = uint16(port)
	return nil
}

func (o *serveOptions) run(ctx context.Context, args []string) error {
	if err := noArguments("serve", args); err != nil {
		return err
	}
	if err := o.checkTLS(); err != nil {
		return err
	}
	if err := checkOutputs(nil, []namedFile{
		{"--ca-file", o.caFile}, {"--client-cert", o.clientCert}, {"--client-key", o.clientKey}, {"--targets", o.targets},
	}); err != nil {
		return err
	}
	if err := o.checkWorkers(); err != nil {
		return err
	}
	ctx, stop := stopOnSignal(ctx, func(error) {}, func() {})
	defer stop()
	fleet, err := o.start(ctx)
	if err != nil {
		return fmt.Errorf("start the fleet: %w", err)
	}
	defer fleet.Close()
	if err := o.writeCertificates(fleet); err != nil {
		return err
	}
	if o.targets != "" {
		if err := writeTargets(o.targets, fleet); err != nil {
			return fmt.Errorf("write the targets: %w", err)
		}
	}
	// A reader that has seen enough of the table does not end the fleet.
	if err := o.print(fleet); err != nil && !isClosedPipe(err) {
		return err
	}
	<-fleet.Done()
	return fleet.Err()
}

// print tells what there is. Of a large fleet the table shows the kinds.
func (o *serveOptions) print(fleet fleet) error {
	targets := fleet.Targets()
	switch {
	case o.quiet:
		return nil
	case o.json:
		encoder := json.NewEncoder(o.p.stdout)
		encoder.SetEscapeHTML(false)
		for _, t := range targets {
			if err := encoder.Encode(t); err != nil {
				return err
			}
		}
		return nil
	}
	count := make(map[string]int)
	first := make(map[string]serve.Endpoint)
	for _, t := range targets {
		if count[string(t.Kind)]++; count[string(t.Kind)] == 1 {
			first[string(t.Kind)] = t
		}
	}
	rows := [][]string{{"KIND", "TARGETS", "FIRST", "PROBE", "STARTTLS", "STATUS", "WHAT IT DOES"}}
	greets, width := false, 100
	for _, kind := range kindNames() {
		if t, ok := first[kind]; ok {
			rows = append(rows, []string{kind, fmt.Sprint(count[kind]), t.Addr.String(), t.Probe, orDash(t.StartTLS), t.Expect, t.Doc})
			greets = greets || t.StartTLS != ""
		}
	}
	if greets {
		width = 120
	} else {
		for i, row := range rows {
			rows[i] = slices.Delete(row, 4, 5)
		}
	}
	text := wrappedColumns(rows, max(widthOf(o.p.stdout), width))
	return o.p.print(text + processTable(targets) + o.suggestions(targets) + "\nserving " + dryTotals(uint64(len(targets)), 0) + "; end with Ctrl-C\n")
}

// writeTargets writes the fleet's target lines to path.
func writeTargets(path string, fleet fleet) error {
	var lines bytes.Buffer
	if err := fleet.WriteTargets(&lines); err != nil {
		return err
	}
	return report.WriteWhole(path, lines.Bytes(), 0)
}
