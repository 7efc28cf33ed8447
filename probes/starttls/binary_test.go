package starttls

import (
	"strings"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

const ldapAsks = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// ldapAnswer is message 1, an ExtendedResponse with that result code and text, and more elements behind.
func ldapAnswer(code byte, text, more string) string {
	return ldapSays("\x02\x01\x01", "\x0a\x01"+string(rune(code))+"\x04\x00\x04"+string(rune(len(text)))+text+more)
}

func ldapSays(id, response string) string {
	op := id + "\x78" + string(rune(len(response))) + response
	return "\x30" + string(rune(len(op))) + op
}

func TestLDAP(t *testing.T) {
	open := opens("ldap")
	answers := func(says string) turns { return turns{{Hears: ldapAsks, Says: says}} }
	agreed := func(name, says string) probetest.Case { return succeeds(name, "ldap", answers(says)...) }
	refused := func(name, reason, says, received string, goodbye bool) probetest.Case {
		c := probetest.Case{Name: name, Open: open, Verdict: protocol.Refused, Reason: reason, Turns: answers(says)}
		c.Result, c.Brief = `{"starttls":"ldap","received":"`+received+`"}`, strings.TrimSpace(says)
		if goodbye {
			c.Turns = append(c.Turns, probetest.Turn{Hears: "\x30\x05\x02\x01\x02\x42\x00"})
		}
		return c
	}
	// The response as a reason and a brief show it: without control characters.
	unavailable := refused("unavailable", "STARTTLS refused: 52 unavailable: busy", ldapAnswer(52, "busy", ""), `0\u0010\u0002\u0001\u0001x\u000b\n\u00014\u0004\u0000\u0004\u0004busy`, true)
	unavailable.Brief = "0    x   4    busy"
	unknown := refused("not known to the server", "STARTTLS refused: 2 protocolError", ldapAnswer(2, "", ""), `0\u000c\u0002\u0001\u0001x\u0007\n\u0001\u0002\u0004\u0000\u0004\u0000`, true)
	unknown.Brief = "0    x"
	notice := refused("notice of disconnection", "disconnected: 52 unavailable: x",
		ldapSays("\x02\x01\x00", "\x0a\x01\x34\x04\x00\x04\x01x"), `0\r\u0002\u0001\u0000x\u0008\n\u00014\u0004\u0000\u0004\u0001x`, false)
	notice.Brief = "0    x   4    x"
	probetest.Run(t, about,
		agreed("agreed", ldapAnswer(0, "", "\x8a\x16"+ldapStartTLSName)),
		agreed("without a name", ldapAnswer(0, "", "")),
		agreed("long lengths, controls", "\x30\x84\x00\x00\x00\x18\x02\x04\x00\x00\x00\x01\x78\x81\x0b\x0a\x01\x00\x04\x82\x00\x00\x04\x82\x00\x00\xa0\x02\x30\x00"),
		unavailable, unknown, notice,
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not ldap: not a message",
			Turns: answers("HTTP/1.1 400 x\r\n"), Result: `{"starttls":"ldap","received":"HTTP/1.1 400 x\r\n"}`, Brief: "HTTP/1.1 400 x"},
		probetest.Case{Name: "too large", Open: open, Verdict: protocol.OverLimit, Reason: "ldap: message of more than 16384 bytes",
			Turns: answers("0\x84\x7f\x7f\x7f\x7f"), Result: `{"starttls":"ldap","received":"0\ufffd\u007f\u007f\u007f\u007f","received_base64":"MIR/f39/"}`, Brief: "0\ufffd"},
	)
}

