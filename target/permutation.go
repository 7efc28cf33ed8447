package target

import (
	"math"
	"math/bits"
)

// permutation is a keyed bijection of the numbers 0 to n-1, computed one number at a time in constant memory: the order
// in which blocks are walked, so that no subnet sees its addresses dialled in a row.
//
// It is a Feistel network over the mixed-radix pair (l, r), l < a and r < b, with a*b the least such product at or above n,
// in which each round adds a keyed function of one half to the other modulo that half's radix; a result of n or more is
// put through again ("cycle walking"). Both are from Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA
// 2002, sections 3 and 4. As a*b exceeds n by less than a, about the square root of n, walking is rare.
// The order is meant to be spread, not secret: the round function is a fast mixer, not a cipher.
type permutation struct {
	n    uint64
	a, b uint64
	keys [permutationRounds]uint64
}

// permutationRounds: three rounds suffice for the proof in section 4 when the round functions are random; six leave room
// for ours being weaker. The tests measure the spread.
const permutationRounds = 6

// newPermutation returns the permutation of 0 to n-1 that belongs to seed; n is at most 2^62. Any seed is as good as another, 0
// too.
func newPermutation(n, seed uint64) permutation {
	p := permutation{n: n}
	if n == 0 {
		return p
	}
	p.a = ceilSqrt(n)
	p.b = (n + p.a - 1) / p.a
	for i := range p.keys {
		seed += 0x9e3779b97f4a7c15 // the golden gamma of SplitMix64
		p.keys[i] = mix64(seed)
	}
	return p
}

// at returns where number i goes; i must be below n.
func (p *permutation) at(i uint64) uint64 {
	for {
		i = p.encrypt(i)
		if i < p.n {
			return i
		}
	}
}

// encrypt permutes 0 to a*b-1.
func (p *permutation) encrypt(i uint64) uint64 {
	l, r := i/p.b, i%p.b
	for round := 0; round < permutationRounds; round += 2 {
		l = addModulo(l, mix64(r^p.keys[round]), p.a)
		r = addModulo(r, mix64(l^p.keys[round+1]), p.b)
	}
	return l*p.b + r
}

// addModulo adds to x, below m, a number drawn evenly from 0 to m-1 by the top bits of random (Lemire, "Fast Random
// Integer Generation in an Interval", 2019): a multiplication where a remainder would cost a division.
func addModulo(x, random, m uint64) uint64 {
	drawn, _ := bits.Mul64(random, m)
	x += drawn
	if x >= m {
		x -= m
	}
	return x
}

// mix64 is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
func mix64(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ceilSqrt returns the least number whose square is n or more, for n up to 2^62. The float is off by a few at most.
func ceilSqrt(n uint64) uint64 {
	root := uint64(math.Sqrt(float64(n)))
	for root*root < n {
		root++
	}
	for root > 0 && (root-1)*(root-1) >= n {
		root--
	}
	return root
}
