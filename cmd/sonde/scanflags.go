package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"sonde/internal/rate"
	"sonde/policy/pace"
	"sonde/policy/retry"
	"sonde/probes"
	"sonde/probes/builtin"
	"sonde/protocol"
	"sonde/protocol/framespec"
	"sonde/report"
	"sonde/scan"
	"sonde/target"
)

// scanFlags declares the flags of scan. They write into o.
func scanFlags(o *scanOptions) []flagSpec {
	var flags []flagSpec
	for _, group := range [][]flagSpec{
		targetFlags(o), orderFlags(o), probeFlags(o), httpFlags(o), tlsFlags(o), outputFlags(o), loadFlags(o), limitFlags(o), laterFlags(),
	} {
		flags = append(flags, group...)
	}
	return flags
}

func targetFlags(o *scanOptions) []flagSpec {
	const group = "Targets"
	return []flagSpec{
		{group: group, name: "input-file", short: "f", arg: "FILE", files: true, many: true, set: toList(&o.cfg.InputFiles),
			help: "read targets from FILE, an entry a line; - is standard input, which is also read when nothing names a target"},
		{group: group, name: "ports", short: "p", arg: "LIST", many: true, def: "the probe's usual port", set: o.addPorts,
			help: "ports of targets that name none, as in 80,443,8000-8100"},
		{group: group, name: "exclude", arg: "X", many: true, set: o.addExclude,
			help: "never touch X: an address, block, range or name"},
		{group: group, name: "blocklist-file", short: "b", arg: "FILE", files: true, many: true, set: toList(&o.blocklists),
			help: "never touch what FILE names, an entry a line"},
		{group: group, name: "exclude-reserved", set: toSwitch(&o.excludeReserved),
			help: "never touch the special-purpose blocks of IANA: private, loopback, link-local, documentation, multicast and so on"},
		{group: group, name: "all-ips", set: toSwitch(&o.cfg.AllIPs),
			help: "probe each address of a name, not the first alone"},
		{group: group, name: "ipv4", short: "4", set: toSwitch(&o.ipv4), help: "take only the IPv4 addresses of names"},
		{group: group, name: "ipv6", short: "6", set: toSwitch(&o.ipv6), help: "take only the IPv6 addresses of names"},
	}
}

func orderFlags(o *scanOptions) []flagSpec {
	const group = "Order and extent"
	return []flagSpec{
		{group: group, name: "seed", arg: "N", def: "drawn anew each time, and told in the metadata", set: o.setSeed,
			help: "walk blocks and ranges in the order that N gives; equal seeds, equal order"},
		{group: group, name: "shards", arg: "N", set: toCount(&o.cfg.Shards, 1, maxShards),
			help: "share the targets out among N runs with the same targets and --seed, without overlap or gap"},
		{group: group, name: "shard", arg: "I", set: o.setShard, help: "which of the --shards this run is, from 0"},
		{group: group, name: "max-targets", arg: "N", set: toCount(&o.cfg.MaxTargets, 1, math.MaxUint64), help: "end after N targets"},
		{group: group, name: "max-runtime", arg: "TIME", set: toDuration(&o.cfg.MaxRuntime),
			help: "stop after TIME, let what is in flight end, and exit with 3"},
		{group: group, name: "dryrun", set: toSwitch(&o.dryrun),
			help: "print every target in scan order and dial nothing; a scan reads the lines back"},
	}
}

func probeFlags(o *scanOptions) []flagSpec {
	const group = "What is asked"
	return []flagSpec{
		{group: group, name: "probe", arg: "LIST", many: true, def: "tcp", words: probeNames(), set: o.addProbes,
			help: "how to probe: one or more names, each of which is run against every target; `sonde probes` lists them"},
		{group: group, name: "trigger", arg: "TAG=PROBE", many: true, set: o.addTrigger,
			help: "run PROBE instead against targets whose line has this tag"},
		{group: group, name: "send", arg: "TEXT", set: o.setSend,
			help: `send TEXT once connected; \r \n \t \0 \xHH and \\ are escapes`},
		{group: group, name: "expect", arg: "RE", set: o.setExpect,
			help: "what is heard must match this regular expression (Go's syntax); for http, the body"},
		{group: group, name: "read-bytes", arg: "N", def: "the probe's own", set: toSize(&o.cfg.Options.ReadBytes, protocol.MaxFrameSize),
			help: "read at most N bytes of an answer, 64k at most"},
		{group: group, name: "frame", arg: "SPEC", set: o.setFrame,
			help: `the answer is one frame: line, delim:\r\n, fixed:size=16 or len:offset=0,size=4,order=be`},
	}
}

