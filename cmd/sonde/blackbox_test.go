package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sonde/internal/testserver"
)

// TestBlackboxExporter starts Debian's blackbox_exporter 0.23.0 and sonde watch with one file of modules, has both ask the
// same peers, and holds what they answer at /probe against each other: the same families of the same type, with the same
// labels and values, but for times.
func TestBlackboxExporter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	modules, err := os.ReadFile(filepath.Join("testdata", "blackbox", "modules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "modules.yml")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(string(modules), "DIR/", dir+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	peers := blackboxPeers(t, dir)
	both := probers{
		theirs: "http://" + testserver.BlackboxExporter(t, config).String() + "/probe",
		ours:   startWatch(t, config) + "probe",
	}
	t.Run("pairs", func(t *testing.T) { both.comparePairs(t, peers) })
	t.Run("requests", func(t *testing.T) { both.compareRequests(t, peers) })
}

// probers are where the two answer.
type probers struct{ theirs, ours string }

// startWatch runs sonde watch until the test ends, and returns the URL of its page.
func startWatch(t *testing.T, config string) string {
	t.Helper()
	c := exec.Command("sonde", "watch", "--config", config, "--listen", "127.0.0.1:0")
	c.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=10 "+os.Getenv("GORACE"))
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	page := make(chan string, 1)
	var said strings.Builder
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(page)
		told := regexp.MustCompile(`watching; (http://\S+)`)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&said, lines.Text())
			if m := told.FindStringSubmatch(lines.Text()); m != nil {
				page <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		<-read
		if err := c.Wait(); err != nil || t.Failed() {
			t.Logf("sonde watch: %v\n%s", err, said.String())
		}
		if strings.Contains(said.String(), "DATA RACE") || strings.Contains(said.String(), "panic:") {
			t.Error("sonde watch did not end well")
		}
	})
	addr, ok := <-page
	if !ok {
		t.Fatal("sonde watch did not start")
	}
	return addr
}

// atOnce is how many pairs are asked for at a time: most of what takes long is waiting.
const atOnce = 16

// comparePairs asks for all pairs.
func (p probers) comparePairs(t *testing.T, peers map[string]string) {
	var addresses []string
	for name, addr := range peers {
		addresses = append(addresses, "{"+name+"}", addr)
	}
	fill := strings.NewReplacer(addresses...)
	unused := maps.Clone(meantDifferences)
	type question struct {
		name, query string
		both        chan pair
	}
	var questions []*question
	for _, group := range blackboxPairs {
		for _, target := range group.targets {
			where, hostname, _ := strings.Cut(fill.Replace(target), " hostname=")
			if strings.Contains(where, "{") {
				t.Fatalf("there is no such peer: %s", where)
			}
			query := url.Values{"module": {group.module}, "target": {where}}
			if hostname != "" {
				query.Set("hostname", hostname)
			}
			name := group.module + " " + target
			delete(unused, name)
			questions = append(questions, &question{name, "?" + query.Encode(), make(chan pair, 1)})
		}
	}
	for name := range unused {
		t.Errorf("meantDifferences has the pair %q, which is not asked for", name)
	}
	slots := make(chan struct{}, atOnce)
	for _, q := range questions {
		go func() {
			slots <- struct{}{}
			q.both <- p.ask(t.Context(), q.query, nil)
			<-slots
		}()
	}
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) { comparePair(t, q.name, <-q.both) })
	}
}

// comparePair holds the answers of a pair against each other.
func comparePair(t *testing.T, name string, both pair) {
	if err := both.err(); err != nil {
		t.Fatal(err)
	}
	if both.theirs.status != http.StatusOK || both.ours.status != http.StatusOK {
		t.Fatalf("status: blackbox_exporter %d, sonde %d\n%s", both.theirs.status, both.ours.status, both.ours.text)
	}
	a, b := seriesOf(t, both.theirs.text), seriesOf(t, both.ours.text)
	success := b.values["probe_success{}"] == 1
	meant, isMeant := meantDifferences[name]
	if isMeant && maps.Equal(a.values, b.values) {
		t.Errorf("they are equal, though meantDifferences says: %s", meant.why)
	}
	for _, family := range meant.families {
		a.leaveOut(family)
		b.leaveOut(family)
	}
	if d := diff.Diff(a.values, b.values); d != "" {
		t.Errorf("blackbox_exporter -, sonde +:\n%s\nsonde besides: %v", d, b.besides)
	}
	checkTimes(t, a, b)
	if len(a.besides) > 0 || success == strings.Contains(fmt.Sprint(b.besides), "probe_failure_info{reason=") {
		t.Errorf("blackbox_exporter has besides %v, and sonde %v", a.besides, b.besides)
	}
}

