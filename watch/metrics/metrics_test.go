package metrics

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sonde/policy/breaker"
	"sonde/probes"
	"sonde/report"
	"sonde/watch/track"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// parse reads the text format with Prometheus' own parser, and fails the test if a family or a series comes twice.
func parse(t testing.TB, page []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatalf("%v in\n%s", err, page)
	}
	begun, seen, family := map[string]bool{}, map[string]bool{}, ""
	for line := range strings.Lines(string(page)) {
		if name, ok := strings.CutPrefix(line, "# HELP "); ok {
			family, _, _ = strings.Cut(name, " ")
			if begun[family] {
				t.Errorf("family %s comes twice", family)
			}
			begun[family] = true
			continue
		}
		if strings.HasPrefix(line, "# TYPE "+family+" ") {
			continue
		}
		series := line[:strings.LastIndexByte(line, ' ')]
		name, _, _ := strings.Cut(series, "{")
		if rest, ok := strings.CutPrefix(name, family); !ok || rest != "" && families[family].GetType() != dto.MetricType_HISTOGRAM {
			t.Errorf("%s stands in family %s", series, family)
		}
		if seen[series] {
			t.Errorf("series %s comes twice", series)
		}
		seen[series] = true
	}
	return families
}

// lint holds a page against Prometheus' conventions. The names of blackbox_exporter are as they are.
func lint(t *testing.T, page []byte) {
	t.Helper()
	problems, err := promlint.New(bytes.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// golden compares a page with a file.
func golden(t *testing.T, name string, page []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(page)); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// copyOf is what a table knows.
func copyOf(table *track.Table, now int64) *track.Copy {
	var c track.Copy
	for from, done := uint32(0), false; !done; {
		from, done = table.Copy(&c, from, 1000, now)
	}
	return &c
}

func write(t testing.TB, f Format, c *track.Copy, p *Process) []byte {
	t.Helper()
	var page bytes.Buffer
	var w Writer
	if err := w.Write(&page, f, c, p); err != nil {
		t.Fatal(err)
	}
	return page.Bytes()
}

// ok is a probe that succeeded after some seconds.
func ok(after int) *track.Result {
	timing := report.NoTiming
	timing.Connect, timing.Total = 2*time.Millisecond, 5125*time.Microsecond
	return &track.Result{
		At: start.Add(time.Duration(after) * time.Second), Addr: netip.MustParseAddrPort("192.0.2.7:443"), Attempts: 1,
		Timing: timing, Late: 31 * time.Microsecond,
	}
}

func failed(after int, s report.Status, side report.Side) *track.Result {
	r := ok(after)
	r.Status, r.Side, r.Error = s, side, "connect: refused"
	return r
}

var certificate = probes.TLSFigures{
	Established: true, Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", EarliestExpiry: start.AddDate(0, 3, 0), LastChainExpiry: start.AddDate(0, 3, 0),
	Fingerprint: strings.Repeat("0b", 32), Subject: `CN=a,O=Acme\, Inc`, Issuer: "CN=ca", Names: "a.example,b.example", Serial: "2a",
}

// everything is a table with a target in each state that metrics tell of.
func everything() *track.Table {
	table := track.New(start, 4)
	table.SetJob("web", track.JobSettings{Breaker: breaker.Settings{Window: 2, Failures: 2, OpenFor: time.Minute, MaxOpenFor: time.Hour}})
	add := func(target *track.Target, results ...*track.Result) uint32 {
		id := table.Add(target)
		for _, r := range results {
			table.Record(id, r, 0)
		}
		return id
	}
	add(&track.Target{Job: "plain", Instance: "192.0.2.7:443", Module: "tcp"}, ok(1))
	add(&track.Target{Job: "plain", Instance: "new", Module: "tcp"})
	add(&track.Target{Job: "plain", Instance: "weird \"\\\n\xff", Module: "tcp", Labels: []track.Label{{Name: "a-b", Value: "ä"}, {Name: "phase", Value: "1"}}},
		failed(2, report.ConnectionRefused, report.SideRemote))

	web := ok(3)
	web.Timing = report.Timing{DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond, FirstByte: 4 * time.Millisecond, Total: 10 * time.Millisecond}
	no := false
	web.Figures = &probes.Figures{TLS: &certificate, RegexpFailed: &no, HTTP: &probes.HTTPFigures{
		StatusCode: 200, Version: 1.1, ContentLength: -1, BodyLength: 5, LastModified: start, Redirects: 1, TLS: true,
	}}
	add(&track.Target{Job: "web", Instance: "https://a.example/", Module: "http_2xx", Labels: []track.Label{{Name: "team", Value: "x"}}}, web)
	fallback := failed(9, report.IOTimeout, report.SideRemote)
	fallback.Fallback = "tcp"
	add(&track.Target{Job: "web", Instance: "https://stale.example/", Module: "http_2xx"}, web, failed(8, report.IOTimeout, report.SideRemote), fallback)

	ssh := ok(4)
	ssh.Addr = netip.MustParseAddrPort("[2001:db8::1]:22")
	ssh.Figures = &probes.Figures{RegexpFailed: &no, Expect: []probes.Capture{{Name: "version", Value: "2.0"}, {Name: "soft", Value: `"x"`}}}
	add(&track.Target{Job: "ssh", Instance: "b:22", Module: "ssh", Labels: []track.Label{{Name: "soft", Value: "own"}}}, ssh)

	held := add(&track.Target{Job: "held", Instance: "c:443", Module: "tcp", Keep: true}, ok(5))
	table.Connected(held, start.Add(5*time.Second))
	table.Beat(held, 800*time.Microsecond, start.Add(6*time.Second))
	table.Dropped(held, start.Add(7250*time.Millisecond), track.CauseRST)
	table.Connected(held, start.Add(8*time.Second))
	add(&track.Target{Job: "held", Instance: "never:1", Module: "tcp", Keep: true})
	return table
}

func TestGolden(t *testing.T) {
	c := copyOf(everything(), 0)
	text := write(t, Text, c, process())
	golden(t, "metrics.txt", text)
	parse(t, text)
	lint(t, text)
	golden(t, "openmetrics.txt", write(t, OpenMetrics, c, process()))
}

// TestEmpty has nothing to say, and says so in the right form.
func TestEmpty(t *testing.T) {
	if got := write(t, OpenMetrics, &track.Copy{}, nil); string(got) != "# EOF\n" {
		t.Errorf("got %q", got)
	}
	if got := write(t, Text, &track.Copy{}, nil); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// TestOpenMetrics holds that format against the other: it differs in the names of counters' families, in bounds, and in its end.
func TestOpenMetrics(t *testing.T) {
	c := copyOf(everything(), 0)
	text, open := string(write(t, Text, c, process())), string(write(t, OpenMetrics, c, process()))
	body, ok := strings.CutSuffix(open, "\n# EOF\n")
	if !ok {
		t.Fatal("no # EOF at the end")
	}
	want := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	got := strings.Split(body, "\n")
	if len(want) != len(got) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	family, counters := "", 0
	for i := range want {
		line := want[i]
		if words := strings.Fields(line); words[0] == "#" && words[1] == "HELP" {
			family = words[2]
		}
		if strings.Contains(text, "# TYPE "+family+" counter\n") && strings.HasPrefix(line, "# ") {
			line = strings.Replace(line, family+" ", strings.TrimSuffix(family, "_total")+" ", 1)
			counters++
		}
		for _, bound := range []string{"1", "5", "10", "30"} {
			line = strings.Replace(line, `le="`+bound+`"`, `le="`+bound+`.0"`, 1)
		}
		if got[i] != line {
			t.Errorf("got %s, want %s", got[i], line)
		}
	}
	if counters == 0 {
		t.Error("no counter was seen: the test can't fail")
	}
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]Format{
		"":    Text,
		"*/*": Text,
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
			"text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2": OpenMetrics,
		"text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.5": Text,
		"application/openmetrics-text;q=0":                                Text,
		"application/openmetrics-text; q=x":                               Text,
		"Application/OpenMetrics-Text":                                    OpenMetrics,
		"application/openmetrics-text, text/plain":                        OpenMetrics,
	} {
		if got := Negotiate(accept); got != want {
			t.Errorf("%q: got %v, want %v", accept, got, want)
		}
	}
}

// broken is a writer that fails at its nth write.
type broken struct{ n, writes int }

var errGone = errors.New("gone")

func (b *broken) Write(p []byte) (int, error) {
	b.writes++
	if b.writes >= b.n {
		return 0, errGone
	}
	return len(p), nil
}

// TestBrokenWriter ends soon when nobody takes what is written, and writes all the next time.
func TestBrokenWriter(t *testing.T) {
	table := track.New(start, 1)
	for i := range 5000 {
		table.Record(table.Add(&track.Target{Job: "a", Instance: fmt.Sprint(i)}), ok(1), 0)
	}
	c := copyOf(table, 0)
	var w Writer
	b := &broken{n: 2}
	if err := w.Write(b, Text, c, nil); !errors.Is(err, errGone) || b.writes != 2 {
		t.Errorf("got %v behind %d writes", err, b.writes)
	}
	var page bytes.Buffer
	if err := w.Write(&page, Text, c, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(parse(t, page.Bytes())["probe_success"].Metric); n != 5000 {
		t.Errorf("%d series, want 5000", n)
	}
}
