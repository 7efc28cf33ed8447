package ssh

import (
	"strings"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

func TestExchange(t *testing.T) {
	open := func() protocol.Exchange { return Probe{}.Exchange(nil) }
	says := func(s string) []probetest.Turn { return []probetest.Turn{{Says: s}} }
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "openssh", Open: open, Turns: says("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
			Result: `{"version":"2.0","software":"OpenSSH_9.2p1","comments":"Debian-2"}`, Brief: "SSH-2.0-OpenSSH_9.2p1"},
		probetest.Case{Name: "both versions, preamble", Open: open, Turns: says("Hello\r\nworld\nSSH-1.99-Cisco-1.25\n"),
			Result: `{"version":"1.99","software":"Cisco-1.25","preamble":"Hello\nworld\n"}`, Brief: "SSH-1.99-Cisco-1.25"},
		probetest.Case{Name: "old version", Open: open, Turns: says("SSH-1.5-1.2.27\n"), Verdict: protocol.Refused, Reason: "protocol version 1.5, want 2.0",
			Result: `{"version":"1.5","software":"1.2.27"}`, Brief: "SSH-1.5-1.2.27"},
		probetest.Case{Name: "turned away", Open: open, Turns: says("Exceeded MaxStartups\r\n"), Verdict: protocol.Closed, Reason: "closed before the identification",
			Result: `{"preamble":"Exceeded MaxStartups\n"}`, Brief: "Exceeded MaxStartups"},
		probetest.Case{Name: "another protocol, which waits", Open: open, Turns: says("220 mail\r\n"), End: protocol.EndTimeout, Verdict: protocol.Unfinished, Reason: "in time",
			Result: `{"preamble":"220 mail\n"}`, Brief: "220 mail"},
		probetest.Case{Name: "binary", Open: open, Turns: says("\x15\x03\x01\x00\x02"), Verdict: protocol.NotSpoken, Reason: "NUL",
			Result: `{"received":"\u0015\u0003\u0001\u0000\u0002"}`, Brief: ""},
		probetest.Case{Name: "endless line", Open: open, Turns: says(strings.Repeat("x", 9000)), Verdict: protocol.OverLimit, Reason: "8192",
			Result: `{"received":"` + strings.Repeat("x", 512) + `"}`, Brief: strings.Repeat("x", 200)},
		probetest.Case{Name: "long preamble is cut", Open: open, Turns: says(strings.Repeat("0123456\n", 200) + "SSH-2.0-x\n"),
			Result: `{"version":"2.0","software":"x","preamble":"` + strings.Repeat(`0123456\n`, 128) + `"}`, Brief: "SSH-2.0-x"},
	)
}