// answer is what a prober said.
type answer struct {
	status int
	text   string
	err    error
}

// get asks for a page.
func get(ctx context.Context, page string, fields http.Header) answer {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return answer{err: err}
	}
	request.Header = fields
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body), err}
}

// pair is what both said.
type pair struct{ theirs, ours answer }

func (p pair) err() error { return errors.Join(p.theirs.err, p.ours.err) }

// ask asks both at once.
func (p probers) ask(ctx context.Context, query string, fields http.Header) pair {
	theirs := make(chan answer)
	go func() { theirs <- get(ctx, p.theirs+query, fields.Clone()) }()
	ours := get(ctx, p.ours+query, fields.Clone())
	return pair{<-theirs, ours}
}

// series are those of a page by `name{label="value",...}`: those of times apart, and those that only sonde has.
type series struct{ values, times, besides map[string]float64 }

var (
	// timeFamilies are those whose values are how long something took.
	timeFamilies = []string{"probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_http_duration_seconds"}
	// moreFamilies are those of sonde's own.
	moreFamilies = []string{"probe_failure_info", "probe_phase_last_seconds"}
)

func seriesOf(t *testing.T, page string) series {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatalf("%v:\n%s", err, page)
	}
	s := series{make(map[string]float64), make(map[string]float64), make(map[string]float64)}
	for name, family := range families {
		if family.GetType() != dto.MetricType_GAUGE {
			t.Errorf("%s: got type %v, want a gauge", name, family.GetType())
		}
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			key := name + "{" + strings.Join(labels, ",") + "}"
			of := s.values
			switch {
			case slices.Contains(timeFamilies, name):
				of = s.times
			case slices.Contains(moreFamilies, name):
				of = s.besides
			}
			of[key] = m.GetGauge().GetValue()
		}
	}
	return s
}

// leaveOut takes a family out.
func (s series) leaveOut(family string) {
	for _, all := range []map[string]float64{s.values, s.times} {
		maps.DeleteFunc(all, func(name string, _ float64) bool { return strings.HasPrefix(name, family+"{") })
	}
}

// checkTimes holds the times against each other as far as it can be done: the same series, and phases that took no time did
// so in both.
func checkTimes(t *testing.T, theirs, ours series) {
	t.Helper()
	sum := 0.0
	for name, value := range ours.times {
		if _, ok := theirs.times[name]; !ok {
			t.Errorf("sonde has %s, which blackbox_exporter has not", name)
		}
		if math.IsNaN(value) || value < 0 || value > time.Minute.Seconds() {
			t.Errorf("%s: got %v s", name, value)
		}
		if strings.HasPrefix(name, "probe_http_duration_seconds{") {
			sum += value
		}
	}
	// There, a lookup takes at least the time to see that there is nothing to look up, and so does a probe; a short body comes
	// with its head here.
	exempt := []string{`probe_duration_seconds{}`, `probe_dns_lookup_time_seconds{}`, `probe_http_duration_seconds{phase="resolve"}`, `probe_http_duration_seconds{phase="transfer"}`}
	for name, value := range theirs.times {
		got, ok := ours.times[name]
		if !ok {
			t.Errorf("blackbox_exporter has %s, which sonde has not", name)
		} else if (value == 0) != (got == 0) && !slices.Contains(exempt, name) {
			t.Errorf("%s: blackbox_exporter %v s, sonde %v s", name, value, got)
		}
	}
	if whole := ours.times["probe_duration_seconds{}"]; sum > whole+1e-6 {
		t.Errorf("the phases took %v s of %v s in all", sum, whole)
	}
}

