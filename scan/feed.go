package scan

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sonde/engine"
	"sonde/internal/kernel/socket"
	"sonde/report"
	"sonde/target"
)

// note is a record about a target that was never dialled.
type note struct {
	target target.Target
	dns    time.Duration
	judgement
}

// feeder walks the source and hands targets to the engine, those with a name by way of the resolver.
type feeder struct {
	scan     *Scan
	resolver *target.Resolver
	zones    map[string]uint32
	names    chan struct{} // closed when every name is resolved
	open     atomic.Int64  // names not resolved yet, and one for the walk itself
}

// feed runs until the source ends, ctx is cancelled or the engine stops. Then nothing more is submitted or noted.
func (s *Scan) feed(ctx context.Context) error {
	f := &feeder{
		scan:  s,
		zones: make(map[string]uint32),
		names: make(chan struct{}),
		resolver: target.NewResolver(target.ResolverOptions{
			Lookup: s.cfg.Lookup, Concurrency: s.lookups, Clock: s.clk,
		}),
	}
	defer f.resolver.Close()
	f.open.Store(1)
	err := f.walk(ctx)
	f.landed()
	select {
	case <-f.names:
	case <-ctx.Done():
	}
	return err
}

// landed counts a name as resolved.
func (f *feeder) landed() {
	if f.open.Add(-1) == 0 {
		close(f.names)
	}
}

// remainingEvery is how many targets pass between two looks at how many are left.
const remainingEvery = 64

func (f *feeder) walk(ctx context.Context) error {
	s := f.scan
	var t target.Target
	for n := uint64(0); ctx.Err() == nil; n++ {
		if n%remainingEvery == 0 {
			left, exact := s.source.Remaining()
			s.progress.left(left, exact)
		}
		err := s.source.Next(&t)
		var bad *target.InputError
		switch {
		case err == io.EOF:
			s.progress.left(0, true)
			return nil
		case errors.As(err, &bad):
			f.note(ctx, ofInputError(bad))
		case err != nil:
			return fmt.Errorf("read the targets: %w", err)
		case t.Addr.IsValid():
			if !f.submit(ctx, &t, report.Absent) {
				return nil
			}
		default:
			f.resolve(ctx, t)
		}
		s.progress.targets.Add(1)
	}
	return nil
}

func ofInputError(bad *target.InputError) note {
	n := note{target: bad.Target, dns: report.Absent, judgement: judgement{report.InvalidInput, report.SideLocal, bad.Error()}}
	if bad.Fault == target.Excluded {
		n.status, n.side = report.Blocked, report.SidePolicy
	}
	return n
}

func (f *feeder) note(ctx context.Context, n note) {
	select {
	case f.scan.notes <- n:
	case <-ctx.Done():
	}
}

// submit hands a target with an address to the engine. It reports false when the scan is over: ctx has ended or the engine
// takes no more.
func (f *feeder) submit(ctx context.Context, t *target.Target, dns time.Duration) bool {
	s := f.scan
	zone, err := f.zone(t.Addr)
	if err != nil {
		f.note(ctx, note{*t, dns, judgement{report.InvalidInput, report.SideLocal, err.Error()}})
		return true
	}
	asked := profile{t.Probe, t.TLS}
	if s.catalogue.judges(asked) {
		s.loadRoots() // a loop must not wait for files
	}
	id, err := s.flights.take(ctx)
	if err != nil {
		return false
	}
	s.flights.entries[id] = entry{target: *t, dns: dns}
	job := [1]engine.Job{{
		ID:      uint64(id),
		Remote:  socket.AddrFrom(netip.AddrPortFrom(t.Addr, t.Port), zone),
		Profile: s.catalogue.indexes[asked],
	}}
	if s.dialer != nil {
		return s.dialer.feed(ctx, job[0])
	}
	if n, _ := s.engine.Submit(ctx, job[:]); n == 0 {
		s.flights.release([]uint32{id})
		return false
	}
	return true
}

// loadSystemRoots has crypto/x509 read the system's authorities, which it does once in a process, at the first certificate that
// is judged at the latest. That is a hundred files and 40 ms, more on a network's disk, and would be on a loop, with the
// handshakes of all its connections waiting. A system without authorities is no error here: each record says so.
var loadSystemRoots = sync.OnceFunc(func() { _, _ = x509.SystemCertPool() })

// resolve asks for the address of t's name; what follows happens when the answer is there.
func (f *feeder) resolve(ctx context.Context, t target.Target) {
	f.open.Add(1)
	err := f.resolver.Submit(ctx, t.Domain, f.scan.cfg.Family, func(addrs []netip.Addr, took time.Duration, err error) {
		defer f.landed()
		f.onResolved(ctx, t, addrs, took, err)
	})
	if err != nil {
		f.landed()
	}
}

func (f *feeder) onResolved(ctx context.Context, t target.Target, addrs []netip.Addr, took time.Duration, err error) {
	cfg := &f.scan.cfg
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		side := report.SideLocal // our resolver, or our way to it
		if errors.Is(err, target.ErrNameNotFound) {
			side = report.SideRemote
		}
		f.note(ctx, note{t, took, judgement{report.DNSError, side, err.Error()}})
		return
	}
	if !cfg.AllIPs {
		addrs = addrs[:1]
	}
	for _, addr := range addrs {
		t.Addr = addr
		switch {
		case cfg.Exclude != nil && cfg.Exclude.Contains(addr):
			f.note(ctx, note{t, took, judgement{report.Blocked, report.SidePolicy, "the name's address is excluded"}})
		case !target.Routable(addr) || lacksZone(addr):
			f.note(ctx, note{t, took, judgement{report.InvalidInput, report.SideRemote,
				"the name's address can't be connected to: " + addr.String()}})
		default:
			f.submit(ctx, &t, took)
		}
	}
}

// lacksZone reports whether addr means something on one interface only and does not say on which (RFC 4007 s.6).
// connect(2) would fail with EINVAL, which tells nobody what to mend.
func lacksZone(addr netip.Addr) bool {
	return addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == ""
}

// zone returns the interface index of an address's zone (RFC 4007 s.11), 0 for an address that needs none.
func (f *feeder) zone(addr netip.Addr) (uint32, error) {
	if lacksZone(addr) {
		return 0, fmt.Errorf("%v is link-local: name its interface, as in %v%%eth0", addr, addr)
	}
	name := addr.Zone()
	if name == "" {
		return 0, nil
	}
	f.scan.zoneMu.Lock()
	defer f.scan.zoneMu.Unlock()
	if index, ok := f.zones[name]; ok {
		return index, nil
	}
	index, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		iface, err := net.InterfaceByName(name)
		if err != nil {
			return 0, fmt.Errorf("%v: this machine has no interface %q", addr, name)
		}
		index = uint64(iface.Index)
	}
	f.zones[name] = uint32(index)
	return uint32(index), nil
}
