package target

import "net/netip"

// answerCache keeps answers of a Resolver, at most size of them; the one that came first leaves first. That is less clever
// than the least recently used, and costs no list; a scan asks for a name many times in a row or once.
type answerCache struct {
	size    int
	answers map[question]keptAnswer
	ring    []question // every key of answers, once; oldest is the next to leave once the ring is full
	oldest  int
}

// keptAnswer is good until expiry, a moment of the Resolver's clock.
type keptAnswer struct {
	addrs  []netip.Addr
	err    error
	expiry int64
}

func newAnswerCache(size int) answerCache {
	return answerCache{size: size, answers: make(map[question]keptAnswer)}
}

// find returns an answer that is still good. One that is not stays until it is replaced or pushed out.
func (c *answerCache) find(q question, now int64) (keptAnswer, bool) {
	kept, ok := c.answers[q]
	return kept, ok && now < kept.expiry
}

func (c *answerCache) keep(q question, kept keptAnswer) {
	if c.size <= 0 {
		return
	}
	_, known := c.answers[q]
	c.answers[q] = kept
	switch {
	case known:
	case len(c.ring) < c.size:
		c.ring = append(c.ring, q)
	default:
		delete(c.answers, c.ring[c.oldest])
		c.ring[c.oldest] = q
		c.oldest = (c.oldest + 1) % c.size
	}
}
