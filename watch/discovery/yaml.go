package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"sonde/internal/yamlflow"
)

// What the library makes of a text takes a hundred times its memory, and up to five hundred times. So a list is read in pieces.
const (
	// pieceBytes is from how many on the next group begins a new piece.
	pieceBytes = 16 << 10
	// maxPiece is the longest group, in bytes, and maxEntries what it may have of lines, commas and brackets: each takes some 1 KB.
	maxPiece   = 4 << 20
	maxEntries = 250_000
)

// parseYAML reads the same as YAML. It costs ten times as much.
func parseYAML(name string, data []byte) (*document, error) {
	var groups []*wireGroup
	line := 0
	for piece := range pieces(data) {
		some, err := parsePiece(piece)
		if err != nil {
			var at yaml.Error
			if errors.As(err, &at) && at.GetToken() != nil {
				at.GetToken().Position.Line += line
			}
			// The library repeats what it was given.
			return nil, errors.New(strings.Map(printable, clip(yaml.FormatError(err, false, false))))
		}
		if groups = append(groups, some...); groups == nil {
			groups = some // which may be an empty list
		}
		if slices.Contains(some, nil) || len(groups) > MaxTargets {
			break // the rest does not mend it
		}
		line += bytes.Count(piece, []byte{'\n'})
	}
	return newDocument(name, groups)
}

func parsePiece(piece []byte) ([]*wireGroup, error) {
	entries := 0
	for _, c := range []byte("\n,[{") {
		entries += bytes.Count(piece, []byte{c})
	}
	switch {
	case isDeep(piece):
		return nil, errors.New("nested more deeply than any list of targets")
	case len(piece) > maxPiece || entries > maxEntries:
		return nil, fmt.Errorf("a group of more than %d lines and entries, or above %d MiB, takes too much memory as YAML (write several, or JSON)", maxEntries, maxPiece>>20)
	}
	return decodeYAML(piece)
}

// pieces cuts a list between its groups: at lines that begin with a dash and a space, which is nothing else in what is well formed
// (YAML 1.2.2 s.8.2.1). What can't be cut, since it has references (s.7.1) or more documents (s.9.1), is one piece.
func pieces(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		from, at, begun, isWhole := 0, 0, false, false
		for line := range bytes.Lines(data) {
			switch isGroup := line[0] == '-' && (len(line) == 1 || bytes.IndexByte([]byte(" \t\r\n"), line[1]) >= 0); {
			case isGroup && !begun:
				begun, isWhole = true, !canCut(data[at:])
			case isGroup && at-from >= pieceBytes && !isWhole:
				if !yield(data[from:at]) {
					return
				}
				from = at
			}
			at += len(line)
		}
		yield(data[from:])
	}
}

// canCut reports whether each group of a list, from the first one on, can be read by itself.
func canCut(groups []byte) bool {
	refers := bytes.IndexByte(groups, '&') >= 0 && bytes.IndexByte(groups, '*') >= 0
	return !refers && !bytes.Contains(groups, []byte("\n---")) && !bytes.Contains(groups, []byte("\n..."))
}

// decodeYAML makes an error of the library's panics: it has some on broken input (testdata/fuzz).
func decodeYAML(data []byte) (groups []*wireGroup, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("not YAML")
		}
	}()
	if bytes.IndexByte(data, '{') >= 0 {
		if tokens, mended := yamlflow.Tokens(string(data)); mended {
			file, err := parser.Parse(tokens, 0)
			if err == nil {
				err = yaml.NodeToValue(file.Docs[0].Body, &groups, yaml.Strict())
			}
			return groups, err
		}
	}
	err = yaml.UnmarshalWithOptions(data, &groups, yaml.Strict())
	return groups, err
}

// maxDepth is how many brackets may be open in one group, or dashes begin a line. The library's time is quadratic in it.
const maxDepth = 1000

// isDeep reports whether data is nested too deeply. It takes brackets in quotes and comments for others, which maxDepth has room for.
func isDeep(data []byte) bool {
	open := 0
	for line := range bytes.Lines(data) {
		if line[0] == '-' {
			open = 0
		}
		dashes := 0
		for dashes < len(line) && (line[dashes] == '-' || line[dashes] == ' ') {
			dashes++
		}
		if bytes.Count(line[:dashes], []byte{'-'}) > maxDepth {
			return true
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open = max(0, open-1)
			}
			if open > maxDepth {
				return true
			}
		}
	}
	return false
}

func printable(c rune) rune {
	if unicode.IsPrint(c) {
		return c
	}
	return ' '
}
