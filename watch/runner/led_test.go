package runner

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"sonde/probes"
	sondehttp "sonde/probes/http"
	"sonde/report"
	"sonde/target"
)

// TestLedToNowhere has a redirect lead to a name that does not exist: what is told is of the server that led there, and what
// that took is not lost.
func TestLedToNowhere(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("https://none.test/", http.StatusFound))
	defer server.Close()
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	p := start(t, Options{Names: target.ResolverOptions{Lookup: lookup}})
	allow := &target.Set{}
	allow.AddPrefix(netip.MustParsePrefix("127.0.0.0/8"))
	p.do(func() { p.SetLimits(Limits{Allow: allow}) })
	probe, err := sondehttp.NewChecked(sondehttp.Checks{Secure: func(p probes.Probe, _ bool) probes.Probe { return p }})
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(server.Listener.Addr().String())
	res, err := p.Ask(t.Context(), Question{
		Target: target.Target{Addr: addr.Addr(), Port: addr.Port(), Path: "/"}, Module: plain(probe), Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != report.DNSError || res.Addr != addr || !res.Secure {
		t.Errorf("got %v (%s) of %v, over TLS: %v; want a name that is not found, of %v", res.Status, res.Error, res.Addr, res.Secure, addr)
	}
	if len(res.Hops) != 2 || res.Timing.Connect != res.Hops[0].Connect || res.Timing.Connect <= 0 || res.Timing.Total < res.Timing.FirstByte {
		t.Errorf("got hops %+v, in all %+v", res.Hops, res.Timing)
	}
	if res.Figures == nil || res.Figures.HTTP == nil || res.Figures.HTTP.Redirects != 1 {
		t.Errorf("got figures %+v", res.Figures)
	}
}
