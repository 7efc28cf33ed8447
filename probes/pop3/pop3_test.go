package pop3

import (
	"sonde/probes"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

func TestExchange(t *testing.T) {
	open := func() protocol.Exchange { return Probe{}.Exchange(nil) }
	greeted := func(says string, more ...probetest.Turn) []probetest.Turn {
		return append([]probetest.Turn{{Says: "+OK ready\r\n"}, {Hears: "CAPA\r\n", Says: says}}, more...)
	}
	bye := probetest.Turn{Hears: "QUIT\r\n"}
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "capabilities", Open: open, Turns: greeted("+OK list\r\nTOP\r\n..odd\r\nSTLS\r\n.\r\n", bye),
			Result: `{"ok":true,"greeting":"ready","capabilities":["TOP",".odd","STLS"],"stls":true}`, Brief: "+OK ready"},
		probetest.Case{Name: "no CAPA", Open: open, Turns: greeted("-ERR what?\r\n", bye),
			Result: `{"ok":true,"greeting":"ready","capabilities":[],"stls":false}`, Brief: "+OK ready"},
		probetest.Case{Name: "negative greeting", Open: open, Turns: []probetest.Turn{{Says: "-ERR [SYS/TEMP] down\r\n"}, {}},
			Verdict: protocol.Refused, Reason: "the greeting is -ERR [SYS/TEMP] down", Result: `{"ok":false,"greeting":"[SYS/TEMP] down"}`, Brief: "-ERR [SYS/TEMP] down"},
		probetest.Case{Name: "closed in the list", Open: open, Turns: greeted("+OK\r\nTOP\r\n"),
			Verdict: protocol.Closed, Reason: "closed before the answer to CAPA", Result: `{"ok":true,"greeting":"ready","received":"+OK\r\nTOP\r\n"}`, Brief: "+OK ready"},
		probetest.Case{Name: "another protocol", Open: open, Turns: []probetest.Turn{{Says: "220 mail\r\n"}},
			Verdict: protocol.NotSpoken, Reason: "not pop3", Result: `{"received":"220 mail\r\n"}`, Brief: "220 mail"},
		probetest.Case{Name: "silence", Open: open, End: protocol.EndTimeout,
			Verdict: protocol.Unfinished, Reason: "in time"},
	)
}

// TestGreeted: behind STLS the exchange sends first, and reports no greeting.
func TestGreeted(t *testing.T) {
	p, err := Probe{}.Configure(probes.Options{Greeted: true})
	if err != nil {
		t.Fatal(err)
	}
	open := func() protocol.Exchange { return p.Exchange(nil) }
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "capabilities", Open: open, Turns: []probetest.Turn{{Hears: "CAPA\r\n", Says: "+OK\r\nTOP\r\nSASL PLAIN\r\n.\r\n"}, {Hears: "QUIT\r\n"}},
			Result: `{"capabilities":["TOP","SASL PLAIN"],"stls":false}`, Brief: "TOP, SASL PLAIN"},
		probetest.Case{Name: "knows no CAPA", Open: open, Turns: []probetest.Turn{{Hears: "CAPA\r\n", Says: "-ERR what\r\n"}, {Hears: "QUIT\r\n"}},
			Result: `{"capabilities":[],"stls":false}`},
	)
}