func httpFlags(o *scanOptions) []flagSpec {
	const group = "What is asked, HTTP"
	return []flagSpec{
		{group: group, name: "http-method", arg: "WORD", def: "GET", set: toText(&o.cfg.Options.HTTP.Method), help: "the method of the request"},
		{group: group, name: "http-host", arg: "HOST", def: "the target's name or address", set: toText(&o.cfg.Options.HTTP.Host),
			help: "the Host header"},
		{group: group, name: "http-path", arg: "PATH", def: "that of the URL, or /", set: toText(&o.cfg.Options.HTTP.Path),
			help: "the path and query of the request"},
		{group: group, name: "http-header", arg: "'NAME: VALUE'", many: true, set: toList(&o.cfg.Options.HTTP.Headers),
			help: "one more header of the request"},
		{group: group, name: "http-status", arg: "LIST", many: true, def: "200-399", set: o.addHTTPStatus,
			help: "the status codes that count as success, as in 200,301,400-404"},
	}
}

func outputFlags(o *scanOptions) []flagSpec {
	const group = "Output"
	formats := []report.Format{report.JSONL, report.CSV, report.Text}
	return []flagSpec{
		{group: group, name: "output-file", short: "o", arg: "FILE", files: true, def: "standard output", set: toText(&o.output),
			help: "write the records to FILE, emptying it first"},
		{group: group, name: "append-output", set: toSwitch(&o.appendOutput),
			help: "add to the output file instead; a last line that was cut short is removed first"},
		{group: group, name: "format", arg: "WORD", def: "text on a terminal, else jsonl", words: wordsOf(formats),
			set:  o.setFormat,
			help: "jsonl (the whole truth, for programs), csv or text (a table)"},
		{group: group, name: "metadata-file", short: "m", arg: "FILE", files: true, set: toFile(&o.metadata),
			help: "at the end, write what the run did and found in sum to FILE, as JSON"},
		{group: group, name: "status-updates-file", short: "u", arg: "FILE", files: true, set: toFile(&o.statusUpdates),
			help: "write a CSV line a second to FILE"},
		{group: group, name: "quiet", short: "q", set: toSwitch(&o.quiet), help: "no progress and no summary on standard error"},
		{group: group, name: "fail-on-error", set: toSwitch(&o.failOnError),
			help: "exit with 4 if the status of any target is not success"},
	}
}