// TestLDAPResponses: what is no answer to our request, to the last length.
func TestLDAPResponses(t *testing.T) {
	for _, tc := range []struct{ name, message, fault string }{
		{"agreed", ldapAnswer(0, "", ""), ""},
		{"another response", "\x30\x05\x02\x01\x01\x61\x00", "not an ExtendedResponse"},
		{"no ID", "\x30\x02\x78\x00", "no message ID or no response"},
		{"empty", "\x30\x00", "no message ID or no response"},
		{"ID alone", "\x30\x03\x02\x01\x01", "no message ID or no response"},
		{"ID without a byte", "\x30\x04\x02\x00\x78\x00", "no message ID or no response"},
		{"ID of five bytes", "\x30\x09\x02\x05\x00\x00\x00\x00\x01\x78\x00", "no message ID or no response"},
		{"ID below zero", "\x30\x05\x02\x01\xff\x78\x00", "no message ID or no response"},
		{"response longer than the message", "\x30\x05\x02\x01\x01\x78\x01", "no message ID or no response"},
		{"response without a code", ldapSays("\x02\x01\x01", ""), "malformed ExtendedResponse"},
		{"code of another type", ldapSays("\x02\x01\x01", "\x02\x01\x00\x04\x00\x04\x00"), "malformed ExtendedResponse"},
		{"code below zero", ldapSays("\x02\x01\x01", "\x0a\x01\x80\x04\x00\x04\x00"), "malformed ExtendedResponse"},
		{"no text", ldapSays("\x02\x01\x01", "\x0a\x01\x00\x04\x00"), "malformed ExtendedResponse"},
		{"text cut short", ldapSays("\x02\x01\x01", "\x0a\x01\x00\x04\x00\x04\x02x"), "malformed ExtendedResponse"},
		{"rubbish behind", ldapAnswer(0, "", "x"), "malformed ExtendedResponse"},
		{"indefinite length", ldapAnswer(0, "", "\xa3\x80\x00\x00"), "malformed ExtendedResponse"},
		{"long tag", ldapAnswer(0, "", "\xbf\x01\x00"), "malformed ExtendedResponse"},
		{"rubbish behind the response", "\x30\x0d\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x8a", "malformed ExtendedResponse"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			message := []byte(tc.message)
			if f, n, err := (berMessages{}).ParseFrame(message); err != nil || n != len(message) || len(f.Data) != n {
				t.Fatalf("not one message: got %d bytes, %v", n, err)
			}
			if _, fault := parseLDAPResponse(message); fault != tc.fault {
				t.Errorf("got %q, want %q", fault, tc.fault)
			}
		})
	}
	for _, tc := range []struct{ name, message, reason string }{
		{"answer to another message", ldapSays("\x02\x01\x02", "\x0a\x01\x00\x04\x00\x04\x00"), "not ldap: answer to a message that was not sent"},
		{"answer to another request", ldapAnswer(0, "", "\x8a\x031.2"), "not ldap: answer to another request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var a account
			new(ldap).onFrame(protocol.Frame{Data: []byte(tc.message)}, &a)
			if a.verdict != protocol.NotSpoken || a.reason != tc.reason {
				t.Errorf("got %d, %q, want NotSpoken, %q", a.verdict, a.reason, tc.reason)
			}
		})
	}
}

func TestPostgres(t *testing.T) {
	open := opens("postgres")
	answers := func(says string) turns { return turns{{Hears: "\x00\x00\x00\x08\x04\xd2\x16\x2f", Says: says}} }
	const fields = "SFATAL\x00C53300\x00Mtoo many clients\x00\x00"
	probetest.Run(t, about,
		succeeds("agreed", "postgres", answers("S")...),
		probetest.Case{Name: "refused", Open: open, Verdict: protocol.Refused, Reason: "STARTTLS refused: N", Turns: answers("N"),
			Result: `{"starttls":"postgres","received":"N"}`, Brief: "N"},
		probetest.Case{Name: "error", Open: open, Verdict: protocol.Refused, Reason: "error: 53300 too many clients",
			Turns:  answers("E\x00\x00\x00\x2b" + fields + strings.Repeat("\x00", 0x2b-4-len(fields))),
			Result: `{"starttls":"postgres","received":"E\u0000\u0000\u0000+SFATAL\u0000C53300\u0000Mtoo many clients\u0000\u0000` + strings.Repeat(`\u0000`, 0x2b-4-len(fields)) + `"}`,
			Brief:  "E   +SFATAL C53300 Mtoo many clients"},
		probetest.Case{Name: "error without fields", Open: open, Verdict: protocol.Refused, Reason: "error:", Turns: answers("E\x00\x00\x00\x04"),
			Result: `{"starttls":"postgres","received":"E\u0000\u0000\u0000\u0004"}`, Brief: "E"},
		probetest.Case{Name: "old error", Open: open, Verdict: protocol.Refused, Reason: "error: could not fork", Turns: answers("Ecould not fork\n\x00"),
			Result: `{"starttls":"postgres","received":"Ecould not fork\n"}`, Brief: "Ecould not fork"},
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not postgres: neither S nor N nor an error", Turns: answers("HTTP"),
			Result: `{"starttls":"postgres","received":"HTTP"}`, Brief: "HTTP"},
		probetest.Case{Name: "error too large", Open: open, Verdict: protocol.OverLimit, Reason: "postgres: error of more than 16384 bytes", Turns: answers("E\x00\x00\x7f\x7f"),
			Result: `{"starttls":"postgres","received":"E\u0000\u0000\u007f\u007f"}`, Brief: "E"},
		probetest.Case{Name: "endless old error", Open: open, Verdict: protocol.OverLimit, Reason: "16384", Turns: answers("E" + strings.Repeat("x", 17000)),
			Result: `{"starttls":"postgres","received":"E` + strings.Repeat("x", 511) + `"}`, Brief: "E" + strings.Repeat("x", 199)},
	)
}

