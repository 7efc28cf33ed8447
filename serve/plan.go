package serve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"syscall"

	"sonde/internal/kernel/socket"
	"sonde/internal/testpeer"
)

// plan is what to listen on and what to tell of it.
type plan struct {
	sites     []site
	endpoints []Endpoint
	cost      int      // descriptors that the sites take
	claim     *os.File // to the block of ports; nil if the ports were given
}

// site is an address and port of one kind.
type site struct {
	kind testpeer.Kind
	addr netip.AddrPort // the wildcard address for a healthy kind with AllLoopback
}

// onEngine reports whether the gnet engine plays the kind; a testpeer.Peer plays the others.
func (s site) onEngine() bool { return onEngine(s.kind) }

func onEngine(k testpeer.Kind) bool { return testpeer.NewSession(k) != nil && !speaksTLS(k) }

func isForLoads(k testpeer.Kind) bool {
	about, _ := testpeer.Lookup(k)
	return about.Load
}

func speaksTLS(k testpeer.Kind) bool {
	about, _ := testpeer.Lookup(k)
	return about.TLS
}

// member is a kind in the fleet and how often it is there.
type member struct {
	about   testpeer.About
	index   int // among all kinds: the kind's port, so that it stays whatever else is run
	targets int // endpoints listed
	sites   int // addresses listened on; endpoints beyond them share
}

const (
	blockSize  = 100 // ports between one base and the next, more than there are kinds
	blockTries = 20  // blocks tried; with DefaultPortBase they end at 11,740, below the ports that kernels choose from
)

// weight is a kind's part of a demonstration, of 1,000 parts.
type weight struct {
	kind testpeer.Kind
	part int
}

// plainWeights is the make-up of a demonstration without TLS. Nine in ten are healthy, as in a fleet on a common day.
var plainWeights = [...]weight{
	{testpeer.HTTP, 250}, {testpeer.SSH, 200}, {testpeer.SMTP, 90}, {testpeer.Redis, 90}, {testpeer.Echo, 80},
	{testpeer.Sink, 60}, {testpeer.FTP, 40}, {testpeer.IMAP, 40}, {testpeer.POP3, 40}, {testpeer.Refuse, 40},
	{testpeer.Delayed, 20}, {testpeer.DropSYN, 10}, {testpeer.Reset, 6}, {testpeer.CloseAtOnce, 6}, {testpeer.Silent, 6},
	{testpeer.Drip, 4}, {testpeer.Endless, 4}, {testpeer.Garbage, 4}, {testpeer.HalfClose, 4}, {testpeer.IgnoreFIN, 3},
	{testpeer.BannerReset, 3},
}

// tlsWeights is the make-up of a demonstration with TLS: each fault of the handshake is one in a hundred, and each bad
// certificate two.
var tlsWeights = [...]weight{
	{testpeer.TLS13, 220}, {testpeer.TLS12, 160}, {testpeer.TLSECDSA, 120}, {testpeer.TLSRSA, 100}, {testpeer.TLSALPN, 60},
	{testpeer.TLSResume, 60}, {testpeer.TLSNoResume, 30}, {testpeer.TLSEd25519, 30}, {testpeer.TLSStapled, 30},
	{testpeer.TLSClientCert, 30}, {testpeer.TLSExpired, 20}, {testpeer.TLSWrongName, 20}, {testpeer.TLSSelfSigned, 20},
	{testpeer.TLSSilent, 10}, {testpeer.TLSAlert, 10}, {testpeer.TLSGarbage, 10}, {testpeer.TLSHalfRecord, 10},
	{testpeer.TLSHugeCertificate, 10}, {testpeer.TLSDrip, 10}, {testpeer.TLSResetHello, 10}, {testpeer.TLSResetCertificate, 10},
	{testpeer.TLSResetFinished, 10}, {testpeer.TLSCloseHello, 10},
}

// otherWeight is the part of a kind that no demonstration has unless it is named: one that begins TLS on request.
const otherWeight = 10

// partOf is how much of a demonstration a kind is.
func partOf(k testpeer.Kind) int {
	for _, weights := range [][]weight{plainWeights[:], tlsWeights[:]} {
		for _, w := range weights {
			if w.kind == k {
				return w.part
			}
		}
	}
	return otherWeight
}

