package starttls

import (
	"strings"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

type turns = []probetest.Turn

const ehlo = "EHLO sonde.invalid\r\n"

func TestSMTP(t *testing.T) {
	open := opens("smtp")
	greeting := probetest.Turn{Says: "220 mail ESMTP\r\n"}
	const known = `{"starttls":"smtp","greeting":"mail ESMTP"`
	probetest.Run(t, about,
		succeeds("agreed", "smtp", greeting, probetest.Turn{Hears: ehlo, Says: "250-mail\r\n250-SIZE 10\r\n250 STARTTLS\r\n"},
			probetest.Turn{Hears: "STARTTLS\r\n", Says: "220 go\r\n"}),
		succeeds("in other words", "smtp", probetest.Turn{Says: "220-two\r\n220 lines\r\n"},
			probetest.Turn{Hears: ehlo, Says: "250-mail\r\n250-starttls required\r\n250 x\r\n"}, probetest.Turn{Hears: "STARTTLS\r\n", Says: "220\n"}),
		probetest.Case{Name: "not offered", Open: open, Verdict: protocol.Refused, Reason: "no STARTTLS on offer",
			Turns:  turns{greeting, {Hears: ehlo, Says: "250-STARTTLS\r\n250 STARTTLSX\r\n"}, {Hears: "QUIT\r\n"}},
			Result: known + `,"received":"250-STARTTLS\r\n250 STARTTLSX"}`, Brief: "mail ESMTP"},
		probetest.Case{Name: "no extensions", Open: open, Verdict: protocol.Refused, Reason: "no STARTTLS on offer: the answer to EHLO is 502 what?",
			Turns: turns{greeting, {Hears: ehlo, Says: "502 what?\r\n"}, {Hears: "QUIT\r\n"}}, Result: known + `,"received":"502 what?"}`, Brief: "mail ESMTP"},
		probetest.Case{Name: "refused", Open: open, Verdict: protocol.Refused, Reason: "STARTTLS refused: 454 4.7.0 no TLS today",
			Turns:  turns{greeting, {Hears: ehlo, Says: "250-x\r\n250 STARTTLS\r\n"}, {Hears: "STARTTLS\r\n", Says: "454 4.7.0 no TLS today\r\n"}, {Hears: "QUIT\r\n"}},
			Result: known + `,"received":"454 4.7.0 no TLS today"}`, Brief: "mail ESMTP"},
		probetest.Case{Name: "goes away", Open: open, Verdict: protocol.Refused, Reason: "STARTTLS refused: 421 bye",
			Turns:  turns{greeting, {Hears: ehlo, Says: "250-x\r\n250 STARTTLS\r\n"}, {Hears: "STARTTLS\r\n", Says: "421 bye\r\n"}, {Hears: ""}},
			Result: known + `,"received":"421 bye"}`, Brief: "mail ESMTP"},
		probetest.Case{Name: "no service", Open: open, Verdict: protocol.Refused, Reason: "the greeting is 554 no",
			Turns: turns{{Says: "554 no\r\n"}, {Hears: "QUIT\r\n"}}, Result: `{"starttls":"smtp","greeting":"no","received":"554 no"}`, Brief: "no"},
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not smtp: not a reply code",
			Turns: turns{{Says: "SSH-2.0-x\r\n"}}, Result: `{"starttls":"smtp","received":"SSH-2.0-x\r\n"}`, Brief: "SSH-2.0-x"},
		probetest.Case{Name: "endless", Open: open, Verdict: protocol.OverLimit, Reason: "32768",
			Turns: turns{{Says: strings.Repeat("220-x\r\n", 5000)}}, Result: `{"starttls":"smtp","received":"` + strings.Repeat(`220-x\r\n`, 73) + `2"}`, Brief: strings.Repeat("220-x  ", 28) + "220-"},
	)
}

