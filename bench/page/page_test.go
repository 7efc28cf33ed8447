package page

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// writeTo is for looking at the samples in a browser: go test ./bench/page -args -write DIR
var writeTo = flag.String("write", "", "a folder to write the sample pages to")

// page is Write's work for r.
func page(t *testing.T, r *result.Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func keep(t *testing.T, name, text string) {
	t.Helper()
	if *writeTo == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*writeTo, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// node is an element of a page that was parsed.
type node struct {
	XMLName  xml.Name
	Attr     []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []*node    `xml:",any"`
}

// parse reads a page or picture, which is well-formed XML (so that a broken element can't hide behind a browser's mercy).
func parse(t *testing.T, text string) *node {
	t.Helper()
	text = strings.TrimPrefix(text, "<!doctype html>\n")
	n := new(node)
	d := xml.NewDecoder(strings.NewReader(text))
	if err := d.Decode(n); err != nil {
		t.Fatalf("not well-formed: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		// a line's end may follow
		if _, err := d.Token(); err != io.EOF {
			t.Fatalf("something follows the root: %v", err)
		}
	}
	return n
}

// all returns the elements of a name below n, itself too.
func (n *node) all(name string) []*node {
	var list []*node
	if n.XMLName.Local == name {
		list = append(list, n)
	}
	for _, c := range n.Children {
		list = append(list, c.all(name)...)
	}
	return list
}

func (n *node) attr(name string) string {
	for _, a := range n.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// words is all text below n.
func (n *node) words() string {
	text := n.Text
	for _, c := range n.Children {
		text += "\n" + c.words()
	}
	return text
}

// picture is the svg whose title is so.
func (n *node) picture(title string) *node {
	for _, s := range n.all("svg") {
		if len(s.Children) > 0 && s.Children[0].Text == title {
			return s
		}
	}
	return nil
}

// path is the data of the path of the classes, and whether there is one.
func (n *node) path(class string) (string, bool) {
	for _, p := range n.all("path") {
		if p.attr("class") == class {
			return p.attr("d"), true
		}
	}
	return "", false
}

// outside are references that would make a browser fetch or run something.
var outside = regexp.MustCompile(`(?i)<(script|img|iframe|object|embed|link|image|use|audio|video|form)\b|url\(|@import|javascript:|\son\w+\s*=|(src|href)="[^#]`)

// broken are numbers that no picture can have.
var broken = regexp.MustCompile(`NaN|Inf|%!|&lt;nil&gt;|e\+\d`)

func TestPagesAreWhole(t *testing.T) {
	for name, r := range samples() {
		t.Run(name, func(t *testing.T) {
			text := page(t, r)
			keep(t, name+".html", text)
			root := parse(t, text)
			if found := outside.FindString(text); found != "" {
				t.Errorf("the page has %q", found)
			}
			if found := broken.FindString(text); found != "" {
				t.Errorf("the page has %q", found)
			}
			for _, s := range root.all("svg") {
				if len(s.Children) < 2 || s.Children[0].XMLName.Local != "title" || s.Children[0].Text == "" ||
					s.Children[1].XMLName.Local != "desc" || s.Children[1].Text == "" || s.attr("role") != "img" {
					t.Errorf("a picture without a title and a description: %.80s", s.words())
				}
			}
			for _, f := range root.all("figure") {
				if len(f.all("table")) == 0 && len(f.all("a")) == 0 {
					t.Errorf("%q has neither a table nor a link to one", f.words())
				}
			}
			ids := map[string]bool{}
			checkIDs(t, root, ids)
			for _, a := range root.all("a") {
				if !ids[strings.TrimPrefix(a.attr("href"), "#")] {
					t.Errorf("a link to %s leads nowhere", a.attr("href"))
				}
			}
			for _, table := range root.all("table") {
				columns := len(table.all("thead")[0].all("th"))
				for _, row := range table.all("tbody")[0].Children {
					if len(row.Children) != columns {
						t.Errorf("a row of %d cells under %d heads", len(row.Children), columns)
					}
				}
			}
		})
	}
}

func checkIDs(t *testing.T, n *node, seen map[string]bool) {
	if id := n.attr("id"); id != "" {
		if seen[id] {
			t.Errorf("the id %s is there twice", id)
		}
		seen[id] = true
	}
	for _, c := range n.Children {
		checkIDs(t, c, seen)
	}
}

func TestSeriesArePresent(t *testing.T) {
	all := samples()
	for _, tt := range []struct {
		report, picture string
		paths           []string
	}{
		{"request", "Latency percentiles over time", []string{"line k-p50", "line k-p90", "line k-p99", "line k-p999", "warm"}},
		{"request", "Heat map of latency by time", []string{"cell h0", "cell h3", "cell h6"}},
		{"request", "Latency by percentile", []string{"line k-total", "line k-peer", "line k-third", "between"}},
		{"request", "Connect by percentile", []string{"line k-total", "line k-peer", "between"}},
		{"request", "Throughput and failures over time", []string{"line k-total", "area k-total", "mass k-failed", "mass k-lost"}},
		{"hold", "Connections over time", []string{"line k-total", "line k-opened", "line k-third"}},
		{"hold", "Memory over time", []string{"line k-total"}},
		{"hold", "CPU over time", []string{"line k-total"}},
		{"handshake", "Throughput over time", []string{"line k-total"}},
		{"handshake", "TLS handshake by percentile", []string{"line k-total", "line k-peer", "line k-third"}},
		{"one", "Latency percentiles over time", []string{"line dot k-p50", "line dot k-p999"}},
	} {
		s := parse(t, page(t, all[tt.report])).picture(tt.picture)
		if s == nil {
			t.Errorf("%s: no picture %q", tt.report, tt.picture)
			continue
		}
		for _, class := range tt.paths {
			if d, ok := s.path(class); !ok || d == "" {
				t.Errorf("%s: %s has no path %q", tt.report, tt.picture, class)
			}
		}
	}
}

func TestEmptyReportSaysSo(t *testing.T) {
	root := parse(t, page(t, samples()["empty"]))
	if n := len(root.all("svg")); n != 0 {
		t.Errorf("got %d pictures of nothing", n)
	}
	if !strings.Contains(root.words(), "Nothing was measured") {
		t.Error("the page doesn't say that nothing was measured")
	}
}

// TestHostileWords puts words that would be markup wherever a report has a string, and reads them back as text.
func TestHostileWords(t *testing.T) {
	const evil = `</style></title><script>alert(1)</script>"'><img src=x onerror=alert(2)>&lt;{{.}}\\` + "`"
	r := sampleRequest(3, 20)
	r.Version, r.Command, r.Stopped, r.Kind, r.Schema = evil, []string{evil}, evil, evil, evil
	r.Config = map[string]any{evil: []any{evil}}
	r.Machine = result.Machine{OS: evil, Kernel: evil, CPUModel: evil, Go: evil, Hostname: evil}
	r.Workers = []result.Worker{{Error: evil}}
	r.Runs = []result.Run{{Figures: map[string]float64{evil: math.NaN()}}}
	r.Total.Failures = nil
	r.Total.Failures.Add(result.Failure{Status: evil, Side: evil, State: evil, Text: evil + "\x00\x1b[31m\xff", Example: evil, Count: 1})
	text := page(t, r)
	root := parse(t, text)
	for _, name := range []string{"script", "img"} {
		if n := len(root.all(name)); n != 0 {
			t.Errorf("got %d elements %s", n, name)
		}
	}
	if n := strings.Count(root.words(), evil); n < 14 {
		t.Errorf("the words are there %d times, want them as text each time", n)
	}
	var out bytes.Buffer
	if err := Compare(&out, &Comparison{Title: "<b>&\"'", Subtitle: "]]>\x00\xff", Rows: []Row{{Name: "<i>", Missing: "</text>"}, {Name: `"`, Figures: map[string]float64{P99: 1}}}}); err != nil {
		t.Fatal(err)
	}
	if words := parse(t, out.String()).words(); !strings.Contains(words, "<b>&\"'") || !strings.Contains(words, "n/a: </text>") {
		t.Errorf("got %q", words)
	}
}

// TestLongLoad has an hour of intervals.
func TestLongLoad(t *testing.T) {
	r := sampleRequest(120, 60)
	for i := 120; i < 3600; i++ {
		in := r.Total.Intervals[i*7%120]
		in.Index, in.WarmUp = i, false
		r.Total.Intervals = append(r.Total.Intervals, in)
	}
	text := page(t, r)
	keep(t, "long.html", text)
	if len(text) >= 1_000_000 {
		t.Errorf("got a page of %d bytes, want less than a megabyte", len(text))
	}
	root := parse(t, text)
	for _, table := range root.all("table") {
		if n := len(table.all("tr")); n > maxBins+1 {
			t.Errorf("got a table of %d rows", n)
		}
	}
}

func TestWriteFails(t *testing.T) {
	if err := Write(io.Discard, &result.Report{}); err == nil {
		t.Error("took a report without a total")
	}
	full := errors.New("disk full")
	if err := Write(failing{full}, samples()["empty"]); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	if err := Compare(failing{full}, sampleComparison()); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	r := sampleRequest(3, 20)
	r.Total.Intervals[1].Latency = unreadable(t)
	var out bytes.Buffer
	if err := Write(&out, r); err == nil || !strings.Contains(err.Error(), "interval 1") || out.Len() > 0 {
		t.Errorf("unreadable latencies: got %v and %d bytes", err, out.Len())
	}
}

// failing is a writer that fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// unreadable is latencies that no histogram gave.
func unreadable(t *testing.T) *histogram.Compact {
	t.Helper()
	c := new(histogram.Compact)
	if err := c.UnmarshalBinary([]byte{3, 1, 1, 3, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Histogram(); err == nil || c.Count() == 0 {
		t.Fatal("the sample has no counts, or can be read")
	}
	return c
}

func TestCompare(t *testing.T) {
	cmp := sampleComparison()
	var out bytes.Buffer
	if err := Compare(&out, cmp); err != nil {
		t.Fatal(err)
	}
	keep(t, "compare.svg", out.String())
	if found := outside.FindString(out.String()); found != "" {
		t.Errorf("the picture has %q", found)
	}
	root := parse(t, out.String())
	var bars []string
	for _, p := range root.all("path") {
		if strings.HasPrefix(p.attr("class"), "bar") {
			bars = append(bars, p.attr("class"))
		}
	}
	want := []string{"bar ours", "bar", "bar", "bar ours", "bar", "bar", "bar ours", "bar"}
	if !slices.Equal(bars, want) {
		t.Errorf("got bars %v, want %v", bars, want)
	}
	var words []string
	for _, w := range root.all("text") {
		words = append(words, w.Text)
	}
	for _, want := range []string{"148 B", "9,320 B", "5.31 µs", "530 µs", "n/a: no TLS", "n/a"} {
		if !slices.Contains(words, want) {
			t.Errorf("no %q in %q", want, words)
		}
	}
	for range MaxRows {
		cmp.Rows = append(cmp.Rows, Row{Name: "one more"})
	}
	if err := Compare(io.Discard, cmp); err == nil {
		t.Error("took more rows than MaxRows")
	}
	out.Reset()
	if err := Compare(&out, &Comparison{Title: "nothing", Rows: []Row{{Name: "std", Missing: "it failed", Figures: map[string]float64{P99: 3}}}}); err != nil {
		t.Fatal(err)
	}
	if texts := parse(t, out.String()).all("text"); texts[len(texts)-1].Text != "n/a: it failed" {
		t.Errorf("a comparison without figures ends with %q, want why", texts[len(texts)-1].Text)
	}
}

// TestOursIsTold holds the figures of "our own queueing" against what was recorded.
func TestOursIsTold(t *testing.T) {
	p := new(result.Part)
	for i := range 1000 {
		d := time.Duration(i+1) * time.Millisecond
		p.Phases.Of(result.Latency).Record(d)
		p.Phases.Of(result.Peer).Record(d / 4 * 3)
	}
	list := curves(&p.Phases)
	if len(list) != 1 {
		t.Fatalf("got %d curves, want 1", len(list))
	}
	us, share := list[0].ours(0.5)
	if math.Abs(us-125_000) > 1000 || math.Abs(share-0.25) > 0.005 {
		t.Errorf("got %v us, %v of p50, want 125,000 and a quarter", us, share)
	}
	rows := list[0].table().Rows
	if got := rows[len(rows)-1]; !slices.Equal(got, []string{"greatest", "1 s", "750 ms", "250 ms", "25 %"}) {
		t.Errorf("got %q", got)
	}
	if got := rows[len(rows)-2][0]; got != "p99.9" {
		t.Errorf("of 1000 latencies the table goes up to %s, want p99.9", got)
	}
}