func loadFlags(o *scanOptions) []flagSpec {
	const group = "Load"
	return []flagSpec{
		{group: group, name: "connections", short: "c", arg: "N", def: "1000", set: toCount(&o.cfg.Connections, 1, maxConnections),
			help: "at most N targets in flight at once"},
		{group: group, name: "rate", short: "r", arg: "N", def: "no limit", set: o.setRate,
			help: "dial at most N targets a second, evenly spaced; 5k is 5,000 and 1.5m is 1,500,000"},
		{group: group, name: "host-rate", arg: "N", def: "no limit", set: o.setHostRate,
			help: "dial one address at most N times a second, evenly spaced"},
		{group: group, name: "subnet-rate", arg: "N/BITS", def: "no limit", set: o.setSubnetRate,
			help: "dial a block of IPv4 addresses that share their first BITS at most N times a second, as in 100/24; of IPv6, each /64"},
		{group: group, name: "retries", arg: "N", def: "0", set: toCount(&o.cfg.Retries, 0, retry.Max),
			help: "ask a target again, at most N times, whose fault may pass: a timeout, a reset, a connection closed too soon, a host or network that can't be reached. " +
				"It waits 200 ms in the mean before the first, and twice as long before each next one, inside its --target-timeout"},
		{group: group, name: "source-ip", arg: "X", many: true, set: toList(&o.sources),
			help: "dial targets of its IP version from address X of this machine, or from those of block X in turn"},
		{group: group, name: "loops", arg: "N", def: "one a CPU", set: toCount(&o.cfg.Loops, 1, maxLoops), help: "event loops, of each process"},
		{group: group, name: "workers", arg: "N|auto", def: "1", words: []string{"auto"}, set: o.workers.set,
			help: "scan from N processes, each with a share of the targets, of -c and of the rates; auto is as many as -c needs beyond what one process may have open"},
		{group: group, name: "close", arg: "WORD", def: "rst", words: []string{"rst", "fin"},
			set:  toWord(&o.cfg.Close, []string{"rst", "fin"}, []scan.CloseMode{scan.CloseReset, scan.CloseFIN}),
			help: "end connections by RST, which holds no port afterwards, or by FIN, which holds one for a minute and holds the descriptor up to 30 s until the peer's own FIN, at the end of the scan 1 s"},
	}
}

func limitFlags(o *scanOptions) []flagSpec {
	const group = "Time limits (3.5s, 500ms; a bare number is seconds)"
	l := &o.cfg.Limits
	return []flagSpec{
		{group: group, name: "connect-timeout", arg: "TIME", def: "3.5s", set: toDuration(&l.Connect), help: "from the dial to the connection"},
		{group: group, name: "tls-handshake-timeout", arg: "TIME", def: "5s", set: toDuration(&l.Handshake),
			help: "from the first byte of the TLS handshake to its last"},
		{group: group, name: "read-timeout", arg: "TIME", def: "5s", set: toDuration(&l.Read),
			help: "from the request to the end of the answer, however it trickles"},
		{group: group, name: "target-timeout", arg: "TIME", def: "30s; 3m with --tls-enum and --jarm", set: toDuration(&l.Target),
			help: "from the first dial to the verdict, all in all"},
	}
}

// laterFlags are in the contract and not built yet.
func laterFlags() []flagSpec {
	return []flagSpec{{name: "resume", arg: "X", later: true}}
}

// The limits of flags, with their reasons.
const (
	maxShards      = 1 << 20 // far more than machines
	maxConnections = 1 << 20 // fs.nr_open's default: what a process can hold
	maxLoops       = 1024    // more than CPUs
)

func wordsOf(formats []report.Format) []string {
	var words []string
	for _, f := range formats {
		words = append(words, f.String())
	}
	return words
}

func probeNames() []string {
	var names []string
	for _, p := range builtin.All() {
		names = append(names, p.About().Name)
	}
	return names
}

func (o *scanOptions) addPorts(value string) error {
	ports, err := target.ParsePorts(value)
	o.cfg.Ports = append(o.cfg.Ports, ports...)
	return err
}

func (o *scanOptions) addExclude(value string) error { return o.exclude.Add(value) }

func (o *scanOptions) setSeed(value string) error {
	seed, err := strconv.ParseUint(value, 0, 64)
	if err != nil {
		return fmt.Errorf("want a whole number from 0 to %d", uint64(math.MaxUint64))
	}
	o.cfg.Seed, o.seeded = seed, true
	return nil
}

func (o *scanOptions) setShard(value string) error {
	o.sharded = true
	return toCount(&o.cfg.Shard, 0, maxShards-1)(value)
}

func (o *scanOptions) addProbes(value string) error {
	names, err := splitList(value)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := checkProbe(name); err != nil {
			return err
		}
		if !slices.Contains(o.cfg.Probes, name) {
			o.cfg.Probes = append(o.cfg.Probes, name)
		}
	}
	return nil
}

