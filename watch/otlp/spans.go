package otlp

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"sonde/report"
	"sonde/target"
	"sonde/watch/track"
)

// Probe is one result, with what there is to say of its target.
type Probe struct {
	ID      uint32
	Target  *track.Target
	Entry   target.Target
	Probing string // the word of the probe: "http"
	Result  track.Result
}

// Add has a probe become a trace. It never waits: a probe for which the queue has no room is lost, and counted.
func (e *Exporter) Add(p Probe) {
	p.Result.Hops = slices.Clone(p.Result.Hops) // the runner's
	p.Result.Finding = nil
	select {
	case e.queue <- p:
	default:
		e.lost.Add(1)
	}
}

// traces is the message of a batch. TracesData has the form of ExportTraceServiceRequest.
func (e *Exporter) traces(batch []Probe) *tracepb.TracesData {
	var spans []*tracepb.Span
	for i := range batch {
		spans = append(spans, e.spans(&batch[i])...)
	}
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   e.resource,
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: e.scope(), Spans: spans}},
	}}}
}

func (e *Exporter) scope() *commonpb.InstrumentationScope {
	return &commonpb.InstrumentationScope{Name: "sonde", Version: e.version}
}

// spans are those of one probe, the root first.
func (e *Exporter) spans(p *Probe) []*tracepb.Span {
	res := &p.Result
	random := randomOf(p.ID, res)
	t := trace{id: make([]byte, 16)}
	binary.BigEndian.PutUint64(t.id, rand.Uint64())
	binary.BigEndian.PutUint64(t.id[8:], rand.Uint64()<<randomBits|random)
	if e.sampler.has(random) {
		t.state = e.sampler.state
	}
	hops := hopsOf(res)
	root := t.span(nil, "probe", minTime(res.At, beginning(&hops[0])), ending(&hops[len(hops)-1]))
	root.Kind, root.Attributes = tracepb.Span_SPAN_KIND_CLIENT, rootAttributes(p)
	if res.Status != report.Success {
		root.Status = failed(res.Error)
	}
	for i := range hops {
		parent, in := root, ""
		if len(hops) > 1 {
			parent = t.span(root, "hop", beginning(&hops[i]), ending(&hops[i]))
			parent.Attributes = attributes{}.int("sonde.hop", int64(i+1))
		}
		if i == len(hops)-1 {
			in = failing(&hops[i], res.Status)
		}
		t.phases(parent, &hops[i], in, res.Error)
	}
	return t.spans
}

// hopsOf are the connections of a result's last attempt, one at least.
func hopsOf(res *track.Result) []track.Hop {
	if len(res.Hops) > 0 {
		return res.Hops
	}
	timing := &res.Timing
	return []track.Hop{{
		At: res.Dialed, DNS: timing.DNS, Connect: timing.Connect, TLS: timing.TLS, FirstByte: timing.FirstByte, Total: timing.Total,
	}}
}

func beginning(h *track.Hop) time.Time { return h.At.Add(-max(h.DNS, 0)) }
func ending(h *track.Hop) time.Time    { return h.At.Add(max(h.Total, 0)) }

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// trace is the spans of one probe.
type trace struct {
	id    []byte
	state string
	spans []*tracepb.Span
}

// span adds one; nil is the parent of the root.
func (t *trace) span(parent *tracepb.Span, name string, from, to time.Time) *tracepb.Span {
	s := &tracepb.Span{
		TraceId: t.id, SpanId: binary.BigEndian.AppendUint64(nil, max(rand.Uint64(), 1)), TraceState: t.state, Name: name,
		Kind:              tracepb.Span_SPAN_KIND_INTERNAL,
		StartTimeUnixNano: uint64(from.UnixNano()), EndTimeUnixNano: uint64(to.UnixNano()),
	}
	if parent != nil {
		s.ParentSpanId = parent.SpanId
	}
	t.spans = append(t.spans, s)
	return s
}

