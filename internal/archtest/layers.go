package archtest

import (
	"go/token"
	"path"
	"slices"
	"strings"
)

// layer says what the packages of some folders may import from this module. For a folder the first row that names it
// holds; a folder in no row is a violation, so that a new layer is a decision.
type layer struct {
	of    string   // see within
	may   []string // see within
	tests []string // what its tests may import besides, next to testSupport
}

// bottom is what everything above the engine may use.
var bottom = []string{
	"protocol/...", "ringbuf", "target/...", "report/...",
	"internal/clock", "internal/histogram", "internal/jsonappend", "internal/kernel/...", "internal/rate", "internal/timewheel", "internal/words",
}

// probe is what a probe may use.
var probe = []string{"probes", "probes/internal/...", "protocol/...", "target", "internal/jsonappend"}

// layers is the import rule, from the top down.
var layers = []layer{
	{of: "cmd/...", may: slices.Concat([]string{"cmd/...", "watch", "watch/config", "watch/takeover", "watch/web", "policy/...", "bench/...", "scan/...", "serve/...", "engine", "probes/...", "internal/tlsclient", "internal/workers"}, bottom)},
	{
		// It reads the files of keys and authorities that modules name. Its tests ask with them.
		of: "watch/modules", may: slices.Concat([]string{"watch/config", "engine", "probes/...", "internal/tlsclient"}, bottom),
		tests: []string{"watch/runner", "watch/track"},
	},
	// What is known of targets, and whose turn it is: pure state, told the time.
	{of: "watch/schedule", may: []string{"internal/timewheel"}},
	{of: "watch/history", may: []string{"report"}},
	{of: "watch/track", may: []string{"watch/history", "policy/...", "probes", "protocol", "report"}},
	// What is read in and told out knows what is known of targets, not who asks them. config knows schedule's limits, and metrics
	// its counts.
	{of: "watch/config", may: slices.Concat([]string{"watch/schedule", "policy/...", "probes", "probes/builtin", "probes/starttls", "internal/yamlflow"}, bottom)},
	{of: "watch/discovery", may: slices.Concat([]string{"watch/track", "internal/yamlflow"}, bottom)},
	{of: "watch/events", may: slices.Concat([]string{"watch/track", "policy/..."}, bottom)},
	{of: "watch/metrics", may: slices.Concat([]string{"watch/track", "watch/schedule", "policy/...", "probes"}, bottom)},
	{
		of: "watch/otlp", may: slices.Concat([]string{"watch/config", "watch/metrics", "watch/track", "policy/..."}, bottom),
		tests: []string{"watch/schedule", "probes"},
	},
	{of: "watch/page"},
	{
		of: "watch/web", may: slices.Concat([]string{"watch/history", "watch/metrics", "watch/page", "watch/track", "policy/..."}, bottom),
		tests: []string{"probes"},
	},
	// Who asks targets is told of them, and of jobs, by watch alone, which joins them all.
	{
		of: "watch/runner", may: slices.Concat([]string{"watch/modules", "watch/schedule", "watch/track", "policy/...", "scan", "engine", "probes"}, bottom),
		tests: []string{"probes/..."},
	},
	{of: "watch/crew", may: []string{"internal/clock", "internal/workers"}},
	// What a parent asks its workers is what the web server asks a watch.
	{
		of: "watch/fleet", may: slices.Concat([]string{"watch/crew", "watch/history", "watch/metrics", "watch/track", "watch/web", "internal/workers"}, bottom),
	},
	{of: "watch/takeover", may: bottom},
	{of: "watch", may: slices.Concat([]string{"watch/*", "policy/...", "scan", "engine", "probes", "internal/workers"}, bottom)},
	// What is compared does the same work by itself: no scan stands between it and the figures.
	{of: "bench/transport/...", may: slices.Concat([]string{"bench/transport/...", "engine", "probes/..."}, bottom)},
	// It brings its own targets.
	{of: "bench/compare", may: slices.Concat([]string{"bench/plan", "bench/result", "bench/transport/...", "serve", "internal/testpeer", "internal/workers"}, bottom)},
	{of: "bench/...", may: slices.Concat([]string{"bench/...", "scan/...", "engine", "probes/...", "internal/tlsclient", "internal/workers"}, bottom)},
	{of: "scan/...", may: slices.Concat([]string{"scan/...", "policy/...", "engine", "probes/...", "internal/workers"}, bottom)},
	// How often and when, in fixed memory: no clock, no goroutine.
	{of: "policy/...", may: []string{"report", "internal/rate"}}, // which reads rates as users write them
	{of: "serve/...", may: slices.Concat([]string{"serve/...", "engine", "internal/testpeer", "internal/workers"}, bottom)},

	// The engine knows no target, no probe and no wire format.
	{of: "engine/...", may: []string{
		"engine/internal/...", "protocol", "ringbuf",
		"internal/clock", "internal/histogram", "internal/kernel/...", "internal/rate", "internal/timewheel",
	}, tests: []string{"internal/tlsclient"}},

	// Probes know wire formats and each other only through builtin, which knows them all. Below any of them may lie TLS
	// (secure), and below that the part of another protocol that asks for it (starttls).
	{of: "probes", may: []string{"protocol", "protocol/tlswire", "target"}},
	{
		// Its tests put it under probes.
		of: "probes/secure/...", may: slices.Concat([]string{"probes/secure/...", "probes/starttls", "internal/tlsclient"}, probe),
		tests: []string{"probes/converse", "probes/http", "probes/redis"},
	},
	{of: "probes/tls/...", may: slices.Concat([]string{"probes/tls/...", "probes/secure", "probes/starttls", "internal/tlsclient"}, probe)},
	{
		// Its tests hold the probes against the healthy peers.
		of: "probes/builtin", may: []string{"probes", "probes/*"}, tests: []string{"protocol", "target"},
	},
	{of: "probes/internal/tlsfacts", may: slices.Concat([]string{"internal/tlsclient"}, probe)},
	{of: "probes/...", may: probe},
	{of: "docs/...", may: []string{"probes", "protocol/...", "target", "internal/jsonappend"}}, // worked examples

	// Wire formats know the contract only: bytes in, frames out.
	{of: "protocol"},
	{of: "protocol/framespec", may: []string{"protocol", "protocol/*"}}, // makes any of them by its description
	{of: "protocol/...", may: []string{"protocol"}},

	{of: "ringbuf"},
	{of: "target/...", may: []string{"target/...", "internal/clock"}},
	{of: "report/...", may: []string{"report/...", "internal/clock", "internal/histogram", "internal/jsonappend"}},

	// internal: leaves, but for what simulates or wraps another.
	{of: "internal/kernel/poller", may: []string{"internal/clock"}, tests: []string{"internal/kernel/socket"}}, // what it polls
	{of: "internal/kernel/...", may: []string{"internal/clock"}},
	{of: "internal/simkernel/...", may: []string{"internal/clock", "internal/kernel/poller", "internal/kernel/socket"}},
	{
		// Its tests hold the status words that it promises against the closed set.
		of: "internal/testpeer/...", may: []string{"internal/clock", "internal/testcert"}, tests: []string{"report"},
	},
	{of: "internal/testserver/...", may: []string{"internal/testcert"}},
	{of: "internal/workers", may: []string{"internal/clock", "internal/kernel/process"}},
	{of: "internal/*"},
	{of: "contrib"}, // tests of files for other programs
}

