package resp

import (
	"bytes"
	"iter"
	"math"

	"sonde/protocol"
)

// Elements yields the elements of an aggregate frame in order; keys and values in turn for a Map or an Attribute, and an
// attribute inside as an element of its own, before the one that it tells about. For any other frame it yields nothing.
// The frames point into f.Data.
func Elements(f protocol.Frame) iter.Seq[protocol.Frame] {
	return func(yield func(protocol.Frame) bool) {
		if !isAggregate(f.Kind) {
			return
		}
		var p Parser
		for rest := f.Data; len(rest) > 0; {
			e, n, err := p.ParseFrame(rest)
			if err != nil || !yield(e) {
				return
			}
			rest = rest[n:]
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isText takes anything: a line's only bad bytes are CR and LF.
func isText([]byte) bool { return true }

func isBoolean(b []byte) bool { return len(b) == 1 && (b[0] == 't' || b[0] == 'f') }

// isInteger takes digits with a sign or without.
func isInteger(b []byte) bool {
	b = cutSign(b)
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}

// isInt64 takes an integer of 64 bits, as the specification limits it.
func isInt64(b []byte) bool {
	if !isInteger(b) {
		return false
	}
	limit := uint64(math.MaxInt64)
	if b[0] == '-' {
		limit++
	}
	n := uint64(0)
	for _, c := range cutSign(b) {
		d := uint64(c - '0')
		if n > (limit-d)/10 {
			return false
		}
		n = n*10 + d
	}
	return true
}

// isDouble takes [+-]digits[.digits][e[+-]digits], inf, -inf and nan.
func isDouble(b []byte) bool {
	switch string(b) {
	case "inf", "+inf", "-inf", "nan":
		return true
	}
	b, exponent, found := cutAny(b, "eE")
	if found && !isInteger(exponent) {
		return false
	}
	whole, fraction, found := bytes.Cut(b, []byte("."))
	return isInteger(whole) && (!found || len(fraction) > 0 && isDigit(fraction[0]) && isInteger(fraction))
}

func cutAny(b []byte, chars string) (before, after []byte, found bool) {
	if i := bytes.IndexAny(b, chars); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

func cutSign(b []byte) []byte {
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		return b[1:]
	}
	return b
}
