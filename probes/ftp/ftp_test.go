package ftp

import (
	"sonde/probes"
	"strings"
	"testing"

	"sonde/probes/probetest"
	"sonde/protocol"
)

func TestExchange(t *testing.T) {
	open := func() protocol.Exchange { return Probe{}.Exchange(nil) }
	greeted := func(says string, more ...probetest.Turn) []probetest.Turn {
		return append([]probetest.Turn{{Says: "220 ready\r\n"}, {Hears: "FEAT\r\n", Says: says}}, more...)
	}
	bye := probetest.Turn{Hears: "QUIT\r\n"}
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "features", Open: open, Turns: greeted("211-Features:\r\n SIZE\r\n AUTH SSL;TLS;\r\nstray\r\n211 End\r\n", bye),
			Result: `{"code":220,"greeting":"ready","features":["SIZE","AUTH SSL;TLS;"],"auth_tls":true}`, Brief: "220 ready"},
		probetest.Case{Name: "login wanted", Open: open, Turns: greeted("530 Please login with USER and PASS.\r\n", bye),
			Result: `{"code":220,"greeting":"ready","features":[],"auth_tls":false}`, Brief: "220 ready"},
		probetest.Case{Name: "ready later", Open: open,
			Turns:  []probetest.Turn{{Says: "120 in 1 minute\r\n220-a\r\n b\r\n220 c\r\n"}, {Hears: "FEAT\r\n", Says: "502 no\r\n"}, {Hears: "NOOP\r\n", Says: "200 ok\r\n"}, bye},
			Result: `{"code":220,"greeting":"a\n b\nc","features":[],"auth_tls":false}`, Brief: "220 a  b c"},
		probetest.Case{Name: "put off for ever", Open: open, Turns: []probetest.Turn{{Says: strings.Repeat("120 later\r\n", 5)}, bye},
			Verdict: protocol.Refused, Reason: "the greeting is 120 later", Result: `{"code":120,"greeting":"later"}`, Brief: "120 later"},
		probetest.Case{Name: "too many users", Open: open, Turns: []probetest.Turn{{Says: "421 too many users\r\n"}, {}},
			Verdict: protocol.Refused, Reason: "the greeting is 421 too many users", Result: `{"code":421,"greeting":"too many users"}`, Brief: "421 too many users"},
		probetest.Case{Name: "not welcome", Open: open, Turns: []probetest.Turn{{Says: "530 no\r\n"}, bye},
			Verdict: protocol.Refused, Reason: "the greeting is 530 no", Result: `{"code":530,"greeting":"no"}`, Brief: "530 no"},
		probetest.Case{Name: "shut down meanwhile", Open: open, Turns: greeted("421 bye\r\n", probetest.Turn{}),
			Verdict: protocol.Refused, Reason: "the answer to FEAT is 421 bye", Result: `{"code":220,"greeting":"ready","features":[],"auth_tls":false}`, Brief: "220 ready"},
		probetest.Case{Name: "an SMTP server", Open: open,
			Turns:   []probetest.Turn{{Says: "220 mx ESMTP\r\n"}, {Hears: "FEAT\r\n", Says: "500 what\r\n"}, {Hears: "NOOP\r\n", Says: "250 OK\r\n"}, bye},
			Verdict: protocol.NotSpoken, Reason: "not ftp: NOOP is answered as SMTP does",
			Result: `{"code":220,"greeting":"mx ESMTP","features":[],"auth_tls":false}`, Brief: "220 mx ESMTP"},
		probetest.Case{Name: "closed after the greeting", Open: open, Turns: greeted("211-F"),
			Verdict: protocol.Closed, Reason: "closed before the answer to FEAT", Result: `{"code":220,"greeting":"ready","received":"211-F"}`, Brief: "220 ready"},
		probetest.Case{Name: "another protocol", Open: open, Turns: []probetest.Turn{{Says: "* OK IMAP4\r\n"}},
			Verdict: protocol.NotSpoken, Reason: "not ftp", Result: `{"received":"* OK IMAP4\r\n"}`, Brief: "* OK IMAP4"},
	)
}

func TestIsAuthTLS(t *testing.T) {
	for feature, want := range map[string]bool{
		"AUTH TLS": true, "auth tls": true, "AUTH SSL;TLS;": true, "AUTH TLS-C;TLS-P": false, "AUTH": false, "PBSZ TLS": false,
	} {
		if got := isAuthTLS(feature); got != want {
			t.Errorf("%q: got %t, want %t", feature, got, want)
		}
	}
}

// TestGreeted: behind AUTH TLS the exchange sends first, and reports no greeting.
func TestGreeted(t *testing.T) {
	p, err := Probe{}.Configure(probes.Options{Greeted: true})
	if err != nil {
		t.Fatal(err)
	}
	open := func() protocol.Exchange { return p.Exchange(nil) }
	probetest.Run(t, Probe{}.About(),
		probetest.Case{Name: "features", Open: open, Turns: []probetest.Turn{{Hears: "FEAT\r\n", Says: "211-x\r\n SIZE\r\n MDTM\r\n211 End\r\n"}, {Hears: "QUIT\r\n"}},
			Result: `{"features":["SIZE","MDTM"],"auth_tls":false}`, Brief: "SIZE, MDTM"},
		probetest.Case{Name: "wants a login", Open: open, Turns: []probetest.Turn{{Hears: "FEAT\r\n", Says: "530 log in\r\n"}, {Hears: "QUIT\r\n"}},
			Result: `{"features":[],"auth_tls":false}`},
	)
}
