package tlswire

import (
	"errors"
	"fmt"
	"strings"
)

// CheckServerName reports why name can't be sent as server_name, or nil. RFC 6066 s.3 wants a DNS name in ASCII without
// the dot at its end, and no address; RFC 1035 s.2.3.4 and RFC 1123 s.2.1 say what a name is. International names must
// have been made A-labels ("xn--", RFC 5890 s.2.3.2.1) before. Underscores are taken, because names with them are
// served.
func CheckServerName(name string) error {
	switch {
	case name == "":
		return errors.New("empty name")
	case len(name) > 253:
		return fmt.Errorf("name of %d bytes, at most 253", len(name))
	case name[len(name)-1] == '.':
		return errors.New("dot at the end of the name")
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" {
		return errors.New("an IPv4 address is no name")
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("empty label")
	case len(label) > 63:
		return fmt.Errorf("label of %d bytes, at most 63", len(label))
	case label[0] == '-' || label[len(label)-1] == '-':
		return fmt.Errorf("label %q begins or ends with a hyphen", label)
	}
	for i := range len(label) {
		switch c := label[i]; {
		case c >= 0x80:
			return fmt.Errorf("label %q is not ASCII; use its A-label (xn--)", label)
		case c == ':':
			return errors.New("an IPv6 address is no name")
		case !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'):
			return fmt.Errorf("label %q: byte 0x%02x is in no name", label, c)
		}
	}
	return nil
}
