package http

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
	"sonde/target"
)

// maxRedirects is how many redirects are followed.
const maxRedirects = 10

// hop is how a redirect led to where a request goes. It is never changed.
type hop struct {
	first, url *url.URL // what was asked first, and what is asked here
	led        []string // where each redirect led, without passwords
	cookies    cookies  // what servers have set on the way
	strange    bool     // secrets are kept back, since another host was come by, or the way led out of TLS
	bare       bool     // a redirect has taken the body away
}

// trail is where the redirects led; none before the first hop, which is nil.
func (h *hop) trail() []string {
	if h == nil {
		return nil
	}
	return h.led
}

// isRedirect reports whether the response leads somewhere (RFC 9110 s.15.4). A 300 leaves the choice to a person.
func (e *checkedExchange) isRedirect() bool {
	switch e.parser.Status() {
	case 301, 302, 303, 307, 308:
		return len(e.parser.Header("Location")) > 0
	}
	return false
}

// followed reports whether the redirect says it all: it leads on or, with a failure, astray. Otherwise it is judged as any
// response is.
func (e *checkedExchange) followed() bool {
	f := &e.finding
	here, err := e.here()
	if err != nil {
		return e.astray(fmt.Sprintf("the URL that was asked is none: %v", err))
	}
	there, err := here.Parse(string(e.parser.Header("Location")))
	if err != nil {
		return e.astray(fmt.Sprintf("redirect to %q, which is not a URL", conclude.Quote(f.location)))
	}
	f.counted++
	if f.refused = e.checks().StayHere || f.counted > maxRedirects; f.refused {
		return false
	}
	next, err := nextTarget(e.target, here, there)
	if err != nil {
		return e.astray(fmt.Sprintf("redirect to %q: %v", conclude.Quote(f.location), err))
	}
	f.mute = true
	f.next = next
	f.probe = e.probe.behind(e, here, there)
	if next.TLS {
		f.probe = e.checks().Secure(f.probe, !strings.EqualFold(there.Hostname(), e.first(here).Hostname()))
	}
	return true
}

func (e *checkedExchange) astray(reason string) bool {
	e.finding.mute = true
	e.fail(protocol.Refused, reason)
	return true
}

// stayed says why a redirect was not followed, behind the status that it has.
func (f *checkedFinding) stayed() string {
	if f.refused && f.counted > maxRedirects {
		return fmt.Sprintf(", after %d redirects", maxRedirects)
	}
	return ""
}

// here is the URL that was asked.
func (e *checkedExchange) here() (*url.URL, error) {
	if h := e.probe.hop; h != nil {
		return h.url, nil
	}
	scheme := "http://"
	if e.target.TLS {
		scheme = "https://"
	}
	text := Probe{}.appendHost([]byte(scheme), e.target)
	return url.Parse(string(Probe{}.appendPath(text, e.target)))
}

// first is the URL of the first hop; here is that of this one.
func (e *checkedExchange) first(here *url.URL) *url.URL {
	if h := e.probe.hop; h != nil {
		return h.first
	}
	return here
}

// nextTarget is what there names, which t at here has led to. The same host is asked at the same address.
func nextTarget(t *target.Target, here, there *url.URL) (target.Target, error) {
	next := target.Target{Tag: t.Tag, Probe: t.Probe, Path: there.RequestURI()}
	switch strings.ToLower(there.Scheme) {
	case "http":
		next.Port = 80
	case "https":
		next.Port, next.TLS = 443, true
	default:
		return next, fmt.Errorf("scheme %q is not followed", conclude.Quote(there.Scheme))
	}
	if text := there.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return next, fmt.Errorf("port %s is not 1 to 65535", conclude.Quote(text))
		}
		next.Port = uint16(port)
	}
	host := there.Hostname()
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "":
		return next, fmt.Errorf("no host")
	case strings.EqualFold(host, here.Hostname()):
		next.Addr, next.Domain = t.Addr, t.Domain
	case err == nil:
		next.Addr = addr.Unmap()
	case strings.IndexFunc(host, notHost) >= 0 || strings.Contains(host, ":"):
		return next, fmt.Errorf("%q is not a host name", conclude.Quote(host))
	default:
		next.Domain = host
	}
	return next, nil
}

// behind is the probe that asks there, to which the answer of p to e has led: what p would send, but for what
// a redirect changes (RFC 9110 s.15.4).
func (p *checked) behind(e *checkedExchange, here, there *url.URL) *checked {
	old := p.hop
	if old == nil {
		old = &hop{first: here}
	}
	location, _, _ := strings.Cut(there.Redacted(), "#")
	h := &hop{
		first: old.first, url: there, led: append(slices.Clip(old.led), conclude.Text([]byte(location))),
		cookies: old.cookies.learn(here, &e.parser),
		strange: old.strange || !within(there.Hostname(), old.first.Hostname()) || leavesTLS(here, there),
		bare:    old.bare || e.parser.Status() < 307,
	}
	next := &checked{checks: p.checks, hop: h, method: p.method}
	switch {
	case !h.bare:
		next.body = p.body
	case next.method != "HEAD":
		next.method = "GET"
	}
	// The user's own host goes along where the redirect names none (RFC 3986 s.4.2).
	if location, err := url.Parse(string(e.parser.Header("Location"))); err == nil && location.Host == "" {
		next.host = p.host
	}
	next.fields = h.fields(p.checks.first().fields, here)
	return next
}

// leavesTLS reports whether a redirect leads to where anybody on the way hears what is asked, and could have sent it.
func leavesTLS(here, there *url.URL) bool {
	return strings.EqualFold(here.Scheme, "https") && !strings.EqualFold(there.Scheme, "https")
}

// within reports whether host is top or a subdomain of it.
func within(host, top string) bool {
	host, top = strings.ToLower(host), strings.ToLower(top)
	if host == top {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err != nil && strings.HasSuffix(host, "."+top)
}

var (
	// secretFields say who we are, or what a server wants to know that.
	secretFields = []string{"authorization", "www-authenticate", "cookie", "cookie2", "proxy-authorization", "proxy-authenticate"}
	// bodyFields describe a body.
	bodyFields = []string{"content-type", "content-encoding", "content-language", "content-location"}
)

// fields are those of the request of h, of those of the first request. here is what has led to h.
func (h *hop) fields(first []Field, here *url.URL) []Field {
	var fields []Field
	own, refers, known := "", false, false
	for _, f := range first {
		name := strings.ToLower(f.Name)
		switch {
		case h.strange && slices.Contains(secretFields, name), h.bare && slices.Contains(bodyFields, name):
			continue
		case name == "cookie":
			own = f.Value
			continue
		}
		refers = refers || name == "referer"
		known = known || name == "authorization"
		fields = append(fields, f)
	}
	if user := h.url.User; user != nil && !known {
		password, _ := user.Password()
		fields = append(fields, basicAuth(user.Username(), password))
	}
	if !refers && !leavesTLS(here, h.url) { // RFC 9110 s.10.1.3
		from := *here
		from.User, from.Fragment, from.RawFragment = nil, "", ""
		fields = append(fields, Field{"Referer", from.String()})
	}
	if value := h.cookies.header(h.url, own); value != "" {
		fields = append(fields, Field{"Cookie", value})
	}
	return fields
}
