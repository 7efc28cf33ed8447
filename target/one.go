package target

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ReadOne reads an entry that names one target, in any form but a block or a range. usual is the probe of an entry that chooses none;
// schemes are those of URLs, in lower case. It is for whoever has entries one by one; [Inputs] reads lists.
func ReadOne(text string, usual Choice, schemes map[string]Choice) (Target, error) {
	var e entry
	b := trimSpace([]byte(text))
	if len(b) == 0 {
		return Target{}, errors.New("empty")
	}
	if refused := e.parse(b); refused != nil {
		return Target{}, refused.err()
	}
	switch {
	case e.isBlock:
		return Target{}, errors.New("a block or range, where one target is wanted")
	case e.first.IsValid() && !Routable(e.first):
		return Target{}, errors.New("no TCP connection can have this address as its peer")
	}
	choice := usual
	if e.isURL {
		var ok bool
		if choice, ok = schemes[e.scheme]; !ok {
			known := "none"
			if len(schemes) > 0 {
				known = strings.Join(slices.Sorted(maps.Keys(schemes)), "://, ") + "://"
			}
			return Target{}, fmt.Errorf("a URL of %q is not for the probe %s, which takes %s", clip([]byte(e.scheme)), usual.Name, known)
		}
	}
	port := e.port
	if port == 0 {
		port = choice.Port
	}
	if port == 0 {
		return Target{}, fmt.Errorf("no port, and the probe %s has no usual one (write host:port)", choice.Name)
	}
	return Target{
		Addr: e.first, Port: port, Domain: string(e.domain), Tag: string(e.tag), Probe: choice.Name, TLS: choice.TLS, Path: e.path,
	}, nil
}

func (r *refusal) err() error {
	if r.hint == "" {
		return errors.New(r.reason)
	}
	return fmt.Errorf("%s (%s)", r.reason, r.hint)
}
