// Package yamlflow cuts YAML into tokens as YAML 1.2 has it, where the library does otherwise: inside braces that takes each
// colon for the one behind a key, so that of {targets: [127.0.0.1:8080]} it makes a list of a mapping. A colon that neither a space
// nor a bracket or comma follows is a letter like others (YAML 1.2.2 s.7.3.3).
package yamlflow

import (
	"strings"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Tokens returns the tokens of text, and whether any of them is not as the library cut it. That is done for the entries of a list
// alone: behind a key the library leaves colons alone, and of {a:1} it makes the mapping that was meant.
func Tokens(text string) (tokens token.Tokens, mended bool) {
	cut := lexer.Tokenize(text)
	var open []token.Type // brackets
	braces := 0
	for i := 0; i < len(cut); i++ {
		t := cut[i]
		switch t.Type {
		case token.MappingStartType:
			braces++
			open = append(open, t.Type)
		case token.SequenceStartType:
			open = append(open, t.Type)
		case token.MappingEndType, token.SequenceEndType:
			if n := len(open); n > 0 {
				if open[n-1] == token.MappingStartType {
					braces--
				}
				open = open[:n-1]
			}
		case token.MappingValueType:
			if braces == 0 || open[len(open)-1] != token.SequenceStartType || !splits(cut, i) {
				break
			}
			before, after := cut[i-1], cut[i+1]
			tokens = tokens[:len(tokens)-1]
			t = token.New(before.Value+":"+after.Value, before.Origin+":"+after.Origin, before.Position)
			mended = true
			i++
		}
		tokens.Add(t)
	}
	return tokens, mended
}

// splits reports whether plain text stands on both sides of the colon, without a space.
func splits(cut token.Tokens, colon int) bool {
	if colon == 0 || colon == len(cut)-1 {
		return false
	}
	const space = " \t\r\n"
	before, after := cut[colon-1], cut[colon+1]
	return isPlain(before) && isPlain(after) &&
		strings.TrimRight(before.Origin, space) == before.Origin && strings.TrimLeft(after.Origin, space) == after.Origin
}

func isPlain(t *token.Token) bool {
	return t.CharacterType == token.CharacterTypeMiscellaneous && t.Indicator == token.NotIndicator
}
