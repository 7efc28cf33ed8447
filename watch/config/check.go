package config

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"sonde/policy/pace"
	"sonde/watch/schedule"
)

// The limits of numbers, with their reasons.
const (
	maxConnections = 1 << 20 // fs.nr_open's default: what a process can hold
	maxLoops       = 1024    // more than CPUs
	maxHistory     = 1 << 14 // watch/history's
	maxQueue       = 1_000_000
	maxName        = 200 // bytes of a name: it is in every line of the metrics
	maxTTL         = 24 * time.Hour
	maxTimeout     = 24 * time.Hour // a probe that takes longer has no meaning
	maxInterval    = schedule.MaxInterval
)

// check holds what was read against what makes sense: limits, and what one value means for another.
func (r *reader) check(c *Config) {
	if len(c.Modules) == 0 && !r.has(&c.Modules) && len(r.errs) == 0 {
		r.fail(place{}, "a module says how targets are asked, as in modules: {web: {probe: http}}", "there are no modules")
	}
	for i := range c.Modules {
		r.checkModule(&c.Modules[i])
	}
	for i := range c.Modules { // now that it is known which of them can be run
		if m := &c.Modules[i]; m.Own != nil {
			r.checkFallback(c, m)
		}
	}
	seen := make(map[string]int)
	for i := range c.Jobs {
		j := &c.Jobs[i]
		j.Line = r.at(j).line
		path := fmt.Sprintf("jobs[%d]", i)
		if before, twice := seen[j.Name]; twice && j.Name != "" {
			r.fail(r.at(&j.Name), fmt.Sprintf("the other is in line %d", before), "%s.name: a second job %q", path, clip(j.Name))
		}
		seen[j.Name] = j.Line
		r.checkJob(c, j, path)
	}
	r.checkNumbers(c)
	if c.Events != nil && !r.has(&c.Events.URL) {
		r.fail(r.at(&c.Events), "it is where changes of state are sent", "events.url: it is missing")
	}
	if c.OTLP != nil {
		if c.OTLP.Endpoint == "" {
			r.fail(r.at(&c.OTLP), "as in localhost:4318", "otlp.endpoint: it is missing")
		}
		r.within(&c.OTLP.Sample, c.OTLP.Sample, 0, 1, "otlp.sample")
	}
}

func (r *reader) checkNumbers(c *Config) {
	if r.has(&c.HostRate) {
		if err := (pace.Settings{PerSecond: c.HostRate}).Check(); err != nil {
			r.fail(r.at(&c.HostRate), "", "host_rate: %v", err)
		}
	}
	if r.has(&c.Connections) {
		r.within(&c.Connections, float64(c.Connections), 1, maxConnections, "connections")
	}
	if r.has(&c.Loops) {
		r.within(&c.Loops, float64(c.Loops), 1, maxLoops, "loops")
	}
	r.within(&c.History, float64(c.History), 1, maxHistory, "history")
	r.lasts(&c.DNS.TTL, c.DNS.TTL, time.Second, maxTTL, "dns.ttl")
	if c.Events != nil {
		r.within(&c.Events.Queue, float64(c.Events.Queue), 1, maxQueue, "events.queue")
	}
}

// within holds a number against its limits.
func (r *reader) within(p any, n, least, most float64, path string) {
	if n < least || n > most {
		whole := func(n float64) string { return fmt.Sprintf("%.*f", map[bool]int{false: 3}[n == math.Trunc(n)], n) }
		r.fail(r.at(p), "", "%s: %s: want %s to %s", path, whole(n), whole(least), whole(most))
	}
}

// lasts holds a length of time against its limits.
func (r *reader) lasts(p any, d, least, most time.Duration, path string) {
	if d < least || d > most {
		r.fail(r.at(p), "", "%s: %v: want %v to %v", path, d, least, most)
	}
}

func (r *reader) checkJob(c *Config, j *Job, path string) {
	r.checkName(j.Name, r.at(&j.Name, j), path+".name")
	r.checkJobModule(c, j, path)
	r.checkPlan(j, path)
	for _, p := range []struct {
		at  any
		err error
		key string
	}{
		{&j.Retries, j.Retry().Check(), ".retries"},
		{&j.Breaker, j.BreakerSettings().Check(), ".breaker"},
		{&j.Flap, j.FlapSettings().Check(), ".flap"},
	} {
		if p.err != nil {
			r.fail(r.at(p.at, j), "", "%s: %v", path+p.key, p.err)
		}
	}
	r.checkLabels(j, path)
	r.checkSources(j, path)
	for _, t := range []struct {
		p   *time.Duration
		key string
	}{{&j.Thresholds.DNS, "dns"}, {&j.Thresholds.Connect, "connect"}, {&j.Thresholds.TLS, "tls"}, {&j.Thresholds.Total, "total"}} {
		r.lasts(t.p, *t.p, time.Microsecond, maxTimeout, path+".thresholds."+t.key)
	}
}

// checkName holds a name of a job or module against what labels, URLs and terminals stand.
func (r *reader) checkName(name string, at place, path string) {
	switch {
	case name == "":
		r.fail(at, "", "%s: it is missing", path)
	case len(name) > maxName:
		r.fail(at, "", "%s: more than %d bytes", path, maxName)
	case strings.ContainsFunc(name, unicode.IsControl) || !validText(name):
		r.fail(at, "", "%s: %q has characters that can't be printed", path, clip(name))
	}
}

