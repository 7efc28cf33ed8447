package metrics

import (
	"hash/fnv"
	"net/netip"

	"sonde/policy/flap"
	"sonde/report"
	"sonde/watch/track"
)

// family is one that each target has at most a few series of.
type family struct {
	name string
	kind kind
	help string
	// write writes the series of a target, with these labels: none, if the family does not apply to it.
	write func(e *encoder, c *track.Copy, v *track.View, labels []byte)
}

// targetFamilies are all of them, in the order in which they are written.
var targetFamilies = []family{
	{"probe_success", gauge, "Whether the last probe succeeded.", probed((*encoder).success)},
	{"probe_up", gauge, "Whether the target is up, after its job's rise and fall; absent until that is known.", writeUp},
	{"probe_duration_seconds", gauge, "How long the last probe took, the lookup of its name included.", probed((*encoder).duration)},
	{"probe_late_seconds", gauge, "How much after its turn the last probe began.", probed((*encoder).late)},
	{"probe_dns_lookup_time_seconds", gauge, "How long the lookup of the name took.", named((*encoder).lookup)},
	{"probe_ip_protocol", gauge, "Whether the address is of IP 4 or 6; 0 if the name did not resolve.", named((*encoder).protocol)},
	{"probe_ip_addr_hash", gauge, "FNV-1a hash of the address: another one if the name resolves to another.", named((*encoder).addrHash)},
	{"probe_phase_last_seconds", gauge, "How long each phase of the last probe took.", probed((*encoder).phases)},
	{"probe_failure_info", gauge, "Why the last probe failed, and by whose fault: 1 while it does.", probed((*encoder).failure)},
	{"probe_fallback_info", gauge, "The module that answered when the target's own did not: 1 while it does.", probed((*encoder).fallback)},
	{"probe_last_success_timestamp_seconds", gauge, "When the last probe began that succeeded, while they fail.", probed((*encoder).lastSuccess)},
	{"probe_stale", gauge, "Whether the figures of the answer are those of the last good one, the last probe having learned none.", probed((*encoder).stale)},

	{"probe_http_status_code", gauge, "Status code of the response.", answered((*encoder).statusCode)},
	{"probe_http_version", gauge, "HTTP version of the response.", answered((*encoder).httpVersion)},
	{"probe_http_ssl", gauge, "Whether TLS was used for the last hop.", answered((*encoder).httpTLS)},
	{"probe_http_redirects", gauge, "How many redirects were followed.", answered((*encoder).redirects)},
	{"probe_http_content_length", gauge, "Length of the body as the server announced it; -1 if it did not.", answered((*encoder).contentLength)},
	{"probe_http_uncompressed_body_length", gauge, "Length of the body, decoded, as far as it was read.", answered((*encoder).bodyLength)},
	{"probe_http_last_modified_timestamp_seconds", gauge, "What the response said in Last-Modified.", lastModified},
	{"probe_http_duration_seconds", gauge, "How long each phase of the last HTTP probe took, over all redirects.", httpPhases},

	{"probe_ssl_earliest_cert_expiry", gauge, "When the first of the certificates expires that the server sent.", shaken((*encoder).earliestExpiry)},
	{"probe_ssl_last_chain_expiry_timestamp_seconds", gauge, "When the verified chain expires that lasts longest.", shaken((*encoder).chainExpiry)},
	{"probe_ssl_last_chain_info", gauge, "The server's certificate.", shaken((*encoder).certificate)},
	{"probe_tls_version_info", gauge, "The version of TLS.", shaken((*encoder).tlsVersion)},

	{"probe_failed_due_to_regex", gauge, "Whether a regular expression failed the probe.", regexpFailed},
	{"probe_expect_info", gauge, "What was captured from the line that was expected.", expected},
	{"probe_breaker_state", gauge, "The target's circuit breaker: 0 closed, 1 open, 2 half-open.", writeBreaker},

	{"probe_kept_connection_up", gauge, "Whether the kept connection stands.", kept((*encoder).keptUp)},
	{"probe_kept_connection_since_seconds", gauge, "Since when the kept connection stands, or is down, in Unix time.", kept((*encoder).keptSince)},
	{"probe_kept_connection_rtt_seconds", gauge, "How long the last heartbeat took to be answered.", kept((*encoder).keptRTT)},
	{
		"probe_kept_connection_drops_total", counter,
		"How many kept connections ended, by who ended them and how; a cause that has not been is absent.", kept((*encoder).keptDrops),
	},
}

type writeFunc = func(e *encoder, c *track.Copy, v *track.View, labels []byte)

// probed writes for targets that have an outcome.
func probed(write func(e *encoder, v *track.View, labels []byte)) writeFunc {
	return func(e *encoder, _ *track.Copy, v *track.View, labels []byte) {
		if v.Probed() {
			write(e, v, labels)
		}
	}
}

// named writes for targets whose last probe had a name to look up.
func named(write func(e *encoder, v *track.View)) writeFunc {
	return func(e *encoder, _ *track.Copy, v *track.View, labels []byte) {
		if v.Phase(track.PhaseDNS) >= 0 {
			e.sample(labels)
			write(e, v)
		}
	}
}

// kept writes for targets to which a connection is kept.
func kept(write func(e *encoder, v *track.View, labels []byte)) writeFunc {
	return func(e *encoder, _ *track.Copy, v *track.View, labels []byte) {
		if v.Target.Keep {
			write(e, v, labels)
		}
	}
}

func (e *encoder) success(v *track.View, labels []byte) {
	e.sample(labels)
	e.bool(v.Status() == report.Success)
}

func writeUp(e *encoder, _ *track.Copy, v *track.View, labels []byte) {
	if v.State() != flap.Unknown {
		e.sample(labels)
		e.bool(v.State() == flap.Up)
	}
}

func (e *encoder) duration(v *track.View, labels []byte) {
	e.sample(labels)
	e.seconds(max(v.Phase(track.PhaseDNS), 0) + max(v.Phase(track.PhaseTotal), 0))
}

func (e *encoder) late(v *track.View, labels []byte) {
	e.sample(labels)
	e.seconds(max(v.Phase(track.PhaseLate), 0))
}

func (e *encoder) lookup(v *track.View)   { e.seconds(v.Phase(track.PhaseDNS)) }
func (e *encoder) protocol(v *track.View) { e.int(ipProtocol(v.Addr().Addr())) }
func (e *encoder) addrHash(v *track.View) { e.uint(addrHash(v.Addr().Addr())) }

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
	h := fnv.New32a()
	_, _ = h.Write(a.Unmap().AsSlice()) // it never fails
	return uint64(h.Sum32())
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
	if v.Status() != report.Success {
		e.sample(labels)
		e.label("reason", v.Status().String())
		e.label("side", v.Side().String())
		e.int(1)
	}
}

func (e *encoder) fallback(v *track.View, labels []byte) {
	if name := v.Fallback(); name != "" {
		e.sample(labels)
		e.label("fallback", name)
		e.int(1)
	}
}

func (e *encoder) lastSuccess(v *track.View, labels []byte) {
	if at := v.LastGood(); v.Status() != report.Success && !at.IsZero() {
		e.sample(labels)
		e.unix(at)
	}
}

func (e *encoder) stale(v *track.View, labels []byte) {
	if v.HasFigures() {
		e.sample(labels)
		e.bool(v.Stale())
	}
}

func writeBreaker(e *encoder, c *track.Copy, v *track.View, labels []byte) {
	if c.Jobs[v.JobIndex()].Settings.Breaker.Window == 0 {
		return
	}
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
