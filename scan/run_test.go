package scan

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testpeer"
	"sonde/policy/pace"
	"sonde/probes"
	"sonde/report"
	"sonde/target"

	"github.com/google/go-cmp/cmp"
)

// TestExactlyOnce scans 5,000 targets that are told apart by their tags, a mixture of peers, bad lines, names and refused
// ones, and finds one record for each, with the status that it must have.
func TestExactlyOnce(t *testing.T) {
	const n = 5000
	kinds := []testpeer.Kind{
		testpeer.SSH, testpeer.Refuse, testpeer.Reset, testpeer.CloseAtOnce, testpeer.Garbage, testpeer.BannerReset,
		testpeer.Endless,
	}
	statuses := map[testpeer.Kind]report.Status{ // with the ssh probe
		testpeer.SSH: report.Success, testpeer.Refuse: report.ConnectionRefused,
		testpeer.Reset: report.ConnectionReset, testpeer.CloseAtOnce: report.ConnectionClosed, testpeer.Garbage: report.ProtocolError,
		testpeer.BannerReset: report.ConnectionReset, testpeer.Endless: report.ByteLimit,
	}
	addrs := peers(t, kinds...)
	var list strings.Builder
	expect := map[string]report.Status{}
	for i := range n {
		tag := fmt.Sprintf("t%d", i)
		kind := kinds[i%len(kinds)]
		addr := addrs[i%len(kinds)]
		switch {
		case i%100 == 50:
			fmt.Fprintf(&list, "%v,,%s,%d\n", "0.0.0.1", tag, 22)
			expect[tag] = report.InvalidInput
		case i%100 == 51:
			fmt.Fprintf(&list, "%v,,%s,%d\n", "127.9.9.9", tag, 22)
			expect[tag] = report.Blocked
		case i%100 == 52:
			fmt.Fprintf(&list, ",unknown%d.test,%s,%d\n", i, tag, 22)
			expect[tag] = report.DNSError
		case i%10 == 3:
			fmt.Fprintf(&list, ",known.test,%s,%d\n", tag, addr.Port())
			expect[tag] = statuses[kind]
		default:
			fmt.Fprintf(&list, "%v,,%s,%d\n", addr.Addr(), tag, addr.Port())
			expect[tag] = statuses[kind]
		}
	}
	exclude := new(target.Set)
	exclude.AddPrefix(netip.MustParsePrefix("127.9.9.9/32"))
	records, run := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(list.String()), Probes: []string{"ssh"}, Exclude: exclude,
		Lookup: knowing(map[string][]string{"known.test": {"127.0.0.1"}}),
	})
	if run.Targets != n {
		t.Errorf("got %d targets, want %d", run.Targets, n)
	}
	got := map[string]report.Status{}
	for i := range records {
		r := &records[i]
		if _, twice := got[r.Tag]; twice {
			t.Errorf("got a second record: %v", r)
		}
		got[r.Tag] = r.Status
		wantText(t, r.Status, r.Error)
	}
	if diff := cmp.Diff(expect, got); diff != "" {
		t.Errorf("statuses by tag (-want +got):\n%s", diff)
	}
}

// TestSeveralProbes runs several probes on several ports; tags and URLs choose their own.
func TestSeveralProbes(t *testing.T) {
	addrs := peers(t, testpeer.SSH, testpeer.HTTP)
	ssh, http := addrs[0].Port(), addrs[1].Port()
	list := fmt.Sprintf("127.0.0.1\n127.0.0.1,,web,%[1]d\n127.0.0.1,,other,%[1]d\nhttp://127.0.0.1:%[1]d/status/204\n", http)
	records, _ := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader(list),
		Ports:    []target.PortRange{{From: ssh, To: ssh}, {From: http, To: http}},
		Probes:   []string{"tcp", "ssh"},
		Triggers: map[string]string{"web": "http"},
		Limits:   engine.Limits{Connect: time.Minute, Read: 3 * time.Second}, // the web server waits for what ssh does not say
	})
	var got []string
	for i := range records {
		r := &records[i]
		got = append(got, fmt.Sprintf("%s %s %s %v", map[uint16]string{ssh: "ssh-port", http: "http-port"}[r.Port], r.Tag, r.Probe, r.Status))
	}
	slices.Sort(got)
	want := []string{
		"http-port  http success",
		"http-port  ssh io-timeout",
		"http-port  tcp success",
		"http-port other ssh io-timeout",
		"http-port other tcp success",
		"http-port web http success",
		"ssh-port  ssh success",
		"ssh-port  tcp success",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	for i := range records {
		if r := &records[i]; r.Probe == "http" && r.Tag == "" && !strings.Contains(r.result, `"status_code":204`) {
			t.Errorf("got %v, want the URL's own path asked for", r)
		}
	}
}

