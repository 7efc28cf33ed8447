package tlsfacts

// generations is a bounded cache. It keeps two maps: what is put or found lies in the young one, and when that holds
// half of the budget it becomes the old one, and what was old is forgotten. So what is asked for stays, at the cost of
// one look-up and without a list to keep in order. It has no lock.
type generations[V any] struct {
	young, old map[digest]V
	budget     int // of both together, in the unit of put's cost
	used       int // by the young
}

// digest is a SHA-256: of a certificate, or of what was judged. A shorter or a weaker one would let a peer that
// finds a collision borrow another's verdict.
type digest [32]byte

func newGenerations[V any](budget int) generations[V] {
	return generations[V]{young: map[digest]V{}, budget: budget}
}

// get finds what was put under key. What was found in the old generation is the caller's to put again.
func (g *generations[V]) get(key digest) (v V, young, ok bool) {
	if v, ok = g.young[key]; ok {
		return v, true, true
	}
	v, ok = g.old[key]
	return v, false, ok
}

// put keeps v under key. What costs more than half of the budget is not kept. A key that is put twice into one
// generation counts twice, which errs on the side of less memory.
func (g *generations[V]) put(key digest, v V, cost int) {
	half := g.budget / 2
	if cost > half {
		return
	}
	if g.used+cost > half {
		g.old, g.young, g.used = g.young, map[digest]V{}, 0
	}
	g.young[key] = v
	g.used += cost
}
