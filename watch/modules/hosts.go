package modules

import "sync"

// maxHosts is for how many hosts a module is kept compiled: each costs milliseconds to make, most of them to try what TLS is to offer.
const maxHosts = 256

// hosts are the forms of a module for hosts that were asked for by name. They are those of what the module's files held when it was
// compiled, and go with it when a reload finds another.
type hosts struct {
	mu     sync.Mutex
	byName map[string]*Module
}

// of returns the form for a host. compile makes it if need be, one at a time: others may have the processors.
func (h *hosts) of(name string, compile func() (*Module, error)) (*Module, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, ok := h.byName[name]; ok {
		return m, nil
	}
	m, err := compile()
	if err != nil {
		return nil, err
	}
	if len(h.byName) == maxHosts {
		for one := range h.byName { // any: who asks for more hosts in turn still finds most of them
			delete(h.byName, one)
			break
		}
	}
	if h.byName == nil {
		h.byName = make(map[string]*Module)
	}
	h.byName[name] = m
	return m, nil
}
