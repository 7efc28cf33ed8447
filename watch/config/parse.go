package config

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"sonde/internal/words"
	"sonde/target"
)

// Parse reads what the file of that name holds. An error is of the type [Errors]. It reads no file.
func Parse(name string, data []byte) (*Config, error) {
	r := &reader{
		file: name, anchors: make(map[string]ast.Node), aliases: make(map[*ast.AliasNode]ast.Node), places: make(map[any]place),
	}
	c := &Config{Name: name}
	c.setDefaults()
	r.document(data, c)
	if len(r.errs) > 0 {
		return nil, r.sorted()
	}
	slices.SortStableFunc(r.warnings, func(a, b Warning) int { return place{a.Line, a.Column}.compare(place{b.Line, b.Column}) })
	c.Warnings = r.warnings
	for i := range c.Modules {
		m := &c.Modules[i]
		m.Fingerprint = fingerprint(m)
	}
	for i := range c.Jobs {
		j := &c.Jobs[i]
		j.Fingerprint = fingerprint(j)
	}
	said := *c
	said.Name, said.Warnings = "", nil
	c.Fingerprint = fingerprint(&said)
	return c, nil
}

// document reads all of a file into c.
func (r *reader) document(data []byte, c *Config) {
	if len(data) > maxFile {
		r.fail(place{}, "put targets into files of their own, which files: names", "more than %d MiB", maxFile>>20)
		return
	}
	body := r.parseYAML(data)
	if body == nil {
		if len(r.errs) == 0 {
			r.fail(place{}, "a module is the least that it has", "the file is empty")
		}
		return
	}
	r.bind(body, 0)
	if n := r.resolve(body); n != nil {
		r.structure(n, reflect.ValueOf(c).Elem(), "")
	}
	if r.nodes < maxNodes { // else the rest was not read
		r.check(c)
	}
}

func (c *Config) setDefaults() {
	c.History = 60
	c.DNS.setDefaults()
}

func (d *DNS) setDefaults() { d.TTL = time.Minute }

func (j *Job) setDefaults() {
	j.Flap.setDefaults()
	j.Thresholds.setDefaults()
}

func (b *Breaker) setDefaults() {
	*b = Breaker{Window: 10, Failures: 5, OpenFor: 30 * time.Second, MaxOpenFor: 5 * time.Minute}
}

func (f *Flap) setDefaults() { *f = Flap{Rise: 1, Fall: 1} }

func (t *Thresholds) setDefaults() {
	*t = Thresholds{DNS: 50 * time.Millisecond, Connect: 100 * time.Millisecond, TLS: 300 * time.Millisecond, Total: time.Second}
}

func (h *HTTPSD) setDefaults() { h.RefreshInterval, h.Timeout = time.Minute, 10*time.Second }

func (e *Events) setDefaults() { e.Queue = 10_000 }

func (o *OTLP) setDefaults() { o.Sample, o.Metrics, o.Traces = 0.01, true, true }

func (o *Own) setDefaults() {
	o.Timeout, o.ConnectTimeout = 30*time.Second, 3500*time.Millisecond
	o.HandshakeTimeout, o.ReadTimeout = 5*time.Second, 5*time.Second
}

func (b *Blackbox) setDefaults() {
	b.HTTP.setDefaults()
	b.TCP.setDefaults()
}

func (h *BlackboxHTTP) setDefaults() {
	h.IP.setDefaults()
	h.FollowRedirects, h.EnableHTTP2 = true, true
}

func (t *BlackboxTCP) setDefaults() { t.IP.setDefaults() }

func (ip *IP) setDefaults() { ip.Preferred, ip.Fallback = target.IPv6, true }

func (a *Authorization) setDefaults() { a.Type = "Bearer" }

// read finds out which form a module has. Its name is there already.
func (m *Module) read(r *reader, n ast.Node, path string) {
	at := r.at(m)
	m.Line = r.at(&m.Name).line
	var forms []entry
	list, ok := r.entries(n)
	if !ok && n.Type() != ast.NullType {
		r.fail(at, "", "%s: want a mapping, got %s", path, kindOf(n))
		return
	}
	for _, e := range list {
		if e.key == "probe" || e.key == "prober" {
			forms = append(forms, e)
		}
	}
	switch {
	case len(forms) == 0:
		r.fail(r.at(&m.Name), "probe: names one of sonde's, as in probe: tcp, prober: one of blackbox_exporter's", "%s: what is it that probes?", path)
	case len(forms) == 2:
		r.fail(forms[1].at, "leave out one of them", "%s: it has both probe, of sonde, and prober, of blackbox_exporter", path)
	case forms[0].key == "probe":
		m.Own = new(Own)
		r.value(n, reflect.ValueOf(m.Own).Elem(), path)
	default:
		r.refused = nil
		m.Blackbox = new(Blackbox)
		r.value(n, reflect.ValueOf(m.Blackbox).Elem(), path)
		r.disable(m, forms[0], path)
	}
}

// foreignProbers are those of blackbox_exporter that sonde has not.
var foreignProbers = map[string]string{
	"dns": "there is no DNS probe here", "icmp": "there is no ICMP probe here: sonde opens TCP connections",
	"grpc": "there is no gRPC probe here", "unix": "there is no probe of unix sockets here", "websocket": "there is no WebSocket probe here",
}

// disable says why a module of blackbox_exporter can't be run, if it can't.
func (r *reader) disable(m *Module, prober entry, path string) {
	b := m.Blackbox
	if b.Prober != "tcp" && b.Prober != "http" {
		if why, ok := foreignProbers[b.Prober]; ok {
			r.cannot(m, placeOf(prober.value), "prober: "+b.Prober, why)
			return
		}
		if r.has(&b.Prober) && b.Prober != "" {
			probers := append(sortedKeys(foreignProbers), "http", "tcp")
			slices.Sort(probers)
			err := wantWord(b.Prober, probers).(*mendable)
			r.fail(r.at(&b.Prober), err.hint, "%s.prober: %s", path, err.text)
		} else {
			r.fail(prober.at, "http or tcp", "%s.prober: it is empty", path)
		}
		return
	}
	for _, refused := range r.refused {
		if key, ok := strings.CutPrefix(refused.path, path+"."); ok && strings.HasPrefix(key, b.Prober+".") {
			r.cannot(m, refused.at, key, refused.why)
		}
	}
}

// cannot disables a module.
func (r *reader) cannot(m *Module, at place, key, why string) {
	text := key + ": " + why
	m.Disabled = cmp.Or(m.Disabled, fmt.Sprintf("line %d: %s", at.line, text)) // the first of several
	r.warnings = append(r.warnings, Warning{Line: at.line, Column: at.column, Module: m.Name, Disables: true, Text: text})
}

// warn notes what an operator should know of a module that runs.
func (r *reader) warn(m *Module, at place, text string) {
	r.warnings = append(r.warnings, Warning{Line: at.line, Column: at.column, Module: m.Name, Text: text})
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// suggest is the hint for a name that is none of known.
func suggest(name string, known []string) string {
	if near := words.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	if len(known) == 0 || len(known) > 20 {
		return ""
	}
	return "there are " + words.And(known)
}
