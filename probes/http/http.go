// Package http asks an HTTP/1.1 server for a page (RFC 9110, RFC 9112), in two ways. [Probe] is that of a scan: one request, of
// whose response no more is read than the verdict needs; redirects are reported, not followed. What [NewChecked] returns is
// that of a watch: it reads responses whole, makes the checks of blackbox_exporter's http prober, and follows redirects, each
// hop being a probe of its own ([probes.Follower]).
package http

import (
	"regexp"
	"slices"

	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/http1"
	"sonde/target"
)

// maxBody is the most bytes of a body that are read, and the default of Options.ReadBytes.
const maxBody = protocol.MaxFrameSize

// Probe sends one request and judges the status code, and the body by a regular expression if there is one. The zero
// Probe sends GET and is content with 200 to 399.
//
// It reads as little as the verdict needs: the head, unless the body is asked for by a regular expression or by
// Options.ReadBytes. A status that is not wanted ends it at the head in any case. With an expression the body is read to
// its end or to ReadBytes; see [exchange] for when it may stop before that.
type Probe struct {
	method    string // "" is GET
	host      string // "" is the target's own
	path      string // "" is the target's own
	headers   []header
	status    []probes.StatusRange // empty is 200 to 399
	expect    *regexp.Regexp
	readBytes int // how much of the body is read; 0 for none
}

// header is one field that the user wants sent.
type header struct{ name, value string }

var _ probes.Configurable = Probe{}

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "http",
		Summary: "requests a page and is content with a status of 200 to 399",
		Port:    80,
		Schemes: []string{"http"},
		TLSPort: 443, TLSSchemes: []string{"https"}, // RFC 9110 s.4.2.2
		ALPN: []string{"http/1.1"}, // RFC 7301 s.6
		Options: []string{
			"--http-method", "--http-host", "--http-path", "--http-header", "--http-status", "--expect", "--read-bytes",
		},
		Reports: []probes.Field{
			{Name: "status_code", Type: "integer", Doc: "status code of the final response"},
			{Name: "reason", Type: "string", Doc: "reason phrase behind it"},
			{Name: "version", Type: "string", Doc: "HTTP version of the response"},
			{Name: "server", Type: "string", Doc: "Server field"},
			{Name: "content_type", Type: "string", Doc: "Content-Type field"},
			{Name: "location", Type: "string", Doc: "Location field, where a redirect leads"},
			{Name: "content_length", Type: "integer", Doc: "Content-Length field, in bytes"},
			{Name: "body_bytes", Type: "integer", Doc: "bytes of the body that were read, if the body was asked for"},
			{Name: "title", Type: "string", Doc: "text of the title element, if the body was asked for"},
			{Name: "body_match", Type: "list", Doc: "what --expect matched, then its groups"},
			{Name: "received", Type: "string", Doc: "the first bytes of what is not an HTTP response, or of a head that is not whole"},
		},
	}
}

// Exchange implements [probes.Probe].
func (p Probe) Exchange(t *target.Target) protocol.Exchange {
	e := &exchange{probe: p, request: p.appendRequest(nil, t)}
	e.parser.HeadRequest = p.method == "HEAD"
	e.finding.overTLS, e.finding.expects = t.TLS, p.expect != nil
	return e
}

// wants reports whether a status code counts as success.
func (p Probe) wants(code int) bool {
	return contains(p.wanted(), code)
}

// wanted are the status codes that count as success.
func (p Probe) wanted() []probes.StatusRange {
	if len(p.status) == 0 {
		return usualStatus
	}
	return p.status
}

// usualStatus are the codes with which a scan is content: the server answers.
var usualStatus = []probes.StatusRange{{From: 200, To: 399}}

func contains(ranges []probes.StatusRange, code int) bool {
	return slices.ContainsFunc(ranges, func(r probes.StatusRange) bool { return r.From <= code && code <= r.To })
}

