package target

import "net/netip"

// reservedBlock is a line of a registry of addresses that are nobody's public server.
type reservedBlock struct{ prefix, name, source string }

// reserved4 is the IANA IPv4 Special-Purpose Address Registry (RFC 6890 s.2.2.2, kept by RFC 8190), and multicast, which has a
// registry of its own. Blocks inside a listed block are left out.
func reserved4() []reservedBlock {
	return []reservedBlock{
		{"0.0.0.0/8", "this network", "RFC 791 s.3.2"},
		{"10.0.0.0/8", "private use", "RFC 1918"},
		{"100.64.0.0/10", "shared address space", "RFC 6598"},
		{"127.0.0.0/8", "loopback", "RFC 1122 s.3.2.1.3"},
		{"169.254.0.0/16", "link local", "RFC 3927"},
		{"172.16.0.0/12", "private use", "RFC 1918"},
		{"192.0.0.0/24", "IETF protocol assignments", "RFC 6890 s.2.1"},
		{"192.0.2.0/24", "documentation (TEST-NET-1)", "RFC 5737"},
		{"192.31.196.0/24", "AS112-v4", "RFC 7535"},
		{"192.52.193.0/24", "AMT", "RFC 7450"},
		{"192.88.99.0/24", "deprecated 6to4 relay anycast", "RFC 7526"},
		{"192.168.0.0/16", "private use", "RFC 1918"},
		{"192.175.48.0/24", "direct delegation AS112 service", "RFC 7534"},
		{"198.18.0.0/15", "benchmarking", "RFC 2544"},
		{"198.51.100.0/24", "documentation (TEST-NET-2)", "RFC 5737"},
		{"203.0.113.0/24", "documentation (TEST-NET-3)", "RFC 5737"},
		{"224.0.0.0/4", "multicast", "RFC 5771"},
		{"240.0.0.0/4", "reserved, and limited broadcast", "RFC 1112 s.4, RFC 8190, RFC 919 s.7"},
	}
}

// reserved6 is the IANA IPv6 Special-Purpose Address Registry (RFC 6890 s.2.2.3, kept by RFC 8190), and multicast.
func reserved6() []reservedBlock {
	return []reservedBlock{
		{"::/128", "unspecified", "RFC 4291 s.2.5.2"},
		{"::1/128", "loopback", "RFC 4291 s.2.5.3"},
		{"64:ff9b::/96", "IPv4-IPv6 translation", "RFC 6052"},
		{"64:ff9b:1::/48", "IPv4-IPv6 translation, local use", "RFC 8215"},
		{"100::/64", "discard only", "RFC 6666"},
		{"100:0:0:1::/64", "dummy prefix", "RFC 9780"},
		{"2001::/23", "IETF protocol assignments (Teredo, ORCHID and others)", "RFC 2928"},
		{"2001:db8::/32", "documentation", "RFC 3849"},
		{"2002::/16", "6to4", "RFC 3056"},
		{"2620:4f:8000::/48", "direct delegation AS112 service", "RFC 7534"},
		{"3fff::/20", "documentation", "RFC 9637"},
		{"5f00::/16", "segment routing (SRv6) SIDs", "RFC 9602"},
		{"fc00::/7", "unique local", "RFC 4193"},
		{"fe80::/10", "link local", "RFC 4291 s.2.5.6"},
		{"ff00::/8", "multicast", "RFC 4291 s.2.7"},
	}
}

// AddReserved adds the blocks of the IANA special-purpose address registries of IPv4 and IPv6 (RFC 6890) as they stood in
// October 2025, and multicast: all that no public server has for its own. IPv4-mapped IPv6 addresses, which the registry lists
// too, count as the IPv4 addresses that they are.
func (s *Set) AddReserved() {
	for _, block := range append(reserved4(), reserved6()...) {
		prefix := netip.MustParsePrefix(block.prefix)
		s.addRange(prefix.Addr(), lastOf(prefix))
	}
	s.tidy()
}
