package secure

import (
	"bufio"
	"crypto/tls"
	"io"
	"strings"
	"testing"

	"sonde/probes"
	"sonde/probes/http"
	"sonde/probes/redis"
	"sonde/protocol"
)

// Probes of sonde's over TLS: their own fields, and "tls".
func TestUnderProbes(t *testing.T) {
	for _, tt := range []struct {
		probe         probes.Probe
		hears, says   string
		result, brief string
	}{
		{http.Probe{}, "GET / HTTP/1.1\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
			`{"status_code":204,"reason":"No Content","version":"1.1","tls":{"tls_depth":"full","sni":"a.test",`, "204 No Content, tls1"},
		{redis.Probe{}, "*1\r\n", "+PONG\r\n", `{"reply":"PONG","auth_required":false,"tls":{"tls_depth":"full","sni":"a.test",`, "PONG, tls1"},
	} {
		for _, v := range versions {
			about := tt.probe.About()
			t.Run(about.Name+" "+v.word, func(t *testing.T) {
				p := layer(t, options()).Under(tt.probe)
				got := play(t, p.Exchange(here).(protocol.Handshaker), serves(only(server(good(t)), v.number), func(c *tls.Conn) {
					if heard, _ := bufio.NewReader(c).ReadString('\n'); heard != tt.hears {
						t.Errorf("the server heard %q", heard)
					}
					_, _ = io.WriteString(c, tt.says)
				}), protocol.EndOfStream)
				if got.Verdict != protocol.Success || !strings.HasPrefix(got.json, tt.result) || !strings.HasPrefix(got.Finding.Brief(), tt.brief) {
					t.Errorf("got verdict %d, %q, %q, %s", got.Verdict, got.Reason, got.Finding.Brief(), got.json)
				}
			})
			fields := layer(t, options()).Under(tt.probe).About().Reports
			if len(fields) != len(about.Reports)+1 || fields[len(fields)-1].Name != "tls" {
				t.Errorf("%s reports %v", about.Name, fields)
			}
		}
	}
}