// makePlan chooses addresses and ports such that all of them are free, and descriptors such that half are left over. Ports that
// it was free to choose are no other fleet's: the plan holds a claim to them.
func makePlan(cfg Config) (plan, error) {
	members := cfg.members()
	if err := fit(members, cfg); err != nil {
		return plan{}, err
	}
	base := int(cfg.PortBase)
	if base == 0 {
		base = DefaultPortBase
	}
	for range blockTries {
		p, ports := lay(cfg, members, base)
		end := base + ports
		if cfg.PortBase == 0 {
			end = base + (ports/blockSize+1)*blockSize
		}
		if end > 1<<16 {
			return plan{}, fmt.Errorf("ports %d to %d: there are none above 65535", base, end-1)
		}
		var err error
		if cfg.PortBase == 0 {
			err = p.take(cfg, end-1)
		}
		if err == nil {
			err = p.checkFree()
		}
		if err == nil {
			return p, nil
		}
		p.giveBack()
		if cfg.PortBase != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			return plan{}, err
		}
		base = end
	}
	return plan{}, fmt.Errorf("%d blocks of ports from %d on: %w", blockTries, DefaultPortBase, syscall.EADDRINUSE)
}

// members says which kinds there are and how many targets of each.
func (c Config) members() []member {
	var members []member
	for i, a := range testpeer.Kinds() {
		if c.has(a) {
			members = append(members, member{about: a, index: i, targets: 1})
		}
	}
	if c.Demo > 0 {
		apportion(members, c.Demo)
	}
	return slices.DeleteFunc(members, func(m member) bool { return m.targets == 0 })
}

// has reports whether the fleet has a kind. One for loads must be named. A demonstration is scanned by one rule for each
// tag, which can't say how TLS is to be begun.
func (c Config) has(a testpeer.About) bool {
	if len(c.Kinds) > 0 {
		return slices.Contains(c.Kinds, a.Kind)
	}
	return a.TLS == c.TLS && !a.Load && (c.Demo == 0 || a.StartTLS == "")
}

// apportion shares total targets among the members by weight: at least one each if that is possible, else one for each of
// the heaviest.
func apportion(members []member, total int) {
	parts := make(map[testpeer.Kind]int)
	for _, m := range members {
		parts[m.about.Kind] = partOf(m.about.Kind)
	}
	heaviest := make([]*member, len(members))
	sum := 0
	for i := range members {
		heaviest[i] = &members[i]
		sum += parts[members[i].about.Kind]
	}
	slices.SortStableFunc(heaviest, func(a, b *member) int { return parts[b.about.Kind] - parts[a.about.Kind] })
	left := total
	for i, m := range heaviest {
		m.targets = 0
		if i < total {
			m.targets = max(1, total*parts[m.about.Kind]/sum)
		}
		left -= m.targets
	}
	// Rounding left a few over, or the ones of the rare kinds took a few too many: the heaviest bear it in turn.
	for i := 0; left != 0; i = (i + 1) % len(heaviest) {
		switch m := heaviest[i]; {
		case left > 0:
			m.targets++
			left--
		case m.targets > 1:
			m.targets--
			left++
		}
	}
}

// fit sets how many addresses each member listens on: all it wants if half of the descriptors suffice, else as many as do,
// and none of the rare kinds goes without while a common one has several.
func fit(members []member, cfg Config) error {
	most := 0
	for _, m := range members {
		most = max(most, m.targets)
	}
	for limit := most; limit > 0; limit-- {
		cost := 0
		for i := range members {
			m := &members[i]
			m.sites = min(m.targets, limit)
			if cfg.AllLoopback && onEngine(m.about.Kind) {
				m.sites = 1
			}
			cost += m.sites * siteCost(m.about.Kind, cfg.Loops)
		}
		if cost <= cfg.Descriptors/2 {
			return nil
		}
	}
	return fmt.Errorf("%d file descriptors are too few for %d kinds (ulimit -n raises them)", cfg.Descriptors, len(members))
}

// siteCost is how many descriptors a site takes before anyone connects.
func siteCost(k testpeer.Kind, loops int) int {
	switch {
	case k == testpeer.Refuse:
		return 2 // both ends of the connection that reserves the port
	case k == testpeer.DropSYN:
		return 2 // the listener and what fills its queue; the queued end has no descriptor
	case onEngine(k):
		return loops
	}
	return 1
}

// lay gives each site its address and port, and each target its site. ports is how many ports from base on it spans.
//
// On Linux all of 127.0.0.0/8 is there: a kind has one port, and its replicas stand on addresses of their own. Elsewhere,
// and over IPv6, there is one address, so each replica takes a port.
func lay(cfg Config, members []member, base int) (p plan, ports int) {
	manyAddrs := runtime.GOOS == "linux" && cfg.Host.Is4()
	next := 0
	for _, m := range members {
		anyAddr := cfg.AllLoopback && onEngine(m.about.Kind)
		p.cost += m.sites * siteCost(m.about.Kind, cfg.Loops)
		places := make([]netip.AddrPort, m.sites)
		for i := range places {
			if manyAddrs {
				places[i] = netip.AddrPortFrom(replicaAddr(cfg.Host, i), uint16(base+m.index))
				ports = max(ports, m.index+1)
			} else {
				places[i] = netip.AddrPortFrom(cfg.Host, uint16(base+next))
				next++
				ports = next
			}
			s := site{m.about.Kind, places[i]}
			if anyAddr {
				s.addr = netip.AddrPortFrom(netip.IPv4Unspecified(), s.addr.Port())
			}
			p.sites = append(p.sites, s)
		}
		for i := range m.targets {
			addr := places[i%len(places)]
			if anyAddr && manyAddrs {
				addr = netip.AddrPortFrom(replicaAddr(cfg.Host, i), addr.Port())
			}
			p.endpoints = append(p.endpoints, endpointOf(m, addr, i, cfg.Demo > 0))
		}
	}
	if cfg.Demo > 0 {
		rng := rand.New(rand.NewPCG(0, 0)) // the same order each time
		rng.Shuffle(len(p.endpoints), func(i, j int) { p.endpoints[i], p.endpoints[j] = p.endpoints[j], p.endpoints[i] })
	}
	return p, ports
}

