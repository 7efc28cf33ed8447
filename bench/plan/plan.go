// Package plan says where the connections of a load go, and whether this machine has room for them, before anything is
// opened.
//
// Connections take the targets in turn, and for each target the source addresses in turn: connection i goes to target
// i mod T from source i/T mod S. So each pair of (source, destination) carries its even share. Of a pair's local ports no
// more than [MaxPerPair] are used: above that the kernel searches longer and longer for one that is free, and what is
// measured is that search.
package plan

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"sonde/engine"
	"sonde/internal/kernel/socket"
	"sonde/target"
)

const (
	// MaxPerPair is the most connections at once from one source address to one destination (address and port). Up to it a
	// connect costs the same; beyond it was measured at 10 to 25 times that (23 us, then 212 to 619 us).
	MaxPerPair = 12_000
	// MaxTargets is the most targets that are taken: with one source they carry 786 million connections.
	MaxTargets = 1 << 16
)

// Target is a destination.
type Target struct {
	Addr netip.AddrPort `json:"addr"`
	// Domain is the name as the user gave it, empty for a bare address.
	Domain string `json:"domain,omitempty"`
	// TLS says that its URL wants it, Redis that it is one of Redis; Path is that of an HTTP URL, empty without one.
	TLS   bool   `json:"tls,omitempty"`
	Redis bool   `json:"redis,omitempty"`
	Path  string `json:"path,omitempty"`

	remote socket.Addr
}

// Target is t as the layers above the engine want it.
func (t *Target) Target() target.Target {
	return target.Target{Addr: t.Addr.Addr(), Port: t.Addr.Port(), Domain: t.Domain, TLS: t.TLS, Path: t.Path}
}

// Host is what a Host field (RFC 9110 s.7.2) says: the name or the address, and the port unless it is usual.
func (t *Target) Host(usual uint16) string {
	host := t.Domain
	if host == "" {
		host = t.Addr.Addr().WithZone("").String()
	}
	switch {
	case t.Addr.Port() != usual:
		return net.JoinHostPort(host, strconv.Itoa(int(t.Addr.Port())))
	case t.Addr.Addr().Is6() && t.Domain == "":
		return "[" + host + "]"
	}
	return host
}

// Plan is where connections go. It is immutable and safe for concurrent use.
type Plan struct {
	targets []Target
	sources []netip.Addr
	// ofFamily holds for IPv4 and IPv6 the places in sources, counted from 1 as engine.Job has them.
	ofFamily [2][]uint16
}

// TargetError says why a target can't be connected to from here.
type TargetError struct{ Reason string }

// Error implements error.
func (e *TargetError) Error() string { return e.Reason }

// New makes a plan over targets and sources, which it keeps. Without sources the kernel chooses. It fails with ErrNoTarget, or with a
// *TargetError for one that no source can reach.
func New(targets []Target, sources []netip.Addr) (*Plan, error) {
	if len(targets) == 0 {
		return nil, ErrNoTarget
	}
	p := &Plan{targets: targets, sources: sources}
	for i, s := range sources {
		f := family(s)
		p.ofFamily[f] = append(p.ofFamily[f], uint16(i+1))
	}
	for i := range targets {
		t := &targets[i]
		if !target.Routable(t.Addr.Addr()) {
			return nil, &TargetError{unroutable(t)}
		}
		zone, err := zoneOf(t.Addr.Addr())
		if err != nil {
			return nil, err
		}
		t.remote = socket.AddrFrom(t.Addr, zone)
		if len(sources) > 0 && len(p.ofFamily[family(t.Addr.Addr())]) == 0 {
			return nil, &TargetError{fmt.Sprintf("no source address is of the family of %v", t.Addr)}
		}
	}
	return p, nil
}

func unroutable(t *Target) string {
	if t.Domain == "" {
		return fmt.Sprintf("%v can't be connected to", t.Addr.Addr())
	}
	return fmt.Sprintf("%s has the address %v, which can't be connected to", t.Domain, t.Addr.Addr())
}

// First is the plan over the first n of its targets alone, 1 at least.
func (p *Plan) First(n int) *Plan {
	first := *p
	first.targets = p.targets[:min(max(n, 1), len(p.targets))]
	return &first
}

// family is 0 for IPv4 and 1 for IPv6.
func family(ip netip.Addr) int {
	if ip.Unmap().Is4() {
		return 0
	}
	return 1
}

// Targets are the destinations, in the order in which they are taken. The caller does not change them.
func (p *Plan) Targets() []Target { return p.targets }

// Target is the destination of connection i.
func (p *Plan) Target(i uint64) *Target { return &p.targets[i%uint64(len(p.targets))] }

// Job asks the engine for connection i, with that as its id. The engine's Config.Sources are to be Sources.
func (p *Plan) Job(i uint64) engine.Job {
	t := p.Target(i)
	job := engine.Job{ID: i, Remote: t.remote}
	if own := p.ofFamily[family(t.Addr.Addr())]; len(own) > 0 {
		job.Source = own[i/uint64(len(p.targets))%uint64(len(own))]
	}
	return job
}

// Sources are the local addresses to dial from; none if the kernel chooses. The caller does not change them.
func (p *Plan) Sources() []netip.Addr { return p.sources }

// Pairs is how many pairs of (source, destination) there are with an even share each: all targets by the sources of the
// family that has fewer.
func (p *Plan) Pairs() int {
	if len(p.sources) == 0 {
		return len(p.targets)
	}
	fewest := len(p.sources)
	for i := range p.targets {
		fewest = min(fewest, len(p.ofFamily[family(p.targets[i].Addr.Addr())]))
	}
	return len(p.targets) * fewest
}
