package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sonde/internal/kernel/regular"
	"sonde/policy/pace"
)

// TestDefaults is the smallest file that does something, behind a byte order mark, with all that it does not say.
func TestDefaults(t *testing.T) {
	got, err := Parse("f.yml", []byte("\xef\xbb\xbfmodules: {web: {probe: http}}\njobs: [{name: fleet, module: web, targets: [127.0.0.1]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Name: "f.yml", History: 60, DNS: DNS{TTL: time.Minute},
		Modules: []Module{{Name: "web", Line: 1, Own: &Own{
			Probe: "http", Timeout: 30 * time.Second, ConnectTimeout: 3500 * time.Millisecond, HandshakeTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		}}},
		Jobs: []Job{{
			Name: "fleet", Module: "web", Interval: 10 * time.Second, RetryBudget: 10 * time.Second, Flap: Flap{1, 1}, Line: 2, Targets: []string{"127.0.0.1"},
			Thresholds: Thresholds{50 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Second},
		}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Module{}, "Fingerprint"), cmpopts.IgnoreFields(Job{}, "Fingerprint"), cmpopts.IgnoreFields(Config{}, "Fingerprint")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestAll reads a file that has everything.
func TestAll(t *testing.T) {
	c, err := Load("testdata/good/all.yml")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"web", "cache", "mail", "site"}; !slices.Equal(names(c), want) {
		t.Errorf("modules %q, want them in the file's order: %q", names(c), want)
	}
	j := &c.Jobs[0]
	if want := (pace.Settings{PerSecond: 100, Bits4: 24, Bits6: 64}); c.SubnetRate != want {
		t.Errorf("subnet rate: got %+v, want %+v", c.SubnetRate, want)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")}; !slices.Equal(c.Allow, want) {
		t.Errorf("allow: got %v, want %v", c.Allow, want)
	}
	if want := []Label{{"dc", "fra"}, {"team", "a"}}; !slices.Equal(j.Labels, want) {
		t.Errorf("labels: got %v, want them sorted: %v", j.Labels, want)
	}
	for what, ok := range map[string]bool{
		"bare number is seconds":    c.Modules[0].Own.Timeout == 5*time.Second,
		"breaker's defaults":        j.BreakerSettings().OpenFor == 30*time.Second && j.BreakerSettings().Window == 20,
		"escapes":                   c.Modules[1].Own.Send == "PING\r\n\x00\\",
		"the heartbeat is the turn": c.Jobs[1].Interval == 30*time.Second && c.Jobs[1].Mode == Keep,
		"alias":                     c.Jobs[1].Labels[0] == Label{"dc", "fra"},
		"merge":                     c.Jobs[1].Retries == 2 && c.Jobs[1].Name == "kept",
		"literal":                   c.Modules[2].Own.Expect.String() == "^220 \n",
		"retry":                     j.Retry().Delay == 100*time.Millisecond,
		"http_sd":                   string(j.HTTPSD[0].URL) == "https://u:hunter2@sd.example.com/targets?token=hunter2",
		"otlp":                      c.OTLP.Sample == 0.5 && c.OTLP.Metrics && !c.OTLP.Traces,
		"old word":                  !c.Modules[3].Blackbox.HTTP.FollowRedirects,
	} {
		if !ok {
			t.Errorf("%s: not as the file has it: %+v", what, c)
		}
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", c, *c, *j), fmt.Sprintf("%+v %#v", *c.Events, j.HTTPSD), fmt.Sprintf("%+v %#v", c.Modules[3].Blackbox.HTTP.Headers, *c.OTLP)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("a secret is told: %s", text)
		}
	}
}

// TestErrors: each file of testdata/bad has its errors in comments: the place, and a part of what is told. All are told, and no others.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	marks := regexp.MustCompile(`(?m)#! (\d+:\d+) (.*)$`)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse("f.yml", data)
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("got %v, want errors", err)
			}
			told := err.Error()
			for i, m := range marks.FindAllStringSubmatch(string(data), -1) {
				if i >= len(errs) {
					t.Fatalf("nothing is told of %s %s\ntold:\n%s", m[1], m[2], told)
				}
				if place := fmt.Sprintf("%d:%d", errs[i].Line, errs[i].Column); place != m[1] || !strings.Contains(errs[i].Error(), m[2]) {
					t.Errorf("got %v\nwant %s ... %s", errs[i], m[1], m[2])
				}
			}
			if n := len(marks.FindAll(data, -1)); len(errs) > n {
				t.Errorf("told besides:\n%v", errs[n:])
			}
			if strings.Contains(told, "hunter2") {
				t.Errorf("a secret is told:\n%s", told)
			}
		})
	}
}

