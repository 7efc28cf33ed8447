package main

import (
	"fmt"
	"math"
	"os"
	"strings"

	"sonde/bench"
	"sonde/bench/load"
	"sonde/bench/talk"
	"sonde/probes"
	"sonde/protocol/tlswire"
)

// settings are all that makes the load, as the report has it, with defaults filled in: what is equal in them is one load. Which
// servers it is about is not among them, so that two can be compared, nor what machine it is done on.
func (o *benchOptions) settings(p *bench.Prepared) (settings, error) {
	s := p.Load
	m := settings{
		"connections": s.Connections, "duration_s": s.Duration.Seconds(), "targets": len(p.Plan.Targets()), "tls": s.TLS != nil,
		"processes": len(p.Shares), "close": map[bool]string{true: "fin", false: "rst"}[s.FIN],
		"connect_timeout_s": s.Limits.WithDefaults().Connect.Seconds(),
	}
	m.add("warm_up_s", s.WarmUp.Seconds(), s.WarmUp > 0)
	m.add("rate_per_s", math.Max(s.Requests, s.Dials), s.Requests > 0 || s.Dials > 0)
	m.add("ping_interval_s", s.Ping.Seconds(), s.Ping > 0)
	m.add("idle_timeout_s", s.Limits.Idle.Seconds(), s.Limits.Idle > 0)
	m.add("pipeline", s.Pipeline, s.Pipeline > 1)
	m.add("kernel_timestamps", true, s.KernelTimestamps)
	m.add("sources", len(p.Plan.Sources()), len(p.Plan.Sources()) > 0)
	// By default there are as many as CPUs, which is the machine's.
	m.add("loops", s.Loops, s.Loops != max(int(p.Machine.Procs)/len(p.Shares), 1))
	m.add("read_timeout_s", s.Limits.WithDefaults().Read.Seconds(), s.Talk.Kind != "" || s.TLS != nil)
	if p.Promise != nil {
		m["find_rate"] = p.Promise.Text
	}
	if s.Talk.Kind != "" {
		o.addTalk(m, &s.Talk)
	}
	if s.TLS == nil {
		return m, nil
	}
	m["tls_handshake_timeout_s"] = s.Limits.WithDefaults().Handshake.Seconds()
	return m, m.addTLS(s.TLS)
}

// settings are flat: names and what they are set to.
type settings map[string]any

// add adds one that is not at its default.
func (m settings) add(name string, value any, is bool) {
	if is {
		m[name] = value
	}
}

// addDigest adds what is known by its digest alone.
func (m settings) addDigest(name string, d digest) {
	m.add(name+"_sha256", d.sha256, d.sha256 != "")
	m.add(name+"_bytes", d.bytes, d.sha256 != "")
}

func (o *benchOptions) addTalk(m settings, t *talk.Options) {
	m["talk"] = string(t.Kind)
	m.addDigest("send", o.said.request)
	m.add("frame", t.Frame, t.Frame != "")
	if t.Kind != talk.HTTP {
		return
	}
	h := &t.HTTP
	m.add("http_method", h.Method, h.Method != "")
	m.add("http_path", h.Path, h.Path != "")
	m.add("http_host", h.Host, h.Host != "")
	m["http_status"] = statusText(h.Status)
	var headers []string
	for _, header := range h.Headers {
		headers = append(headers, maskHeader(header))
	}
	m.add("http_header", strings.Join(headers, "\n"), len(headers) > 0)
	m.addDigest("http_body", o.said.body)
	m.addDigest("message", o.said.message)
}

// statusText is as --http-status has it.
func statusText(ranges []probes.StatusRange) string {
	if len(ranges) == 0 {
		return "200-399"
	}
	var parts []string
	for _, r := range ranges {
		part := fmt.Sprint(r.From)
		if r.To != r.From {
			part += fmt.Sprintf("-%d", r.To)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}

// defaultGroups are those that internal/tlsclient offers.
var defaultGroups = []tlswire.Group{tlswire.X25519, tlswire.SecP256R1, tlswire.SecP384R1, tlswire.SecP521R1}

func (m settings) addTLS(t *load.TLS) error {
	groups := t.Groups
	if len(groups) == 0 {
		groups = defaultGroups
	}
	var names []string
	for _, g := range groups {
		names = append(names, strings.ToLower(g.String()))
	}
	m["groups"] = strings.Join(names, ",")
	least, most := t.MinVersion, t.MaxVersion
	if least == 0 {
		least = tlswire.TLS10
	}
	if most == 0 {
		most = tlswire.TLS13
	}
	m["min_version"], m["max_version"] = least.Word(), most.Word()
	m.add("alpn", strings.Join(t.ALPN, ","), len(t.ALPN) > 0)
	m.add("sni", t.ServerName, t.ServerName != "")
	m.add("insecure", true, t.Insecure)
	m.add("session_reuse", true, t.SessionReuse)
	for _, f := range []struct{ flag, name string }{{"cacert", t.Roots}, {"cert", t.Certificate}} {
		if f.name == "" {
			continue
		}
		data, err := os.ReadFile(f.name)
		if err != nil {
			return fileError("--"+f.flag, err)
		}
		m.addDigest(f.flag, digestOf(data))
	}
	return nil
}
