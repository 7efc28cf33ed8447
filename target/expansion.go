package target

// expansion is how one entry becomes targets: ports by choices, the choices of one port next to each other.
type expansion struct {
	port    uint16   // the only port if above 0
	ports   []uint16 // else these; if empty, each choice's own
	one     Choice   // the only choice if choices is empty
	choices []Choice
}

// count is how many targets an entry becomes: at most 65535 by the number of probes.
func (x *expansion) count() uint64 {
	count := max(len(x.choices), 1)
	if x.port == 0 {
		count *= max(len(x.ports), 1)
	}
	return uint64(count)
}

// at fills in what the k-th target has of its own, k below count: port, probe and TLS.
func (x *expansion) at(k uint64, t *Target) {
	choice, perPort := &x.one, uint64(1)
	if len(x.choices) > 0 {
		perPort = uint64(len(x.choices))
		choice = &x.choices[k%perPort]
	}
	switch {
	case x.port != 0:
		t.Port = x.port
	case len(x.ports) > 0:
		t.Port = x.ports[k/perPort]
	default:
		t.Port = choice.Port
	}
	t.Probe, t.TLS = choice.Name, choice.TLS
}

// lacksPort names a choice for which there is no port.
func (x *expansion) lacksPort() (probe string, lacks bool) {
	if x.port != 0 || len(x.ports) > 0 {
		return "", false
	}
	if len(x.choices) == 0 {
		return x.one.Name, x.one.Port == 0
	}
	for _, choice := range x.choices {
		if choice.Port == 0 {
			return choice.Name, true
		}
	}
	return "", false
}