// exchange is one request and its response.
//
// A match that ends before the last byte that was read is one whatever follows, so the body is searched when its first
// KiB is there, and again whenever it has doubled: that costs at most twice its length, lets an endless body end early,
// and finds the same however the bytes came. A match that ends with the last byte might grow, or might not hold ($), and
// counts only once the body is over or ReadBytes are read.
type exchange struct {
	probe   Probe
	parser  http1.Parser
	request []byte
	send    [1][]byte

	interim int
	body    []byte // what was read of the body
	search  int    // how much body there must be for the next search
	verdict protocol.Verdict
	reason  string
	finding finding
}

// maxInterim is how many interim responses may come before the final one (RFC 9110 s.15.2 sets no limit).
const maxInterim = 16

// firstSearch is how many bytes of a body are searched first.
const firstSearch = 1 << 10

func (e *exchange) Begin() protocol.Step {
	e.send[0] = e.request
	return protocol.Step{Send: e.send[:]}
}

func (e *exchange) Parser() protocol.FrameParser { return &e.parser }

func (e *exchange) OnFrame(f protocol.Frame) protocol.Step {
	switch f.Kind {
	case http1.Head:
		return e.onHead(f.Data)
	case http1.End:
		return e.onBody(f.Data, true)
	}
	return e.onBody(f.Data, false)
}

func (e *exchange) onHead(data []byte) protocol.Step {
	if e.parser.Interim() {
		e.finding.received = conclude.Received(data)
		if e.interim++; e.interim > maxInterim {
			e.verdict, e.reason = protocol.Refused, "no final response after 17 interim ones"
			return protocol.Step{Then: protocol.Done}
		}
		return protocol.Step{}
	}
	e.finding.received = ""
	e.finding.takeHead(&e.parser)
	if !e.probe.wants(e.parser.Status()) {
		e.verdict, e.reason = protocol.Refused, unwanted(e.parser.Status(), e.probe.wanted())
		return protocol.Step{Then: protocol.Done}
	}
	if e.probe.readBytes == 0 {
		return protocol.Step{Then: protocol.Done}
	}
	e.search = firstSearch
	if !e.parser.HasBody() {
		return e.judge()
	}
	return protocol.Step{}
}

func (e *exchange) onBody(part []byte, end bool) protocol.Step {
	n := min(len(part), e.probe.readBytes-len(e.body))
	for part = part[:n]; len(part) > 0; {
		// The body is searched at the same lengths however its parts are cut.
		step := min(len(part), e.search-len(e.body))
		e.body, part = append(e.body, part[:step]...), part[step:]
		if len(e.body) == e.search {
			e.search *= 2
			if e.match(false) {
				return e.judge()
			}
		}
	}
	if end || len(e.body) == e.probe.readBytes {
		return e.judge()
	}
	return protocol.Step{}
}

// match searches the body. Unless the body is final a match must end before its last byte.
func (e *exchange) match(final bool) bool {
	if e.probe.expect == nil || e.finding.match != nil {
		return e.finding.match != nil
	}
	at := e.probe.expect.FindSubmatchIndex(e.body)
	if at == nil || !final && at[1] == len(e.body) {
		return false
	}
	e.finding.takeMatch(e.body, at)
	return true
}

// judge ends the exchange on the body that was read.
func (e *exchange) judge() protocol.Step {
	e.keepBody()
	if e.probe.expect != nil && !e.match(true) {
		e.verdict, e.reason = protocol.Refused, "body does not match "+e.probe.expect.String()
	}
	return protocol.Step{Then: protocol.Done}
}

// OnEnd implements [protocol.Exchange]. What was read of a body is searched all the same: if it matches whatever would have
// followed, how the connection ended does not matter.
func (e *exchange) OnEnd(end protocol.End, rest []byte, err error) {
	if e.finding.status == 0 {
		e.verdict, e.reason = conclude.Ended(end, err, "the end of the head")
		if len(rest) > 0 {
			e.finding.received = conclude.Received(rest)
		}
		return
	}
	e.keepBody()
	if !e.match(false) {
		e.verdict, e.reason = conclude.Ended(end, err, "the end of the body")
	}
}

func (e *exchange) keepBody() {
	e.finding.bodyRead = true
	e.finding.bodyBytes = int64(len(e.body))
	e.finding.title = title(e.body)
}

func (e *exchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.finding.status != 0 || e.finding.received != "" {
		c.Finding = e.finding
	}
	return c
}
