package http

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"sonde/probes"
	"sonde/target"
)

// Configure implements [probes.Configurable]. It refuses what would break out of its place in the request: a CR, LF or
// space where the grammar has none (RFC 9112 s.11.2).
func (p Probe) Configure(o probes.Options) (probes.Probe, error) {
	h := o.HTTP
	if err := checkMethod("--http-method", h.Method); err != nil {
		return nil, err
	}
	if i := strings.IndexFunc(h.Host, notHost); i >= 0 {
		return nil, fmt.Errorf("--http-host: %q is not allowed in a host; give a name or address, with :port if need be", h.Host[i:i+1])
	}
	if err := checkPath(h.Path, h.Method); err != nil {
		return nil, err
	}
	p.method, p.host, p.path = h.Method, h.Host, h.Path
	p.headers = nil
	for _, text := range h.Headers {
		f, err := parseHeader(text)
		if err != nil {
			return nil, err
		}
		p.headers = append(p.headers, f)
	}
	for _, r := range h.Status {
		if r.From < 100 || r.To > 999 || r.From > r.To {
			return nil, fmt.Errorf("--http-status: %d-%d is not a range of status codes; give codes from 100 to 999, the lower first", r.From, r.To)
		}
	}
	p.status = append([]probes.StatusRange(nil), h.Status...)
	return p.configureBody(o)
}

// configureBody sets what is wanted of the body.
func (p Probe) configureBody(o probes.Options) (probes.Probe, error) {
	if o.ReadBytes < 0 || o.ReadBytes > maxBody {
		return nil, fmt.Errorf("--read-bytes: %d is out of range; give 1 to %d", o.ReadBytes, maxBody)
	}
	p.expect = o.Expect
	p.readBytes = o.ReadBytes
	if p.expect != nil {
		if p.method == "HEAD" {
			return nil, fmt.Errorf("--expect: the answer to --http-method HEAD has no body to match; use GET")
		}
		if p.readBytes == 0 {
			p.readBytes = maxBody
		}
	}
	return p, nil
}

func checkMethod(option, method string) error {
	if strings.IndexFunc(method, notToken) >= 0 {
		return fmt.Errorf("%s: %q is not a method; give one word such as GET", option, method)
	}
	if method == "CONNECT" {
		return fmt.Errorf("%s: CONNECT asks for a tunnel, not a page; use GET or HEAD", option)
	}
	return nil
}

// checkPath takes the origin form of a request target, and "*" for OPTIONS (RFC 9112 s.3.2).
func checkPath(path, method string) error {
	if path == "" || path == "*" && method == "OPTIONS" {
		return nil
	}
	if path[0] != '/' {
		return fmt.Errorf("--http-path: %q does not begin with a slash; give a path such as /health", path)
	}
	for i := range len(path) {
		if notPath(path[i]) {
			return fmt.Errorf("--http-path: %q is not allowed in a path; write it as %%%02X", path[i:i+1], path[i])
		}
	}
	return nil
}

// parseHeader takes "Name: value" (RFC 9112 s.5).
func parseHeader(text string) (header, error) {
	name, value, found := strings.Cut(text, ":")
	switch {
	case !found:
		return header{}, fmt.Errorf("--http-header: %q has no colon; give \"Name: value\"", text)
	case name == "" || strings.IndexFunc(name, notToken) >= 0:
		return header{}, fmt.Errorf("--http-header: %q is not a field name; give letters, digits and minus signs, then a colon", name)
	case strings.ContainsAny(value, "\r\n\x00"):
		return header{}, fmt.Errorf("--http-header: the value of %s holds a CR, LF or NUL; give one line", name)
	case strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding"):
		return header{}, fmt.Errorf("--http-header: %s promises a body, but the request has none; leave it out", name)
	}
	return header{name, strings.Trim(value, " \t")}, nil
}

// notToken reports whether r is not a tchar (RFC 9110 s.5.6.2).
func notToken(r rune) bool {
	switch {
	case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// notHost reports whether r can't stand in a Host field (RFC 9110 s.7.2, RFC 3986 s.3.2.2).
func notHost(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/?#@\\\"<>", r) }

// notPath reports whether c can't stand in a request target (RFC 3986 s.3.3, s.3.4), leaving out what servers take anyway.
func notPath(c byte) bool { return c <= ' ' || c >= 0x7f || c == '#' }

// appendRequest appends the request for t. Fields that the user gives replace ours of the same name.
func (p Probe) appendRequest(dst []byte, t *target.Target) []byte {
	method := p.method
	if method == "" {
		method = "GET"
	}
	dst = append(append(dst, method...), ' ')
	dst = p.appendPath(dst, t)
	dst = append(dst, " HTTP/1.1\r\n"...)
	if !p.given("Host") {
		dst = append(dst, "Host: "...)
		dst = p.appendHost(dst, t)
		dst = append(dst, "\r\n"...)
	}
	// Connection: close, because one answer is all we want (RFC 9112 s.9.6).
	for _, f := range [...]header{{"User-Agent", "sonde"}, {"Accept", "*/*"}, {"Connection", "close"}} {
		if !p.given(f.name) {
			dst = appendField(dst, f)
		}
	}
	for _, f := range p.headers {
		dst = appendField(dst, f)
	}
	return append(dst, "\r\n"...)
}

// given reports whether the user gives a field of that name.
func (p Probe) given(name string) bool {
	for _, f := range p.headers {
		if strings.EqualFold(f.name, name) {
			return true
		}
	}
	return false
}

func appendField(dst []byte, f header) []byte {
	dst = append(append(dst, f.name...), ": "...)
	return append(append(dst, f.value...), "\r\n"...)
}

// appendPath appends the user's path, the target's or "/". What a target's path must not hold is percent-encoded: target
// lists come from anywhere.
func (p Probe) appendPath(dst []byte, t *target.Target) []byte {
	if p.path != "" {
		return append(dst, p.path...)
	}
	if t.Path == "" || t.Path[0] != '/' {
		dst = append(dst, '/')
	}
	const hex = "0123456789ABCDEF"
	for i := range len(t.Path) {
		if c := t.Path[i]; notPath(c) {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// appendHost appends the user's host, or the target's name or address, with its port unless that is the scheme's own
// (RFC 9110 s.7.2, s.4.2). A name that can't be a host is left out in favour of the address.
func (p Probe) appendHost(dst []byte, t *target.Target) []byte {
	if p.host != "" {
		return append(dst, p.host...)
	}
	host := t.Domain
	if host == "" || strings.IndexFunc(host, notHost) >= 0 {
		if host = ""; t.Addr.IsValid() {
			host = t.Addr.Unmap().String()
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + addr.WithZone("").String() + "]"
	}
	dst = append(dst, host...)
	usual := uint16(80)
	if t.TLS {
		usual = 443
	}
	if t.Port != usual {
		dst = strconv.AppendUint(append(dst, ':'), uint64(t.Port), 10)
	}
	return dst
}
