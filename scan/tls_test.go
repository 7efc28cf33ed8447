package scan

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/internal/testcert"
	"sonde/internal/testpeer"
	"sonde/probes"
	"sonde/report"
)

// fleet is peers with certificates of one authority.
type fleet struct {
	creds *testpeer.Credentials
	roots *x509.CertPool
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	creds, err := testpeer.NewCredentials()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{creds: creds, roots: x509.NewCertPool()}
	if !f.roots.AppendCertsFromPEM(creds.RootPEM()) {
		t.Fatal("the authority of the peers can't be read")
	}
	return f
}

// start runs a peer and returns its address.
func (f *fleet) start(t *testing.T, kind testpeer.Kind) netip.AddrPort {
	t.Helper()
	return testpeer.New(t, kind, testpeer.Options{Credentials: f.creds, Interval: 50 * time.Millisecond}).Addr()
}

// line is a target line with a name that the certificates of healthy peers are for.
func line(addr netip.AddrPort, kind testpeer.Kind) string {
	return fmt.Sprintf("%v,%s.sonde.test,,%d", addr.Addr(), kind, addr.Port())
}

// TestTLSPeers meets every kind of peer that speaks TLS, or breaks it, with the tls probe.
func TestTLSPeers(t *testing.T) {
	f := newFleet(t)
	for _, about := range testpeer.Kinds() {
		if !about.TLS {
			continue
		}
		t.Run(string(about.Kind), func(t *testing.T) {
			t.Parallel()
			addr := f.start(t, about.Kind)
			const n = 3
			records, run := scanAll(t, Config{
				InputFiles: []string{"-"}, Stdin: strings.NewReader(strings.Repeat(line(addr, about.Kind)+"\n", n)),
				Probes: []string{about.Probe}, Limits: limitsFor(about.Expect),
				Options: probes.Options{TLS: probes.TLSOptions{Roots: f.roots, StartTLS: about.StartTLS}},
			})
			if len(records) != n {
				t.Fatalf("got %d records, want %d", len(records), n)
			}
			for i := range records {
				r := &records[i]
				if r.Status.String() != about.Expect {
					t.Errorf("got %v, want %s", r, about.Expect)
				}
				wantText(t, r.Status, r.Error)
				checkHandshakeTiming(t, r)
			}
			if run.Engine.HandshakesMax == 0 {
				t.Error("got no handshake under way at any time")
			}
		})
	}
}

// checkHandshakeTiming has the parts of a handshake add up, and be there after one that ended.
func checkHandshakeTiming(t *testing.T, r *kept) {
	t.Helper()
	tm := r.Timing
	ended := r.Status == report.Success || r.Status == report.CertificateError
	switch {
	case ended && (tm.TLS <= 0 || tm.TLSWait > tm.Total):
		t.Errorf("%v: got a handshake of %v, of which %v were waiting, in %v, want one", r, tm.TLS, tm.TLSWait, tm.Total)
	case (tm.TLS == report.Absent) != (tm.TLSCPU == report.Absent), (tm.TLS == report.Absent) != (tm.TLSWait == report.Absent):
		t.Errorf("%v: got tls %v of %v and %v, want all or none", r, tm.TLS, tm.TLSCPU, tm.TLSWait)
	case tm.TLS != report.Absent && tm.TLSCPU.Microseconds()+tm.TLSWait.Microseconds() != tm.TLS.Microseconds():
		t.Errorf("%v: got tls %v of %v and %v, want a sum", r, tm.TLS, tm.TLSCPU, tm.TLSWait)
	}
}

// TestFailedHandshakeHasNoTime: at every depth a duration is told of a handshake that came to its end only, an untrusted
// certificate's among them; refusals are quick and would spoil a latency.
func TestFailedHandshakeHasNoTime(t *testing.T) {
	f := newFleet(t)
	for _, depth := range []probes.Depth{probes.DepthFull, probes.DepthCerts} {
		for kind, want := range map[testpeer.Kind]bool{
			testpeer.TLSGarbage: false, testpeer.TLSAlert: false, testpeer.TLSHugeCertificate: false, testpeer.TLSResetHello: false,
			testpeer.StartTLSSMTP: false, // without being asked to begin TLS
			testpeer.TLSExpired:   true, testpeer.TLS13: true,
		} {
			t.Run(depth.String()+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				records, _ := scanAll(t, Config{
					InputFiles: []string{"-"}, Stdin: strings.NewReader(line(f.start(t, kind), kind) + "\n"),
					Probes: []string{"tls"}, Options: probes.Options{TLS: probes.TLSOptions{Roots: f.roots, Depth: depth}},
				})
				r := &records[0]
				if got := r.Timing.TLS != report.Absent; got != want {
					t.Errorf("%v: got a handshake of %v", r, r.Timing.TLS)
				}
				checkHandshakeTiming(t, r)
			})
		}
	}
}