func checkProbe(name string) error {
	if _, ok := builtin.Find(name); ok {
		return nil
	}
	hint := hintForProbe(strings.ToLower(name))
	if hint == "" {
		hint = "sonde probes lists them"
	}
	return &valueError{fmt.Sprintf("there is no probe %q: want %s", name, orList(probeNames())), hint}
}

// hintForProbe says which probe is most likely meant by a name that is none's.
func hintForProbe(name string) string {
	if name == "ssl" {
		return didYouMean(tlsProbe)
	}
	for _, p := range builtin.All() {
		if about := p.About(); slices.Contains(about.TLSSchemes, name) {
			return fmt.Sprintf("did you mean --probe %s --tls? A target %s://HOST is the same", about.Name, name)
		}
	}
	return didYouMean(nearest(name, probeNames()))
}

func (o *scanOptions) addTrigger(value string) error {
	tag, probe, ok := strings.Cut(value, "=")
	if !ok || tag == "" || probe == "" {
		return &valueError{"want TAG=PROBE", "as in --trigger web=http"}
	}
	if err := checkProbe(probe); err != nil {
		return err
	}
	if before, ok := o.cfg.Triggers[tag]; ok && before != probe {
		return fmt.Errorf("the tag %q has the probe %s already", tag, before)
	}
	if o.cfg.Triggers == nil {
		o.cfg.Triggers = make(map[string]string)
	}
	o.cfg.Triggers[tag] = probe
	return nil
}

func (o *scanOptions) setSend(value string) error {
	send, err := framespec.Unescape(value)
	if err != nil {
		return withHint(err)
	}
	o.cfg.Options.Send = send
	return nil
}

// withHint moves the hint of a framespec.Error to where hints are shown.
func withHint(err error) error {
	var e *framespec.Error
	if !errors.As(err, &e) || e.Hint == "" {
		return err
	}
	bare := *e
	bare.Hint = ""
	return &valueError{bare.Error(), e.Hint}
}

func (o *scanOptions) setExpect(value string) error {
	re, err := regexp.Compile(value)
	if err != nil {
		var e *syntax.Error
		if !errors.As(err, &e) {
			return err
		}
		text := e.Code.String()
		if at := strings.Index(value, e.Expr); at >= 0 && e.Expr != "" && e.Expr != value {
			text += fmt.Sprintf(" at character %d: %q", len([]rune(value[:at]))+1, e.Expr)
		}
		return &valueError{text, "the syntax is that of https://pkg.go.dev/regexp/syntax"}
	}
	o.cfg.Options.Expect = re
	return nil
}

func (o *scanOptions) setFrame(value string) error {
	newFrame, err := framespec.Parse(value)
	if err != nil {
		return withHint(err)
	}
	o.cfg.Options.NewFrame = newFrame
	return nil
}

func (o *scanOptions) addHTTPStatus(value string) error {
	parts, err := splitList(value)
	if err != nil {
		return err
	}
	for _, part := range parts {
		r, err := probes.ParseStatusRange(part)
		if err != nil {
			return err
		}
		o.cfg.Options.HTTP.Status = append(o.cfg.Options.HTTP.Status, r)
	}
	return nil
}

func (o *scanOptions) setFormat(value string) error {
	f, err := report.ParseFormat(value)
	if err != nil {
		words := []string{"jsonl", "csv", "text"}
		return &valueError{"want " + orList(words), didYouMean(nearest(value, words))}
	}
	o.format, o.formatted = f, true
	return nil
}

func (o *scanOptions) setRate(value string) error {
	perSecond, err := rate.Parse(value)
	o.cfg.Rate = perSecond
	return err
}

func (o *scanOptions) setHostRate(value string) error {
	perSecond, err := rate.Parse(value)
	if err != nil {
		return err
	}
	o.cfg.HostRate = perSecond
	return pace.Settings{PerSecond: perSecond}.Check()
}

func (o *scanOptions) setSubnetRate(value string) error {
	settings, err := pace.ParseSubnet(value)
	if err != nil {
		return &valueError{err.Error(), "as in --subnet-rate 100/24: 100 dials a second to each block of 256 addresses"}
	}
	o.cfg.SubnetRate = settings
	return nil
}
