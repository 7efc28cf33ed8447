package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sonde/probes"
	"sonde/protocol/tlswire"
	"sonde/target"
)

// Text is the module as a file would have it: what differs from the defaults, secrets hidden.
func (m *Module) Text() string {
	var b strings.Builder
	b.WriteString(plainKey(m.Name) + ":\n")
	if m.Own != nil {
		writeStruct(&b, reflect.ValueOf(m.Own).Elem(), "  ")
	} else if m.Blackbox != nil {
		writeStruct(&b, reflect.ValueOf(m.Blackbox).Elem(), "  ")
	}
	return b.String()
}

// writeStruct writes the fields of a struct whose values are not the default's.
func writeStruct(b *strings.Builder, v reflect.Value, indent string) {
	usual := reflect.New(v.Type())
	if d, ok := usual.Interface().(defaulter); ok {
		d.setDefaults()
	}
	for f := range v.Type().Fields() {
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		value := v.FieldByIndex(f.Index)
		switch {
		case f.Name == "_":
		case option == "inline":
			writeStruct(b, value, indent)
		case key != "" && !reflect.DeepEqual(value.Interface(), usual.Elem().FieldByIndex(f.Index).Interface()):
			b.WriteString(indent + key + ":")
			writeValue(b, value, option, indent+"  ")
		}
	}
}

// writeValue writes what stands behind a key.
func writeValue(b *strings.Builder, v reflect.Value, option, indent string) {
	if text, ok := textOf(v); ok {
		b.WriteString(" " + text + "\n")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		writeValue(b, v.Elem(), option, indent)
	case reflect.Struct:
		b.WriteString("\n")
		writeStruct(b, v, indent)
	case reflect.Slice:
		b.WriteString("\n")
		for i := range v.Len() {
			writeElement(b, v.Index(i), option, indent)
		}
	}
}

// writeElement writes one of a list, or one of a mapping of names.
func writeElement(b *strings.Builder, v reflect.Value, option, indent string) {
	switch option {
	case "pairs":
		text, _ := textOf(v.FieldByName("Value"))
		b.WriteString(indent + plainKey(v.FieldByName("Name").String()) + ": " + text + "\n")
		return
	case "keyed":
		b.WriteString(indent + plainKey(v.FieldByName("Name").String()) + ":\n")
		writeStruct(b, v, indent+"  ")
		return
	}
	if text, ok := textOf(v); ok {
		b.WriteString(indent + "- " + text + "\n")
		return
	}
	var inner strings.Builder
	writeStruct(&inner, v, indent+"  ")
	if inner.Len() == 0 {
		b.WriteString(indent + "- {}\n")
		return
	}
	b.WriteString(indent + "- " + strings.TrimPrefix(inner.String(), indent+"  "))
}

// textOf is a value that is one text, false if it is none.
func textOf(v reflect.Value) (string, bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String(), true
	case *regexp.Regexp:
		return strconv.Quote(x.String()), x != nil
	case target.Family:
		return map[target.Family]string{target.IPv4: "ip4", target.IPv6: "ip6"}[x], true
	case tlswire.Version:
		return x.Word(), true
	case tlswire.Group:
		return x.String(), true
	case probes.StatusRange:
		return fmt.Sprintf("%d-%d", x.From, x.To), true
	case Secret, Escaped:
		return strconv.Quote(hidden), true
	}
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String()), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	}
	return "", false
}

// plainKey quotes a key that is more than a word.
func plainKey(s string) string {
	if member("", s) == s && s[0] > '9' && s[0] != '_' {
		return s
	}
	return strconv.Quote(s)
}