// compareRequests holds the answers to requests against each other that are no plain probes.
func (p probers) compareRequests(t *testing.T, peers map[string]string) {
	page := url.QueryEscape(peers["page"])
	tests := map[string]struct {
		query        string
		theirs, ours int
	}{
		"unknown module":          {"?module=nothing&target=" + page, 400, 400},
		"unknown default module":  {"?target=" + page, 400, 400},
		"no target":               {"?module=plain", 400, 400},
		"empty target":            {"?module=plain&target=", 400, 400},
		"unknown before target":   {"?module=nothing", 400, 400},
		"not resolved":            {"?module=plain&target=http://a..b/", 200, 200},
		"host said twice":         {"?module=host&hostname=b.test&target=" + page, 400, 400},
		"debug":                   {"?module=plain&debug=true&target=" + page, 200, 200},
		"debug of a failed one":   {"?module=requireBody&debug=true&target=" + page + "/nothing", 200, 200},
		"debug of TCP":            {"?module=connect&debug=true&target=" + page, 200, 200},
		"debug is another word":   {"?module=plain&debug=1&target=" + page, 200, 200},
		"no prober here: icmp":    {"?module=ping&target=127.0.0.1", 200, 400},
		"no prober here: grpc":    {"?module=rpc&target=" + page, 200, 400},
		"no prober here: dns":     {"?module=names&target=" + page, 200, 400},
		"a parameter of no sense": {"?module=plain&nosuch=1&target=" + page, 200, 200},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both := p.ask(t.Context(), tt.query, nil)
			if err := both.err(); err != nil {
				t.Fatal(err)
			}
			theirs, ours := both.theirs, both.ours
			if theirs.status != tt.theirs || ours.status != tt.ours {
				t.Errorf("status: blackbox_exporter %d, sonde %d, want %d and %d\n%s%s",
					theirs.status, ours.status, tt.theirs, tt.ours, theirs.text, ours.text)
			}
			if strings.Contains(tt.query, "debug=true") {
				compareDebug(t, theirs.text, ours.text)
			}
		})
	}
	t.Run("limits of the scraper", func(t *testing.T) { p.compareScrapeTimeout(t, peers) })
}

// compareDebug holds the parts of two debug pages against each other.
func compareDebug(t *testing.T, theirs, ours string) {
	t.Helper()
	parts := []string{"Logs for the probe:\n", "\n\n\nMetrics that would have been returned:\n", "\n\n\nModule configuration:\n"}
	metrics := func(who, page string) series {
		for _, part := range parts {
			if strings.Count(page, part) != 1 {
				t.Fatalf("%s: no part %q in\n%s", who, part, page)
			}
		}
		_, rest, _ := strings.Cut(page, parts[1])
		text, module, _ := strings.Cut(rest, parts[2])
		if !strings.Contains(module, "prober: ") {
			t.Errorf("%s: the module is not in %q", who, module)
		}
		return seriesOf(t, text+"\n")
	}
	a, b := metrics("blackbox_exporter", theirs), metrics("sonde", ours)
	if d := diff.Diff(a.values, b.values); d != "" {
		t.Errorf("blackbox_exporter -, sonde +:\n%s", d)
	}
}

// compareScrapeTimeout gives both less time than the module has.
func (p probers) compareScrapeTimeout(t *testing.T, peers map[string]string) {
	outcome := func(a answer) string {
		for line := range strings.Lines(a.text) {
			if success, ok := strings.CutPrefix(line, "probe_success "); ok && a.status == http.StatusOK {
				return "success " + strings.TrimSpace(success)
			}
		}
		return "refused"
	}
	for _, tt := range []struct{ header, path, want string }{
		{"1", "/silent", "success 0"}, {"0.8", "/silent", "success 0"}, {"10", "/hello", "success 1"}, {"none", "/hello", "refused"},
	} {
		start := time.Now()
		query := url.Values{"module": {"plain"}, "target": {peers["page"] + tt.path}}
		both := p.ask(t.Context(), "?"+query.Encode(), http.Header{"X-Prometheus-Scrape-Timeout-Seconds": {tt.header}})
		if err := both.err(); err != nil {
			t.Fatal(err)
		}
		if a, b := outcome(both.theirs), outcome(both.ours); a != tt.want || b != tt.want {
			t.Errorf("header %q: blackbox_exporter %q, sonde %q, want %q", tt.header, a, b, tt.want)
		}
		// The module has 20 s, which a busy machine does not take away.
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("header %q: it took %v", tt.header, took)
		}
	}
}
