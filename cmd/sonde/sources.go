package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// maxSources is how many addresses --source-ip may name: with all their local ports, four billion connections to one
// destination.
const maxSources = 1 << 16

// expandSources reads the values of --source-ip, addresses and blocks, and checks that each address is this machine's.
func expandSources(values []string) ([]netip.Addr, error) {
	var sources []netip.Addr
	seen := make(map[netip.Addr]bool)
	for _, value := range values {
		first, last, err := sourceRange(value)
		if err != nil {
			return nil, &usageError{text: fmt.Sprintf("--source-ip %q: %v", value, err)}
		}
		for addr := first; ; addr = addr.Next() {
			if !seen[addr] {
				if len(sources) == maxSources {
					return nil, &usageError{text: fmt.Sprintf("--source-ip %q: above %d addresses in all", value, maxSources)}
				}
				if err := checkSource(addr); err != nil {
					return nil, &usageError{fmt.Sprintf("--source-ip %q: %v", value, err), "`ip address` lists this machine's addresses"}
				}
				seen[addr] = true
				sources = append(sources, addr)
			}
			if addr == last {
				break
			}
		}
	}
	return sources, nil
}

// sourceRange is the first and the last address that value names. In an IPv4 block of four and more, the network's own
// address and its broadcast address are nobody's source (RFC 1122 s.3.2.1.3).
func sourceRange(value string) (first, last netip.Addr, err error) {
	if !strings.Contains(value, "/") {
		addr, err := netip.ParseAddr(value)
		if err != nil {
			return first, last, errors.New("want an address or a block, as in 192.0.2.7 or 192.0.2.0/28")
		}
		return addr.Unmap(), addr.Unmap(), nil
	}
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		return first, last, errors.New("want an address or a block, as in 192.0.2.7 or 192.0.2.0/28")
	}
	host := prefix.Addr().BitLen() - prefix.Bits()
	if host > 16 {
		return first, last, fmt.Errorf("a block of more than %d addresses", maxSources)
	}
	first = prefix.Masked().Addr()
	bytes := first.AsSlice()
	for bit := range host {
		bytes[len(bytes)-1-bit/8] |= 1 << (bit % 8)
	}
	last, _ = netip.AddrFromSlice(bytes)
	if first.Is4() && host >= 2 {
		return first.Next(), last.Prev(), nil
	}
	return first, last, nil
}

// checkSource reports whether addr is this machine's: only then can a socket be bound to it (bind(2), EADDRNOTAVAIL).
func checkSource(addr netip.Addr) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return fmt.Errorf("%v is not an address of this machine: %w", addr, errors.Unwrap(err))
	}
	return conn.Close()
}
