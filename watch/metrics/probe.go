package metrics

import (
	"io"
	"slices"
	"time"

	"sonde/probes"
	"sonde/report"
	"sonde/watch/track"
)

// WriteProbe writes what blackbox_exporter 0.23.0 answers at /probe: its families, sorted as it sorts them, with its values, and behind
// them probe_failure_info and probe_phase_last_seconds, which it has not. probe is the name of the probe: "http" has the families of
// its http prober, any other those of its tcp prober.
func WriteProbe(w io.Writer, f Format, r *track.Result, probe string) error {
	e := &encoder{w: w, format: f}
	var figures probes.Figures
	if r.Figures != nil {
		figures = *r.Figures
	}
	first := r.Timing.DNS
	if len(r.Hops) > 0 {
		first = r.Hops[0].DNS
	}
	// It chooses an address before all else; there is none to choose without a host.
	chosen := r.Addr.Addr().IsValid() || r.Timing.DNS >= 0
	if chosen {
		e.single("probe_dns_lookup_time_seconds", "How long the lookup of the name took.").seconds(max(first, 0))
	}
	e.single("probe_duration_seconds", "How long the probe took.").seconds(max(r.Timing.DNS, 0) + max(r.Timing.Total, 0))
	if len(figures.Expect) > 0 {
		e.begin("probe_expect_info", gauge, "What was captured from the line that was expected.")
		e.captures(slices.Values(figures.Expect), nil, nil)
	}
	if probe == "http" || probe == "tcp" || probe == "converse" || figures.RegexpFailed != nil {
		e.single("probe_failed_due_to_regex", "Whether a regular expression failed the probe.").
			bool(figures.RegexpFailed != nil && *figures.RegexpFailed)
	}
	if probe == "http" {
		e.answer(r, figures.HTTP)
	}
	if chosen {
		e.single("probe_ip_addr_hash", "FNV-1a hash of the address.").uint(addrHash(r.Addr.Addr()))
		e.single("probe_ip_protocol", "Whether the address is of IP 4 or 6; 0 if the name did not resolve.").int(ipProtocol(r.Addr.Addr()))
	}
	handshake := figures.TLS
	if h := figures.HTTP; handshake != nil && (!handshake.Established || probe == "http" && (h == nil || h.StatusCode == 0 || !h.TLS)) {
		handshake = nil // it tells of none that came to nothing
	}
	if handshake != nil {
		e.handshake(handshake)
	}
	e.single("probe_success", "Whether the probe succeeded.").bool(r.Status == report.Success)
	if handshake != nil {
		e.begin("probe_tls_version_info", gauge, "The version of TLS.")
		e.tlsVersion(handshake, nil)
	}
	e.besides(r)
	return e.end()
}

// single begins a family of one series without labels, whose value has to follow.
func (e *encoder) single(name, help string) *encoder {
	e.begin(name, gauge, help)
	e.sample(nil)
	return e
}

// answer writes the families of HTTP; without a response, h is nil or has no status code.
func (e *encoder) answer(r *track.Result, h *probes.HTTPFigures) {
	switch {
	case h == nil:
		h = new(probes.HTTPFigures)
	case h.StatusCode == 0: // a redirect to where nobody answered
		h = &probes.HTTPFigures{Redirects: h.Redirects}
	}
	e.single("probe_http_content_length", "Length of the body as the server announced it; -1 if it did not.").contentLength(*h)
	e.begin("probe_http_duration_seconds", gauge, "How long each phase took, over all redirects.")
	if r.Addr.Addr().IsValid() {
		connect, tls := made(r)
		e.httpPhases(nil, [...]time.Duration{r.Timing.DNS, connect, tls, r.Timing.FirstByte, r.Transfer()})
	} else if r.Timing.DNS >= 0 {
		e.sample(nil)
		e.label("phase", "resolve")
		e.seconds(r.Timing.DNS)
	}
	if !h.LastModified.IsZero() {
		e.single("probe_http_last_modified_timestamp_seconds", "What the response said in Last-Modified.").int(h.LastModified.Unix())
	}
	e.single("probe_http_redirects", "How many redirects were followed.").redirects(*h)
	e.single("probe_http_ssl", "Whether TLS was used for the last hop.").httpTLS(*h)
	e.single("probe_http_status_code", "Status code of the response.").statusCode(*h)
	e.single("probe_http_uncompressed_body_length", "Length of the body, decoded, as far as it was read.").bodyLength(*h)
	e.single("probe_http_version", "HTTP version of the response.").httpVersion(*h)
}

// made is how long connections and handshakes took. blackbox_exporter counts neither if the last hop's handshake failed: who is led
// elsewhere has shaken hands before.
func made(r *track.Result) (connect, tls time.Duration) {
	if !r.Secure || r.Figures != nil && r.Figures.TLS != nil && r.Figures.TLS.Established {
		return r.Timing.Connect, r.Timing.TLS
	}
	for _, h := range r.Hops[:max(len(r.Hops)-1, 0)] {
		connect, tls = connect+max(h.Connect, 0), tls+max(h.TLS, 0)
	}
	return connect, tls
}

// handshake writes what the certificates say. Without a verified chain blackbox_exporter has its expiry be that of a zero time.
func (e *encoder) handshake(t *probes.TLSFigures) {
	e.single("probe_ssl_earliest_cert_expiry", "When the first of the certificates expires that the server sent.").int(t.EarliestExpiry.Unix())
	e.single("probe_ssl_last_chain_expiry_timestamp_seconds", "When the verified chain expires that lasts longest.").int(t.LastChainExpiry.Unix())
	e.begin("probe_ssl_last_chain_info", gauge, "The server's certificate.")
	e.certificate(t, nil)
}

// besides writes what blackbox_exporter does not tell.
func (e *encoder) besides(r *track.Result) {
	if r.Status != report.Success {
		e.begin("probe_failure_info", gauge, "Why the probe failed, and by whose fault.")
		e.sample(nil)
		e.label("reason", r.Status.String())
		e.label("side", r.Side.String())
		e.int(1)
	}
	e.begin("probe_phase_last_seconds", gauge, "How long each phase of the probe took.")
	for i, d := range [...]time.Duration{r.Timing.Connect, r.Timing.TLS, r.Timing.FirstByte} {
		if d >= 0 {
			e.sample(nil)
			e.label("phase", (track.PhaseConnect + track.Phase(i)).String())
			e.seconds(d)
		}
	}
}