// mysqlAsks is SSLRequest.
const mysqlAsks = "\x20\x00\x00\x01\x00\x8a\x00\x00\x00\x00\x00\x01\x21\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// mysqlSays is a first packet with that body.
func mysqlSays(body string) string {
	return string([]byte{byte(len(body)), 0, 0, 0}) + body
}

// mysqlGreets is a greeting of version 10 with those capabilities, two bytes.
func mysqlGreets(capabilities string) string {
	return mysqlSays("\x0a8.0\x00\x01\x00\x00\x00saltsalt\x00" + capabilities + "\x21\x02\x00")
}

func TestMySQL(t *testing.T) {
	open := opens("mysql")
	agreed := succeeds("agreed", "mysql", turns{{Says: mysqlGreets("\x00\x0a")}}...)
	agreed.Turns[1].Hears = mysqlAsks + agreed.Turns[1].Hears
	short := succeeds("nothing behind the capabilities", "mysql", turns{{Says: mysqlSays("\x0a8.0\x00\x01\x00\x00\x00saltsalt\x00\xff\xff")}}...)
	short.Turns[1].Hears = mysqlAsks + short.Turns[1].Hears
	refused := func(name, reason, says, result, brief string) probetest.Case {
		return probetest.Case{Name: name, Open: open, Verdict: protocol.Refused, Reason: reason, Turns: turns{{Says: says}},
			Result: `{"starttls":"mysql",` + result + `}`, Brief: brief}
	}
	foreign := func(name, reason, says, result, brief string) probetest.Case {
		c := refused(name, reason, says, result, brief)
		c.Verdict = protocol.NotSpoken
		return c
	}
	const salt = `\u0001\u0000\u0000\u0000saltsalt\u0000`
	probetest.Run(t, about, agreed, short,
		refused("no TLS", "no STARTTLS on offer", mysqlGreets("\x00\x02"), `"greeting":"8.0","received":"\u0017\u0000\u0000\u0000\n8.0\u0000`+salt+`\u0000\u0002!\u0002\u0000"`, "8.0"),
		refused("before version 4.1", "no STARTTLS on offer", mysqlGreets("\x00\x08"), `"greeting":"8.0","received":"\u0017\u0000\u0000\u0000\n8.0\u0000`+salt+`\u0000\u0008!\u0002\u0000"`, "8.0"),
		refused("protocol 9", "no STARTTLS on offer: protocol version 9", mysqlSays("\x093.2\x00x"), `"greeting":"3.2","received":"\u0006\u0000\u0000\u0000\t3.2\u0000x"`, "3.2"),
		refused("too many clients", "the greeting is error 1040 Too many", mysqlSays("\xff\x10\x04Too many"), `"received":"\u000b\u0000\u0000\u0000\ufffd\u0010\u0004Too many","received_base64":"CwAAAP8QBFRvbyBtYW55"`, "\ufffd  Too many"),
		refused("error with a state", "the greeting is error 1040 Too many", mysqlSays("\xff\x10\x04#08004Too many"), `"received":"\u0011\u0000\u0000\u0000\ufffd\u0010\u0004#08004Too many","received_base64":"EQAAAP8QBCMwODAwNFRvbyBtYW55"`, "\ufffd  #08004Too many"),
		foreign("error cut short", "not mysql: error is cut short", mysqlSays("\xff\x10"), `"received":"\u0002\u0000\u0000\u0000\ufffd\u0010","received_base64":"AgAAAP8Q"`, "\ufffd"),
		foreign("no end of the version", "not mysql: greeting is cut short", mysqlSays("\x0a8.0"), `"received":"\u0004\u0000\u0000\u0000\n8.0"`, "8.0"),
		foreign("no capabilities", "not mysql: greeting is cut short", mysqlSays("\x0a8.0\x00\x01\x00\x00\x00saltsalt\x00\xff"), `"greeting":"8.0","received":"\u0013\u0000\u0000\u0000\n8.0\u0000`+salt+`\ufffd","received_base64":"EwAAAAo4LjAAAQAAAHNhbHRzYWx0AP8="`, "8.0"),
		foreign("another protocol", "not mysql: first packet is not number 0", "220 mail\r\n", `"received":"220 mail\r\n"`, "220 mail"),
		probetest.Case{Name: "too large", Open: open, Verdict: protocol.OverLimit, Reason: "mysql: greeting of more than 4096 bytes", Turns: turns{{Says: "\x00\x10\x00\x00\x0a"}},
			Result: `{"starttls":"mysql","received":"\u0000\u0010\u0000\u0000\n"}`, Brief: ""},
	)
}

