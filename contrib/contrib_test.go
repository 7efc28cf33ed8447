// Package contrib has no code: these are tests of what is shipped with sonde watch for other programs to read.
package contrib

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// families are those that docs/metrics.md tells of, which a test of watch/metrics holds against what is written.
func families(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"up"} // Prometheus' own
	names := regexp.MustCompile("`([a-z0-9_]+)`")
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \|`).FindAllSubmatch(text, -1) { // the first column
		for _, name := range names.FindAllSubmatch(row[1], -1) {
			all = append(all, string(name[1]))
		}
	}
	return all
}

var (
	// series are the names that an expression asks for, of which all have a _ but up.
	series = regexp.MustCompile(`\b(?:up|(?:probe|sonde|process|go)_[a-z0-9_]+)\b`)
	// literals are what looks like names and is none: strings and label names in the lists of aggregations and matchings.
	literals = regexp.MustCompile(`"[^"]*"|\b(?:by|on) ?\([^)]*\)`)
)

// exist holds the names that an expression asks for against families.
func exist(t *testing.T, families []string, expr string) {
	t.Helper()
	names := series.FindAllString(literals.ReplaceAllString(expr, ""), -1)
	if len(names) == 0 {
		t.Errorf("this asks for nothing: %s", expr)
	}
	for _, name := range names {
		if !slices.Contains(families, name) && !slices.Contains(families, strings.TrimSuffix(name, "_bucket")) {
			t.Errorf("there is no %s: %s", name, expr)
		}
	}
}

// run runs a program that reads what is shipped, and returns what it printed; it skips the test where it is not.
func run(t *testing.T, pkg, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("no %s here (Debian package %s)", program, pkg)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestAlerts has promtool check the rules and run their tests.
func TestAlerts(t *testing.T) {
	run(t, "prometheus", "promtool", "check", "rules", "prometheus/alerts.yml")
	run(t, "prometheus", "promtool", "test", "rules", "prometheus/alerts_test.yml")
}

// TestAlertsTested: each alert has a test in which it fires and one in which it does not, asks for what there is, and says how urgent
// it is and why.
func TestAlertsTested(t *testing.T) {
	rules, err := os.ReadFile("prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	known := families(t)
	alerts := strings.Split(string(rules), "- alert: ")[1:]
	if len(alerts) < 10 {
		t.Fatalf("%d alerts were found", len(alerts))
	}
	for _, text := range alerts {
		name, rule, _ := strings.Cut(text, "\n")
		expr, _, _ := strings.Cut(rule, "labels: {severity:")
		_, expr, _ = strings.Cut(expr, "expr: ")
		exist(t, known, regexp.MustCompile(`(?m)^ *for: .*|>-`).ReplaceAllString(expr, ""))
		for _, query := range regexp.MustCompile(`printf "((?:\\.|[^"\\])*)"[^}]*\| query`).FindAllStringSubmatch(rule, -1) {
			exist(t, known, strings.ReplaceAll(query[1], `\"`, `"`))
		}
		for _, what := range []string{"severity:", "annotations:"} {
			if !strings.Contains(rule, what) {
				t.Errorf("%s has no %s", name, what)
			}
		}
		if !regexp.MustCompile(`alertname: ` + name + `, exp_alerts: \[\]`).Match(tests) {
			t.Errorf("no test has %s stay quiet", name)
		}
		if !regexp.MustCompile(`alertname: ` + name + `\n +exp_alerts:\n +- exp_labels:`).Match(tests) {
			t.Errorf("no test has %s fire", name)
		}
	}
}

// dashboard is of Grafana's JSON what is looked at here.
type dashboard struct {
	Title         string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []struct{ Name, Query any } }
}

type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr, RefID string }
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	text, err := os.ReadFile("grafana/sonde-watch.json")
	if err != nil {
		t.Fatal(err)
	}
	d := &dashboard{}
	if err := json.Unmarshal(text, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDashboard: the panels ask for what there is, by variables that there are, and none lies on another.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	known := families(t)
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, fmt.Sprint(v.Name))
	}
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := taken[at]; other != "" || at[0] >= 24 {
					t.Fatalf("the panel %q lies on %q at %v, or outside", p.Title, other, at)
				}
				taken[at] = p.Title
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			exist(t, known, target.Expr)
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if v[1] != "__rate_interval" && !slices.Contains(variables, v[1]) {
					t.Errorf("%q asks by a variable that is not there: %s", p.Title, target.Expr)
				}
			}
		}
	}
}

// TestDashboardQueries has promtool read every expression, as rules that record it.
func TestDashboardQueries(t *testing.T) {
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	fill := strings.NewReplacer("$__rate_interval", "1m", "$", "")
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			rules = append(rules, rule{fmt.Sprintf("panel:%d:%s", p.ID, target.RefID), fill.Replace(target.Expr)})
		}
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}}) // which is YAML, too
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, "prometheus", "promtool", "check", "rules", file)
	if want := fmt.Sprintf("%d rules found", len(rules)); !strings.Contains(out, want) {
		t.Errorf("promtool says %q, want %s", out, want)
	}
}

// TestService has systemd read the unit, with a program and a manual page that are there.
func TestService(t *testing.T) {
	text, err := os.ReadFile("systemd/sonde-watch.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := strings.NewReplacer("/usr/local/bin/sonde", "/bin/true", "Documentation=man:sonde(1)\n", "").Replace(string(text))
	file := filepath.Join(t.TempDir(), "sonde-watch.service")
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "systemd", "systemd-analyze", "verify", "--man=no", file); strings.Contains(out, "sonde-watch") {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	run(t, "systemd", "systemd-analyze", "security", "--offline=true", "--threshold=20", file) // tenths of its exposure level
}
