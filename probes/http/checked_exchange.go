package http

import (
	"bytes"
	"fmt"
	"slices"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/protocol/http1"
	"sonde/target"
)

// checkedExchange is one request of a checked probe and its response. The first check that fails is the reason; the body is
// read to its end all the same, because its length is a figure.
//
//	head ─┬─ a redirect to follow ► Done
//	      └─ status, fields ─► body: counted, decoded, kept if an expression wants it ─► expressions, version, TLS ► Done
type checkedExchange struct {
	probe  *checked
	target *target.Target
	parser http1.Parser
	send   [2][]byte

	interim int
	coding  *decoder   // nil: the body is taken as it is
	coded   int64      // bytes that coding was given
	keep    bool       // the body is wanted by an expression
	body    []byte     // the decoded body as far as it is kept, at most maxWhole
	search  []*matcher // the expressions for a body that is longer: those that refuse, and then those that require
	failed  bool       // verdict and reason stand
	verdict protocol.Verdict
	reason  string
	finding checkedFinding
}

// Begin implements [protocol.Exchange].
func (e *checkedExchange) Begin() protocol.Step {
	if len(e.send[1]) == 0 {
		return protocol.Step{Send: e.send[:1]}
	}
	return protocol.Step{Send: e.send[:]}
}

// Parser implements [protocol.Exchange].
func (e *checkedExchange) Parser() protocol.FrameParser { return &e.parser }

// OnFrame implements [protocol.Exchange].
func (e *checkedExchange) OnFrame(f protocol.Frame) protocol.Step {
	switch f.Kind {
	case http1.Head:
		return e.onHead(f.Data)
	case http1.End:
		if e.take(f.Data) {
			return e.endBody()
		}
	default:
		if e.take(f.Data) {
			return protocol.Step{}
		}
	}
	return e.finish()
}

func (e *checkedExchange) onHead(data []byte) protocol.Step {
	if e.parser.Interim() {
		e.finding.received = conclude.Received(data)
		if e.interim++; e.interim > maxInterim {
			e.fail(protocol.Refused, "no final response after 17 interim ones")
			return protocol.Step{Then: protocol.Done}
		}
		return protocol.Step{}
	}
	e.finding.received = ""
	e.finding.takeHead(&e.parser, e.target.TLS)
	if e.isRedirect() && e.followed() {
		return protocol.Step{Then: protocol.Done}
	}
	e.judgeHead()
	e.keep = !e.failed && len(e.checks().RefuseBody)+len(e.checks().RequireBody) > 0
	coded := e.checks().Compression == "gzip" || e.checks().Compression == "deflate"
	switch {
	case e.finding.refused && !e.keep && !coded:
		return e.finish() // its body tells nothing
	case coded:
		e.coding = newDecoder(e.checks().Compression, e.add)
	}
	e.finding.bodyRead = true
	if !e.parser.HasBody() {
		return e.endBody()
	}
	return protocol.Step{}
}

func (e *checkedExchange) checks() *Checks { return e.probe.checks }

// fail notes why the response is not what is wanted, if nothing else was wrong before.
func (e *checkedExchange) fail(verdict protocol.Verdict, reason string) {
	if !e.failed {
		e.failed, e.verdict, e.reason = true, verdict, reason
	}
}

// judgeHead holds status and fields against the checks.
func (e *checkedExchange) judgeHead() {
	if code, wanted := e.parser.Status(), e.checks().Status; !contains(wanted, code) {
		e.fail(protocol.Refused, unwanted(code, wanted)+e.finding.stayed())
		return
	}
	for _, f := range e.checks().RefuseField {
		e.checkField(f, false)
	}
	for _, f := range e.checks().RequireField {
		e.checkField(f, true)
	}
	e.finding.regexpFailed = e.failed
}

// checkField looks at all values of a field. With wanted one must match, else none may.
func (e *checkedExchange) checkField(f FieldCheck, wanted bool) {
	there, matched := false, []byte(nil)
	for name, value := range e.parser.Headers() {
		if bytes.EqualFold(name, []byte(f.Name)) {
			there = true
			if matched == nil && f.Regexp.Match(value) {
				matched = value
			}
		}
	}
	switch {
	case !there && !f.AllowMissing:
		e.fail(protocol.Refused, "no field "+f.Name)
	case there && wanted && matched == nil:
		e.fail(protocol.Refused, fmt.Sprintf("field %s does not match %v", f.Name, f.Regexp))
	case there && !wanted && matched != nil:
		e.fail(protocol.Refused, fmt.Sprintf("field %s is %q, which matches %v", f.Name, conclude.Quote(string(matched)), f.Regexp))
	}
}

// take takes a part of the body as it came; false when no more is wanted.
func (e *checkedExchange) take(part []byte) bool {
	if e.coding == nil {
		return e.add(part)
	}
	e.coded += int64(len(part))
	e.coding.write(part)
	return !e.coding.over
}

