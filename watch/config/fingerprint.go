package config

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"reflect"
	"regexp"
)

// fingerprint hashes what v, a pointer to a Config, a Module or a Job, says: every field but where it stands and the fingerprint itself. It is the
// same in every process, so that one that takes over knows what did not change.
func fingerprint(v any) uint64 {
	h := sha256.New()
	write(h, reflect.ValueOf(v).Elem())
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// write hashes a value with the length of whatever has one, so that no two values read alike.
func write(h hash.Hash, v reflect.Value) {
	number := func(n uint64) { h.Write(binary.BigEndian.AppendUint64(nil, n)) }
	if re, ok := v.Interface().(*regexp.Regexp); ok && re != nil {
		write(h, reflect.ValueOf(re.String()))
		return
	}
	if m, ok := v.Interface().(interface{ MarshalBinary() ([]byte, error) }); ok { // netip.Addr, netip.Prefix
		b, _ := m.MarshalBinary() // never fails
		write(h, reflect.ValueOf(string(b)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		number(uint64(v.Len()))
		h.Write([]byte(v.String()))
	case reflect.Bool:
		number(uint64(map[bool]int{true: 1}[v.Bool()]))
	case reflect.Slice:
		number(uint64(v.Len()))
		for i := range v.Len() {
			write(h, v.Index(i))
		}
	case reflect.Pointer:
		number(uint64(map[bool]int{true: 1}[v.IsNil()]))
		if !v.IsNil() {
			write(h, v.Elem())
		}
	case reflect.Struct:
		for f := range v.Type().Fields() {
			switch f.Name {
			case "_", "Line", "Fingerprint":
			case "Disabled": // it names the line
				write(h, reflect.ValueOf(v.FieldByIndex(f.Index).String() != ""))
			default:
				write(h, v.FieldByIndex(f.Index))
			}
		}
	case reflect.Float64:
		number(uint64(int64(v.Float() * 1e9)))
	default:
		if v.CanInt() {
			number(uint64(v.Int()))
		} else {
			number(v.Uint()) // panics on a kind that no field has
		}
	}
}
