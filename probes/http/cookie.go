package http

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sonde/protocol/http1"
)

// cookies is what the servers on a way have set, as far as it matters to the few requests that follow at once (RFC 6265).
// There is no list of public suffixes, and no clock: a date is held against that of the response.
type cookies []cookie

type cookie struct {
	name, value  string
	domain, path string
	hostOnly     bool // domain is the host itself, and no subdomain is meant
	secure       bool
	gone         bool // it was deleted; kept for its name
}

// maxCookies is how many cookies are kept: what browsers keep of a site (RFC 6265 s.6.1).
const maxCookies = 50

// learn returns c with the cookies that the response of from sets. c stays as it is.
func (c cookies) learn(from *url.URL, p *http1.Parser) cookies {
	now := parseDate(string(p.Header("Date")))
	learned := slices.Clone(c)
	for name, value := range p.Headers() {
		if !strings.EqualFold(string(name), "Set-Cookie") {
			continue
		}
		set, ok := parseCookie(string(value), from, now)
		if !ok {
			continue
		}
		same := func(old cookie) bool {
			return old.name == set.name && old.domain == set.domain && old.path == set.path
		}
		if i := slices.IndexFunc(learned, same); i >= 0 {
			learned[i] = set // keeps its place (s.5.3, step 11)
		} else if len(learned) < maxCookies {
			learned = append(learned, set)
		}
	}
	return learned
}

// parseCookie reads a field Set-Cookie (RFC 6265 s.5.2, s.5.3).
func parseCookie(text string, from *url.URL, now time.Time) (cookie, bool) {
	pair, rest, _ := strings.Cut(text, ";")
	name, value, found := strings.Cut(pair, "=")
	host := strings.ToLower(from.Hostname())
	c := cookie{name: strings.Trim(name, " \t"), value: strings.Trim(value, " \t"), domain: host, hostOnly: true, path: defaultPath(from)}
	if !found || c.name == "" {
		return c, false
	}
	aged := false
	for rest != "" {
		var attribute string
		attribute, rest, _ = strings.Cut(rest, ";")
		name, value, _ := strings.Cut(attribute, "=")
		value = strings.Trim(value, " \t")
		switch strings.ToLower(strings.Trim(name, " \t")) {
		case "max-age":
			if age, err := strconv.Atoi(value); err == nil {
				c.gone, aged = age <= 0, true
			}
		case "expires":
			if at := parseExpires(value); !at.IsZero() && !aged {
				c.gone = !at.After(now)
			}
		case "domain":
			value = strings.ToLower(strings.TrimPrefix(value, "."))
			_, err := netip.ParseAddr(host)
			if value != "" && value != host && (err == nil || !within(host, value) || !strings.Contains(value, ".")) {
				return c, false
			}
			c.hostOnly = value == "" || err == nil
			if value != "" {
				c.domain = value
			}
		case "path":
			if strings.HasPrefix(value, "/") {
				c.path = value
			}
		case "secure":
			c.secure = true
		}
	}
	return c, true
}

// parseExpires reads the date of a cookie, which is written with minus signs as often as with spaces.
func parseExpires(text string) time.Time {
	if at, err := time.Parse("Mon, 02-Jan-2006 15:04:05 GMT", text); err == nil {
		return at
	}
	return parseDate(text)
}

// defaultPath is the directory of what was asked (RFC 6265 s.5.1.4).
func defaultPath(from *url.URL) string {
	path := from.EscapedPath()
	if i := strings.LastIndexByte(path, '/'); i > 0 && path[0] == '/' {
		return path[:i]
	}
	return "/"
}

// header is the value of the field Cookie for a request of to: the user's own, but for those that a server has set anew, and
// the servers' (RFC 6265 s.5.4); empty for none.
func (c cookies) header(to *url.URL, own string) string {
	var pairs []string
	for pair := range strings.SplitSeq(own, ";") {
		pair = strings.Trim(pair, " \t")
		name, _, _ := strings.Cut(pair, "=")
		if pair != "" && !slices.ContainsFunc(c, func(set cookie) bool { return set.name == name }) {
			pairs = append(pairs, pair)
		}
	}
	sent := slices.Clone(c)
	slices.SortStableFunc(sent, func(a, b cookie) int { return len(b.path) - len(a.path) })
	for _, set := range sent {
		if set.goesTo(to) {
			pairs = append(pairs, set.name+"="+set.value)
		}
	}
	return strings.Join(pairs, "; ")
}

// goesTo reports whether the cookie is for a request of to.
func (c cookie) goesTo(to *url.URL) bool {
	host := strings.ToLower(to.Hostname())
	path := to.EscapedPath()
	if path == "" {
		path = "/"
	}
	switch {
	case c.gone, c.secure && to.Scheme != "https", host != c.domain && (c.hostOnly || !within(host, c.domain)):
		return false
	}
	return path == c.path || strings.HasPrefix(path, strings.TrimSuffix(c.path, "/")+"/") // s.5.1.4
}
