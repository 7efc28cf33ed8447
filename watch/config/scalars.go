package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	"sonde/internal/words"
	"sonde/policy/pace"
	"sonde/probes"
	"sonde/protocol/framespec"
	"sonde/protocol/tlswire"
	"sonde/target"
)

// scalar is how the text of one value is read. quoted says that it stands in quotes, so that it is no number and no switch.
type scalar struct {
	want  string
	parse func(text string, quoted bool) (any, error)
}

// mendable is an error with a hint.
type mendable struct{ text, hint string }

func (e *mendable) Error() string { return e.text }

// kinds are the plain values.
var kinds = map[reflect.Kind]scalar{
	reflect.String:  {"a text", func(text string, _ bool) (any, error) { return text, nil }},
	reflect.Bool:    {"true or false", parseBool},
	reflect.Int:     {"a whole number", parseInt},
	reflect.Float64: {"a number", parseFloat},
}

// scalars are the values with a type of their own.
var scalars = map[reflect.Type]scalar{
	reflect.TypeFor[time.Duration]():      {"a length of time", parseDuration},
	reflect.TypeFor[*regexp.Regexp]():     {"a regular expression", parseRegexp},
	reflect.TypeFor[Mode]():               {"probe or keep", oneOf(map[string]Mode{"probe": Probe, "keep": Keep})},
	reflect.TypeFor[target.Family]():      {"ip4 or ip6", oneOf(map[string]target.Family{"ip4": target.IPv4, "ip6": target.IPv6})},
	reflect.TypeFor[netip.Prefix]():       {"an address or a block", parsePrefix},
	reflect.TypeFor[pace.Settings]():      {"a rate and a prefix length", parseSubnetRate},
	reflect.TypeFor[probes.StatusRange](): {"a status code or a range", func(s string, _ bool) (any, error) { return probes.ParseStatusRange(s) }},
	reflect.TypeFor[tlswire.Version]():    {"a version of TLS", parseVersion},
	reflect.TypeFor[tlswire.Group]():      {"a group", parseGroup},
	reflect.TypeFor[Escaped]():            {"a text", parseEscaped},
	reflect.TypeFor[Frame]():              {"a description of frames", parseFrame},
	reflect.TypeFor[Size]():               {"a number of bytes", parseSize},
	reflect.TypeFor[URL]():                {"a URL", parseURL},
	reflect.TypeFor[Workers]():            {"auto or a whole number", func(s string, _ bool) (any, error) { return ParseWorkers(s) }},
}

// parseBool takes the words of YAML 1.1, too, as blackbox_exporter does.
func parseBool(text string, quoted bool) (any, error) {
	if !quoted {
		switch strings.ToLower(text) {
		case "true", "yes", "on", "y":
			return true, nil
		case "false", "no", "off", "n":
			return false, nil
		}
	}
	return nil, &mendable{fmt.Sprintf("%q: want true or false", clip(text)), unquote(quoted)}
}

func unquote(quoted bool) string {
	if quoted {
		return "leave out the quotes"
	}
	return ""
}

func parseInt(text string, quoted bool) (any, error) {
	n, err := strconv.Atoi(text)
	if err != nil || quoted {
		return nil, &mendable{fmt.Sprintf("%q: want a whole number", clip(text)), unquote(quoted)}
	}
	return n, nil
}

func parseFloat(text string, quoted bool) (any, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || quoted || math.IsNaN(n) || math.IsInf(n, 0) {
		return nil, &mendable{fmt.Sprintf("%q: want a number", clip(text)), unquote(quoted)}
	}
	return n, nil
}

func parseDuration(text string, _ bool) (any, error) {
	if d, err := time.ParseDuration(text); err == nil && d == 0 {
		return d, nil // where it makes no sense, the checks say so
	}
	d, err := words.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", clip(text), err)
	}
	return d, nil
}

func parseRegexp(text string, _ bool) (any, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		var e *syntax.Error
		if errors.As(err, &e) {
			err = fmt.Errorf("%s: %q", e.Code, clip(e.Expr))
		}
		return nil, &mendable{err.Error(), "the syntax is that of https://pkg.go.dev/regexp/syntax"}
	}
	return re, nil
}

// oneOf reads a word.
func oneOf[T any](values map[string]T) func(string, bool) (any, error) {
	return func(text string, _ bool) (any, error) {
		v, ok := values[text]
		if !ok {
			return nil, wantWord(text, sortedKeys(values))
		}
		return v, nil
	}
}

// wantWord is the error for a word that is none of list.
func wantWord(text string, list []string) error {
	e := &mendable{text: fmt.Sprintf("%q: want %s", clip(text), words.Or(list))}
	if near := words.Nearest(text, list); near != "" {
		e.hint = "did you mean " + near + "?"
	}
	return e
}

// parsePrefix takes a single address for the block of it alone.
func parsePrefix(text string, _ bool) (any, error) {
	p, err := netip.ParsePrefix(text)
	if a, alone := netip.ParseAddr(text); alone == nil && a.Zone() == "" {
		p, err = a.Prefix(a.BitLen())
	}
	if err != nil {
		return nil, &mendable{fmt.Sprintf("%q: want an address or a block of addresses", clip(text)), "as in 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"}
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func parseSubnetRate(text string, _ bool) (any, error) { return pace.ParseSubnet(text) }

func parseVersion(text string, _ bool) (any, error) {
	v, ok := tlswire.ParseVersion(text)
	if !ok || v < tlswire.TLS10 {
		return nil, wantWord(text, []string{"tls10", "tls11", "tls12", "tls13"})
	}
	return v, nil
}

func parseGroup(text string, _ bool) (any, error) {
	g, ok := tlswire.ParseGroup(text)
	if !ok {
		return nil, &mendable{fmt.Sprintf("there is no group %q", clip(text)), "x25519, p256, p384, p521 and x25519mlkem768 are usual ones"}
	}
	return g, nil
}

func parseEscaped(text string, _ bool) (any, error) {
	b, err := framespec.Unescape(text)
	return string(b), err
}

func parseFrame(text string, _ bool) (any, error) {
	_, err := framespec.Parse(text)
	return text, err
}

// parseSize reads a number of bytes; a unit of it is a power of 1024, with an i in it or not, as blackbox_exporter has it.
func parseSize(text string, _ bool) (any, error) {
	number := strings.TrimRight(text, "BKMGi")
	shift, ok := map[string]int{"": 0, "B": 0, "K": 10, "KB": 10, "KiB": 10, "M": 20, "MB": 20, "MiB": 20, "G": 30, "GB": 30, "GiB": 30}[text[len(number):]]
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || !ok {
		return nil, &mendable{fmt.Sprintf("%q: want a number of bytes", clip(text)), "as in 65536, 64KB or 10MB"}
	}
	return Size(n) << shift, nil
}

// parseURL never repeats the text: it may hold a password.
func parseURL(text string, _ bool) (any, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, &mendable{"want a URL of http or https", "as in https://hooks.example.com/sonde"}
	}
	return text, nil
}

// redact leaves out of a URL what may be secret.
func redact(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return hidden
	}
	if u.User != nil || u.RawQuery != "" {
		return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String() + " " + hidden
	}
	return text
}
