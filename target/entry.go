package target

import (
	"bytes"
	"net/netip"
)

// entry is what one line or argument says. Its byte slices point into the line. Exactly one of these is so: first and
// last are valid (an address if they are equal and isBlock is false, else a block), or both are invalid and domain is
// set.
type entry struct {
	first, last netip.Addr // of one family; only a single address may have a zone
	isBlock     bool       // written as a CIDR or a range, though it may hold just one address
	port        uint16     // 0 if the entry names none
	domain      []byte
	tag         []byte
	isURL       bool
	scheme      string // of a URL, lower case
	path        string // of a URL: path and query
}

// refusal is why an entry gives no target.
type refusal struct {
	fault        Fault
	reason, hint string
}

func malformed(reason, hint string) *refusal { return &refusal{Malformed, reason, hint} }

const (
	fieldsHint  = "the fields are ip,domain,tag,port"
	cidrHint    = "a block is an address, a slash and 0 to 32, or 0 to 128 for IPv6"
	bracketHint = "an IPv6 address with a port is written [2001:db8::1]:443"
	portHint    = "a port is a number from 1 to 65535"
)

// maxFields is how many fields the line form has: ip,domain,tag,port.
const maxFields = 4

// parse reads b, which is trimmed, not empty and without its comment. The grammar, tried from the top:
//
//	URL       scheme "://" host [":" port] [path]
//	line      [place] "," [domain] ["," [tag] ["," [port]]]      place must not be a host name here
//	place     host [":" port] | v4 [":" port] | v6 | v6 "%" zone | "[" v6 ["%" zone] "]" [":" port]
//	block     v4 "/" bits [":" port] | v6 "/" bits [":" port] | "[" v6 "/" bits "]" [":" port]
//	range     v4 "-" (v4 | octet) [":" port] | v6 "-" v6 | "[" v6 "-" v6 "]" [":" port]
func (e *entry) parse(b []byte) *refusal {
	*e = entry{}
	comma := bytes.IndexByte(b, ',')
	if scheme := bytes.Index(b, []byte("://")); scheme >= 0 && (comma < 0 || scheme < comma) {
		return e.parseURL(b)
	}
	if comma < 0 {
		return e.parsePlace(b)
	}
	return e.parseFields(b)
}

// parseFields reads the line form.
func (e *entry) parseFields(b []byte) *refusal {
	var fields [maxFields][]byte
	for i := 0; ; i++ {
		if i == maxFields {
			return malformed("more than four fields", fieldsHint)
		}
		field, rest, more := bytes.Cut(b, []byte{','})
		fields[i] = trimSpace(field)
		if !more {
			break
		}
		b = rest
	}
	place, domain, port := fields[0], fields[1], fields[3]
	if len(place) == 0 && len(domain) == 0 {
		return malformed("neither an address nor a domain", fieldsHint)
	}
	if len(place) > 0 {
		if refused := e.parsePlace(place); refused != nil {
			return refused
		}
		if len(e.domain) > 0 {
			return malformed("a host name in the field of the address", "begin with a comma: ,domain,tag,port")
		}
	}
	if len(domain) > 0 {
		if _, ok := parseAddr(domain); ok {
			return malformed("an address in the field of the domain", fieldsHint)
		}
		if refused := checkName(domain); refused != nil {
			return refused
		}
	}
	e.domain, e.tag = domain, fields[2]
	if len(port) == 0 {
		return nil
	}
	number, ok := parsePort(port)
	switch {
	case !ok:
		return malformed("the fourth field is not a port", portHint)
	case e.port != 0 && e.port != number:
		return malformed("two different ports", "")
	}
	e.port = number
	return nil
}

// parsePlace reads everything but URLs and lines.
func (e *entry) parsePlace(b []byte) *refusal {
	if b[0] == '[' {
		return e.parseBracketed(b)
	}
	if bytes.IndexByte(b, '%') >= 0 {
		return e.parseZoned(b)
	}
	if slash := bytes.IndexByte(b, '/'); slash >= 0 {
		// Behind the slash stands a number, so that a colon there can only begin a port, even for IPv6.
		size, refused := e.cutPort(b[slash+1:])
		if refused != nil {
			return refused
		}
		return e.parseBlock(b[:slash], size)
	}
	if dash := rangeDash(b); dash > 0 {
		last := b[dash+1:]
		if bytes.Count(b[:dash], []byte{':'}) == 0 {
			var refused *refusal
			if last, refused = e.cutPort(last); refused != nil {
				return refused
			}
		}
		return e.parseRange(b[:dash], last)
	}
	colon := bytes.IndexByte(b, ':')
	if colon >= 0 && bytes.IndexByte(b[colon+1:], ':') >= 0 {
		addr, ok := parse6(b)
		if !ok {
			return malformed("not an IPv6 address", bracketHint)
		}
		e.first, e.last = addr, addr
		return nil
	}
	b, refused := e.cutPort(b)
	if refused != nil {
		return refused
	}
	if addr, ok := parse4(b); ok {
		e.first, e.last = addr, addr
		return nil
	}
	if len(b) == 0 {
		return malformed("a port without a host", "")
	}
	e.domain = b
	return checkName(b)
}

// cutPort takes ":port" off the end of b, which holds no other colon, into e.port.
func (e *entry) cutPort(b []byte) ([]byte, *refusal) {
	colon := bytes.IndexByte(b, ':')
	if colon < 0 {
		return b, nil
	}
	port, ok := parsePort(b[colon+1:])
	if !ok {
		return nil, malformed("not a port behind the colon", portHint)
	}
	e.port = port
	return b[:colon], nil
}

