package modules

import (
	"errors"
	"strconv"
	"testing"
)

// TestHosts asks for more hosts than are kept: each is made when it is not there, and only then.
func TestHosts(t *testing.T) {
	h := &hosts{}
	made := 0
	ask := func(name string) *Module {
		m, err := h.of(name, func() (*Module, error) { made++; return &Module{Name: name}, nil })
		if err != nil || m.Name != name {
			t.Fatalf("%s: got %+v, %v", name, m, err)
		}
		return m
	}
	for i := range 3 * maxHosts {
		name := strconv.Itoa(i)
		if first := ask(name); ask(name) != first {
			t.Fatalf("%s is made twice", name)
		}
	}
	if made != 3*maxHosts || len(h.byName) != maxHosts {
		t.Errorf("%d made, %d kept, want %d and %d", made, len(h.byName), 3*maxHosts, maxHosts)
	}
	wrong := errors.New("wrong")
	for range 2 {
		if _, err := h.of("bad", func() (*Module, error) { return nil, wrong }); err != wrong {
			t.Errorf("got %v, want %v", err, wrong)
		}
	}
}