func validText(s string) bool { return strings.ToValidUTF8(s, "") == s }

func (r *reader) checkJobModule(c *Config, j *Job, path string) {
	if j.Module == "" {
		r.fail(r.at(&j.Module, j), suggest("", names(c)), "%s.module: it is missing", path)
		return
	}
	m := c.Module(j.Module)
	switch {
	case m == nil:
		r.fail(r.at(&j.Module), suggest(j.Module, names(c)), "%s.module: there is no module %q", path, clip(j.Module))
	case m.Disabled != "":
		r.fail(r.at(&j.Module), "take another module for it", "%s.module: the module %q can't be run: %s", path, m.Name, m.Disabled)
	}
}

func names(c *Config) []string {
	var names []string
	for i := range c.Modules {
		names = append(names, c.Modules[i].Name)
	}
	return names
}

// defaultInterval is that between two probes, and between two heartbeats.
const defaultInterval = 10 * time.Second

// checkPlan fills in when the job's targets have their turns.
func (r *reader) checkPlan(j *Job, path string) {
	if j.Mode == Keep {
		if r.has(&j.Interval) {
			r.fail(r.at(&j.Interval), "heartbeat: says how often a kept connection is asked", "%s.interval: it is for mode: probe", path)
		}
		if !r.has(&j.Heartbeat) {
			j.Heartbeat = defaultInterval
		}
		j.Interval = j.Heartbeat
	} else if r.has(&j.Heartbeat) {
		r.fail(r.at(&j.Heartbeat), "interval: says how often a target is probed", "%s.heartbeat: it is for mode: keep", path)
	}
	if j.Mode == Probe && !r.has(&j.Interval) {
		j.Interval = defaultInterval
	}
	if !r.has(&j.RetryBudget) {
		j.RetryBudget = j.Interval
	}
	plan := schedule.Plan{Interval: j.Interval, Jitter: j.Jitter, Overlap: j.Overlap}
	if err := plan.Check(); err != nil {
		var at any = &j.Interval
		if j.Interval >= schedule.MinInterval && j.Interval <= schedule.MaxInterval {
			at = &j.Jitter
		}
		r.fail(r.at(at, &j.Heartbeat, j), "", "%s: %v", path, err)
	}
}

// labelName is what Prometheus takes for a label's name.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// ownLabels are those that sonde gives to metrics itself.
var ownLabels = []string{"job", "instance", "module"}

func (r *reader) checkLabels(j *Job, path string) {
	for i := range j.Labels {
		l := &j.Labels[i]
		at := r.at(&l.Name)
		switch {
		case slices.Contains(ownLabels, l.Name):
			r.fail(at, "sonde gives it itself", "%s.labels: the label %s is taken", path, l.Name)
		case !labelName.MatchString(l.Name) || strings.HasPrefix(l.Name, "__"):
			r.fail(at, "a label has letters, digits and underscores, and two underscores do not begin it", "%s.labels: %q is no label", path, clip(l.Name))
		case !validText(l.Value):
			r.fail(r.at(&l.Value, &l.Name), "", "%s.labels.%s: it is not UTF-8", path, l.Name)
		}
	}
	slices.SortFunc(j.Labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
}

// checkSources checks that a job has targets, or somewhere to find them. Whether they can be asked is for their module to say.
func (r *reader) checkSources(j *Job, path string) {
	if len(j.Targets)+len(j.Files)+len(j.FileSD)+len(j.HTTPSD) == 0 && !r.has(&j.Targets) && !r.has(&j.HTTPSD) {
		r.fail(r.at(j), "targets: lists them, files:, file_sd: and http_sd: say where they are listed", "%s: it has no targets", path)
	}
	seen := make(map[string]place)
	for i, list := range [][]string{j.Targets, j.Files, j.FileSD} {
		key := [...]string{"targets", "files", "file_sd"}[i]
		for k := range list {
			at := r.at(&list[k])
			before, twice := seen[key+" "+list[k]]
			switch {
			case list[k] == "":
				r.fail(at, "", "%s.%s[%d]: it is empty", path, key, k)
			case key == "files" && list[k] == "-":
				r.fail(at, "a watch reads its lists again and again", "%s.files[%d]: standard input is no list here", path, k)
			case twice:
				text := fmt.Sprintf("%s.%s[%d]: %q comes twice; the other is in line %d", path, key, k, clip(list[k]), before.line)
				r.warnings = append(r.warnings, Warning{Line: at.line, Column: at.column, Text: text})
			}
			seen[key+" "+list[k]] = at
		}
	}
	for i := range j.HTTPSD {
		h, path := &j.HTTPSD[i], fmt.Sprintf("%s.http_sd[%d]", path, i)
		if !r.has(&h.URL) {
			r.fail(r.at(h), "", "%s.url: it is missing", path)
		}
		r.lasts(&h.RefreshInterval, h.RefreshInterval, time.Second, maxInterval, path+".refresh_interval")
		r.lasts(&h.Timeout, h.Timeout, 100*time.Millisecond, maxTTL, path+".timeout")
	}
}
