package target

import (
	"math"
	"testing"
)

// checkBijection walks the whole permutation.
func checkBijection(t *testing.T, n, seed uint64) {
	t.Helper()
	p := newPermutation(n, seed)
	seen := make([]bool, n)
	for i := range n {
		to := p.at(i)
		if to >= n {
			t.Fatalf("n=%d seed=%d: at(%d) got %d, want below n", n, seed, i, to)
		}
		if seen[to] {
			t.Fatalf("n=%d seed=%d: %d comes twice", n, seed, to)
		}
		seen[to] = true
	}
}

func TestPermutationIsBijection(t *testing.T) {
	for n := range uint64(1200) {
		checkBijection(t, n, n*7)
	}
	for _, n := range []uint64{4095, 4096, 4097, 65535, 65536, 65537, 99991, 1 << 18, 1<<18 + 1} {
		checkBijection(t, n, 0)
		checkBijection(t, n, math.MaxUint64)
	}
}

func FuzzPermutation(f *testing.F) {
	f.Add(uint64(1), uint64(0))
	f.Add(uint64(257), uint64(1))
	f.Fuzz(func(t *testing.T, n, seed uint64) { checkBijection(t, n%10_000, seed) })
}

// At the largest sizes the whole walk is out of reach: neighbours must stay below n and differ.
func TestPermutationOfLargeSizes(t *testing.T) {
	for _, n := range []uint64{1 << 32, 1<<32 + 1, 3_000_000_019, 1<<62 - 1, 1 << 62} {
		p := newPermutation(n, 5)
		seen := make(map[uint64]bool)
		for k := range uint64(1000) {
			for _, i := range []uint64{k, n/2 + k, n - 1 - k} {
				to := p.at(i)
				if to >= n || seen[to] {
					t.Fatalf("n=%d: at(%d) got %d, want below n and new", n, i, to)
				}
				seen[to] = true
			}
		}
	}
}

func TestPermutationSeeds(t *testing.T) {
	const n = 10_000
	a, again, b := newPermutation(n, 1), newPermutation(n, 1), newPermutation(n, 2)
	same := 0
	for i := range uint64(n) {
		if a.at(i) != again.at(i) {
			t.Fatalf("at(%d): got %d and %d of one seed, want one order", i, a.at(i), again.at(i))
		}
		if a.at(i) == b.at(i) {
			same++
		}
	}
	if same > 20 { // one is expected of two random orders
		t.Errorf("seeds 1 and 2: got %d of %d places alike, want next to none", same, n)
	}
}

// TestPermutationSpread measures what the walk is for. Of a random order of 2^16 addresses one step in 256 stays in its
// /24, and each 256 steps visit 162 of the 256 blocks (256 times 1-1/e).
func TestPermutationSpread(t *testing.T) {
	const n, block = 1 << 16, 256
	for seed := range uint64(8) {
		p := newPermutation(n, seed)
		stays, nextDoor := 0, 0
		last := p.at(0)
		var visited uint64
		seen := map[uint64]bool{last / block: true}
		for i := uint64(1); i < n; i++ {
			to := p.at(i)
			if to/block == last/block {
				stays++
			}
			if to == last+1 || last == to+1 {
				nextDoor++
			}
			if i%block == 0 {
				visited += uint64(len(seen))
				clear(seen)
			}
			seen[to/block] = true
			last = to
		}
		if stays < 150 || stays > 370 {
			t.Errorf("seed %d: got %d steps within one /24, want about 256", seed, stays)
		}
		if nextDoor > 20 {
			t.Errorf("seed %d: got %d steps to a neighbour, want about 2", seed, nextDoor)
		}
		if mean := float64(visited) / (n/block - 1); mean < 155 || mean > 169 {
			t.Errorf("seed %d: got %.1f of 256 blocks in 256 steps, want about 162", seed, mean)
		}
	}
}

func TestCeilSqrt(t *testing.T) {
	for _, root := range []uint64{1, 2, 3, 1000, 1<<26 + 1, 1<<31 - 1, 1 << 31} {
		for n, want := range map[uint64]uint64{root * root: root, (root-1)*(root-1) + 1: root} {
			if got := ceilSqrt(n); got != want {
				t.Errorf("ceilSqrt(%d): got %d, want %d", n, got, want)
			}
		}
	}
}

func BenchmarkPermutation(b *testing.B) {
	p := newPermutation(1<<32-12345, 1)
	var sum, i uint64
	for b.Loop() {
		sum += p.at(i)
		i++
	}
	if sum == 0 {
		b.Fatal("no work was done")
	}
}
