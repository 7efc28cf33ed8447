package runner

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/policy/retry"
	"sonde/probes"
	"sonde/probes/banner"
	sondehttp "sonde/probes/http"
	"sonde/report"
	"sonde/target"
	"sonde/watch/track"
)

// TestDialed: a result says when its last connection was dialled, which is not when its first was if it was repeated.
func TestDialed(t *testing.T) {
	p := start(t, Options{})
	asks, err := (banner.Probe{}).Configure(probes.Options{Send: []byte("x\n"), Expect: never})
	if err != nil {
		t.Fatal(err)
	}
	j := fast("j", plain(asks))
	const pause = 20 * time.Millisecond
	j.Retries = retry.Settings{Retries: 1, Delay: 2 * pause} // half of it at least
	began := time.Now()
	p.do(func() {
		p.SetJob(j)
		p.SetTargets("j", targets("j", testpeer.New(t, testpeer.Reset, testpeer.Options{}).Addr(), closed(t)))
	})
	seen := make(map[uint32]bool)
	for len(seen) < 2 {
		r := p.next()
		seen[r.row] = true
		since, ends := r.res.Dialed.Sub(r.res.At), r.res.Dialed.Add(r.res.Timing.Total)
		if r.res.At.Before(began) || ends.After(time.Now()) {
			t.Errorf("dialled at %v and over at %v, want both since %v", r.res.At, ends, began)
		}
		if repeated := r.res.Attempts == 2; repeated != (since > 0) {
			t.Errorf("after %d attempts the last connection was dialled %v behind the first", r.res.Attempts, since)
		}
	}
}

// TestHopsDialed: each hop has the moment of its dial, behind the end of the one before.
func TestHopsDialed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/end" {
			http.Redirect(w, r, "/end", http.StatusFound)
		}
	}))
	defer server.Close()
	probe, err := sondehttp.NewChecked(sondehttp.Checks{Secure: func(p probes.Probe, _ bool) probes.Probe { return p }})
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, Options{})
	addr := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	p.do(func() {
		p.SetJob(fast("j", plain(probe)))
		p.SetTargets("j", []Target{{
			Key: 1, Entry: target.Target{Addr: addr.Addr(), Port: addr.Port(), Path: "/"}, About: &track.Target{Job: "j", Module: "m"},
		}})
	})
	res := p.next().res
	if res.Status != report.Success || len(res.Hops) != 2 {
		t.Fatalf("got %v %s and %d hops, want success and 2", res.Status, res.Error, len(res.Hops))
	}
	first, last := &res.Hops[0], &res.Hops[1]
	if !first.At.Equal(res.At) || !last.At.Equal(res.Dialed) || last.At.Before(first.At.Add(first.Total)) {
		t.Errorf("first dialled at %v, hops at %v for %v and %v, the last one at %v", res.At, first.At, first.Total, last.At, res.Dialed)
	}
}
