package target

import "bytes"

// Limits of a name in bytes (RFC 1123 s.2.1 by way of RFC 1035 s.2.3.4): 255 in the wire form are 253 as text.
const (
	maxName  = 253
	maxLabel = 63
)

// checkName says what keeps b from being a host name, or nil. A name is labels of letters, digits and hyphens, no hyphen
// at either end of a label (RFC 1123 s.2.1); underscores pass too, as names in the DNS have them (RFC 2181 s.11). One dot may
// end it. The last label has a letter, and is not a 0x number: getaddrinfo(3) reads "names" of numbers as addresses, which
// would carry them past an exclusion list.
func checkName(b []byte) *refusal {
	name := bytes.TrimSuffix(b, []byte("."))
	if len(name) > maxName {
		return malformed("a host name of more than 253 bytes", "")
	}
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '.' {
			if !isNameByte(name[i]) {
				return malformed(notATarget, hintForByte(name[i]))
			}
			continue
		}
		label := name[start:i]
		switch {
		case len(label) == 0:
			return malformed(notATarget, "a host name has no empty part between its dots")
		case len(label) > maxLabel:
			return malformed("a host name with a part of more than 63 bytes", "")
		case label[0] == '-' || label[len(label)-1] == '-':
			return malformed(notATarget, "no part of a host name begins or ends with a hyphen")
		}
		start = i + 1
	}
	if isNumeric(name[bytes.LastIndexByte(name, '.')+1:]) {
		return malformed(notATarget, "an IPv4 address is four numbers of 0 to 255 without leading zeros")
	}
	return nil
}

const notATarget = "not an address or a host name"

func isNameByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// isNumeric reports whether the label has no letter, or is a hex number that inet_aton(3) would read.
func isNumeric(label []byte) bool {
	isHex := len(label) >= 2 && label[0] == '0' && label[1]|0x20 == 'x'
	if isHex {
		label = label[2:]
	}
	for _, c := range label {
		letter := c | 0x20
		if letter >= 'a' && letter <= 'z' && !(isHex && letter <= 'f') {
			return false
		}
	}
	return true
}

// hintForByte says how to mend a name that c must not be in.
func hintForByte(c byte) string {
	switch {
	case c >= 0x80:
		return "write an international name in its punycode form, xn--..."
	case c == ' ' || c == '\t':
		return "one target on a line; fields are parted by commas"
	case c == '/':
		return "a path needs a scheme before it, as in http://host/path"
	case c == '@':
		return "leave out the user name"
	case c == '*' || c == '?':
		return "wildcards are not read; name a block such as 10.0.0.0/24"
	}
	return "a host name has letters, digits, hyphens, underscores and dots"
}

// foldName returns the name by which exclusions are compared: lower case, without the dot at the end (RFC 4343 s.2). It
// allocates only if there is an upper-case letter.
func foldName(name string) string {
	if n := len(name); n > 0 && name[n-1] == '.' {
		name = name[:n-1]
	}
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			return string(bytes.ToLower([]byte(name)))
		}
	}
	return name
}
