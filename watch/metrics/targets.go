package metrics

import (
	"net/netip"

	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/track"
)

// feature is something that a target may have, and without which some families do not apply to it.
type feature uint16

const (
	ofProbed  feature = 1 << iota // it has an outcome
	ofKnown                       // it is known whether it is up
	ofNamed                       // the last probe looked up its name
	ofFailing                     // the last probe failed
	ofFigures                     // there are figures of an answer
	ofHTTP                        // of HTTP
	ofTLS                         // of TLS
	ofExpect                      // a line that was expected
	ofRegexp                      // a regular expression could have failed the last probe
	ofBreaker                     // its job has breakers
	ofKept                        // a connection to it is kept
)

// featuresOf are what a target has.
func featuresOf(c *track.Copy, v *track.View) (all feature) {
	add := func(f feature, has bool) {
		if has {
			all |= f
		}
	}
	add(ofKept, v.Target.Keep)
	add(ofProbed, v.Probed())
	if !v.Probed() {
		return all
	}
	_, http := v.HTTP()
	_, expect := v.Expect()
	_, regexp := v.RegexpFailed()
	add(ofKnown, v.State() != flap.Unknown)
	add(ofNamed, v.Phase(track.PhaseDNS) >= 0)
	add(ofFailing, v.Status() != report.Success)
	add(ofFigures, v.HasFigures())
	add(ofHTTP, http)
	add(ofTLS, v.TLS() != nil)
	add(ofExpect, expect)
	add(ofRegexp, regexp)
	add(ofBreaker, c.Jobs[v.JobIndex()].Settings.Breaker.Window > 0)
	return all
}

// family is one of the series of targets.
type family struct {
	name string
	kind kind
	of   feature // the targets to which it applies
	help string
	// write writes the series of such a target, with these labels; none, if there is nothing to say.
	write func(e *encoder, v *track.View, labels []byte)
}

// targetFamilies are all of them, in the order in which they are written.
var targetFamilies = []family{
	{"probe_success", gauge, ofProbed, "Whether the last probe succeeded.", (*encoder).success},
	{"probe_up", gauge, ofKnown, "Whether the target is up, after its job's rise and fall; absent until that is known.", (*encoder).up},
	{"probe_duration_seconds", gauge, ofProbed, "How long the last probe took, the lookup of its name included.", (*encoder).duration},
	{"probe_late_seconds", gauge, ofProbed, "How much after its turn the last probe began.", (*encoder).late},
	{"probe_dns_lookup_time_seconds", gauge, ofNamed, "How long the lookup of the name took.", (*encoder).lookup},
	{"probe_ip_protocol", gauge, ofNamed, "Whether the address is of IP 4 or 6; 0 if the name did not resolve.", (*encoder).protocol},
	{"probe_ip_addr_hash", gauge, ofNamed, "FNV-1a hash of the address: another one if the name resolves to another.", (*encoder).addrHash},
	{"probe_phase_last_seconds", gauge, ofProbed, "How long each phase of the last probe took.", (*encoder).phases},
	{"probe_failure_info", gauge, ofFailing, "Why the last probe failed, and by whose fault: 1 while it does.", (*encoder).failure},
	{"probe_fallback_info", gauge, ofFailing, "The module that answered when the target's own did not: 1 while it does.", (*encoder).fallback},
	{"probe_last_success_timestamp_seconds", gauge, ofFailing, "When the last probe began that succeeded, while they fail.", (*encoder).lastSuccess},
	{"probe_stale", gauge, ofFigures, "Whether the figures of the answer are those of the last good one, the last probe having learned none.", (*encoder).stale},

	{"probe_http_status_code", gauge, ofHTTP, "Status code of the response.", http((*encoder).statusCode)},
	{"probe_http_version", gauge, ofHTTP, "HTTP version of the response.", http((*encoder).httpVersion)},
	{"probe_http_ssl", gauge, ofHTTP, "Whether TLS was used for the last hop.", http((*encoder).httpTLS)},
	{"probe_http_redirects", gauge, ofHTTP, "How many redirects were followed.", http((*encoder).redirects)},
	{"probe_http_content_length", gauge, ofHTTP, "Length of the body as the server announced it; -1 if it did not.", http((*encoder).contentLength)},
	{"probe_http_uncompressed_body_length", gauge, ofHTTP, "Length of the body, decoded, as far as it was read.", http((*encoder).bodyLength)},
	{"probe_http_last_modified_timestamp_seconds", gauge, ofHTTP, "What the response said in Last-Modified.", (*encoder).lastModified},
	{"probe_http_duration_seconds", gauge, ofHTTP, "How long each phase of the last HTTP probe took, over all redirects.", (*encoder).lastHTTPPhases},

	{"probe_ssl_earliest_cert_expiry", gauge, ofTLS, "When the first of the certificates expires that the server sent.", tls((*encoder).earliestExpiry)},
	{"probe_ssl_last_chain_expiry_timestamp_seconds", gauge, ofTLS, "When the verified chain expires that lasts longest.", tls((*encoder).chainExpiry)},
	{"probe_ssl_last_chain_info", gauge, ofTLS, "The server's certificate.", tls((*encoder).certificate)},
	{"probe_tls_version_info", gauge, ofTLS, "The version of TLS.", tls((*encoder).tlsVersion)},

	{"probe_failed_due_to_regex", gauge, ofRegexp, "Whether a regular expression failed the probe.", (*encoder).regexpFailed},
	{"probe_expect_info", gauge, ofExpect, "What was captured from the line that was expected.", (*encoder).expected},
	{"probe_breaker_state", gauge, ofBreaker, "The target's circuit breaker: 0 closed, 1 open, 2 half-open.", (*encoder).breaker},

	{"probe_kept_connection_up", gauge, ofKept, "Whether the kept connection stands.", (*encoder).keptUp},
	{"probe_kept_connection_since_seconds", gauge, ofKept, "Since when the kept connection stands, or is down, in Unix time.", (*encoder).keptSince},
	{"probe_kept_connection_rtt_seconds", gauge, ofKept, "How long the last heartbeat took to be answered.", (*encoder).keptRTT},
	{
		"probe_kept_connection_drops_total", counter, ofKept,
		"How many kept connections ended, by who ended them and how; a cause that has not been is absent.", (*encoder).keptDrops,
	},
}

