package enumerate

import (
	"slices"

	"sonde/probes/internal/tlsfacts"
	"sonde/protocol/tlswire"
)

// versionSurvey finds the versions from the highest down: a server answers with the highest that it has of those offered
// (RFC 8446 s.4.2.1, RFC 5246 s.E.1), so that the next offer ends below its answer. After a refusal it ends one version
// lower: some servers refuse what they do not know instead of choosing. A refusal by protocol_version, from a server that
// knows how to choose, says that there is nothing left.
type versionSurvey struct {
	from, top tlswire.Version
	to        tlswire.Version // of the next offer
	groups    func(tlswire.Version) []tlswire.Group
	hello     int  // which of the hellos' suites are offered
	suites    bool // it was refused for the suites
	found     []tlswire.Version
}

func (s *versionSurvey) ask() (offer, bool) {
	for {
		if s.to < s.from {
			// If it takes none of the common suites it may take rare ones, for which there are more hellos.
			if len(s.found) > 0 || !s.suites || s.hello+1 >= len(hellosOf(suitesOf(tlswire.TLS12))) {
				return offer{}, false
			}
			s.hello++
			s.suites, s.to = false, min(s.top, tlswire.TLS12)
			continue
		}
		if suites := s.offered(); len(suites) > 0 {
			groups := s.groups(s.to)
			if s.to == tlswire.TLS13 && s.from < s.to {
				groups = merged(groups, s.groups(tlswire.TLS12))
			}
			return offer{from: s.from, to: s.to, suites: suites, groups: groups}, true
		}
		s.to--
	}
}

// offered are the suites of the next offer; none if this version has no such hello.
func (s *versionSurvey) offered() []tlswire.CipherSuite {
	var suites []tlswire.CipherSuite
	if s.to == tlswire.TLS13 {
		suites = slices.Clone(suitesOf(tlswire.TLS13))
	}
	if s.from < tlswire.TLS13 {
		for _, c := range hellosOf(suitesOf(tlswire.TLS12))[s.hello] { // which has all that fit an older version
			if fits(c, min(s.to, tlswire.TLS12)) {
				suites = append(suites, c)
			}
		}
	}
	return suites
}

func (s *versionSurvey) hear(a answer) {
	switch {
	case a.accepted:
		s.found = append(s.found, a.version)
		s.to = a.version - 1
	case a.alert == tlswire.AlertProtocolVersion && len(s.found) > 0:
		s.to = s.from - 1
	default:
		if s.to--; s.hello > 0 && len(s.found) == 0 {
			s.to = s.from - 1 // TLS 1.2 stands for all below it: a server that refuses is asked once a hello
		}
		s.suites = s.suites || a.alert == tlswire.AlertHandshakeFailure || a.alert == tlswire.AlertInsufficientSecurity
	}
}

func merged(a, b []tlswire.Group) []tlswire.Group {
	a = slices.Clone(a)
	for _, g := range b {
		if !slices.Contains(a, g) {
			a = append(a, g)
		}
	}
	return a
}

// suiteSurvey finds the suites of one version. There are too many for one hello, so each hello's are found apart, in
// order; then it asks whether that order is the server's; and if it is, the lists are merged by having the server choose
// among their heads.
type suiteSurvey struct {
	version tlswire.Version
	groups  []tlswire.Group
	hellos  [][]tlswire.CipherSuite // not asked yet
	rest    []tlswire.CipherSuite   // of the hello that is being asked
	lists   [][]tlswire.CipherSuite // found, one list a hello; while they are merged what is left of each
	joined  []tlswire.CipherSuite   // of the lists, merged
	stage   suiteStage
	pair    [2]tlswire.CipherSuite // in the order in which the server chose them
	order   tlsfacts.Tri
}

type suiteStage uint8

const (
	finding   suiteStage = iota // each hello's suites
	comparing                   // the first two of a list in the other order
	merging                     // the heads of the lists
	checking                    // as comparing, of the merged list
	known
)

func newSuiteSurvey(v tlswire.Version, groups []tlswire.Group) *suiteSurvey {
	return &suiteSurvey{version: v, groups: groups, hellos: hellosOf(suitesOf(v))}
}