func TestIMAP(t *testing.T) {
	open := opens("imap")
	offer := probetest.Turn{Says: "* OK [CAPABILITY IMAP4rev1 starttls] hi\r\n"}
	const s1, s2, s3 = "s1 CAPABILITY\r\n", "s2 STARTTLS\r\n", "s3 LOGOUT\r\n"
	const plain = `{"starttls":"imap","greeting":"hi"`
	probetest.Run(t, about,
		succeeds("told by the greeting", "imap", offer, probetest.Turn{Hears: s2, Says: "s2 OK go\r\n"}),
		succeeds("told when asked", "imap", probetest.Turn{Says: "* OK hi\r\n"},
			probetest.Turn{Hears: s1, Says: "* CAPABILITY IMAP4rev1 STARTTLS\r\ns1 OK\r\n"}, probetest.Turn{Hears: s2, Says: "* OK aside\r\ns2 OK go\r\n"}),
		succeeds("short of it in the greeting", "imap", probetest.Turn{Says: "* OK [CAPABILITY IMAP4rev1] hi\r\n"},
			probetest.Turn{Hears: s1, Says: "* CAPABILITY STARTTLS\r\ns1 OK\r\n"}, probetest.Turn{Hears: s2, Says: "s2 ok\r\n"}),
		probetest.Case{Name: "not offered", Open: open, Verdict: protocol.Refused, Reason: "no STARTTLS on offer",
			Turns:  turns{{Says: "* OK hi\r\n"}, {Hears: s1, Says: "* CAPABILITY IMAP4rev1 STARTTLSX\r\ns1 OK done\r\n"}, {Hears: s3}},
			Result: plain + `,"received":"s1 OK done"}`, Brief: "hi"},
		probetest.Case{Name: "thinks better of it", Open: open, Verdict: protocol.Refused, Reason: "no STARTTLS on offer",
			Turns:  turns{{Says: "* OK hi\r\n"}, {Hears: s1, Says: "* CAPABILITY STARTTLS\r\n* CAPABILITY IMAP4rev1\r\ns1 OK\r\n"}, {Hears: s3}},
			Result: plain + `,"received":"s1 OK"}`, Brief: "hi"},
		probetest.Case{Name: "refused", Open: open, Verdict: protocol.Refused, Reason: "STARTTLS refused: NO not now",
			Turns:  turns{offer, {Hears: s2, Says: "s2 NO not now\r\n"}, {Hears: s3}},
			Result: `{"starttls":"imap","greeting":"[CAPABILITY IMAP4rev1 starttls] hi","received":"s2 NO not now"}`, Brief: "[CAPABILITY IMAP4rev1 starttls] hi"},
		probetest.Case{Name: "knows no CAPABILITY", Open: open, Verdict: protocol.Refused, Reason: "the answer to CAPABILITY is BAD what",
			Turns:  turns{{Says: "* OK hi\r\n"}, {Hears: s1, Says: "s1 BAD what\r\n"}, {Hears: s3}},
			Result: plain + `,"received":"s1 BAD what"}`, Brief: "hi"},
		probetest.Case{Name: "logged in already", Open: open, Verdict: protocol.Refused, Reason: "no STARTTLS on offer: the greeting is PREAUTH [CAPABILITY STARTTLS] hi",
			Turns:  turns{{Says: "* PREAUTH [CAPABILITY STARTTLS] hi\r\n"}, {Hears: s3}},
			Result: `{"starttls":"imap","received":"* PREAUTH [CAPABILITY STARTTLS] hi"}`, Brief: "* PREAUTH [CAPABILITY STARTTLS] hi"},
		probetest.Case{Name: "goes away at once", Open: open, Verdict: protocol.Refused, Reason: "the greeting is BYE busy",
			Turns: turns{{Says: "* BYE busy\r\n"}, {Hears: ""}}, Result: `{"starttls":"imap","received":"* BYE busy"}`, Brief: "* BYE busy"},
		probetest.Case{Name: "goes away", Open: open, Verdict: protocol.Refused, Reason: "the answer to STARTTLS is BYE busy",
			Turns:  turns{offer, {Hears: s2, Says: "* BYE busy\r\n"}},
			Result: `{"starttls":"imap","greeting":"[CAPABILITY IMAP4rev1 starttls] hi","received":"* BYE busy"}`, Brief: "[CAPABILITY IMAP4rev1 starttls] hi"},
		probetest.Case{Name: "an answer to nothing", Open: open, Verdict: protocol.NotSpoken, Reason: "not imap: answer to a command that was not sent",
			Turns:  turns{offer, {Hears: s2, Says: "s1 OK go\r\n"}},
			Result: `{"starttls":"imap","greeting":"[CAPABILITY IMAP4rev1 starttls] hi","received":"s1 OK go"}`, Brief: "[CAPABILITY IMAP4rev1 starttls] hi"},
		probetest.Case{Name: "no greeting", Open: open, Verdict: protocol.NotSpoken, Reason: "not imap: first response is no greeting",
			Turns: turns{{Says: "* LIST x\r\n"}}, Result: `{"starttls":"imap","received":"* LIST x"}`, Brief: "* LIST x"},
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not imap",
			Turns: turns{{Says: "220 x\r\n"}}, Result: `{"starttls":"imap","received":"220 x\r\n"}`, Brief: "220 x"},
		probetest.Case{Name: "talks on", Open: open, Verdict: protocol.Refused, Reason: "no answer among more than 256 others",
			Turns:  turns{{Says: "* OK hi\r\n"}, {Hears: s1, Says: strings.Repeat("* x y\r\n", 257)}},
			Result: plain + `,"received":"* x y"}`, Brief: "hi"},
	)
}

