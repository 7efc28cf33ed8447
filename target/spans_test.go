package target

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// universe is how many numbers the model tests play with: few, so that spans touch, overlap and reach the edges often.
const universe = 64

func randomSpans(r *rand.Rand, top num4) (spans[num4], [universe]bool) {
	var list spans[num4]
	var model [universe]bool
	for range r.IntN(8) {
		a, b := num4(r.IntN(universe)), num4(r.IntN(universe))
		if a > b {
			a, b = b, a
		}
		list = append(list, span[num4]{top + a, top + b})
		for i := a; i <= b; i++ {
			model[i] = true
		}
	}
	return list, model
}

// checkSpans compares a list with its model, and checks that it is in order.
func checkSpans(t *testing.T, what string, list spans[num4], base num4, model [universe]bool) {
	t.Helper()
	var want uint64
	for i, in := range model {
		n := base + num4(i)
		if got := list.contains(n, n); got != in {
			t.Fatalf("%s %v: contains(%d) got %v, want %v", what, list, n, got, in)
		}
		if got := contains4(list, n); got != in {
			t.Fatalf("%s %v: contains4(%d) got %v, want %v", what, list, n, got, in)
		}
		if in {
			want++
		}
	}
	if got := list.total(); got != want {
		t.Fatalf("%s %v: total got %d, want %d", what, list, got, want)
	}
	for i, run := range list {
		if run.last < run.first || i > 0 && uint64(run.first) <= uint64(list[i-1].last)+1 {
			t.Fatalf("%s %v: not in order at %d", what, list, i)
		}
	}
}

func TestSpansAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		base := num4(0)
		if r.IntN(2) == 0 {
			base = ^num4(0) - universe + 1 // the far edge, where succ would overflow
		}
		list, model := randomSpans(r, base)
		list = list.merge()
		checkSpans(t, "merge", list, base, model)

		holes, isHole := randomSpans(r, base)
		holes = holes.merge()
		for i := range model {
			model[i] = model[i] && !isHole[i]
		}
		checkSpans(t, "without", list.without(holes), base, model)
	}
}

func TestNum6(t *testing.T) {
	at := func(text string) num6 { return number6(netip.MustParseAddr(text)) }
	low, high := at("2001:db8::ffff:ffff:ffff:ffff"), at("2001:db8:0:1::")
	if low.succ() != high || high.pred() != low {
		t.Errorf("carry: got succ %v, pred %v, want %v, %v", low.succ().addr(), high.pred().addr(), high.addr(), low.addr())
	}
	if low.compare(high) >= 0 || high.compare(low) <= 0 || low.compare(low) != 0 {
		t.Error("compare: wrong across the 64-bit border")
	}
	if got := low.plus(1 << 40); got != at("2001:db8:0:1:0:ff:ffff:ffff") {
		t.Errorf("plus: got %v", got.addr())
	}
	for _, c := range []struct {
		first, last string
		size        uint64
		ok          bool
	}{
		{"::1", "::1", 1, true},
		{"2001:db8::", "2001:db8::ffff", 1 << 16, true},
		{"2001:db8::ffff:ffff:ffff:fff0", "2001:db8:0:1::f", 32, true},
		{"::", "::3fff:ffff:ffff:ffff", 1 << 62, true},
		{"::", "::7fff:ffff:ffff:fffe", 1<<63 - 1, true},
		{"::", "::7fff:ffff:ffff:ffff", 0, false},
		{"::", "::ffff:ffff:ffff:ffff", 0, false},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, false},
	} {
		size, ok := span[num6]{at(c.first), at(c.last)}.size()
		if ok != c.ok || ok && size != c.size {
			t.Errorf("size of %s-%s: got %d, %v, want %d, %v", c.first, c.last, size, ok, c.size, c.ok)
		}
	}
}

func TestMergeAtTheLastAddress(t *testing.T) {
	top := num6{^uint64(0), ^uint64(0)}
	list := spans[num6]{{num6{}, top}, {top, top}, {num6{}, num6{}}}.merge()
	if len(list) != 1 || list[0] != (span[num6]{num6{}, top}) {
		t.Errorf("merge: got %v, want one span of everything", list)
	}
}