// testSupport are the packages that exist for tests. Any test may import them; of other code only what layers allows,
// which is serve's use of testpeer, and that of testcert by testpeer and testserver.
var testSupport = []string{
	"internal/archtest", "internal/simkernel/...", "internal/testcert", "internal/testlag", "internal/testlog", "internal/testnet", "internal/testpeer/...", "internal/testschema", "internal/testserver/...",
	"protocol/protocoltest", "probes/probetest", "bench/result/resulttest",
}

// library says where a library from outside may be imported.
type library struct {
	path string   // the import path, or its beginning up to a "/"
	may  []string // see within
	// tests allows it in any test as well.
	tests bool
}

// libraries binds each library to its one place, so that replacing it stays a change of one folder. A library that is not
// here is free.
var libraries = []library{
	// simkernel takes the names of errnos from it, for its traces.
	{"golang.org/x/sys", []string{"internal/kernel/...", "internal/simkernel", "internal/testnet", "internal/testpeer"}, true},
	{"github.com/panjf2000/gnet/v2", []string{"internal/kernel/poller", "serve/...", "bench/..."}, false},
	// Its parser and its linter hold our output against the format; what it writes itself would be more memory than the budget.
	{"github.com/prometheus/client_golang", nil, true},
	{"github.com/prometheus/client_model", nil, true},
	{"github.com/prometheus/common", nil, true},
	{"github.com/prometheus/exporter-toolkit", []string{"watch/web"}, false},
	{"github.com/aclements/go-moremath", []string{"bench/baseline"}, false},
	{"github.com/santhosh-tekuri/jsonschema/v6", []string{"internal/testschema"}, true},
	{"github.com/cloudwego/netpoll", []string{"bench/transport/netpoll"}, false},
	{"github.com/urfave/cli/v2", []string{"cmd/..."}, false},
	{"github.com/HdrHistogram/hdrhistogram-go", []string{"internal/histogram"}, false},
	// web looks into the file of exporter-toolkit, which keeps what it reads there to itself.
	{"github.com/goccy/go-yaml", []string{"watch/config", "watch/discovery", "watch/web", "internal/yamlflow"}, false},
	{"github.com/ajstarks/svgo", []string{"bench/page"}, false},
	{"github.com/fsnotify/fsnotify", []string{"watch/..."}, false},
	{"go.opentelemetry.io/proto/otlp", []string{"watch/otlp"}, true},
	{"golang.org/x/crypto/ocsp", []string{"probes/internal/tlsfacts"}, true},
	{"github.com/google/go-cmp", testSupport, true},
	{"github.com/rogpeppe/go-internal", testSupport, true},
	{"testing", testSupport, true},
}