// TestWholeFile is what is wrong with a file as such.
func TestWholeFile(t *testing.T) {
	for text, want := range map[string]string{
		"":            "the file is empty",
		"# nothing\n": "the file is empty",
		"modules: {a: {probe: tcp}}\n---\nmodules: {}\n": "f.yml:3:1: a second document",
		"a: 'x\n":                      "f.yml:1:4: not YAML: could not find end",
		"- a\n":                        "f.yml:1:1: the file: want a mapping, got a list",
		"modules:\n\ta: 1\n":           "(hint: YAML is indented by spaces, not by tabs)",
		"history: ten\n":               `f.yml:1:10: history: "ten": want a whole number`,
		"jobs: []\n":                   "f.yml: there are no modules",
		strings.Repeat(" ", maxFile+1): "more than 8 MiB",
		strings.Repeat("[", 100_000):   "inside each other",
		strings.Repeat("- ", 100_000):  "inside each other",
		strings.Repeat("? ", 100_000):  "inside each other",
		"modules: {a: {probe: tcp}}\nx: " + strings.Repeat("{a: ", 40): "inside each other",
	} {
		if _, err := Parse("f.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
	if _, err := Load("/dev/zero"); !errors.Is(err, regular.ErrIrregular) {
		t.Errorf("a device: got %v", err)
	}
	if _, err := Load("testdata/nothing.yml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestManyErrors are not all told.
func TestManyErrors(t *testing.T) {
	_, err := Parse("f.yml", []byte("modules:\n"+strings.Repeat("  a: {probe: tcp}\n", 1000)))
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != maxErrors+1 || !strings.Contains(err.Error(), "949 more errors") {
		t.Errorf("got %d errors", len(errs))
	}
}

// TestAliasesAreCounted: a small file may stand for a huge one.
func TestAliasesAreCounted(t *testing.T) {
	text := "modules: {a: {probe: tcp}}\njobs:\n- &j {name: a, module: a, targets: [" + strings.Repeat("a, ", 20_000) + "b]}\n" + strings.Repeat("- *j\n", 20_000)
	if _, err := Parse("f.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), "values") {
		t.Errorf("got %.200v", err)
	}
}

// TestWarnings: what blackbox_exporter has and sonde has not disables its module alone.
func TestWarnings(t *testing.T) {
	c, err := Load("testdata/good/foreign.yml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings {
		got = append(got, w.String())
	}
	want := []string{
		`line 4: module "ping" is disabled: prober: icmp: there is no ICMP probe here`,
		`line 7: module "name" is disabled: prober: dns: there is no DNS probe here`,
		`line 15: module "proxied" is disabled: http.proxy_url: probes go to their targets`,
		`line 16: module "proxied" is disabled: http.oauth2: tokens are not fetched`,
		`line 22: module "h2" is disabled: http.valid_http_versions: it is asked by HTTP/1.1`,
		`line 23: module "h2": http.enable_http2: it is asked by HTTP/1.1 all the same`,
		`line 27: module "brotli" is disabled: http.compression: br: Brotli is not undone here`,
		`line 32: module "inline" is disabled: tcp.tls_config.ca: put it into a file`,
		`line 35: module "from" is disabled: tcp.source_ip_address: the system chooses`,
		`line 44: jobs[0].targets[2]: "x:1" comes twice; the other is in line 44`,
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d warnings, want %d: %q", len(got), len(want), got)
	}
	for _, m := range c.Modules {
		if runs := m.Name == "fine" || m.Name == "idle"; runs != (m.Disabled == "") {
			t.Errorf("%s: disabled is %q", m.Name, m.Disabled)
		}
	}
}

// TestFingerprints tell what changed, and nothing else.
func TestFingerprints(t *testing.T) {
	const base = "modules:\n  a: {probe: http, timeout: 5s}\n  b: {prober: tcp, tcp: {query_response: [{expect: x}]}}\njobs:\n- {name: j, module: a, targets: [a, b], labels: {x: y}}\n"
	read := func(text string) *Config {
		t.Helper()
		c, err := Parse("f.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	was := read(base)
	if was.Modules[0].Fingerprint != 0x0 && was.Modules[0].Fingerprint == was.Modules[1].Fingerprint {
		t.Error("two modules are one")
	}
	for _, tt := range []struct {
		name, old, new string
		a, b, j        bool // changed
	}{
		{"a comment and lines", "modules:", "# x\n\nmodules:", false, false, false},
		{"a default spelled out", "timeout: 5s", "timeout: 5.0, read_timeout: 5s, tls: {}", false, false, false},
		{"a timeout", "timeout: 5s", "timeout: 6s", true, false, false},
		{"an expression", "expect: x", "expect: xx", false, true, false},
		{"a place of a text", "expect: x", "send: x", false, true, false},
		{"a prober's section that does not count", "tcp: {", "http: {method: GET}, tcp: {", false, true, false},
		{"targets", "[a, b]", "[a, b, c]", false, false, true},
		{"targets in another order", "[a, b]", "[b, a]", false, false, true},
		{"targets run together", "[a, b]", "[ab]", false, false, true},
		{"a label", "x: y", "x: z", false, false, true},
		{"a breaker", "labels:", "breaker: {}, labels:", false, false, true},
	} {
		is := read(strings.Replace(base, tt.old, tt.new, 1))
		got := []bool{
			is.Modules[0].Fingerprint != was.Modules[0].Fingerprint, is.Modules[1].Fingerprint != was.Modules[1].Fingerprint,
			is.Jobs[0].Fingerprint != was.Jobs[0].Fingerprint,
		}
		if want := []bool{tt.a, tt.b, tt.j}; !slices.Equal(got, want) {
			t.Errorf("%s: changed are %v, want %v", tt.name, got, want)
		}
		if got, want := is.Fingerprint != was.Fingerprint, tt.a || tt.b || tt.j; got != want {
			t.Errorf("%s: the file has changed: %v, want %v", tt.name, got, want)
		}
	}
	for _, more := range []string{
		"host_rate: 5", "subnet_rate: 5/24", "allow: [10.0.0.0/8]", "history: 61", "workers: 2", "dns: {ttl: 1m1s}",
		"events: {url: http://a}", "events: {url: http://b}", "otlp: {endpoint: http://a}",
	} {
		if is := read(more + "\n" + base); is.Fingerprint == was.Fingerprint || is.Jobs[0].Fingerprint != was.Jobs[0].Fingerprint {
			t.Errorf("%s: the file is the same, or its job another", more)
		}
	}
	disabled := read(strings.Replace(base, "prober: tcp", "prober: http, http: {proxy_url: x}", 1))
	able := read(strings.Replace(base, "prober: tcp", "prober: http, http: {}", 1))
	if disabled.Modules[1].Fingerprint == able.Modules[1].Fingerprint {
		t.Error("a module that was disabled is the same when it is not")
	}
}

// TestAllowed: who reaches more than loopback must be told whom he may have dialled.
func TestAllowed(t *testing.T) {
	silent, explicit, nobody := &Config{}, &Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, &Config{Allow: []netip.Prefix{}}
	if got := silent.Allowed(true); len(got) != 2 || !got[0].Addr().IsLoopback() || !got[1].Addr().IsLoopback() {
		t.Errorf("on loopback: %v, want loopback", got)
	}
	if got := silent.Allowed(false); len(got) != 0 {
		t.Errorf("on a network: %v, want nothing", got)
	}
	if got := explicit.Allowed(true); len(got) != 1 || got[0] != explicit.Allow[0] {
		t.Errorf("got %v, want what the file says", got)
	}
	if got := nobody.Allowed(true); len(got) != 0 {
		t.Errorf("an empty list: %v, want nothing", got)
	}
}
