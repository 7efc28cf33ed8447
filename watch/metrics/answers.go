package metrics

import (
	"iter"
	"slices"
	"time"

	"sonde/probes"
	"sonde/watch/track"
)

// http writes a figure of HTTP.
func http(write func(e *encoder, h probes.HTTPFigures)) func(e *encoder, v *track.View, labels []byte) {
	return func(e *encoder, v *track.View, labels []byte) {
		h, _ := v.HTTP()
		e.sample(labels)
		write(e, h)
	}
}

func (e *encoder) statusCode(h probes.HTTPFigures)    { e.int(int64(h.StatusCode)) }
func (e *encoder) httpVersion(h probes.HTTPFigures)   { e.float(h.Version) }
func (e *encoder) httpTLS(h probes.HTTPFigures)       { e.bool(h.TLS) }
func (e *encoder) redirects(h probes.HTTPFigures)     { e.int(int64(h.Redirects)) }
func (e *encoder) contentLength(h probes.HTTPFigures) { e.int(h.ContentLength) }
func (e *encoder) bodyLength(h probes.HTTPFigures)    { e.int(h.BodyLength) }

func (e *encoder) lastModified(v *track.View, labels []byte) {
	if h, _ := v.HTTP(); !h.LastModified.IsZero() {
		e.sample(labels)
		e.int(h.LastModified.Unix())
	}
}

// lastHTTPPhases writes them if the answer is the last probe's.
func (e *encoder) lastHTTPPhases(v *track.View, labels []byte) {
	if !v.Stale() {
		e.httpPhases(labels, [...]time.Duration{
			v.Phase(track.PhaseDNS), v.Phase(track.PhaseConnect), v.Phase(track.PhaseTLS), v.Phase(track.PhaseFirstByte), v.Transfer(),
		})
	}
}

// httpPhases writes the phases under blackbox_exporter's names; one that did not happen took no time.
func (e *encoder) httpPhases(labels []byte, phases [5]time.Duration) {
	for i, name := range [...]string{"resolve", "connect", "tls", "processing", "transfer"} {
		e.sample(labels)
		e.label("phase", name)
		e.seconds(max(phases[i], 0))
	}
}

// tls writes what was learned of TLS.
func tls(write func(e *encoder, t *probes.TLSFigures, labels []byte)) func(e *encoder, v *track.View, labels []byte) {
	return func(e *encoder, v *track.View, labels []byte) { write(e, v.TLS(), labels) }
}

func (e *encoder) earliestExpiry(t *probes.TLSFigures, labels []byte) {
	if !t.EarliestExpiry.IsZero() {
		e.sample(labels)
		e.int(t.EarliestExpiry.Unix())
	}
}

func (e *encoder) chainExpiry(t *probes.TLSFigures, labels []byte) {
	if !t.LastChainExpiry.IsZero() {
		e.sample(labels)
		e.int(t.LastChainExpiry.Unix())
	}
}

func (e *encoder) certificate(t *probes.TLSFigures, labels []byte) {
	if t.Fingerprint == "" {
		return
	}
	e.sample(labels)
	e.label("fingerprint_sha256", t.Fingerprint)
	e.label("issuer", t.Issuer)
	e.label("subject", t.Subject)
	e.label("subjectalternative", t.Names)
	e.int(1)
}

func (e *encoder) tlsVersion(t *probes.TLSFigures, labels []byte) {
	if t.Version != "" {
		e.sample(labels)
		e.label("version", t.Version)
		e.int(1)
	}
}

func (e *encoder) regexpFailed(v *track.View, labels []byte) {
	failed, _ := v.RegexpFailed()
	e.sample(labels)
	e.bool(failed)
}

func (e *encoder) expected(v *track.View, labels []byte) {
	captures, _ := v.Expect()
	e.captures(captures, labels, labelNames(v.Target.Labels))
}

// captures writes what was captured as the labels of one series, beside the labels that it has, whose names of the user's are own:
// none without a capture.
func (e *encoder) captures(captures iter.Seq[probes.Capture], labels []byte, own []string) {
	begun := false
	for c := range captures {
		if !begun {
			e.sample(labels)
			begun = true
		}
		name := labelName(c.Name, func(name string) bool {
			return len(labels) > 0 && taken[name] || slices.Contains(own, name)
		})
		own = append(own, name)
		e.label(name, c.Value)
	}
	if begun {
		e.int(1)
	}
}
