package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"sonde/internal/yamlflow"
)

// The limits of a document. Aliases can make a small file huge.
const (
	maxDepth = 32      // of mappings and lists inside each other; what is read is some eight deep
	maxNodes = 1 << 20 // that are read, through aliases as often as they are used
)

// parseYAML returns the one document of data; nil if there is nothing in it. The parser is given up at its first error.
func (r *reader) parseYAML(data []byte) (body ast.Node) {
	defer func() {
		if bug := recover(); bug != nil {
			r.fail(place{}, "", "the YAML parser can't read this: %v", bug)
			body = nil
		}
	}()
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark, as some editors write it (RFC 3629 s.6)
	tokens, _ := yamlflow.Tokens(string(data))
	if at, ok := tooDeep(tokens); ok {
		r.fail(at, "", "more than %d mappings and lists inside each other", maxDepth)
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.failSyntax(err)
		return nil
	}
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			r.fail(placeOf(d.Body), "put all into one document, without a line ---", "a second document")
			return nil
		}
		body = d.Body
	}
	return body
}

// tooDeep tells where brackets, or what may begin a block (- ? ! &) in one line, are nested deeper than maxDepth: the parser calls
// itself for each of them.
func tooDeep(tokens token.Tokens) (place, bool) {
	flow, block, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, block = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			block++
		}
		if flow > maxDepth || block > maxDepth {
			return place{line, t.Position.Column}, true
		}
	}
	return place{}, false
}

// failSyntax tells an error of the parser: its message names characters and keys, never a value.
func (r *reader) failSyntax(err error) {
	var told interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if !errors.As(err, &told) {
		r.fail(place{}, "", "not YAML: %v", err)
		return
	}
	at := place{}
	if t := told.GetToken(); t != nil && t.Position != nil {
		at = place{t.Position.Line, t.Position.Column}
	}
	hint := ""
	if strings.Contains(told.GetMessage(), "character '\t'") {
		hint = "YAML is indented by spaces, not by tabs"
	}
	r.fail(at, hint, "not YAML: %s", told.GetMessage())
}

// placeOf is where a node begins.
func placeOf(n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return placeOf(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return placeOf(n.Key)
	}
	if n == nil {
		return place{}
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// bind finds what each alias stands for: the last node that was anchored by its name and ends before it, so none stands for what
// it is in.
func (r *reader) bind(n ast.Node, depth int) {
	if depth > maxDepth {
		r.fail(placeOf(n), "", "more than %d mappings and lists inside each other", maxDepth)
		return
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			r.bind(v.Value, depth+1)
		}
	case *ast.MappingValueNode:
		r.bind(n.Value, depth+1)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			r.bind(v, depth+1)
		}
	case *ast.TagNode:
		r.bind(n.Value, depth+1)
	case *ast.AnchorNode:
		r.bind(n.Value, depth+1)
		r.anchors[nameIn(n.Name)] = n.Value
	case *ast.AliasNode:
		name := nameIn(n.Value)
		if to, ok := r.anchors[name]; ok {
			r.aliases[n] = to
			return
		}
		r.fail(placeOf(n), "", "nothing above is anchored as &%s", member("", name))
	}
}

func nameIn(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// resolve follows anchors, aliases and the tags of plain YAML to what they stand for; nil if there is nothing, which was told.
func (r *reader) resolve(n ast.Node) ast.Node {
	for {
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.AliasNode:
			to, ok := r.aliases[x]
			if !ok {
				return nil // bind told it
			}
			n = to
		case *ast.TagNode:
			switch x.Start.Value {
			case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
				n = x.Value
			default:
				r.fail(placeOf(x), "leave it out", "the tag %q is not known here", x.Start.Value)
				return nil
			}
		default:
			return n
		}
	}
}

// entry is one key of a mapping and its value.
type entry struct {
	key   string
	at    place // of the key
	value ast.Node
}

// entries are what a mapping says, what it merges (<<) behind its own; false if n is no mapping. Keys that come twice are told.
func (r *reader) entries(n ast.Node) ([]entry, bool) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, false
	}
	var list []entry
	var merged []ast.Node
	seen := make(map[string]place)
	for _, v := range values {
		if v.Key.IsMergeKey() {
			merged = append(merged, v.Value)
			continue
		}
		key, ok := scalarText(keyOf(v.Key))
		at := placeOf(v.Key)
		switch before, twice := seen[key]; {
		case !ok:
			r.fail(at, "", "a key that is no text")
		case twice:
			r.fail(at, fmt.Sprintf("the other is in line %d", before.line), "the key %q comes twice", key)
		default:
			seen[key] = at
			list = append(list, entry{key, at, v.Value})
		}
	}
	for _, m := range merged {
		for _, e := range r.mergedEntries(m) {
			if _, own := seen[e.key]; !own {
				seen[e.key] = e.at
				list = append(list, e)
			}
		}
	}
	return list, true
}

// mergedEntries are those of the mapping, or the list of mappings, that a key << names.
func (r *reader) mergedEntries(n ast.Node) []entry {
	at := placeOf(n)
	n = r.resolve(n)
	if n == nil || !r.count(at) {
		return nil
	}
	if seq, ok := n.(*ast.SequenceNode); ok {
		var all []entry
		for _, m := range seq.Values {
			list, ok := r.entries(r.resolve(m))
			if !ok {
				r.fail(placeOf(m), "", "<< merges mappings, and this is none")
			}
			all = append(all, list...) // the first that has a key gives it
		}
		return all
	}
	list, ok := r.entries(n)
	if !ok {
		r.fail(at, "", "<< merges mappings, and this is none")
	}
	return list
}

func keyOf(k ast.MapKeyNode) ast.Node {
	if m, ok := k.(*ast.MappingKeyNode); ok {
		return m.Value
	}
	return k
}

// scalarText is the text of a scalar as it stands in the file, quotes and escapes undone; false if n is no scalar.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.NullNode:
		return "", true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// quoted reports whether a scalar can only be text.
func quoted(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.LiteralNode:
		return true
	case *ast.StringNode:
		return n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
	}
	return false
}

// count notes that one more node is read; false if there are too many, which is told once.
func (r *reader) count(at place) bool {
	r.nodes++
	if r.nodes == maxNodes {
		r.fail(at, "use fewer aliases", "more than %d values", maxNodes)
	}
	return r.nodes < maxNodes
}