// Beyond sureLength a body may decode to maxRatio times its length: pages stay below 20, and what is above is made to keep a loop busy
// (deflate goes up to 1032).
const (
	sureLength = 1 << 20
	maxRatio   = 100
)

// add takes a part of the decoded body, and returns false above the limit.
func (e *checkedExchange) add(part []byte) bool {
	limit := e.checks().BodyLimit
	within := int64(len(part)) <= limit-e.finding.bodyBytes
	if !within {
		part = part[:limit-e.finding.bodyBytes]
	}
	e.finding.bodyBytes += int64(len(part))
	if e.coding != nil && e.finding.bodyBytes > max(sureLength, maxRatio*e.coded) {
		e.breakBody(protocol.OverLimit, fmt.Sprintf("body decodes to more than %d times its length", maxRatio))
		return false
	}
	if e.keep {
		e.seek(part)
	}
	if !within {
		e.breakBody(protocol.OverLimit, fmt.Sprintf("body above %d bytes", limit))
	}
	return within
}

// maxWhole is the longest body that is held against expressions at its end. A longer one is as it comes: in all that takes more time,
// but at no moment so much that others on this loop wait (an expression looks at some 10 MB a second), and no memory.
const maxWhole = 64 << 10

// seek has the expressions look for what they want in a part of the body, now or at its end.
func (e *checkedExchange) seek(part []byte) {
	if e.search == nil {
		e.body = append(e.body, part...)
		if len(e.body) <= maxWhole {
			return
		}
		for _, r := range slices.Concat(e.checks().RefuseBody, e.checks().RequireBody) {
			e.search = append(e.search, newMatcher(r))
		}
		part, e.body = e.body, nil
	}
	for _, m := range e.search {
		m.write(part)
	}
}

// matched reports for each expression, in the order of search, whether the body matches it.
func (e *checkedExchange) matched() []bool {
	var matched []bool
	if e.search == nil {
		for _, r := range slices.Concat(e.checks().RefuseBody, e.checks().RequireBody) {
			matched = append(matched, r.Match(e.body))
		}
	}
	for _, m := range e.search {
		m.finish()
		matched = append(matched, m.matched)
	}
	e.search, e.body = nil, nil
	return matched
}

// breakBody is a body that is not there to its end: what an expression would have found in it can't be told.
func (e *checkedExchange) breakBody(verdict protocol.Verdict, reason string) {
	e.fail(verdict, reason)
	e.finding.regexpFailed = e.finding.regexpFailed || e.keep
	for _, m := range e.search {
		m.finish()
	}
	e.keep, e.body, e.search = false, nil, nil
}

// endBody is the end of the body as the server has it.
func (e *checkedExchange) endBody() protocol.Step {
	if e.coding != nil {
		e.coding.finish()
	}
	return e.finish()
}

// finish judges what there is of the body, and makes the checks that come last.
func (e *checkedExchange) finish() protocol.Step {
	if c := e.coding; c != nil && c.err != nil {
		e.keep = e.keep && c.opened
		e.breakBody(protocol.Refused, fmt.Sprintf("body is not %s: %v", e.checks().Compression, c.err))
	}
	if e.keep {
		e.matchBody()
	}
	switch version := "HTTP/" + e.finding.version; {
	case len(e.checks().Versions) > 0 && !slices.Contains(e.checks().Versions, version):
		e.fail(protocol.Refused, fmt.Sprintf("version %s is not among %v", version, e.checks().Versions))
	case e.checks().RefuseTLS && e.target.TLS:
		e.fail(protocol.Refused, "over TLS")
	case e.checks().RequireTLS && !e.target.TLS:
		e.fail(protocol.Refused, "not over TLS")
	}
	return protocol.Step{Then: protocol.Done}
}

func (e *checkedExchange) matchBody() {
	matched, refuse, require := e.matched(), e.checks().RefuseBody, e.checks().RequireBody
	if i := slices.Index(matched[:len(refuse)], true); i >= 0 {
		e.fail(protocol.Refused, "body matches "+refuse[i].String())
	}
	if i := slices.Index(matched[len(refuse):], false); i >= 0 {
		e.fail(protocol.Refused, "body does not match "+require[i].String())
	}
	e.finding.regexpFailed = e.failed
}

// OnEnd implements [protocol.Exchange].
func (e *checkedExchange) OnEnd(end protocol.End, rest []byte, err error) {
	what := "the end of the body"
	if e.finding.status == 0 {
		what = "the end of the head"
		if len(rest) > 0 {
			e.finding.received = conclude.Received(rest)
		}
	}
	if e.coding != nil {
		e.coding.finish() // what can still be decoded is a figure
	}
	e.breakBody(conclude.Ended(end, err, what))
}

// Conclusion implements [protocol.Exchange].
func (e *checkedExchange) Conclusion() protocol.Conclusion {
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	if e.finding.status != 0 || e.finding.received != "" || len(e.finding.redirects) > 0 {
		f := e.finding
		c.Finding = &f
	}
	return c
}