func endpointOf(m member, addr netip.AddrPort, replica int, numbered bool) Endpoint {
	name := string(m.about.Kind) + ".sonde.test"
	if numbered {
		name = numberedName(m.about.Kind, replica+1)
	}
	return Endpoint{Name: name, Addr: addr, Kind: m.about.Kind, Doc: m.about.Doc, Healthy: m.about.Healthy,
		Probe: m.about.Probe, Expect: m.about.Expect, StartTLS: m.about.StartTLS}
}

// numberedName is the name of one of many targets of a kind.
func numberedName(kind testpeer.Kind, number int) string {
	return fmt.Sprintf("%s-%04d.sonde.test", kind, number)
}

// replicaAddr is the address of a kind's replica: host itself, then 127.0.1.1 to 127.0.1.250, 127.0.2.1 and so on.
// 127.0.0.x is left alone: resolvers and container engines live there.
func replicaAddr(host netip.Addr, i int) netip.Addr {
	if i == 0 {
		return host
	}
	return netip.AddrFrom4([4]byte{127, 0, byte(1 + (i-1)/250), byte(1 + (i-1)%250)})
}

// take claims the blocks of ports that end with last. Two fleets that start at once would both find a block free, and then
// meet in it.
func (p *plan) take(cfg Config, last int) (err error) {
	host := cfg.Host
	if cfg.AllLoopback {
		host = netip.IPv4Unspecified()
	}
	if p.claim, err = socket.Claim(netip.AddrPortFrom(host, uint16(last))); err != nil {
		return fmt.Errorf("claim a block of ports: %w", err)
	}
	return nil
}

// giveBack ends the claim; without one it does nothing.
func (p *plan) giveBack() {
	if p.claim != nil {
		_ = p.claim.Close() // a socket that was never connected
	}
}

// checkFree tries every site, since gnet leaves its other listeners open when one fails, and sets SO_REUSEPORT, with which
// two fleets would share a port unawares. The listeners of net don't set it and so meet EADDRINUSE.
func (p plan) checkFree() error {
	var lc net.ListenConfig
	for _, s := range p.sites {
		ln, err := lc.Listen(context.Background(), network(s.addr), s.addr.String())
		if err != nil {
			return fmt.Errorf("port for %s: %w", s.kind, err)
		}
		if err := ln.Close(); err != nil {
			return fmt.Errorf("port for %s: %w", s.kind, err)
		}
	}
	return nil
}

func network(a netip.AddrPort) string {
	if a.Addr().Is4() {
		return "tcp4" // "tcp" would make 0.0.0.0 listen on IPv6 too
	}
	return "tcp6"
}

// connLimits is how many connections may be held at once.
type connLimits struct {
	healthy int // by all healthy services together
	tls     int // by all TLS peers together
	load    int // by each peer for loads
	peer    int // by each of the other peers
}

// connLimits shares the descriptors that the listeners leave: three quarters to the healthy services, the TLS peers and the
// peers for loads, as many to each of the three, the rest to the other peers, each alike. Without other peers there is
// nothing to leave to them.
//
// The TLS peers share theirs although the faulty ones among them hold connections as long as a client lets them: a part
// for each would be one or two in a large fleet, and would do nothing for a crowd at one of them.
func (p plan) connLimits(descriptors int) connLimits {
	left := max(0, descriptors-p.cost)
	services, tlsPeers, loads, peers := 0, 0, 0, 0
	for _, s := range p.sites {
		switch {
		case s.onEngine():
			services++
		case speaksTLS(s.kind):
			tlsPeers++
		case isForLoads(s.kind):
			loads++
		default:
			peers++
		}
	}
	large := left
	if peers > 0 {
		large = left * 3 / 4
	}
	large = max(1, large/max(1, min(1, services)+min(1, tlsPeers)+min(1, loads)))
	l := connLimits{healthy: large, tls: large, load: max(1, large/max(1, loads))}
	if peers > 0 {
		l.peer = min(testpeer.DefaultMaxConns, max(1, left/4/peers))
	}
	return l
}
