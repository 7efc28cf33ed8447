package words

import "strings"

// Nearest returns the word that word was most likely meant to be, or "" if none is near. A word of which it is the
// beginning comes first; else at most a third of the letters may differ, and of two that are equally near the one
// that begins more alike is meant.
func Nearest(word string, words []string) string {
	best, bestDistance := "", max(len(word)/3, 1)+1
	for _, w := range words {
		d := distance(word, w)
		if len(word) >= 3 && strings.HasPrefix(w, word) {
			d = 0
		}
		if d < bestDistance || d == bestDistance && best != "" && commonStart(word, w) > commonStart(word, best) {
			best, bestDistance = w, d
		}
	}
	return best
}

// commonStart is with how many equal bytes a and b begin.
func commonStart(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// distance is how many letters must be put in, taken out, replaced or swapped with their neighbour to make a into b
// (optimal string alignment). It counts bytes: flags are ASCII.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
