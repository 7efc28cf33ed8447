package target

import "net/netip"

// parse4 reads a dotted-decimal IPv4 address (RFC 3986 s.3.2.2, IPv4address): four parts of 0 to 255 without leading
// zeros, for inet_aton(3) reads those as octal. It exists beside netip.ParseAddr because that one needs a string, which
// costs an allocation per line.
func parse4(b []byte) (netip.Addr, bool) {
	var octets [4]byte
	if len(b) < len("0.0.0.0") || len(b) > len("255.255.255.255") {
		return netip.Addr{}, false
	}
	part, value, digits := 0, 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			if digits > 0 && value == 0 {
				return netip.Addr{}, false
			}
			value = value*10 + int(c-'0')
			digits++
			if value > 255 {
				return netip.Addr{}, false
			}
		case c == '.' && digits > 0 && part < 3:
			octets[part] = byte(value)
			part, value, digits = part+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if part != 3 || digits == 0 {
		return netip.Addr{}, false
	}
	octets[3] = byte(value)
	return netip.AddrFrom4(octets), true
}

// parse6 reads an IPv6 address without a zone, in any form of RFC 4291 s.2.2. An IPv4-mapped address (s.2.5.5.2) comes
// back as IPv4, which is what the kernel would dial: an exclusion of the one must hold for the other.
func parse6(b []byte) (netip.Addr, bool) {
	var groups [16]byte
	at, gap := 0, -1 // bytes filled, and where "::" stands among them
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap = 0
		b = b[2:]
	}
	for len(b) > 0 {
		if at == len(groups) {
			return netip.Addr{}, false
		}
		value, digits := parseHextet(b)
		if digits < len(b) && b[digits] == '.' {
			tail, ok := parse4(b)
			if !ok || at > len(groups)-4 {
				return netip.Addr{}, false
			}
			v4 := tail.As4()
			at += copy(groups[at:], v4[:])
			b = nil
			break
		}
		if digits == 0 {
			return netip.Addr{}, false
		}
		groups[at], groups[at+1] = byte(value>>8), byte(value)
		at += 2
		b = b[digits:]
		if len(b) == 0 {
			break
		}
		if len(b) < 2 || b[0] != ':' {
			return netip.Addr{}, false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap >= 0 {
				return netip.Addr{}, false
			}
			gap = at
			b = b[1:]
		}
	}
	return assemble6(groups, at, gap)
}

// assemble6 opens the gap that "::" stands for. A "::" stands for at least one group (RFC 5952 s.4.2.2 advises against just
// one, RFC 4291 allows it).
func assemble6(groups [16]byte, filled, gap int) (netip.Addr, bool) {
	if gap < 0 {
		return netip.AddrFrom16(groups).Unmap(), filled == len(groups)
	}
	if filled == len(groups) {
		return netip.Addr{}, false
	}
	var whole [16]byte
	copy(whole[:], groups[:gap])
	copy(whole[len(whole)-(filled-gap):], groups[gap:filled])
	return netip.AddrFrom16(whole).Unmap(), true
}

// parseHextet reads at most four hex digits at the start of b.
func parseHextet(b []byte) (value, digits int) {
	for digits < len(b) && digits < 4 {
		c := b[digits]
		switch {
		case c >= '0' && c <= '9':
			value = value<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			value = value<<4 | int(c|0x20-'a'+10)
		default:
			return value, digits
		}
		digits++
	}
	return value, digits
}

// parseAddr reads an IPv4 or IPv6 address without a zone.
func parseAddr(b []byte) (netip.Addr, bool) {
	if addr, ok := parse4(b); ok {
		return addr, true
	}
	return parse6(b)
}

// parseNumber reads a decimal number of at most limit, without sign, leading zeros or space. The length check keeps a
// long run of digits from overflowing.
func parseNumber(b []byte, limit int) (int, bool) {
	if len(b) == 0 || len(b) > 5 || len(b) > 1 && b[0] == '0' {
		return 0, false
	}
	value := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	return value, value <= limit
}

// Routable reports whether a TCP connection can have addr as its peer. It can't be 0.0.0.0/8 ("this network", RFC 1122
// s.3.2.1.3; Linux would dial itself), IPv4 multicast (RFC 5771), the limited broadcast (RFC 919 s.7), or in IPv6 the
// unspecified address (RFC 4291 s.2.5.2), multicast (s.2.7). An IPv4-mapped address is judged as IPv4. A caller checks with
// it what a name resolved to; a Source has checked the addresses that it yields.
func Routable(addr netip.Addr) bool {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsMulticast() || addr.IsUnspecified() {
		return false
	}
	if !addr.Is4() {
		return true
	}
	octets := addr.As4()
	return octets[0] != 0 && octets != [4]byte{255, 255, 255, 255}
}

// unroutable4 and unroutable6 are the same rule as spans, to cut out of blocks. IPv4-mapped space is cut out of IPv6 blocks
// because no peer has such an address (RFC 4291 s.2.5.5.2): a block there is an IPv4 block and is kept as one.
func unroutable4() spans[num4] {
	return spans[num4]{{0, 0x00ffffff}, {0xe0000000, 0xefffffff}, {0xffffffff, 0xffffffff}}
}

func unroutable6() spans[num6] {
	return spans[num6]{
		{num6{}, num6{}},
		{num6{0, 0xffff_0000_0000}, num6{0, 0xffff_ffff_ffff}},
		{num6{0xff00 << 48, 0}, num6{^uint64(0), ^uint64(0)}},
	}
}
