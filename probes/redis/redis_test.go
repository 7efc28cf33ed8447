package redis

import (
	"strings"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

func TestExchange(t *testing.T) {
	open := func() protocol.Exchange { return Probe{}.Exchange(nil) }
	answer := func(says string) []probetest.Turn {
		return []probetest.Turn{{Hears: "*1\r\n$4\r\nPING\r\n", Says: says}}
	}
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "pong", Open: open, Turns: answer("+PONG\r\n"),
			Result: `{"reply":"PONG","auth_required":false}`, Brief: "PONG"},
		probetest.Case{Name: "pong as a string", Open: open, Turns: answer("$4\r\nPONG\r\n"),
			Result: `{"reply":"PONG","auth_required":false}`, Brief: "PONG"},
		probetest.Case{Name: "push and attribute before it", Open: open, Turns: answer(">1\r\n+hello\r\n|1\r\n+ttl\r\n:1\r\n+PONG\r\n"),
			Result: `{"reply":"PONG","auth_required":false}`, Brief: "PONG"},
		probetest.Case{Name: "password wanted", Open: open, Turns: answer("-NOAUTH Authentication required.\r\n"),
			Verdict: protocol.Refused, Reason: "NOAUTH Authentication required.",
			Result: `{"error":"NOAUTH Authentication required.","auth_required":true}`, Brief: "NOAUTH Authentication required."},
		probetest.Case{Name: "loading", Open: open, Turns: answer("-LOADING Redis is loading the dataset in memory\r\n"),
			Verdict: protocol.Refused, Reason: "LOADING",
			Result: `{"error":"LOADING Redis is loading the dataset in memory","auth_required":false}`, Brief: "LOADING Redis is loading the dataset in memory"},
		probetest.Case{Name: "another answer", Open: open, Turns: answer(":1\r\n"), Verdict: protocol.Refused, Reason: "not PONG",
			Result: `{"reply":"1","auth_required":false}`, Brief: "1"},
		probetest.Case{Name: "another protocol", Open: open, Turns: answer("220 mail ESMTP\r\n"), Verdict: protocol.NotSpoken, Reason: "not resp",
			Result: `{"received":"220 mail ESMTP\r\n"}`, Brief: "220 mail ESMTP"},
		probetest.Case{Name: "pushes without end", Open: open, Turns: answer(strings.Repeat(">1\r\n+x\r\n", 17)), Verdict: protocol.Refused, Reason: "17 frames",
			Result: `{}`},
		probetest.Case{Name: "closed", Open: open, Turns: answer("+PO"), Verdict: protocol.Closed, Reason: "closed before the answer",
			Result: `{"received":"+PO"}`, Brief: "+PO"},
		probetest.Case{Name: "reset", Open: open, Turns: answer(""), End: protocol.EndReset, Verdict: protocol.Unfinished, Reason: "reset before the answer"},
	)
}