func TestPOP3(t *testing.T) {
	open := opens("pop3")
	greeting := probetest.Turn{Says: "+OK hi\r\n"}
	const known = `{"starttls":"pop3","greeting":"hi"`
	probetest.Run(t, about,
		succeeds("agreed", "pop3", greeting, probetest.Turn{Hears: "CAPA\r\n", Says: "+OK\r\nTOP\r\nstls\r\n.\r\n"}, probetest.Turn{Hears: "STLS\r\n", Says: "+OK go\r\n"}),
		succeeds("knows no CAPA", "pop3", greeting, probetest.Turn{Hears: "CAPA\r\n", Says: "-ERR what\r\n"}, probetest.Turn{Hears: "STLS\r\n", Says: "+OK\r\n"}),
		probetest.Case{Name: "not offered", Open: open, Verdict: protocol.Refused, Reason: "no STARTTLS on offer",
			Turns:  turns{greeting, {Hears: "CAPA\r\n", Says: "+OK\r\nTOP\r\nSTLSX\r\n.\r\n"}, {Hears: "QUIT\r\n"}},
			Result: known + `,"received":"+OK\r\nTOP\r\nSTLSX\r\n."}`, Brief: "hi"},
		probetest.Case{Name: "refused", Open: open, Verdict: protocol.Refused, Reason: "STARTTLS refused: -ERR no",
			Turns:  turns{greeting, {Hears: "CAPA\r\n", Says: "+OK\r\nSTLS\r\n.\r\n"}, {Hears: "STLS\r\n", Says: "-ERR no\r\n"}, {Hears: "QUIT\r\n"}},
			Result: known + `,"received":"-ERR no"}`, Brief: "hi"},
		probetest.Case{Name: "no service", Open: open, Verdict: protocol.Refused, Reason: "the greeting is -ERR no",
			Turns: turns{{Says: "-ERR no\r\n"}}, Result: `{"starttls":"pop3","greeting":"no","received":"-ERR no"}`, Brief: "no"},
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not pop3",
			Turns: turns{{Says: "* OK\r\n"}}, Result: `{"starttls":"pop3","received":"* OK\r\n"}`, Brief: "* OK"},
		probetest.Case{Name: "endless", Open: open, Verdict: protocol.OverLimit, Reason: "32768",
			Turns:  turns{greeting, {Hears: "CAPA\r\n", Says: "+OK\r\n" + strings.Repeat("TOPTOPTO\r\n", 3300)}},
			Result: known + `,"received":"+OK\r\n` + strings.Repeat(`TOPTOPTO\r\n`, 50) + `TOPTOPT"}`, Brief: "hi"},
	)
}

func TestFTP(t *testing.T) {
	open := opens("ftp")
	greeting := probetest.Turn{Says: "220 hi\r\n"}
	const known = `{"starttls":"ftp","greeting":"hi"`
	probetest.Run(t, about,
		succeeds("agreed", "ftp", greeting, probetest.Turn{Hears: "AUTH TLS\r\n", Says: "234 go\r\n"}),
		succeeds("put off first", "ftp", probetest.Turn{Says: "120 wait\r\n220 hi\r\n"}, probetest.Turn{Hears: "AUTH TLS\r\n", Says: "234-go\r\n on\r\n234 now\r\n"}),
		probetest.Case{Name: "refused", Open: open, Verdict: protocol.Refused, Reason: "STARTTLS refused: 534 no",
			Turns: turns{greeting, {Hears: "AUTH TLS\r\n", Says: "534 no\r\n"}, {Hears: "QUIT\r\n"}}, Result: known + `,"received":"534 no"}`, Brief: "hi"},
		probetest.Case{Name: "wants more", Open: open, Verdict: protocol.Refused, Reason: "STARTTLS refused: 334 ADAT",
			Turns: turns{greeting, {Hears: "AUTH TLS\r\n", Says: "334 ADAT\r\n"}, {Hears: "QUIT\r\n"}}, Result: known + `,"received":"334 ADAT"}`, Brief: "hi"},
		probetest.Case{Name: "goes away", Open: open, Verdict: protocol.Refused, Reason: "the greeting is 421 busy",
			Turns: turns{{Says: "421 busy\r\n"}, {Hears: ""}}, Result: `{"starttls":"ftp","greeting":"busy","received":"421 busy"}`, Brief: "busy"},
		probetest.Case{Name: "puts off without end", Open: open, Verdict: protocol.Refused, Reason: "the greeting is 120 wait",
			Turns: turns{{Says: strings.Repeat("120 wait\r\n", 5)}, {Hears: "QUIT\r\n"}}, Result: `{"starttls":"ftp","greeting":"wait","received":"120 wait"}`, Brief: "wait"},
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not ftp",
			Turns: turns{{Says: "SSH-2.0-x\r\n"}}, Result: `{"starttls":"ftp","received":"SSH-2.0-x\r\n"}`, Brief: "SSH-2.0-x"},
	)
}

