package target

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Zone returns the index of the interface that addr names by its zone (RFC 4007 s.11), which may be a number; 0 without one. An
// error says that a link-local address has none (fe80::/10: it may be on any link), or that there is no such interface.
func Zone(addr netip.Addr) (uint32, error) {
	name := addr.Zone()
	if name == "" {
		if addr.Is6() && addr.IsLinkLocalUnicast() {
			return 0, fmt.Errorf("%v is link-local: name its interface, as in %v%%eth0", addr, addr)
		}
		return 0, nil
	}
	if index, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(index), nil
	}
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return 0, fmt.Errorf("%v: this machine has no interface %q", addr, name)
	}
	return uint32(iface.Index), nil
}