const (
	xmppAsks    = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='a.test'>"
	xmppAsksTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	xmppBye     = "</stream:stream>"
	xmppHello   = "<?xml version='1.0'?><stream:stream from='a.test' version='1.0'>"
	xmppOffer   = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
)

func TestXMPP(t *testing.T) {
	open := opens("xmpp")
	const known = `{"starttls":"xmpp","greeting":"<stream:stream from='a.test' version='1.0'>"`
	hello := func(says string) probetest.Turn { return probetest.Turn{Hears: xmppAsks, Says: xmppHello + says} }
	agreed := func(name, header, says string) probetest.Case {
		return succeeds(name, "xmpp", turns{{Hears: xmppAsks, Says: header}, {Hears: xmppAsksTLS, Says: says}}...)
	}
	refused := func(name, reason, received string, turns ...probetest.Turn) probetest.Case {
		return probetest.Case{Name: name, Open: open, Verdict: protocol.Refused, Reason: reason, Turns: turns, Result: known + `,"received":"` + received + `"}`, Brief: "<stream:stream from='a.test' version='1.0'>"}
	}
	bye := probetest.Turn{Hears: xmppBye}
	probetest.Run(t, about,
		agreed("agreed", xmppHello+xmppOffer, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
		agreed("in other words", "<s:stream a=\">'\" version = \"1.0\">\r\n<s:features>x<mechanisms><starttl/>\n</mechanisms><starttls></starttls><y a='/>'/></s:features> ", " <message><proceed/></message><proceed></proceed >"),
		refused("not offered", "no STARTTLS on offer", "</stream:features>", hello("<stream:features><x><starttls/></x></stream:features>"), bye),
		refused("offered elsewhere", "no STARTTLS on offer", "</stream:features>", hello("<x><starttls/></x><stream:features></stream:features>"), bye),
		refused("no features", "no STARTTLS on offer", "<stream:features/>", hello("<stream:features/>"), bye),
		refused("refused", "STARTTLS refused: failure", "<failure/>", hello(xmppOffer), probetest.Turn{Hears: xmppAsksTLS, Says: "<failure/>"}),
		refused("unknown host", "stream error: host-unknown", "</stream:error>", hello("<stream:error><host-unknown x='y'/><text>no</text></stream:error>"), bye),
		refused("closed instead of an answer", "the stream is closed before the answer to STARTTLS", "</stream:stream>", hello(xmppOffer), probetest.Turn{Hears: xmppAsksTLS, Says: "</stream:stream>"}, bye),
		refused("talks on", "no answer among more than 256 others", "<a/>", hello(strings.Repeat("<a/>", 255))),
		probetest.Case{Name: "version 0.9", Open: open, Verdict: protocol.Refused, Reason: "no STARTTLS on offer: stream of a version before 1.0",
			Turns:  turns{{Hears: xmppAsks, Says: "<stream:stream from='a.test' xversion='1.0' id='1'>"}, bye},
			Result: `{"starttls":"xmpp","greeting":"<stream:stream from='a.test' xversion='1.0' id='1'>","received":"<stream:stream from='a.test' xversion='1.0' id='1'>"}`,
			Brief:  "<stream:stream from='a.test' xversion='1.0' id='1'>"},
		probetest.Case{Name: "a page", Open: open, Verdict: protocol.NotSpoken, Reason: "not xmpp: first element is no stream",
			Turns: turns{{Hears: xmppAsks, Says: "<html>"}}, Result: `{"starttls":"xmpp","received":"<html>"}`, Brief: "<html>"},
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not xmpp: not xml",
			Turns: turns{{Hears: xmppAsks, Says: "HTTP/1.1 400 x\r\n"}}, Result: `{"starttls":"xmpp","received":"HTTP/1.1 400 x\r\n"}`, Brief: "HTTP/1.1 400 x"},
		probetest.Case{Name: "tag too long", Open: open, Verdict: protocol.OverLimit, Reason: "8192",
			Turns: turns{{Hears: xmppAsks, Says: "<stream" + strings.Repeat("x", 8190)}}, Result: `{"starttls":"xmpp","received":"<stream` + strings.Repeat("x", 505) + `"}`, Brief: "<stream" + strings.Repeat("x", 193)},
	)
}

// TestXMPPDomain: a name can't break out of the header that it stands in, and none is said if there is none.
func TestXMPPDomain(t *testing.T) {
	for domain, want := range map[string]string{
		"":           xmppStream + ">",
		"a.test":     xmppStream + " to='a.test'>",
		`'/><x a="&`: xmppStream + " to='&apos;/&gt;&lt;x a=&quot;&amp;'>",
	} {
		step := Before("xmpp", domain, newInner()).Begin()
		if len(step.Send) != 1 || string(step.Send[0]) != want {
			t.Errorf("%q: got %q, want %q", domain, step.Send, want)
		}
	}
}
