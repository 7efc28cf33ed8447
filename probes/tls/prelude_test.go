package tls

import (
	"strings"
	"testing"

	"sonde/probes"
	"sonde/protocol"
)

// hears gives the exchange all of what a server said, frame by frame, and returns its last step.
func hears(t *testing.T, e protocol.Exchange, said string) (step protocol.Step) {
	t.Helper()
	for buf := []byte(said); len(buf) > 0; {
		f, n, err := e.Parser().ParseFrame(buf)
		if err != nil {
			t.Fatal(err)
		}
		step, buf = e.OnFrame(f), buf[n:]
	}
	return step
}

// TestPreludeFailsLater: a server that has enough of us and says so before TLS begins has not answered the hello. What it
// said is the verdict, and no fingerprint is made of the hellos before.
func TestPreludeFailsLater(t *testing.T) {
	const alert = "\x15\x03\x03\x00\x02\x02\x28" // handshake_failure
	for _, tt := range []struct {
		name    string
		later   func(t *testing.T, e protocol.Exchange)
		verdict protocol.Verdict
		reason  string
	}{
		{"refuses", func(t *testing.T, e protocol.Exchange) {
			if step := hears(t, e, "N"); step.Then != protocol.Done {
				t.Errorf("got %+v, want Done", step)
			}
		}, protocol.Refused, "STARTTLS refused: N"},
		{"closes", func(_ *testing.T, e protocol.Exchange) { e.OnEnd(protocol.EndOfStream, nil, nil) }, protocol.Closed, "closed before the answer to SSLRequest"},
		{"takes no connection", nil, protocol.Unfinished, "answers to 3 of 10 hellos"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := configure(t, probes.TLSOptions{JARM: true, StartTLS: "postgres"}).Exchange(at("a.test", 5432)).(protocol.Handshaker)
			for range 3 {
				e.Handshake()
				e.Begin()
				if step := hears(t, e, "S"); step.Then != protocol.StartTLS {
					t.Fatalf("got %+v, want StartTLS", step)
				}
				e.Handshake()
				e.Begin()
				hears(t, e, alert)
				if !e.(protocol.Series).Next() {
					t.Fatal("no further connection is wanted")
				}
			}
			if tt.later == nil {
				e.OnEnd(protocol.EndNoConnection, nil, nil)
			} else {
				e.Handshake()
				e.Begin()
				tt.later(t, e)
			}
			if e.(protocol.Series).Next() {
				t.Error("another connection is wanted")
			}
			c := e.Conclusion()
			if c.Verdict != tt.verdict || c.Reason != tt.reason {
				t.Errorf("got verdict %d (%s), want %d (%s)", c.Verdict, c.Reason, tt.verdict, tt.reason)
			}
			if got := string(c.Finding.AppendJSON(nil)); strings.Contains(got, "jarm") {
				t.Errorf("got %s, want no fingerprint", got)
			}
		})
	}
}