func TestSieve(t *testing.T) {
	open := opens("sieve")
	offer := probetest.Turn{Says: "\"IMPLEMENTATION\" \"x 1\"\r\n\"SASL\" \"\"\r\n\"starttls\"\r\nOK\r\n"}
	const ask = "STARTTLS\r\n"
	const known = `{"starttls":"sieve","greeting":"x 1"`
	probetest.Run(t, about,
		succeeds("agreed", "sieve", offer, probetest.Turn{Hears: ask, Says: "OK\r\n"}),
		succeeds("with words", "sieve", probetest.Turn{Says: "\"STARTTLS\"\r\nok (TAG \"x\") \"hi\"\r\n"}, probetest.Turn{Hears: ask, Says: "OK \"go\"\r\n"}),
		succeeds("with literals", "sieve",
			probetest.Turn{Says: "\"SIEVE\" {12}\r\nOK\r\nBYE\r\nNO \r\n{8}\r\nSTARTTLS\r\n\"X\" {0+}\r\n\r\n\"STARTTLS\"\r\nOK {4}\r\nNO\r\n\r\n"}, probetest.Turn{Hears: ask, Says: "OK {2+}\r\ngo\r\n"}),
		probetest.Case{Name: "not offered", Open: open, Verdict: protocol.Refused, Reason: "no STARTTLS on offer",
			Turns:  turns{{Says: "\"IMPLEMENTATION\" \"x 1\"\r\n\"STARTTLSX\"\r\nOK\r\n"}, {Hears: "LOGOUT\r\n"}},
			Result: known + `,"received":"OK"}`, Brief: "x 1"},
		probetest.Case{Name: "refused", Open: open, Verdict: protocol.Refused, Reason: `STARTTLS refused: NO (TRYLATER) "later"`,
			Turns:  turns{offer, {Hears: ask, Says: "NO (TRYLATER) \"later\"\r\n"}},
			Result: known + `,"received":"NO (TRYLATER) \"later\""}`, Brief: "x 1"},
		probetest.Case{Name: "refused at length", Open: open, Verdict: protocol.Refused, Reason: `STARTTLS refused: BYE {5}later`,
			Turns:  turns{offer, {Hears: ask, Says: "BYE {5}\r\nlater\r\n"}},
			Result: known + `,"received":"BYE {5}later"}`, Brief: "x 1"},
		probetest.Case{Name: "goes away", Open: open, Verdict: protocol.Refused, Reason: `the greeting is BYE "busy"`,
			Turns: turns{{Says: "BYE \"busy\"\r\n"}}, Result: `{"starttls":"sieve","received":"BYE \"busy\""}`, Brief: `BYE "busy"`},
		probetest.Case{Name: "capabilities instead of an answer", Open: open, Verdict: protocol.NotSpoken, Reason: "not sieve",
			Turns: turns{offer, {Hears: ask, Says: "\"x\"\r\n"}}, Result: known + `,"received":"\"x\""}`, Brief: "x 1"},
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not sieve",
			Turns: turns{{Says: "OKAY\r\n"}}, Result: `{"starttls":"sieve","received":"OKAY"}`, Brief: "OKAY"},
		probetest.Case{Name: "literal too large", Open: open, Verdict: protocol.NotSpoken, Reason: "not sieve: literal of more than 8192 bytes",
			Turns: turns{{Says: "\"x\" {99999999999999999999}\r\n"}}, Result: `{"starttls":"sieve","received":"\"x\" {99999999999999999999}"}`, Brief: `"x" {99999999999999999999}`},
		probetest.Case{Name: "line too long", Open: open, Verdict: protocol.OverLimit, Reason: "8192",
			Turns: turns{{Says: strings.Repeat("x", 8200)}}, Result: `{"starttls":"sieve","received":"` + strings.Repeat("x", 512) + `"}`, Brief: strings.Repeat("x", 200)},
		probetest.Case{Name: "talks on", Open: open, Verdict: protocol.Refused, Reason: "no answer among more than 256 others",
			Turns: turns{{Says: strings.Repeat("\"x\"\r\n", 257)}}, Result: `{"starttls":"sieve","received":"\"x\""}`, Brief: `"x"`},
	)
}
