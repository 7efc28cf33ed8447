package web_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sonde/watch/web"
)

// serve serves f on loopback until the test ends, and returns where. The function ends it earlier.
func serve(t *testing.T, f *fake, opt web.Options) (url string, end func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	opt.Clock = f.clock
	go func() { ended <- web.New(f, opt).Serve(ctx, l) }()
	once := false
	end = func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
	}
	t.Cleanup(end)
	return "http://" + l.Addr().String(), end
}

// shoot keeps a screenshot to be looked at, if SONDE_SHOTS names a folder for them.
func (b *chromium) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("SONDE_SHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), b.screenshot(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// quiet fails the test if the page has had errors.
func (b *chromium) quiet() {
	b.t.Helper()
	if p := b.problems(); len(p) > 0 {
		b.t.Errorf("the console has %d errors: %s", len(p), strings.Join(p, "\n"))
	}
}

const (
	isLive  = `document.getElementById('live').dataset.state === 'on'`
	hasRows = `document.querySelectorAll('.rows .row:not(.waiting)').length > 5`
)

// TestPage opens the page with few targets and with many, and shows each of its views in each size and scheme.
func TestPage(t *testing.T) {
	b := newChromium(t)
	for _, n := range []int{10, 1000, 10000} {
		f := newFake(t, n)
		f.busy = true
		url, end := serve(t, f, web.Options{})
		for _, view := range []struct{ name, path, ready string }{
			{"targets", "/", hasRows}, {"worst", "/?sort=state", hasRows},
			{"detail", "/?sort=state&s=1#edge/https%3A%2F%2Fwww-0005.example.com%2Fhealth", `document.querySelector('.detail .chart .line')`},
			{"failures", "/?view=failures", `document.querySelector('.failures li b')`}, {"status", "/?view=status", `document.querySelector('.sources')`},
		} {
			for _, size := range []struct {
				name          string
				width, height int
				scheme        string
			}{{"desk-light", 1280, 800, "light"}, {"desk-dark", 1280, 800, "dark"}, {"phone-light", 360, 740, "light"}, {"phone-dark", 360, 740, "dark"}} {
				b.size(size.width, size.height, size.scheme)
				if size.name == "desk-light" {
					b.open(url + view.path)
				}
				b.wait(isLive + " && " + view.ready)
				var wide bool
				if err := b.eval("document.documentElement.scrollWidth > innerWidth", &wide); err != nil || wide {
					t.Errorf("%s, %s, %d targets: the page is wider than the window (%v)", view.name, size.name, n, err)
				}
				b.shoot(fmt.Sprintf("%s-%s-%d", view.name, size.name, n))
			}
		}
		end()
	}
	b.quiet()
}