// TestHTTPS has other probes speak over TLS: chosen by a URL, by --tls, and behind a STARTTLS of their own.
func TestHTTPS(t *testing.T) {
	f := newFleet(t)
	web, mail := f.start(t, testpeer.TLS13), f.start(t, testpeer.StartTLSSMTP)
	trusting := probes.Options{TLS: probes.TLSOptions{Roots: f.roots, ServerName: "a.sonde.test"}}
	greeted := trusting
	greeted.TLS.StartTLS = probes.StartTLSAuto
	tests := map[string]struct {
		cfg    Config
		status report.Status
		result string
	}{
		"https": {Config{Args: []string{"https://" + web.String() + "/status/404"}, Options: trusting},
			report.ApplicationError, `"status_code":404`},
		"tls": {Config{Args: []string{web.String()}, Probes: []string{"http"}, TLS: true, Options: trusting},
			report.Success, `"status_code":200`},
		"tls below nothing": {Config{Args: []string{web.String()}, TLS: true, Options: trusting}, report.Success, `"tls":{`},
		"nobody trusts it":  {Config{Args: []string{web.String()}, Probes: []string{"http"}, TLS: true}, report.CertificateError, `"tls":{`},
		"no TLS there":      {Config{Args: []string{web.String()}, Probes: []string{"http"}}, report.ConnectionClosed, ``},
		"starttls":          {Config{Args: []string{mail.String()}, Probes: []string{"smtp"}, Options: greeted}, report.Success, `"tls":{`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			records, _ := scanAll(t, tt.cfg)
			r := only(t, records)
			if r.Status != tt.status || !strings.Contains(r.result, tt.result) {
				t.Errorf("got %v, want %v and a result with %s", r, tt.status, tt.result)
			}
			checkHandshakeTiming(t, r)
		})
	}
}

// TestResumptionIsSummedUp: what a second connection saves is in the sum, of the tls probe and of one over TLS alike.
func TestResumptionIsSummedUp(t *testing.T) {
	f := newFleet(t)
	addr := f.start(t, testpeer.TLSResume)
	for _, cfg := range []Config{{Probes: []string{"tls"}}, {Probes: []string{"tcp"}, TLS: true}} {
		t.Run(cfg.Probes[0], func(t *testing.T) {
			cfg.Args = []string{line(addr, testpeer.TLSResume)}
			cfg.Options.TLS = probes.TLSOptions{Roots: f.roots, SessionReuse: true}
			records, run := scanAll(t, cfg)
			want(t, only(t, records), report.Success, report.SideNone)
			text := jsonOf(t, run.Summary.Resumption())
			if !strings.Contains(text, `"methods":{"psk":1}`) || !strings.Contains(text, `"resumed_us":{"count":1,`) {
				t.Errorf("got %s, want one that resumed by psk", text)
			}
		})
	}
}

// TestGreetingOverTLS: with TLS from the first byte the server's greeting comes over TLS and is waited for, whatever
// --starttls says of targets that begin plain.
func TestGreetingOverTLS(t *testing.T) {
	authority, err := testcert.NewAuthority("mail", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Issue(testcert.Leaf{Names: []string{"mail.sonde.test"}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	defer served.Wait()
	defer listener.Close()
	served.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "220 mail.sonde.test ready\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			fmt.Fprint(conn, "250 mail.sonde.test\r\n")
		}
	})
	records, _ := scanAll(t, Config{
		InputFiles: []string{"-"}, Stdin: strings.NewReader("smtps://" + listener.Addr().String() + "\n"),
		Probes: []string{"smtp"}, Options: probes.Options{TLS: probes.TLSOptions{Insecure: true, StartTLS: probes.StartTLSAuto}},
	})
	r := only(t, records)
	want(t, r, report.Success, report.SideNone)
	if !strings.Contains(r.result, "mail.sonde.test ready") {
		t.Errorf("got %v, want the greeting", r)
	}
}
