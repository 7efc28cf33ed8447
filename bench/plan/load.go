package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"sonde/target"
)

// ErrUnlike says that an address is named twice, over TLS and not, or with two paths: one load can't be both.
var ErrUnlike = errors.New("named twice, and not alike")

// ErrNoTarget says that what was named gives no target.
var ErrNoTarget = errors.New("there is no target")

// ErrTooMany says that more than MaxTargets are named.
var ErrTooMany = fmt.Errorf("there are more than %d targets", MaxTargets)

// Options names the targets, as package target has them.
type Options struct {
	Args, Files []string
	Stdin       io.Reader
	Ports       []target.PortRange
	// Port is that of targets that name none, if Ports is empty; 0: they have to.
	Port    uint16
	Exclude *target.Set
	Family  target.Family
	// AllIPs takes every address of a name, not the first alone.
	AllIPs bool
	// Seed chooses the order of blocks and ranges.
	Seed uint64
	// Sources are the local addresses to dial from.
	Sources []netip.Addr
	// Lookup resolves names; default the system's resolver.
	Lookup target.LookupFunc
}

// Load reads all targets and resolves their names. Of a target that is named twice one is taken; what is excluded is left
// out. An entry that gives no target is a *target.InputError, and one that can't be connected to a *TargetError: unlike a scan, a
// load of which a part is missing is another load.
func Load(ctx context.Context, o Options) (*Plan, error) {
	named, err := read(ctx, o)
	if err != nil {
		return nil, err
	}
	addrs, err := resolve(ctx, o, named)
	if err != nil {
		return nil, err
	}
	var targets []Target
	seen := make(map[netip.AddrPort]*target.Target)
	for i := range named {
		for _, addr := range addrs[i] {
			t := named[i]
			t.Addr = addr
			at := netip.AddrPortFrom(addr, t.Port)
			if o.Exclude != nil && o.Exclude.Contains(addr) {
				continue
			}
			if other := seen[at]; other != nil {
				if other.TLS != t.TLS || other.Path != t.Path || isRedis(other) != isRedis(&t) {
					return nil, fmt.Errorf("%v is %w", at, ErrUnlike)
				}
				continue
			}
			seen[at] = &named[i]
			targets = append(targets, Target{Addr: at, Domain: t.Domain, TLS: t.TLS, Redis: isRedis(&t), Path: t.Path})
		}
	}
	return New(targets, o.Sources)
}

// schemes are those of URLs that a load takes, with their usual ports (RFC 9110 s.4.2; IANA's list of URI schemes). Each is
// named as what is spoken.
var schemes = map[string]target.Choice{
	"http":   {Name: "http", Port: 80},
	"https":  {Name: "http", Port: 443, TLS: true},
	"redis":  {Name: redis, Port: 6379},
	"rediss": {Name: redis, Port: 6379, TLS: true},
}

const redis = "redis"

func isRedis(t *target.Target) bool { return t.Probe == redis }

// read reads the targets, with names not resolved.
func read(ctx context.Context, o Options) (named []target.Target, err error) {
	in, err := target.Open(target.Options{
		Args: o.Args, Files: o.Files, Stdin: o.Stdin, Ports: o.Ports, Exclude: o.Exclude, Seed: o.Seed,
		Probes: []target.Choice{{Name: "tcp", Port: o.Port}}, Schemes: schemes,
	})
	if err != nil {
		return nil, fmt.Errorf("open the targets: %w", err)
	}
	defer in.Close() // files that were only read
	for ctx.Err() == nil {
		var t target.Target
		err := in.Next(&t)
		var bad *target.InputError
		switch {
		case err == io.EOF:
			return named, nil
		case errors.As(err, &bad) && bad.Fault == target.Excluded:
		case errors.As(err, &bad):
			return nil, bad
		case err != nil:
			return nil, fmt.Errorf("read the targets: %w", err)
		case len(named) == MaxTargets:
			return nil, ErrTooMany
		default:
			if t.Probe == schemes["http"].Name && t.Path == "" {
				t.Path = "/" // RFC 9110 s.4.2.3: it is the same, and says that there was a URL
			}
			named = append(named, t)
		}
	}
	return nil, ctx.Err()
}

// resolve returns the addresses of each target.
func resolve(ctx context.Context, o Options, named []target.Target) ([][]netip.Addr, error) {
	r := target.NewResolver(target.ResolverOptions{Lookup: o.Lookup})
	defer r.Close()
	addrs := make([][]netip.Addr, len(named))
	var mu sync.Mutex // guards failed
	var failed error
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil {
			failed = err
		}
	}
	var open sync.WaitGroup
	for i := range named {
		if named[i].Addr.IsValid() {
			addrs[i] = []netip.Addr{named[i].Addr}
			continue
		}
		open.Add(1)
		err := r.Submit(ctx, named[i].Domain, o.Family, func(found []netip.Addr, _ time.Duration, err error) {
			defer open.Done()
			switch {
			case err != nil:
				fail(fmt.Errorf("resolve %s: %w", named[i].Domain, err))
			case o.AllIPs:
				addrs[i] = found
			default:
				addrs[i] = found[:1]
			}
		})
		if err != nil {
			open.Done()
			fail(fmt.Errorf("resolve %s: %w", named[i].Domain, err))
			break
		}
	}
	open.Wait()
	return addrs, failed
}

// zoneOf is the interface index of an address's zone (RFC 4007 s.11), 0 for an address that needs none.
func zoneOf(addr netip.Addr) (uint32, error) {
	name := addr.Zone()
	if name == "" {
		if addr.Is6() && addr.IsLinkLocalUnicast() {
			return 0, &TargetError{fmt.Sprintf("%v is link-local: name its interface, as in %v%%eth0", addr, addr)}
		}
		return 0, nil
	}
	if index, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(index), nil
	}
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return 0, &TargetError{fmt.Sprintf("%v: this machine has no interface %q", addr, name)}
	}
	return uint32(iface.Index), nil
}