// parseBracketed reads "[...]" with an optional ":port". Brackets are for IPv6 only (RFC 3986 s.3.2.2).
func (e *entry) parseBracketed(b []byte) *refusal {
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return malformed("a bracket that is not closed", bracketHint)
	}
	inner, rest := b[1:end], b[end+1:]
	if bytes.IndexByte(inner, ':') < 0 {
		return malformed("no IPv6 address in the brackets", bracketHint)
	}
	if len(rest) > 0 && rest[0] != ':' {
		return malformed("something other than a port behind the brackets", bracketHint)
	}
	if _, refused := e.cutPort(rest); refused != nil {
		return refused
	}
	if bytes.IndexByte(inner, '%') >= 0 {
		return e.parseZoned(inner)
	}
	if first, size, ok := bytes.Cut(inner, []byte{'/'}); ok {
		return e.parseBlock(first, size)
	}
	if first, last, ok := bytes.Cut(inner, []byte{'-'}); ok {
		return e.parseRange(first, last)
	}
	addr, ok := parse6(inner)
	if !ok {
		return malformed("not an IPv6 address in the brackets", bracketHint)
	}
	e.first, e.last = addr, addr
	return nil
}

// parseZoned reads an IPv6 address with a zone (RFC 4007 s.11). A zone means something on this machine only, so that it is
// taken for link-local addresses alone (RFC 4291 s.2.5.6).
func (e *entry) parseZoned(b []byte) *refusal {
	addr, err := netip.ParseAddr(string(b))
	if err != nil || bytes.IndexByte(b, '/') >= 0 || bytes.IndexByte(b, ' ') >= 0 {
		return malformed("not an IPv6 address with a zone", "write fe80::1%eth0, with a port [fe80::1%eth0]:443")
	}
	if !addr.IsLinkLocalUnicast() || addr.Is4In6() {
		return malformed("a zone on an address that is not link-local", "leave out the % and what follows")
	}
	e.first, e.last = addr, addr
	return nil
}

// parseBlock reads a CIDR block (RFC 4632 s.3.1, RFC 4291 s.2.3). Bits behind the prefix are ignored, as "10.0.0.5/24" is
// what `ip address` prints.
func (e *entry) parseBlock(first, size []byte) *refusal {
	addr, ok := parseAddr(first)
	if !ok {
		return malformed("no address before the slash", cidrHint+"; a URL needs its scheme, as in http://")
	}
	isMapped := addr.Is4() && bytes.IndexByte(first, ':') >= 0
	limit := addr.BitLen()
	if isMapped {
		limit = 128
	}
	bits, ok := parseNumber(size, limit)
	if !ok {
		return malformed("not a prefix length behind the slash", cidrHint)
	}
	if isMapped {
		if bits < 96 {
			return malformed("a block that reaches beyond the IPv4-mapped addresses", "write the IPv4 block")
		}
		bits -= 96
	}
	prefix := netip.PrefixFrom(addr, bits).Masked()
	e.first, e.last, e.isBlock = prefix.Addr(), lastOf(prefix), true
	return nil
}

// lastOf returns the last address of a masked prefix.
func lastOf(prefix netip.Prefix) netip.Addr {
	first := prefix.Addr()
	if first.Is4() {
		return (number4(first) | num4(uint64(1)<<(32-prefix.Bits())-1)).addr()
	}
	n, bits := number6(first), prefix.Bits()
	if bits <= 64 {
		return num6{n.high | (1<<(64-bits) - 1), ^uint64(0)}.addr()
	}
	return num6{n.high, n.low | (1<<(128-bits) - 1)}.addr()
}

// rangeDash returns where the dash of a range stands, or -1 when b is no range. A host name may begin like one
// ("10.0.0.1-dsl.example.net"): a range has an address before the dash and behind it nothing that an address and a port
// would not have.
func rangeDash(b []byte) int {
	dash := bytes.IndexByte(b, '-')
	if dash <= 0 {
		return -1
	}
	first, ok := parseAddr(b[:dash])
	if !ok {
		return -1
	}
	for _, c := range b[dash+1:] {
		isHex := first.Is6() && c|0x20 >= 'a' && c|0x20 <= 'f'
		if !isHex && (c < '0' || c > '9') && c != '.' && c != ':' {
			return -1
		}
	}
	return dash
}

// parseRange reads a range. For IPv4 the end may be just the last octet.
func (e *entry) parseRange(first, last []byte) *refusal {
	from, okFrom := parseAddr(first)
	to, okTo := parseAddr(last)
	if octet, ok := parseNumber(last, 255); ok && okFrom && from.Is4() {
		octets := from.As4()
		octets[3] = byte(octet)
		to, okTo = netip.AddrFrom4(octets), true
	}
	switch {
	case !okFrom || !okTo || from.Is4() != to.Is4():
		return malformed("not a range of addresses", "write 10.0.0.1-10.0.0.9, 10.0.0.1-9 or 2001:db8::1-2001:db8::9")
	case to.Less(from):
		return malformed("a range that runs backwards", "")
	}
	e.first, e.last, e.isBlock = from, to, true
	return nil
}

// trimSpace cuts spaces, tabs and carriage returns off both ends.
func trimSpace(b []byte) []byte { return bytes.Trim(b, " \t\r") }

// cutComment cuts the comment off: from a "#" that begins the line or follows white space. Elsewhere "#" is part of a
// tag or a URL.
func cutComment(b []byte) []byte {
	for from := 0; ; {
		hash := bytes.IndexByte(b[from:], '#')
		if hash < 0 {
			return b
		}
		hash += from
		if hash == 0 || b[hash-1] == ' ' || b[hash-1] == '\t' {
			return b[:hash]
		}
		from = hash + 1
	}
}