// TestProbeTwice: a target is told apart by its probe, so naming a probe twice asks for nothing more.
func TestProbeTwice(t *testing.T) {
	records, _ := scanAll(t, Config{Args: []string{peers(t, testpeer.SSH)[0].String()}, Probes: []string{"tcp", "ssh", "tcp"}})
	var got []string
	for i := range records {
		got = append(got, records[i].Probe)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"ssh", "tcp"}, got); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
}

// TestDryRun has the dry run print the very targets that a scan dials, whatever cuts and splits them; shards have no target
// in common and miss none. What is printed is a target list again.
func TestDryRun(t *testing.T) {
	addr := peers(t, testpeer.Sink)[0]
	exclude := new(target.Set)
	if err := exclude.Add("127.0.3.0-127.0.3.99"); err != nil {
		t.Fatal(err)
	}
	list := fmt.Sprintf("127.0.1.1,,a,%[1]d\n127.0.1.1,,b,%[1]d\n127.0.3.0/24\n127.0.3.128/25\n127.0.5.1-127.0.5.77\nbad one\n127.0.1.9\n127.0.3.7\n", addr.Port())
	base := func() Config {
		return Config{
			InputFiles: []string{"-"}, Stdin: strings.NewReader(list), Exclude: exclude, Seed: 7,
			Ports: []target.PortRange{{From: addr.Port(), To: addr.Port()}},
		}
	}
	const all = 2 + 156 + 77 + 1
	tests := map[string]struct {
		change func(*Config)
		want   int
	}{
		"all":      {func(*Config) {}, all},
		"cut":      {func(c *Config) { c.MaxTargets = 50 }, 50},
		"cut late": {func(c *Config) { c.MaxTargets = all + 1 }, all},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := base()
			tt.change(&cfg)
			dry := dryRun(t, cfg)
			if len(dry) != tt.want {
				t.Errorf("got %d lines, want %d", len(dry), tt.want)
			}
			cfg = base()
			tt.change(&cfg)
			records, _ := scanAll(t, cfg)
			if diff := cmp.Diff(sorted(dry), sorted(dialled(records))); diff != "" {
				t.Errorf("dialled against dry run (-dry +dialled):\n%s", diff)
			}
			again := base()
			tt.change(&again)
			again.Stdin, again.Exclude = strings.NewReader(strings.Join(dry, "\n")), nil
			if diff := cmp.Diff(dry, dryRun(t, again)); diff != "" {
				t.Errorf("a dry run of its own output (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("shards", func(t *testing.T) {
		var union, unionDry []string
		for shard := range 3 {
			cfg := base()
			cfg.Shards, cfg.Shard = 3, shard
			records, _ := scanAll(t, cfg)
			union = append(union, dialled(records)...)
			cfg = base()
			cfg.Shards, cfg.Shard = 3, shard
			unionDry = append(unionDry, dryRun(t, cfg)...)
		}
		whole := sorted(dryRun(t, base()))
		if diff := cmp.Diff(whole, sorted(union)); diff != "" {
			t.Errorf("the shards together (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(whole, sorted(unionDry)); diff != "" {
			t.Errorf("dry runs of the shards together (-want +got):\n%s", diff)
		}
	})
}

// dryRun returns the lines of a dry run.
func dryRun(t *testing.T, cfg Config) []string {
	t.Helper()
	var out bytes.Buffer
	w := report.NewLineWriter(&out)
	n, err := open(t, cfg).DryRun(t.Context(), w, func(*target.InputError) {})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	if n != uint64(len(lines)) {
		t.Errorf("got %d targets told and %d lines", n, len(lines))
	}
	return lines
}

// dialled are the targets of the records that were dialled, in the form of a dry run.
func dialled(records []kept) []string {
	var lines []string
	for i := range records {
		if r := &records[i]; r.Attempts > 0 {
			lines = append(lines, fmt.Sprintf("%v,%s,%s,%d", r.IP, r.Domain, r.Tag, r.Port))
		}
	}
	return lines
}

func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

// TestDryRunTells names the probe where there are several, tells bad entries, and ends with its context.
func TestDryRunTells(t *testing.T) {
	s := open(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader("127.0.0.1:80\nbad one\n,name.test,web,443\n"),
		Probes: []string{"tcp", "ssh"}, Triggers: map[string]string{"web": "http"},
	})
	var out bytes.Buffer
	var bad []string
	n, err := s.DryRun(t.Context(), report.NewLineWriter(&out), func(e *target.InputError) { bad = append(bad, e.Text) })
	want := "127.0.0.1,,,80 # tcp\n127.0.0.1,,,80 # ssh\n,name.test,web,443 # http\n"
	if n != 3 || err != nil || out.String() != want {
		t.Errorf("got %d, %v and\n%s, want 3 and\n%s", n, err, out.String(), want)
	}
	if diff := cmp.Diff([]string{"bad one"}, bad); diff != "" {
		t.Errorf("bad entries (-want +got):\n%s", diff)
	}
}

// TestUsage refuses what can't be meant, and names the flag.
func TestUsage(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"no such probe":   {Config{Probes: []string{"gopher"}}, `--probe: there is no probe "gopher"`},
		"no such trigger": {Config{Triggers: map[string]string{"x": "gopher"}}, `--trigger: there is no probe "gopher"`},
		"probe's option":  {Config{Probes: []string{"banner"}, Options: probes.Options{ReadBytes: -1}}, "--probe banner: --read-bytes -1: want 1 to 65536 (64 KiB)"},
		"shard too high":  {Config{Shards: 2, Shard: 2}, "--shard: shard 2 of 2: shards are numbered from 0"},
		"shard below 0":   {Config{Shards: 2, Shard: -1}, "--shard: shard -1 of 2: shards are numbered from 0"},
		"shards below 0":  {Config{Shards: -2}, "--shards: -2 is no number of shards"},
		"connections":     {Config{Connections: -1}, "--connections: -1 is below 1"},
		"rate":            {Config{Rate: -1}, "--rate: -1 is below 0"},
		"host rate":       {Config{HostRate: math.NaN()}, "--host-rate: NaN is not within 0.01 and 1e+06 a second"},
		"host rate high":  {Config{HostRate: 2e6}, "--host-rate: 2e+06 is not within 0.01 and 1e+06 a second"},
		"subnet rate":     {Config{SubnetRate: pace.Settings{PerSecond: -1, Bits4: 24}}, "--subnet-rate: -1 dials a second: want more than 0 and at most a million"},
		"subnet of none":  {Config{SubnetRate: pace.Settings{Bits4: 24}}, "--subnet-rate: 0 dials a second: want more than 0 and at most a million"},
		"retries":         {Config{Retries: -1}, "--retries: -1 retries: want 0 to 100"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.cfg.Args = []string{"127.0.0.1:80"}
			s, err := New(tt.cfg)
			if err == nil {
				s.Close()
			}
			var usage *UsageError
			if !errors.As(err, &usage) || usage.Error() != tt.want {
				t.Errorf("got %v, want usage error %q", err, tt.want)
			}
		})
	}
}
