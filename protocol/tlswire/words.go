package tlswire

import "strings"

// ParseVersion reads the word of a version, also as other tools spell it: "1.2", "tls1.2", "TLSv1.2", "tls1_2", "TLS 1.2", "ssl3".
func ParseVersion(value string) (Version, bool) {
	word := strings.ToLower(value)
	isSSL := strings.HasPrefix(word, "ssl")
	word = strings.TrimPrefix(strings.TrimPrefix(word, "ssl"), "tls")
	if word != strings.ToLower(value) {
		word = strings.TrimPrefix(strings.TrimPrefix(word, " "), "v")
	}
	number, ok := map[string]Version{
		"1": TLS10, "10": TLS10, "11": TLS11, "12": TLS12, "13": TLS13,
		"3": SSL30, "30": SSL30,
	}[strings.NewReplacer(".", "", "_", "").Replace(word)]
	return number, ok && isSSL == (number == SSL30)
}

// groupAliases are other names of groups than the registry's (RFC 8422 s.5.1.1, appendix A).
var groupAliases = map[string]Group{
	"p256": SecP256R1, "p-256": SecP256R1, "prime256v1": SecP256R1,
	"p384": SecP384R1, "p-384": SecP384R1,
	"p521": SecP521R1, "p-521": SecP521R1,
}

// ParseGroup returns the group of that name, in capitals or not.
func ParseGroup(name string) (Group, bool) {
	if g, ok := groupAliases[strings.ToLower(name)]; ok {
		return g, true
	}
	for g := range Groups() {
		if strings.EqualFold(g.String(), name) {
			return g, true
		}
	}
	return 0, false
}
