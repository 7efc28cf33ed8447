package target

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// understood is an entry in a form that compares and prints well.
type understood struct {
	First, Last, Domain, Tag, Scheme, Path string
	Port                                   uint16
	IsBlock                                bool
}

func (e *entry) understood() understood {
	u := understood{Domain: string(e.domain), Tag: string(e.tag), Scheme: e.scheme, Path: e.path, Port: e.port, IsBlock: e.isBlock}
	if e.first.IsValid() {
		u.First, u.Last = e.first.String(), e.last.String()
	}
	return u
}

func single(addr string, port uint16) understood {
	return understood{First: addr, Last: addr, Port: port}
}

func block(first, last string, port uint16) understood {
	return understood{First: first, Last: last, Port: port, IsBlock: true}
}

var goodEntries = []struct {
	text string
	want understood
}{
	{"10.0.0.1", single("10.0.0.1", 0)},
	{"10.0.0.1:80", single("10.0.0.1", 80)},
	{"10.0.0.1:65535", single("10.0.0.1", 65535)},
	{"2001:db8::1", single("2001:db8::1", 0)},
	{"2001:db8::1:443", single("2001:db8::1:443", 0)}, // bare IPv6 has no port
	{"[2001:db8::1]", single("2001:db8::1", 0)},
	{"[2001:db8::1]:443", single("2001:db8::1", 443)},
	{"::ffff:10.0.0.1", single("10.0.0.1", 0)},
	{"[::ffff:10.0.0.1]:80", single("10.0.0.1", 80)},
	{"fe80::1%eth0", single("fe80::1%eth0", 0)},
	{"fe80::1%br-0a", single("fe80::1%br-0a", 0)}, // the dash is the zone's
	{"[fe80::1%eth0.5]:22", single("fe80::1%eth0.5", 22)},
	{"example.com", understood{Domain: "example.com"}},
	{"Example.COM.:8080", understood{Domain: "Example.COM.", Port: 8080}},
	{"example.0xg", understood{Domain: "example.0xg"}},
	{"localhost", understood{Domain: "localhost"}},
	{"a-b_c.xn--p1ai", understood{Domain: "a-b_c.xn--p1ai"}},
	{"10.0.0.1-dsl.example.net", understood{Domain: "10.0.0.1-dsl.example.net"}},
	{"1.2.3.4.in-addr.arpa", understood{Domain: "1.2.3.4.in-addr.arpa"}},
	{strings.Repeat("a", 63) + ".com", understood{Domain: strings.Repeat("a", 63) + ".com"}},

	{"10.0.0.0/24", block("10.0.0.0", "10.0.0.255", 0)},
	{"10.0.0.77/24:80", block("10.0.0.0", "10.0.0.255", 80)},
	{"10.0.0.1/32", block("10.0.0.1", "10.0.0.1", 0)},
	{"0.0.0.0/0", block("0.0.0.0", "255.255.255.255", 0)},
	{"2001:db8::/64", block("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", 0)},
	{"2001:db8::/126:443", block("2001:db8::", "2001:db8::3", 443)},
	{"[2001:db8::/63]:443", block("2001:db8::", "2001:db8:0:1:ffff:ffff:ffff:ffff", 443)},
	{"::/0", block("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0)},
	{"::1/128", block("::1", "::1", 0)},
	{"::ffff:10.0.0.0/104", block("10.0.0.0", "10.255.255.255", 0)},
	{"10.0.0.1-10.0.0.9", block("10.0.0.1", "10.0.0.9", 0)},
	{"10.0.0.1-9", block("10.0.0.1", "10.0.0.9", 0)},
	{"10.0.0.1-9:80", block("10.0.0.1", "10.0.0.9", 80)},
	{"10.0.0.200-10.0.1.5:80", block("10.0.0.200", "10.0.1.5", 80)},
	{"10.0.0.1-1", block("10.0.0.1", "10.0.0.1", 0)},
	{"2001:db8::1-2001:db8::9", block("2001:db8::1", "2001:db8::9", 0)},
	{"[2001:db8::1-2001:db8::9]:53", block("2001:db8::1", "2001:db8::9", 53)},

	{"10.0.0.1,example.com,web,443", understood{First: "10.0.0.1", Last: "10.0.0.1", Domain: "example.com", Tag: "web", Port: 443}},
	{" 10.0.0.1 , example.com , a web , 443 ", understood{First: "10.0.0.1", Last: "10.0.0.1", Domain: "example.com", Tag: "a web", Port: 443}},
	{",example.com", understood{Domain: "example.com"}},
	{",example.com,,443", understood{Domain: "example.com", Port: 443}},
	{"10.0.0.1,", single("10.0.0.1", 0)},
	{"10.0.0.1,,,", single("10.0.0.1", 0)},
	{"2001:db8::1,,,80", single("2001:db8::1", 80)},
	{"10.0.0.1:80,,web", understood{First: "10.0.0.1", Last: "10.0.0.1", Tag: "web", Port: 80}},
	{"10.0.0.1:80,,,80", single("10.0.0.1", 80)},
	{"10.0.0.0/30,,web,8080", understood{First: "10.0.0.0", Last: "10.0.0.3", Tag: "web", Port: 8080, IsBlock: true}},
	{"10.0.0.1,,see http://x,", understood{First: "10.0.0.1", Last: "10.0.0.1", Tag: "see http://x"}},

	{"http://example.com", understood{Domain: "example.com", Scheme: "http"}},
	{"HTTP://example.com:8080/a%20b,c?x=1&y#top", understood{Domain: "example.com", Scheme: "http", Path: "/a%20b,c?x=1&y", Port: 8080}},
	{"redis://10.0.0.1", understood{First: "10.0.0.1", Last: "10.0.0.1", Scheme: "redis"}},
	{"http://[2001:db8::1]:81/", understood{First: "2001:db8::1", Last: "2001:db8::1", Scheme: "http", Path: "/", Port: 81}},
	{"http://[fe80::1%25eth0]/", understood{First: "fe80::1%eth0", Last: "fe80::1%eth0", Scheme: "http", Path: "/"}},
	{"http://example.com:/?q", understood{Domain: "example.com", Scheme: "http", Path: "/?q"}},
}

func TestParseEntry(t *testing.T) {
	for _, c := range goodEntries {
		t.Run(c.text, func(t *testing.T) {
			var e entry
			if refused := e.parse(trimSpace([]byte(c.text))); refused != nil {
				t.Fatalf("parse: got refusal %q, want none", refused.reason)
			}
			if diff := cmp.Diff(c.want, e.understood()); diff != "" {
				t.Errorf("parse (-want +got):\n%s", diff)
			}
		})
	}
}

// badEntries name a part of the reason and a part of the hint.
var badEntries = []struct{ text, reason, hint string }{
	{"10.0.0.256", "not an address or a host name", "0 to 255"},
	{"10.0.0.01", "not an address or a host name", "leading zeros"},
	{"10.0.0", "not an address or a host name", "four numbers"},
	{"2130706433", "not an address or a host name", "four numbers"},
	{"0x7f000001", "not an address or a host name", "four numbers"},
	{"0x7f.0.0.0x1", "not an address or a host name", "four numbers"},
	{"example.123", "not an address or a host name", "four numbers"},
	{"b\u00fccher.example", "not an address or a host name", "punycode"},
	{"*.example.com", "not an address or a host name", "wildcards"},
	{"user@example.com", "not an address or a host name", "user name"},
	{"exa mple.com", "not an address or a host name", "one target on a line"},
	{"example..com", "not an address or a host name", "empty part"},
	{".", "not an address or a host name", "empty part"},
	{"-example.com", "not an address or a host name", "hyphen"},
	{"example-.com", "not an address or a host name", "hyphen"},
	{"exa\x00mple.com", "not an address or a host name", "letters, digits"},
	{strings.Repeat("a", 64) + ".com", "more than 63 bytes", ""},
	{strings.Repeat("a.", 127) + "a", "more than 253 bytes", ""},
	{":80", "a port without a host", ""},
	{"10.0.0.1:", "not a port", "1 to 65535"},
	{"10.0.0.1:0", "not a port", "1 to 65535"},
	{"10.0.0.1:65536", "not a port", "1 to 65535"},
	{"10.0.0.1:080", "not a port", "1 to 65535"},
	{"10.0.0.1:99999999999999999999", "not a port", "1 to 65535"},
	{"example.com:http", "not a port", "1 to 65535"},
	{"1:2:3", "not an IPv6 address", "[2001:db8::1]:443"},
	{"2001:db8::1]:443", "not an IPv6 address", "[2001:db8::1]:443"},
	{"[2001:db8::1", "not closed", ""},
	{"[10.0.0.1]:80", "no IPv6 address in the brackets", ""},
	{"[2001:db8::1]80", "other than a port", ""},
	{"[::1]:", "not a port", ""},
	{"[]", "no IPv6 address", ""},
	{"[:]", "not an IPv6 address in the brackets", ""},
	{"10.0.0.1%eth0", "zone", "fe80::1%eth0"},
	{"fe80::1%", "zone", "fe80::1%eth0"},
	{"fe80::1%eth0/64", "zone", ""},
	{"2001:db8::1%eth0", "not link-local", ""},
	{"10.0.0.0/33", "not a prefix length", "0 to 32"},
	{"10.0.0.0/", "not a prefix length", "0 to 32"},
	{"10.0.0.0/8/8", "not a prefix length", "0 to 32"},
	{"10.0.0.0/08", "not a prefix length", "0 to 32"},
	{"2001:db8::/129", "not a prefix length", "0 to 128"},
	{"10.0.0/8", "no address before the slash", ""},
	{"example.com/path", "no address before the slash", "http://"},
	{"::ffff:10.0.0.0/8", "IPv4-mapped", ""},
	{"10.0.0.0/24:0", "not a port", ""},
	{"10.0.0.9-10.0.0.1", "backwards", ""},
	{"10.0.0.9-1", "backwards", ""},
	{"10.0.0.1-256", "not a range", "10.0.0.1-9"},
	{"10.0.0.1-", "not a range", ""},
	{"10.0.0.1-2001:db8::1", "not an IPv6 address", ""},
	{"::1-10.0.0.1", "not a range", ""},
	{"2001:db8::1-9", "not a range", "2001:db8::9"},
	{"10.0.0.1-5-9", "not an address or a host name", ""},
	{",", "neither an address nor a domain", "ip,domain,tag,port"},
	{",,web,80", "neither an address nor a domain", "ip,domain,tag,port"},
	{"10.0.0.1,a,b,80,c", "more than four fields", "ip,domain,tag,port"},
	{"example.com,,web,80", "host name in the field of the address", ",domain,tag,port"},
	{"10.0.0.1,10.0.0.2", "address in the field of the domain", ""},
	{"10.0.0.1,a b", "not an address or a host name", ""},
	{"10.0.0.1,,web,http", "fourth field is not a port", ""},
	{"10.0.0.1:80,,,81", "two different ports", ""},
	{"http://", "without a host", ""},
	{"http://:80/", "without a host", ""},
	{"http://user:secret@example.com/", "user name or password", ""},
	{"http://10.0.0.1-9/", "a block for a host", ""},
	{"http://10.0.0.256/", "not an address or a host name", ""},
	{"http://example.com:port/", "not a URL", ""},
	{"http://example.com/\x01", "not a URL", ""},
	{"://example.com", "not a URL", ""},
}

func TestParseEntryRefuses(t *testing.T) {
	for _, c := range badEntries {
		t.Run(c.text, func(t *testing.T) {
			var e entry
			refused := e.parse([]byte(c.text))
			if refused == nil {
				t.Fatalf("parse: got %+v, want a refusal", e.understood())
			}
			if refused.fault != Malformed || !strings.Contains(refused.reason, c.reason) || !strings.Contains(refused.hint, c.hint) {
				t.Errorf("parse: got %d %q (hint %q), want Malformed, %q, hint %q",
					refused.fault, refused.reason, refused.hint, c.reason, c.hint)
			}
			if strings.Contains(refused.reason, "secret") {
				t.Errorf("parse: reason %q repeats a password", refused.reason)
			}
		})
	}
}

func TestCutComment(t *testing.T) {
	for text, want := range map[string]string{
		"# all of it": "", "10.0.0.1 # why": "10.0.0.1 ", "10.0.0.1\t#why": "10.0.0.1\t", "http://a/#b": "http://a/#b",
		"1.1.1.1,,a#b #c": "1.1.1.1,,a#b ", "##": "", "": "", "a#": "a#",
	} {
		if got := string(cutComment([]byte(text))); got != want {
			t.Errorf("cutComment(%q): got %q, want %q", text, got, want)
		}
	}
}

// FuzzParseEntry checks what must hold of any entry, and that an entry written out again says the same.
func FuzzParseEntry(f *testing.F) {
	for _, c := range goodEntries {
		f.Add([]byte(c.text))
	}
	for _, c := range badEntries {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = trimSpace(cutComment(text))
		if len(text) == 0 {
			return
		}
		var e entry
		if refused := e.parse(text); refused != nil {
			if refused.reason == "" || !utf8.ValidString(refused.hint) {
				t.Fatalf("parse(%q): a refusal without a reason", text)
			}
			return
		}
		checkEntry(t, &e)
		if e.isURL {
			return
		}
		var again entry
		if refused := again.parse([]byte(e.rewrite())); refused != nil {
			t.Fatalf("parse(%q) of %q: got refusal %q", e.rewrite(), text, refused.reason)
		}
		if diff := cmp.Diff(e.understood(), again.understood()); diff != "" {
			t.Fatalf("%q written as %q (-first +again):\n%s", text, e.rewrite(), diff)
		}
	})
}

func checkEntry(t *testing.T, e *entry) {
	t.Helper()
	switch {
	case !e.first.IsValid() && (len(e.domain) == 0 || e.last.IsValid() || e.isBlock):
		t.Fatalf("%+v: neither an address nor a name", e)
	case e.first.IsValid() && (e.first.BitLen() != e.last.BitLen() || e.last.Less(e.first)):
		t.Fatalf("%+v: ends in disorder", e)
	case e.first.Is4In6() || e.isBlock && e.first.Zone() != "":
		t.Fatalf("%+v: an IPv4-mapped address, or a zone on a block", e)
	case !e.isBlock && e.first != e.last:
		t.Fatalf("%+v: a single address with two ends", e)
	}
	if len(e.domain) > 0 {
		if _, err := netip.ParseAddr(string(e.domain)); err == nil {
			t.Fatalf("%+v: an address for a name", e)
		}
	}
}

// rewrite writes an entry in the line form.
func (e *entry) rewrite() string {
	place, port := "", ""
	if e.first.IsValid() {
		place = e.first.String()
	}
	if e.isBlock {
		place += "-" + e.last.String()
	}
	if e.port != 0 {
		port = fmt.Sprint(e.port)
	}
	return fmt.Sprintf("%s,%s,%s,%s", place, e.domain, e.tag, port)
}
