package smtp

import (
	"sonde/probes"
	"strings"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

const (
	hello = "EHLO sonde.invalid\r\n"
	bye   = "QUIT\r\n"
)

func TestExchange(t *testing.T) {
	open := func() protocol.Exchange { return Probe{}.Exchange(nil) }
	greeted := func(says string) []probetest.Turn {
		return []probetest.Turn{{Says: "220 mail.example.com ESMTP\r\n"}, {Hears: hello, Says: says}}
	}
	const start = `{"code":220,"greeting":"mail.example.com ESMTP"`
	const brief = "220 mail.example.com ESMTP"
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "esmtp", Open: open,
			Turns:  append(greeted("250-mail.example.com\r\n250-SIZE 1000\r\n250-starttls\r\n250 8BITMIME\r\n"), probetest.Turn{Hears: bye}),
			Result: start + `,"esmtp":true,"capabilities":["SIZE 1000","starttls","8BITMIME"],"starttls":true}`, Brief: brief},
		probetest.Case{Name: "no extensions", Open: open, Turns: append(greeted("250 mail\r\n"), probetest.Turn{Hears: bye}),
			Result: start + `,"esmtp":true,"capabilities":[],"starttls":false}`, Brief: brief},
		probetest.Case{Name: "greeting of two lines", Open: open,
			Turns:  []probetest.Turn{{Says: "220-one\r\n220 two\r\n"}, {Hears: hello, Says: "250 x\r\n"}, {Hears: bye}},
			Result: `{"code":220,"greeting":"one\ntwo","esmtp":true,"capabilities":[],"starttls":false}`, Brief: "220 one two"},
		probetest.Case{Name: "helo", Open: open,
			Turns:  append(greeted("502 what?\r\n"), probetest.Turn{Hears: "HELO sonde.invalid\r\n", Says: "250 mail\r\n"}, probetest.Turn{Hears: bye}),
			Result: start + `,"esmtp":false,"capabilities":[],"starttls":false}`, Brief: brief},
		probetest.Case{Name: "an ftp server knows neither", Open: open, Verdict: protocol.Refused, Reason: "the answer to HELO is 500 ?",
			Turns:  append(greeted("500 ?\r\n"), probetest.Turn{Hears: "HELO sonde.invalid\r\n", Says: "500 ?\r\n"}, probetest.Turn{Hears: bye}),
			Result: start + `,"esmtp":false,"capabilities":[],"starttls":false}`, Brief: brief},
		probetest.Case{Name: "EHLO refused", Open: open, Verdict: protocol.Refused, Reason: "the answer to EHLO is 550 go away",
			Turns:  append(greeted("550 go away\r\n"), probetest.Turn{Hears: bye}),
			Result: start + `,"esmtp":false,"capabilities":[],"starttls":false}`, Brief: brief},
		probetest.Case{Name: "no service", Open: open, Verdict: protocol.Refused, Reason: "the greeting is 554 no service",
			Turns:  []probetest.Turn{{Says: "554 no service\r\n"}, {Hears: bye}},
			Result: `{"code":554,"greeting":"no service"}`, Brief: "554 no service"},
		probetest.Case{Name: "too busy", Open: open, Verdict: protocol.Refused, Reason: "the greeting is 421 busy",
			Turns:  []probetest.Turn{{Says: "421 busy\r\n"}, {Hears: ""}},
			Result: `{"code":421,"greeting":"busy"}`, Brief: "421 busy"},
		probetest.Case{Name: "another protocol", Open: open, Verdict: protocol.NotSpoken, Reason: "not smtp: not a reply code",
			Turns:  []probetest.Turn{{Says: "SSH-2.0-x\r\n"}},
			Result: `{"received":"SSH-2.0-x\r\n"}`, Brief: "SSH-2.0-x"},
		probetest.Case{Name: "closed after the greeting", Open: open, Verdict: protocol.Closed, Reason: "closed before the answer to EHLO",
			Turns: greeted("250-x"), Result: start + `,"received":"250-x"}`, Brief: brief},
		probetest.Case{Name: "reset after the greeting", Open: open, End: protocol.EndReset, Verdict: protocol.Unfinished, Reason: "reset before the answer to EHLO",
			Turns: greeted(""), Result: start + `}`, Brief: brief},
		probetest.Case{Name: "endless greeting", Open: open, Verdict: protocol.OverLimit, Reason: "32768",
			Turns: []probetest.Turn{{Says: strings.Repeat("220-x\r\n", 5000)}}, Result: `{"received":"` + strings.Repeat(`220-x\r\n`, 73) + `2"}`, Brief: strings.Repeat("220-x  ", 28) + "220-"},
	)
}

// TestGreeted: behind STARTTLS the exchange sends first, and reports no greeting.
func TestGreeted(t *testing.T) {
	p, err := Probe{}.Configure(probes.Options{Greeted: true})
	if err != nil {
		t.Fatal(err)
	}
	open := func() protocol.Exchange { return p.Exchange(nil) }
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "esmtp", Open: open, Turns: []probetest.Turn{{Hears: hello, Says: "250-mail\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n"}, {Hears: bye}},
			Result: `{"esmtp":true,"capabilities":["AUTH PLAIN","8BITMIME"],"starttls":false}`, Brief: "AUTH PLAIN, 8BITMIME"},
		probetest.Case{Name: "helo", Open: open, Turns: []probetest.Turn{{Hears: hello, Says: "502 what?\r\n"}, {Hears: "HELO sonde.invalid\r\n", Says: "250 mail\r\n"}, {Hears: bye}},
			Result: `{"esmtp":false,"capabilities":[],"starttls":false}`},
		probetest.Case{Name: "refused", Open: open, Verdict: protocol.Refused, Reason: "the answer to EHLO is 550 go away",
			Turns:  []probetest.Turn{{Hears: hello, Says: "550 go away\r\n"}, {Hears: bye}},
			Result: `{"esmtp":false,"capabilities":[],"starttls":false}`},
	)
}
