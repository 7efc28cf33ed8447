package imap

import (
	"sonde/probes"
	"strings"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

func TestExchange(t *testing.T) {
	open := func() protocol.Exchange { return Probe{}.Exchange(nil) }
	first := func(says string, more ...probetest.Turn) []probetest.Turn {
		return append([]probetest.Turn{{Says: says}}, more...)
	}
	answer := func(says string) probetest.Turn { return probetest.Turn{Hears: "a1 CAPABILITY\r\n", Says: says} }
	bye := probetest.Turn{Hears: "a2 LOGOUT\r\n"}
	const start = `{"status":"OK","greeting":"ready"`
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "asked", Open: open, Turns: first("* OK ready\r\n", answer("* CAPABILITY IMAP4rev2 starttls\r\n* OK hm\r\na1 OK done\r\n"), bye),
			Result: start + `,"capabilities":["IMAP4rev2","starttls"],"starttls":true}`, Brief: "OK ready"},
		probetest.Case{Name: "told in the greeting", Open: open, Turns: first("* ok [Capability IMAP4rev1 ID] x\r\n", bye),
			Result: `{"status":"OK","greeting":"[Capability IMAP4rev1 ID] x","capabilities":["IMAP4rev1","ID"],"starttls":false}`, Brief: "OK [Capability IMAP4rev1 ID] x"},
		probetest.Case{Name: "logged in already", Open: open, Turns: first("* PREAUTH hi\r\n", answer("a1 OK\r\n"), bye),
			Result: `{"status":"PREAUTH","greeting":"hi"}`, Brief: "PREAUTH hi"},
		probetest.Case{Name: "bye", Open: open, Turns: first("* BYE too busy\r\n", probetest.Turn{}), Verdict: protocol.Refused, Reason: "the greeting is BYE too busy",
			Result: `{"status":"BYE","greeting":"too busy"}`, Brief: "BYE too busy"},
		probetest.Case{Name: "bye instead of an answer", Open: open, Turns: first("* OK ready\r\n", answer("* BYE idle\r\n"), probetest.Turn{}),
			Verdict: protocol.Refused, Reason: "the answer to CAPABILITY is BYE idle", Result: start + `}`, Brief: "OK ready"},
		probetest.Case{Name: "bad", Open: open, Turns: first("* OK ready\r\n", answer("a1 BAD no\r\n"), bye),
			Verdict: protocol.Refused, Reason: "the answer to CAPABILITY is BAD no", Result: start + `}`, Brief: "OK ready"},
		probetest.Case{Name: "no greeting", Open: open, Turns: first("* CAPABILITY IMAP4rev1\r\n"), Verdict: protocol.NotSpoken, Reason: "no greeting",
			Result: `{"received":"* CAPABILITY IMAP4rev1"}`, Brief: "* CAPABILITY IMAP4rev1"},
		probetest.Case{Name: "another protocol", Open: open, Turns: first("220 mail\r\n"), Verdict: protocol.NotSpoken, Reason: "not imap",
			Result: `{"received":"220 mail\r\n"}`, Brief: "220 mail"},
		probetest.Case{Name: "chatter without end", Open: open, Turns: first("* OK ready\r\n", answer(strings.Repeat("* 1 EXISTS\r\n", maxUntagged+1))),
			Verdict: protocol.Refused, Reason: "among 65 responses", Result: start + `}`, Brief: "OK ready"},
		probetest.Case{Name: "closed before the answer", Open: open, Turns: first("* OK ready\r\n", answer("* CAP")),
			Verdict: protocol.Closed, Reason: "closed before the answer to CAPABILITY", Result: start + `,"received":"* CAP"}`, Brief: "OK ready"},
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
		probetest.Case{Name: "capabilities", Open: open, Turns: []probetest.Turn{{Hears: "a1 CAPABILITY\r\n", Says: "* CAPABILITY IMAP4rev2 IDLE\r\na1 OK\r\n"}, {Hears: "a2 LOGOUT\r\n"}},
			Result: `{"capabilities":["IMAP4rev2","IDLE"],"starttls":false}`, Brief: "IMAP4rev2 IDLE"},
		probetest.Case{Name: "refused", Open: open, Verdict: protocol.Refused, Reason: "the answer to CAPABILITY is BAD no",
			Turns: []probetest.Turn{{Hears: "a1 CAPABILITY\r\n", Says: "a1 BAD no\r\n"}, {Hears: "a2 LOGOUT\r\n"}}, Result: `{}`},
	)
}
