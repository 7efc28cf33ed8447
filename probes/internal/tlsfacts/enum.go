package tlsfacts

import (
	"strconv"

	"sonde/internal/jsonappend"
	"sonde/protocol/tlswire"
)

// write adds what the server takes: each list in the server's order, each entry with why it is weak, if it is.
func (e *Enum) write(o *jsonappend.Object) {
	if e.Versions != nil {
		o.Raw("version_enum", func(dst []byte) []byte {
			return list(dst, e.Versions, func(o *jsonappend.Object, v tlswire.Version) {
				o.String("version", v.Word())
				optionals(o, "weak", versionWeakness(v))
			})
		})
	}
	if e.Ciphers != nil {
		o.Raw("cipher_enum", func(dst []byte) []byte { return list(dst, e.Ciphers, writeCiphers) })
	}
	if e.Groups != nil {
		o.Raw("group_enum", func(dst []byte) []byte {
			return list(dst, e.Groups, func(o *jsonappend.Object, g tlswire.Group) {
				o.String("group", g.String())
				optionals(o, "weak", groupWeakness(g))
			})
		})
	}
	optional(o, "enum_incomplete", e.Incomplete)
	o.Int("enum_connections", int64(e.Connections))
}

func writeCiphers(o *jsonappend.Object, v VersionCiphers) {
	o.String("version", v.Version.Word())
	known(o, "server_order", v.ServerOrder)
	o.Raw("ciphers", func(dst []byte) []byte {
		return list(dst, v.Ciphers, func(o *jsonappend.Object, s tlswire.CipherSuite) {
			o.String("cipher", s.String())
			optionals(o, "weak", s.Weakness().Words())
		})
	})
}

// list appends a list of objects, each filled in by write.
func list[T any](dst []byte, values []T, write func(*jsonappend.Object, T)) []byte {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		o := jsonappend.Begin(dst)
		write(&o, v)
		dst = o.End()
	}
	return append(dst, ']')
}

// versionWeakness says which versions must not be used: SSL 3.0 by RFC 7568 s.3, TLS 1.0 and 1.1 by RFC 8996 s.4 and s.5.
func versionWeakness(v tlswire.Version) []string {
	switch {
	case v <= tlswire.SSL30:
		return []string{"broken"}
	case v <= tlswire.TLS11:
		return []string{"deprecated"}
	}
	return nil
}

// lastDeprecatedGroup is the last of the curves that RFC 8422 s.5.1.1 deprecates, the first being 1.
const lastDeprecatedGroup tlswire.Group = 22

// groupWeakness says which groups are not to be used any more.
func groupWeakness(g tlswire.Group) []string {
	if g >= 1 && g <= lastDeprecatedGroup {
		return []string{"deprecated"}
	}
	return nil
}

// brief counts what was found.
func (e *Enum) brief() []string {
	var words []string
	if e.Versions != nil {
		words = append(words, count(len(e.Versions), "version"))
	}
	if e.Ciphers != nil {
		n, weak := 0, 0
		for _, v := range e.Ciphers {
			n += len(v.Ciphers)
			for _, s := range v.Ciphers {
				if s.Weakness() != 0 {
					weak++
				}
			}
		}
		words = append(words, count(n, "cipher"), "("+strconv.Itoa(weak)+" weak)")
	}
	if e.Groups != nil {
		words = append(words, count(len(e.Groups), "group"))
	}
	return words
}

func days(n int) string { return count(n, "day") }

// count is a number of things: "1 day", "2 days".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}