// phases adds those of a connection, one behind the other. What is left of its time belongs to the one in which it failed, if it did.
func (t *trace) phases(parent *tracepb.Span, h *track.Hop, failing, reason string) {
	add := func(name string, from, to time.Time) {
		s := t.span(parent, name, from, to)
		if name == failing {
			s.Status, failing = failed(reason), ""
		}
	}
	if h.DNS >= 0 {
		add("dns", beginning(h), h.At)
	}
	at := h.At
	for _, phase := range []struct {
		name string
		took time.Duration
	}{{"connect", h.Connect}, {"tls", h.TLS}, {"first_byte", h.FirstByte}} {
		if phase.took >= 0 {
			add(phase.name, at, at.Add(phase.took))
			at = at.Add(phase.took)
		}
	}
	switch end := ending(h); {
	case failing != "":
		add(failing, at, end)
	case h.FirstByte >= 0 && end.After(at):
		add("transfer", at, end)
	}
}

// failing is the phase in which a probe failed, with its last connection; empty if in none of them.
func failing(h *track.Hop, status report.Status) string {
	switch status {
	case report.DNSError:
		if h.DNS >= 0 {
			return "dns"
		}
	case report.ConnectionRefused, report.ConnectionTimeout, report.HostUnreachable, report.NetworkUnreachable:
		if h.Total >= 0 {
			return "connect"
		}
	case report.TLSTimeout, report.HandshakeError, report.CertificateError:
		if h.Connect >= 0 {
			return "tls"
		}
	case report.IOTimeout, report.ConnectionReset, report.ConnectionClosed:
		if h.Connect >= 0 && h.FirstByte < 0 {
			return "first_byte"
		}
	}
	return ""
}

func failed(reason string) *tracepb.Status {
	return &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: clean(reason)}
}

// rootAttributes have the names of OpenTelemetry's semantic conventions where these have one.
func rootAttributes(p *Probe) []*commonpb.KeyValue {
	res := &p.Result
	a := attributes{}.
		text("sonde.job", p.Target.Job).text("sonde.module", p.Target.Module).text("sonde.instance", p.Target.Instance).
		text("sonde.probe", p.Probing).text("sonde.status", res.Status.String()).text("sonde.error_side", res.Side.String()).
		text("sonde.fallback", res.Fallback).int("sonde.attempts", int64(res.Attempts))
	for _, l := range p.Target.Labels {
		a = a.text("sonde.label."+l.Name, l.Value)
	}
	server := p.Entry.Domain
	if server == "" && p.Entry.Addr.IsValid() {
		server = p.Entry.Addr.String()
	}
	a = a.text("server.address", server).int("server.port", int64(p.Entry.Port)).text("network.transport", "tcp")
	if res.Addr.Addr().IsValid() {
		a = a.text("network.peer.address", res.Addr.Addr().String()).int("network.peer.port", int64(res.Addr.Port()))
	}
	if res.Status != report.Success {
		a = a.text("error.type", res.Status.String())
	}
	if p.Probing == "http" {
		scheme := "http"
		if p.Entry.TLS {
			scheme = "https"
		}
		path, _, _ := strings.Cut(p.Entry.Path, "?") // a query may hold what is nobody's business
		a = a.text("url.scheme", scheme).text("url.path", path)
	}
	return figures(a, res)
}

// figures adds what the probe learned.
func figures(a attributes, res *track.Result) attributes {
	if res.Figures == nil {
		return a
	}
	if h := res.Figures.HTTP; h != nil && h.StatusCode != 0 {
		a = a.int("http.response.status_code", int64(h.StatusCode))
	}
	if s := res.Figures.TLS; s != nil && s.Version != "" {
		name, version, _ := strings.Cut(strings.ToLower(s.Version), " ") // "TLS 1.3"
		a = a.text("tls.protocol.name", name).text("tls.protocol.version", version).text("tls.cipher", s.Cipher)
	}
	return a
}
