package builtin

import (
	"net/netip"
	"testing"

	"sonde/internal/testpeer"
	"sonde/protocol"
	"sonde/target"
)

// TestProbesLikeTheHealthyPeers holds each probe against the peer of its protocol that the embedded fleet plays, both
// without I/O: they were written apart from each other, from the RFCs.
func TestProbesLikeTheHealthyPeers(t *testing.T) {
	for name, kind := range map[string]testpeer.Kind{
		"ftp": testpeer.FTP, "http": testpeer.HTTP, "imap": testpeer.IMAP, "pop3": testpeer.POP3,
		"redis": testpeer.Redis, "smtp": testpeer.SMTP, "ssh": testpeer.SSH,
	} {
		t.Run(name, func(t *testing.T) {
			p, ok := Find(name)
			if !ok {
				t.Fatal("no such probe")
			}
			e := p.Exchange(&target.Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: 1})
			if !talk(t, e, testpeer.NewSession(kind)) {
				t.Fatal("both wait for each other")
			}
			c := e.Conclusion()
			if c.Verdict != protocol.Success || c.Finding == nil {
				t.Fatalf("got verdict %d (%s), want success and a finding", c.Verdict, c.Reason)
			}
			t.Logf("%s: %s", c.Finding.Brief(), c.Finding.AppendJSON(nil))
		})
	}
}

// talk carries bytes between an exchange and a server until the exchange is done, which it reports, or nothing moves.
func talk(t *testing.T, e protocol.Exchange, s testpeer.Session) bool {
	var toServer, toClient []byte
	step := e.Begin()
	toClient = append(toClient, s.Greeting()...)
	for {
		for _, b := range step.Send {
			toServer = append(toServer, b...)
		}
		if step.Then != protocol.Read {
			return true
		}
		step = protocol.Step{}
		n, answer, _ := s.Receive(toServer, nil)
		toServer = toServer[n:]
		toClient = append(toClient, answer...)
		f, taken, err := e.Parser().ParseFrame(toClient)
		switch {
		case err == protocol.ErrIncomplete && n == 0:
			return false
		case err == protocol.ErrIncomplete:
			continue
		case err != nil:
			t.Fatal(err)
		}
		step = e.OnFrame(f)
		toClient = toClient[taken:]
	}
}
