package enumerate

import (
	"slices"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol/tlswire"
)

// plan decides what is asked next, survey by survey:
//
//	versions ─► suites of each version, the highest first ─► groups of TLS 1.3 ─► of the highest version before it
//
// The versions are found out in any case, for the others depend on them.
type plan struct {
	want     probes.TLSOptions
	versions versionSurvey
	suites   []*suiteSurvey
	groups   []*groupSurvey
	pending  []survey // not finished; the first one is being asked
	laid     int      // how many of the three kinds are in pending or done
}

// survey is a row of questions. ask returns the next offer, or false when all is known; hear takes the answer to it.
type survey interface {
	ask() (offer, bool)
	hear(answer)
}

func newPlan(o probes.TLSOptions) *plan {
	p := &plan{want: o}
	from, to := o.MinVersion, o.MaxVersion
	if from == 0 {
		from = tlswire.SSL30
	}
	if to == 0 {
		to = tlswire.TLS13
	}
	p.versions = versionSurvey{from: max(from, tlswire.SSL30), top: min(to, tlswire.TLS13), to: min(to, tlswire.TLS13), groups: p.candidates}
	p.pending = []survey{&p.versions}
	return p
}

func (p *plan) ask() (offer, bool) {
	for {
		for len(p.pending) > 0 {
			if o, ok := p.pending[0].ask(); ok {
				return o, true
			}
			p.pending = p.pending[1:]
		}
		switch p.laid++; p.laid {
		case 1:
			p.laySuites()
		case 2:
			p.layGroups()
		default:
			return offer{}, false
		}
	}
}

// seeksVersions reports whether the question that was asked last is about versions.
func (p *plan) seeksVersions() bool { return len(p.pending) > 0 && p.pending[0] == survey(&p.versions) }

func (p *plan) hear(a answer) { p.pending[0].hear(a) }

func (p *plan) laySuites() {
	if !p.want.Enum.Ciphers {
		return
	}
	for _, v := range p.versions.found {
		s := newSuiteSurvey(v, p.candidates(v))
		p.suites = append(p.suites, s)
		p.pending = append(p.pending, s)
	}
}

// layGroups asks for curves and for finite fields apart: the one comes with suites of ECDHE, the other with DHE.
func (p *plan) layGroups() {
	if !p.want.Enum.Groups {
		return
	}
	for _, v := range p.versions.found {
		candidates := p.candidates(v)
		if v == tlswire.TLS13 {
			p.addGroups(v, p.taken(v, tlswire.KeyExchangeTLS13), candidates)
			continue
		}
		if v == tlswire.SSL30 { // can't name any
			return
		}
		curves := slices.DeleteFunc(slices.Clone(candidates), isFFDHE)
		fields := slices.DeleteFunc(slices.Clone(candidates), func(g tlswire.Group) bool { return !isFFDHE(g) })
		p.addGroups(v, p.taken(v, tlswire.KeyExchangeECDHE, tlswire.KeyExchangeECDHAnon, tlswire.KeyExchangeECDHEPSK), curves)
		p.addGroups(v, p.taken(v, tlswire.KeyExchangeDHE, tlswire.KeyExchangeDHAnon, tlswire.KeyExchangeDHEPSK), fields)
		return
	}
}

func (p *plan) addGroups(v tlswire.Version, suites []tlswire.CipherSuite, groups []tlswire.Group) {
	if len(suites) == 0 || len(groups) == 0 {
		return
	}
	s := &groupSurvey{version: v, suites: suites, rest: slices.Clone(groups)}
	p.groups = append(p.groups, s)
	p.pending = append(p.pending, s)
}

// taken returns the suites of a key exchange that the server takes in a version, or may take if nobody asked.
func (p *plan) taken(v tlswire.Version, kinds ...tlswire.KeyExchange) []tlswire.CipherSuite {
	suites := suitesOf(v)
	for _, s := range p.suites {
		if s.version == v {
			suites = s.result()
		}
	}
	var out []tlswire.CipherSuite
	for _, s := range suites {
		if len(out) < suitesPerHello && (slices.Contains(kinds, s.KeyExchange()) || v == tlswire.TLS13) {
			out = append(out, s)
		}
	}
	return out
}

// candidates are the groups to offer in a version.
func (p *plan) candidates(v tlswire.Version) []tlswire.Group {
	groups := groupsOf(v)
	if len(p.want.Groups) == 0 {
		return groups
	}
	return p.want.Groups
}

func (p *plan) tookAny() bool { return len(p.versions.found) > 0 }

// result is what is known so far.
func (p *plan) result() *tlsfacts.Enum {
	e := &tlsfacts.Enum{}
	if p.want.Enum.Versions {
		e.Versions = slices.Clone(p.versions.found)
	}
	for _, s := range p.suites {
		if suites := s.result(); len(suites) > 0 {
			e.Ciphers = append(e.Ciphers, tlsfacts.VersionCiphers{Version: s.version, Ciphers: suites, ServerOrder: s.order})
		}
	}
	for _, s := range p.groups {
		if s.untold {
			e.Incomplete = "groups of " + s.version.Word() + ": no ServerKeyExchange that can be read"
		}
		for _, g := range s.found {
			if !slices.Contains(e.Groups, g) {
				e.Groups = append(e.Groups, g)
			}
		}
	}
	return e
}
