package http

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
)

// either is a checked probe of a target that may want TLS or not.
type either struct {
	plain  *checked
	secure probes.Probe
}

var _ probes.Probe = (*either)(nil)

// About implements [probes.Probe].
func (p *either) About() probes.About { return p.secure.About() }

// Exchange implements [probes.Probe].
func (p *either) Exchange(t *target.Target) protocol.Exchange {
	if t.TLS {
		return p.secure.Exchange(t)
	}
	return p.plain.Exchange(t)
}

// checked is a checked probe of one hop, in the clear or with TLS under it.
type checked struct {
	checks *Checks
	hop    *hop // nil: the first
	method string
	host   string  // the field Host; empty: the target's own
	fields []Field // what is sent besides, in order
	body   []byte
}

var _ probes.Probe = (*checked)(nil)

// first returns the probe of the first hop.
func (c *Checks) first() *checked {
	p := &checked{checks: c, method: c.Method, body: c.Body}
	agent, login := Field{"User-Agent", "sonde"}, c.credentials()
	hangUp := []Field{{"Connection", "close"}} // one answer is all there is (RFC 9112 s.9.6)
	for _, f := range c.Fields {
		switch strings.ToLower(f.Name) {
		case "host":
			p.host = f.Value
			continue
		case "content-length", "transfer-encoding", "trailer":
			continue
		case "user-agent":
			agent = f
			continue
		case "authorization":
			login = nil
		case "connection":
			hangUp = nil
		}
		p.fields = append(p.fields, f)
	}
	p.fields = slices.Concat([]Field{agent}, hangUp, p.fields, login)
	return p
}

// credentials is the field for them, if there are any.
func (c *Checks) credentials() []Field {
	switch {
	case c.BasicAuth != nil:
		return []Field{basicAuth(c.BasicAuth.Name, c.BasicAuth.Password)}
	case c.Bearer != "":
		return []Field{{"Authorization", "Bearer " + c.Bearer}} // RFC 6750 s.2.1
	}
	return nil
}

// basicAuth is the field that says who we are (RFC 7617 s.2).
func basicAuth(name, password string) Field {
	return Field{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}
}

// About implements [probes.Probe].
func (p *checked) About() probes.About {
	about := Probe{}.About()
	about.Options = nil
	about.Reports = slices.DeleteFunc(about.Reports, func(f probes.Field) bool {
		return f.Name == "title" || f.Name == "body_match"
	})
	about.Reports = append(about.Reports,
		probes.Field{Name: "redirects", Type: "list", Doc: "where the redirects led that came before this response, in order"})
	return about
}

// Exchange implements [probes.Probe].
func (p *checked) Exchange(t *target.Target) protocol.Exchange {
	e := &checkedExchange{probe: p, target: t}
	e.send[0], e.send[1] = p.appendRequest(nil, t), p.body
	e.parser.HeadRequest = p.method == "HEAD"
	e.finding.redirects = p.hop.trail()
	e.finding.counted = len(e.finding.redirects)
	return e
}

// appendRequest appends the head of the request for t.
func (p *checked) appendRequest(dst []byte, t *target.Target) []byte {
	place := Probe{host: p.host}
	dst = append(append(dst, p.method...), ' ')
	dst = place.appendPath(dst, t)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(place.appendHost(dst, t), "\r\n"...)
	for _, f := range p.fields {
		dst = appendField(dst, header{f.Name, f.Value})
	}
	if len(p.body) > 0 || slices.Contains([]string{"POST", "PUT", "PATCH"}, p.method) {
		dst = appendField(dst, header{"Content-Length", strconv.Itoa(len(p.body))})
	}
	return append(dst, "\r\n"...)
}