func (e *encoder) success(v *track.View, labels []byte) {
	e.sample(labels)
	e.bool(v.Status() == report.Success)
}

func (e *encoder) up(v *track.View, labels []byte) {
	e.sample(labels)
	e.bool(v.State() == flap.Up)
}

func (e *encoder) duration(v *track.View, labels []byte) {
	e.sample(labels)
	e.seconds(max(v.Phase(track.PhaseDNS), 0) + max(v.Phase(track.PhaseTotal), 0))
}

func (e *encoder) late(v *track.View, labels []byte) {
	e.sample(labels)
	e.seconds(max(v.Phase(track.PhaseLate), 0))
}

func (e *encoder) lookup(v *track.View, labels []byte) {
	e.sample(labels)
	e.seconds(v.Phase(track.PhaseDNS))
}

func (e *encoder) protocol(v *track.View, labels []byte) {
	e.sample(labels)
	e.int(ipProtocol(v.Addr().Addr()))
}

func (e *encoder) addrHash(v *track.View, labels []byte) {
	e.sample(labels)
	e.uint(addrHash(v.Addr().Addr()))
}

// ipProtocol is 4 or 6, 0 for no address.
func ipProtocol(a netip.Addr) int64 {
	switch {
	case !a.IsValid():
		return 0
	case a.Unmap().Is4():
		return 4
	}
	return 6
}

// addrHash is blackbox_exporter's: FNV-1a in 32 bits over the 4 or 16 bytes of an address, 0 for none.
func addrHash(a netip.Addr) uint64 {
	if !a.IsValid() {
		return 0
	}
	all := a.As16()
	bytes := all[:]
	if a.Unmap().Is4() {
		bytes = all[12:]
	}
	h := uint32(2166136261) // Fowler, Noll and Vo's offset and prime; hash/fnv would allocate
	for _, b := range bytes {
		h = (h ^ uint32(b)) * 16777619
	}
	return uint64(h)
}

func (e *encoder) phases(v *track.View, labels []byte) {
	for _, p := range [...]track.Phase{track.PhaseConnect, track.PhaseTLS, track.PhaseFirstByte} {
		if d := v.Phase(p); d >= 0 {
			e.sample(labels)
			e.label("phase", p.String())
			e.seconds(d)
		}
	}
}

func (e *encoder) failure(v *track.View, labels []byte) {
	e.sample(labels)
	e.label("reason", v.Status().String())
	e.label("side", v.Side().String())
	e.int(1)
}

func (e *encoder) fallback(v *track.View, labels []byte) {
	if name := v.Fallback(); name != "" {
		e.sample(labels)
		e.label("fallback", name)
		e.int(1)
	}
}

func (e *encoder) lastSuccess(v *track.View, labels []byte) {
	if at := v.LastGood(); !at.IsZero() {
		e.sample(labels)
		e.unix(at)
	}
}

func (e *encoder) stale(v *track.View, labels []byte) {
	e.sample(labels)
	e.bool(v.Stale())
}

func (e *encoder) breaker(v *track.View, labels []byte) {
	e.sample(labels)
	e.int(int64(v.Breaker())) // closed, open, half-open
}

func (e *encoder) keptUp(v *track.View, labels []byte) {
	e.sample(labels)
	e.bool(v.Kept().Up)
}

func (e *encoder) keptSince(v *track.View, labels []byte) {
	if k := v.Kept(); !k.Since.IsZero() {
		e.sample(labels)
		e.unix(k.Since)
	}
}

func (e *encoder) keptRTT(v *track.View, labels []byte) {
	if k := v.Kept(); k.RTT >= 0 {
		e.sample(labels)
		e.seconds(k.RTT)
	}
}

func (e *encoder) keptDrops(v *track.View, labels []byte) {
	k := v.Kept()
	for cause, n := range k.Drops {
		if n > 0 {
			e.sample(labels)
			e.label("cause", track.Cause(cause).String())
			e.uint(uint64(n))
		}
	}
}
