package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"sonde/internal/words"
)

// reader fills structs from the nodes of one file and goes on behind whatever is wrong, so that all of it is told.
//
// A field is read under the key of its tag `yaml:"key,options"`. With "inline" the fields of an embedded struct are read as its
// own. A slice with "keyed" is written as a mapping: the keys are the Name of its elements, the values the rest; with "pairs" the
// values are the Value. What a struct holds before it is read are its defaults.
type reader struct {
	file     string
	errs     Errors
	warnings []Warning
	anchors  map[string]ast.Node
	aliases  map[*ast.AliasNode]ast.Node
	nodes    int
	// places are where values stand, by their address; a value that the file does not have is not in it.
	places map[any]place
	// refused are the keys that blackbox_exporter has and sonde has not, of the module that is being read.
	refused []refusal
}

// refusal is a key that can't be done.
type refusal struct {
	at        place
	path, why string
}

// selfReader is a type with a form of its own.
type selfReader interface {
	read(r *reader, n ast.Node, path string)
}

// defaulter is a struct whose zero value is not its default.
type defaulter interface{ setDefaults() }

// at is where the value stands that p points to; of a value that the file does not have, where the first of others stands that it
// has.
func (r *reader) at(p any, others ...any) place {
	for _, p := range append([]any{p}, others...) {
		if at, ok := r.places[p]; ok {
			return at
		}
	}
	return place{}
}

// has reports whether the file has the value that p points to.
func (r *reader) has(p any) bool {
	_, ok := r.places[p]
	return ok
}

// value reads n into v, which can be set. path names it in errors.
func (r *reader) value(n ast.Node, v reflect.Value, path string) {
	at := placeOf(n)
	if n = r.resolve(n); n == nil || !r.count(at) {
		return
	}
	r.places[v.Addr().Interface()] = at
	if n.Type() == ast.NullType && v.Type() != reflect.TypeFor[Module]() {
		return // as if it were not there
	}
	if self, ok := v.Addr().Interface().(selfReader); ok {
		self.read(r, n, path)
		return
	}
	if s, ok := scalars[v.Type()]; ok {
		r.scalar(n, v, s, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, v.Elem(), path)
	case reflect.Struct:
		if d, ok := v.Addr().Interface().(defaulter); ok {
			d.setDefaults()
		}
		r.structure(n, v, path)
	case reflect.Slice:
		r.list(n, v, path)
	default:
		r.scalar(n, v, kinds[v.Kind()], path)
	}
}

// scalar reads a value that is one text.
func (r *reader) scalar(n ast.Node, v reflect.Value, s scalar, path string) {
	text, ok := scalarText(n)
	if !ok {
		r.fail(placeOf(n), "", "%s: want %s, got %s", path, s.want, kindOf(n))
		return
	}
	value, err := s.parse(text, quoted(n))
	if err != nil {
		hint := ""
		if m, ok := err.(*mendable); ok {
			hint = m.hint
		}
		r.fail(placeOf(n), hint, "%s: %v", path, err)
		return
	}
	v.Set(reflect.ValueOf(value).Convert(v.Type()))
}

// kindOf says what a node is.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// list reads a list into a slice.
func (r *reader) list(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		hint := ""
		if _, single := scalarText(n); single {
			hint = "put it into brackets: [...]"
		}
		r.fail(placeOf(n), hint, "%s: want a list, got %s", path, kindOf(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, e := range seq.Values {
		r.value(e, v.Index(i), path+"["+strconv.Itoa(i)+"]")
	}
}

// keyed reads a mapping into a slice: each key is the Name of an element, and its value the rest of it, or the field Value.
func (r *reader) keyed(n ast.Node, v reflect.Value, path, option string) {
	at := placeOf(n)
	n = r.resolve(n)
	if n == nil || !r.count(at) || n.Type() == ast.NullType {
		return
	}
	r.places[v.Addr().Interface()] = at
	list, ok := r.entries(n)
	if !ok {
		r.fail(at, "", "%s: want a mapping of names, got %s", path, kindOf(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
	for i, e := range list {
		elem := v.Index(i)
		elem.FieldByName("Name").SetString(e.key)
		r.places[elem.FieldByName("Name").Addr().Interface()] = e.at
		if option == "pairs" {
			elem = elem.FieldByName("Value")
		}
		r.value(e.value, elem, member(path, e.key))
	}
}

// field is one that a key fills.
type field struct {
	index       []int
	tag         reflect.StructTag
	typ         reflect.Type
	option      string // keyed or pairs
	unsupported bool
}

// fields are those of a struct type, by their keys.
func fields(t reflect.Type) map[string]field {
	all := make(map[string]field)
	for f := range t.Fields() {
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for key, inner := range fields(f.Type) {
				inner.index = append(slices.Clone(f.Index), inner.index...)
				all[key] = inner
			}
		case key != "" && key != "-":
			all[key] = field{f.Index, f.Tag, f.Type, option, f.Type == reflect.TypeFor[unsupported]()}
		}
	}
	return all
}

// structure reads a mapping into the fields of a struct.
func (r *reader) structure(n ast.Node, v reflect.Value, path string) {
	list, ok := r.entries(n)
	if !ok {
		r.fail(placeOf(n), "", "%s: want a mapping, got %s", cmpPath(path), kindOf(n))
		return
	}
	known := fields(v.Type())
	for _, e := range list {
		f, ok := known[e.key]
		path := member(path, e.key)
		switch {
		case !ok:
			r.unknown(e, slices.Sorted(maps.Keys(known)), path)
		case f.unsupported:
			if !idle(r.resolve(e.value)) {
				r.refused = append(r.refused, refusal{e.at, path, f.tag.Get("why")})
			}
		case f.typ == reflect.TypeFor[foreign]():
			r.foreign(e, strings.Fields(f.tag.Get("keys")), path)
		case f.option != "":
			r.keyed(e.value, v.FieldByIndex(f.index), path, f.option)
		default:
			r.value(e.value, v.FieldByIndex(f.index), path)
		}
	}
}

// foreign holds the keys of a section that is not read against those that it may have.
func (r *reader) foreign(e entry, known []string, path string) {
	n := r.resolve(e.value)
	if n == nil || n.Type() == ast.NullType {
		return
	}
	list, ok := r.entries(n)
	if !ok {
		r.fail(placeOf(n), "", "%s: want a mapping, got %s", path, kindOf(n))
	}
	for _, e := range list {
		if !slices.Contains(known, e.key) {
			r.unknown(e, known, member(path, e.key))
		}
	}
}

// unknown tells a key that nobody knows.
func (r *reader) unknown(e entry, known []string, path string) {
	hint := "the keys here are " + words.And(known)
	if near := words.Nearest(e.key, known); near != "" {
		hint = "did you mean " + near + "?"
	}
	r.fail(e.at, hint, "there is no key %s", path)
}

// idle reports whether a value asks for nothing: a key that we can't do does no harm then.
func idle(n ast.Node) bool {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return true
	case *ast.BoolNode:
		return !n.Value
	case *ast.StringNode:
		return n.Value == ""
	case *ast.MappingNode:
		return len(n.Values) == 0
	case *ast.SequenceNode:
		return len(n.Values) == 0
	}
	return false
}

// member is the path of a key.
func member(path, key string) string {
	if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		key = fmt.Sprintf("%q", clip(key))
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func cmpPath(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// clip cuts a text from the file to what an error repeats of it.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
