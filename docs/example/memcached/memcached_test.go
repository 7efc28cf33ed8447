package memcached

import (
	"strings"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

func TestExchange(t *testing.T) {
	open := func() protocol.Exchange { return Probe{}.Exchange(nil) }
	answer := func(says string) []probetest.Turn {
		return []probetest.Turn{{Hears: "version\r\n", Says: says}}
	}
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "version", Open: open, Turns: answer("VERSION 1.6.18\r\n"),
			Result: `{"version":"1.6.18"}`, Brief: "1.6.18"},
		probetest.Case{Name: "error", Open: open, Turns: answer("ERROR\r\n"),
			Verdict: protocol.Refused, Reason: "answer is an error",
			Result: `{"received":"ERROR"}`, Brief: "ERROR"},
		probetest.Case{Name: "another protocol", Open: open, Turns: answer("-ERR unknown command\r\n"),
			Verdict: protocol.NotSpoken, Reason: "no version",
			Result: `{"received":"-ERR unknown command"}`, Brief: "-ERR unknown command"},
		probetest.Case{Name: "line without end", Open: open, Turns: answer("VERSION " + strings.Repeat("1", maxLine)),
			Verdict: protocol.OverLimit, Reason: "without end",
			Result: `{"received":"VERSION ` + strings.Repeat("1", maxLine-8) + `"}`, Brief: "VERSION " + strings.Repeat("1", maxLine-8)},
		probetest.Case{Name: "reset", Open: open, Turns: answer("VERS"), End: protocol.EndReset,
			Verdict: protocol.Unfinished, Reason: "no answer",
			Result: `{"received":"VERS"}`, Brief: "VERS"},
	)
}