func (s *suiteSurvey) ask() (offer, bool) {
	for {
		var suites []tlswire.CipherSuite
		switch s.stage {
		case finding:
			suites = s.askRest()
		case comparing:
			suites = s.askPair(slices.IndexFunc(s.lists, func(l []tlswire.CipherSuite) bool { return len(l) > 1 }))
		case merging:
			suites = s.heads()
		case checking:
			if s.order == tlsfacts.Unknown {
				s.lists = [][]tlswire.CipherSuite{s.joined}
				s.joined = nil
				suites = s.askPair(slices.IndexFunc(s.lists, func(l []tlswire.CipherSuite) bool { return len(l) > 1 }))
			}
		case known:
			return offer{}, false
		}
		if len(suites) > 0 {
			return offer{from: s.version, to: s.version, suites: slices.Clone(suites), groups: s.groups}, true
		}
		s.stage++
	}
}

// askRest returns what is left of the hello, or the next hello's.
func (s *suiteSurvey) askRest() []tlswire.CipherSuite {
	if len(s.rest) == 0 && len(s.hellos) > 0 {
		s.rest, s.hellos = slices.Clone(s.hellos[0]), s.hellos[1:]
		s.lists = append(s.lists, nil)
	}
	return s.rest
}

// askPair returns the first two of list i the other way round; nothing for i below 0.
func (s *suiteSurvey) askPair(i int) []tlswire.CipherSuite {
	if i < 0 {
		return nil
	}
	s.pair = [2]tlswire.CipherSuite(s.lists[i])
	return []tlswire.CipherSuite{s.pair[1], s.pair[0]}
}

// heads returns the first of each list; if there is but one list left it needs no asking.
func (s *suiteSurvey) heads() []tlswire.CipherSuite {
	s.lists = slices.DeleteFunc(s.lists, func(l []tlswire.CipherSuite) bool { return len(l) == 0 })
	if len(s.lists) < 2 || s.order == tlsfacts.No {
		s.joined = s.result()
		s.lists = nil
		return nil
	}
	var heads []tlswire.CipherSuite
	for _, l := range s.lists {
		heads = append(heads, l[0])
	}
	return heads
}

func (s *suiteSurvey) hear(a answer) {
	switch s.stage {
	case finding:
		if !a.accepted {
			s.rest = nil
			return
		}
		last := len(s.lists) - 1
		s.lists[last] = append(s.lists[last], a.suite)
		s.rest = slices.DeleteFunc(s.rest, func(c tlswire.CipherSuite) bool { return c == a.suite })
	case comparing, checking:
		if a.accepted {
			s.order = tlsfacts.TriOf(a.suite == s.pair[0])
		}
		s.stage++
	case merging:
		if !a.accepted { // it took each of them before; there is no telling their order any more
			s.order = tlsfacts.Unknown
			s.joined = s.result()
			s.lists = nil
			s.stage = known
			return
		}
		s.joined = append(s.joined, a.suite)
		for i, l := range s.lists {
			if l[0] == a.suite {
				s.lists[i] = l[1:]
			}
		}
	}
}

// result is what is known so far.
func (s *suiteSurvey) result() []tlswire.CipherSuite {
	return slices.Concat(append([][]tlswire.CipherSuite{s.joined}, s.lists...)...)
}

// groupSurvey finds the groups that the server takes with some suites.
type groupSurvey struct {
	version tlswire.Version
	suites  []tlswire.CipherSuite
	rest    []tlswire.Group
	found   []tlswire.Group
	untold  bool // an offer was taken, and the group can't be read
}

func (s *groupSurvey) ask() (offer, bool) {
	return offer{from: s.version, to: s.version, suites: s.suites, groups: slices.Clone(s.rest), group: true}, len(s.rest) > 0
}

func (s *groupSurvey) hear(a answer) {
	if !a.accepted {
		s.rest, s.untold = nil, a.half
		return
	}
	s.found = append(s.found, a.group)
	s.rest = slices.DeleteFunc(s.rest, func(g tlswire.Group) bool { return g == a.group })
}
