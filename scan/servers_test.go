package scan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sonde/engine"
	"sonde/internal/testserver"
	"sonde/report"
)

// server is a real server with the probe for it.
type server struct {
	probe  string
	start  func(t testing.TB) netip.AddrPort
	status report.Status
	result string // what the probe's result must hold
}

func servers() map[string]server {
	open := func(t testing.TB) netip.AddrPort { return testserver.Redis(t, "") }
	locked := func(t testing.TB) netip.AddrPort { return testserver.Redis(t, "secret") }
	return map[string]server{
		"nginx":        {"http", testserver.Nginx, report.Success, `"server":"nginx`},
		"redis":        {"redis", open, report.Success, `"reply":"PONG"`},
		"redis locked": {"redis", locked, report.ApplicationError, `"auth_required":true`},
		"sshd":         {"ssh", testserver.SSH, report.Success, `"software":"OpenSSH_`},
		"exim":         {"smtp", testserver.SMTP, report.Success, `mail.sonde.test`},
		"vsftpd":       {"ftp", testserver.FTP, report.Success, `sonde test FTP`},
		"imap":         {"imap", testserver.IMAP, report.Success, `"capabilities":[`},
		"pop3":         {"pop3", testserver.POP3, report.Success, `sonde test mail`},
	}
}

// TestServers asks each real server by its own probe, 50 times, and then by the probes for the others: that is never a
// success, and never takes longer than the limits allow.
func TestServers(t *testing.T) {
	probes := []string{"http", "redis", "ssh", "smtp", "ftp", "imap", "pop3"}
	for name, srv := range servers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := srv.start(t)
			records, _ := scanAll(t, Config{
				InputFiles: []string{"-"}, Stdin: strings.NewReader(strings.Repeat(addr.String()+"\n", 50)), Probes: []string{srv.probe},
				Connections: 10, // exim lets 20 wait to be accepted, and leaves more without a word
			})
			for i := range records {
				r := &records[i]
				if r.Status != srv.status {
					t.Errorf("got %v, want %v", r, srv.status)
				}
				if !strings.Contains(r.result, srv.result) {
					t.Errorf("got %v, want a result with %s", r, srv.result)
				}
			}
			limits := engine.Limits{Connect: time.Minute, Read: 4 * time.Second}
			records, _ = scanAll(t, Config{Args: []string{addr.String()}, Probes: probes, Limits: limits})
			if len(records) != len(probes) {
				t.Errorf("got %d records, want %d", len(records), len(probes))
			}
			for i := range records {
				r := &records[i]
				if r.Probe == srv.probe {
					continue
				}
				if r.Status == report.Success {
					t.Errorf("got %v from a server of %s", r, srv.probe)
				}
				if r.Side != report.SideRemote {
					t.Errorf("got %v, want it to be the server's fault", r)
				}
				if r.Timing.Total > 2*limits.Read {
					t.Errorf("got %v after %v, want an end at %v", r, r.Timing.Total, limits.Read)
				}
				wantText(t, r.Status, r.Error)
			}
		})
	}
}

// TestNginxPages asks for pages by URL: the path is kept, and the answer judged by its status.
func TestNginxPages(t *testing.T) {
	addr := testserver.Nginx(t)
	tests := map[string]struct {
		status report.Status
		result string
	}{
		"/":        {report.Success, `"status_code":200`},
		"/chunked": {report.Success, `"status_code":200`},
		"/moved":   {report.Success, `"status_code":301`},
		"/broken":  {report.ApplicationError, `"status_code":503`},
		"/silent":  {report.ConnectionClosed, ""},
		"/lost":    {report.ApplicationError, `"status_code":404`},
	}
	for path, tt := range tests {
		t.Run(path, func(t *testing.T) {
			records, _ := scanAll(t, Config{Args: []string{fmt.Sprintf("http://%v%s", addr, path)}})
			r := only(t, records)
			if r.Status != tt.status || !strings.Contains(r.result, tt.result) {
				t.Errorf("got %v, want %v and a result with %s", r, tt.status, tt.result)
			}
			wantText(t, r.Status, r.Error)
		})
	}
}