func checkLayers(c *checker) {
	missing := map[string]bool{}
	for _, f := range c.files {
		row := slices.IndexFunc(layers, func(l layer) bool { return within(f.dir, l.of) })
		if row < 0 {
			if !missing[f.dir] {
				c.reportDir(f.dir, "this folder is in no row of the table of layers")
			}
			missing[f.dir] = true
			continue
		}
		for p, pos := range f.imports {
			dir, ok := inModule(p)
			if ok && dir != f.dir && !allowed(f, layers[row], dir) {
				c.report(f, pos, "%s may not import %s", f.dir, dir)
			}
		}
	}
}

// allowed reports whether f, which is in layer l, may import dir.
func allowed(f *file, l layer, dir string) bool {
	if f.test {
		return within(dir, l.may...) || within(dir, l.tests...) || within(dir, testSupport...)
	}
	if within(dir, testSupport...) {
		// A wide pattern does not let it in, only its own name does.
		return slices.Contains(l.may, dir)
	}
	return within(dir, l.may...)
}

func checkLibraries(c *checker) {
	for _, f := range c.files {
		for p, pos := range f.imports {
			for _, l := range libraries {
				if p != l.path && !strings.HasPrefix(p, l.path+"/") || within(f.dir, l.may...) || l.tests && f.test {
					continue
				}
				c.report(f, pos, "%s may be imported by %s only", p, strings.Join(l.may, ", "))
			}
		}
	}
}

// checkCycles follows the imports of all platforms together: a cycle that no single build has is one all the same. Test
// files are left out; a package's external test may import what imports the package.
func checkCycles(c *checker) {
	type edge struct {
		f   *file
		pos token.Pos
	}
	edges := map[string]map[string]edge{}
	for _, f := range c.files {
		for p, pos := range f.imports {
			if dir, ok := inModule(p); ok && !f.test {
				if edges[f.dir] == nil {
					edges[f.dir] = map[string]edge{}
				}
				edges[f.dir][dir] = edge{f, pos}
			}
		}
	}
	reaches := func(from, to string) bool {
		seen, queue := map[string]bool{}, []string{from}
		for len(queue) > 0 {
			dir := queue[0]
			queue = queue[1:]
			if dir == to {
				return true
			}
			for next := range edges[dir] {
				if !seen[next] {
					seen[next] = true
					queue = append(queue, next)
				}
			}
		}
		return false
	}
	for dir, targets := range edges {
		for next, e := range targets {
			if reaches(next, dir) {
				c.report(e.f, e.pos, "%s imports %s, which leads back to it", dir, next)
			}
		}
	}
}

func checkNames(c *checker) {
	seen := map[string]bool{}
	for _, f := range c.files {
		base := path.Base(f.dir)
		if slices.Contains([]string{"utils", "util", "common", "pkg", "lib", "helpers", "misc"}, base) && !seen[f.dir] {
			seen[f.dir] = true
			c.reportDir(f.dir, "%q says nothing: put the code beside its caller", base)
		}
	}
}
