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
		b.open("about:blank") // or the page has a right to complain
		b.wait(`location.protocol === 'about:'`)
		end()
	}
	b.quiet()
}

// TestPageWorks uses the page as a person does.
func TestPageWorks(t *testing.T) {
	b := newChromium(t)
	b.size(1280, 800, "light")
	f := newFake(t, 10000)
	url, end := serve(t, f, web.Options{})
	rows := func(selector string) string {
		return "[...document.querySelectorAll('.rows .row:not(.waiting) " + selector + "')].map((e) => e.textContent)"
	}
	step := func(name string, do func()) {
		t.Helper()
		if !t.Failed() {
			do()
			t.Log(name)
		}
	}
	step("few of the rows are in the page", func() {
		b.open(url)
		b.wait(isLive + " && " + hasRows)
		b.wait(`document.querySelectorAll('.rows .row').length < 60 && document.getElementById('table').getAttribute('aria-rowcount') === '10001'`)
		b.wait(`(() => { const top = (n) => document.querySelector('.rows [aria-rowindex="' + n + '"]').getBoundingClientRect().top; return top(3) - top(2) === 44 && top(9) - top(8) === 44 })()`)
		b.wait(`document.title.includes('down') && document.getElementById('icon').href.includes('d2401f')`)
	})
	step("the last row is asked for by its key", func() {
		b.key("G")
		b.wait(`document.querySelector('.rows [aria-rowindex="10001"]:not(.waiting)[aria-selected=true]')`)
		b.key("g")
		b.wait(`document.querySelector('.rows [aria-rowindex="2"]:not(.waiting)[aria-selected=true]')`)
	})
	step("a target is looked at, the next, and left", func() {
		b.key("j")
		b.key("Enter")
		b.wait(`document.querySelector('.detail h2')?.textContent === document.querySelector('.rows [aria-rowindex="3"] .name b').textContent && document.activeElement.tagName === 'H2'`)
		b.key("j")
		b.wait(`document.querySelector('.detail h2')?.textContent === document.querySelector('.rows [aria-rowindex="4"] .name b').textContent`)
		b.key("Escape")
		b.wait(`document.getElementById('detail').hidden && document.activeElement.id === 'table' && location.hash === ''`)
	})
	step("a search is typed, and is in the address", func() {
		b.key("/")
		for _, letter := range "db-0002" {
			b.key(string(letter))
		}
		b.wait(`location.search === '?q=db-0002' && ` + rows(".name b") + `.join() === 'db-0002.internal.example.org:5432'`)
		b.wait(`document.getElementById('matched').textContent === '1 of 10,000 targets'`)
		b.key("Escape")
		b.wait(`location.search === '' && ` + rows(".name b") + `.length > 5`)
		b.key("Escape")
	})
	step("states by their keys", func() {
		b.key("2")
		b.wait(`location.search === '?state=down' && ` + hasRows + ` && ` + rows(".state b") + `.every((s) => s === 'down')`)
		b.key("6")
		b.wait(`location.search === '?state=breaker-open' && ` + rows(".link") + `.length > 5 && ` + rows(".link") + `.every((s) => s.includes('open'))`)
		b.wait(`document.querySelector('[data-state=breaker-open]').getAttribute('aria-pressed') === 'true'`)
		b.key("1")
		b.wait(`location.search === ''`)
	})
	step("what targets say is text", func() {
		b.open(url + "/?q=xss&x=1#mail/" + "xss.example.com%3A443%2F" + strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20", `"`, "%22", "/", "%2F").Replace(hostile))
		b.wait(`document.querySelector('.detail .why')?.textContent.includes('<script>') && document.querySelector('.rows .name b')?.textContent.includes('<img src=x')`)
		b.wait(`!document.querySelector('.detail img, .rows img, .detail script, .rows script') && !document.title.includes('owned')`)
		b.open(url + "/?view=failures&x=1")
		b.wait(`document.getElementById('failures').textContent.includes('<img src=x') && !document.querySelector('#failures img')`)
	})
	step("a row changes while it is looked at", func() {
		b.open(url + "/?q=api-0001")
		b.wait(isLive + ` && ` + rows(".state b") + `.join() === 'up'`)
		f.mu.Lock()
		for range 3 {
			f.recordFailure(1)
		}
		f.mu.Unlock()
		b.wait(rows(".state b") + `.join() === 'down' && ` + rows(".fail b") + `.join() === 'connection-refused'`)
	})
	step("what is live does not wait for the history of a target", func() {
		awaited := make(chan struct{})
		f.mu.Lock()
		f.awaited = awaited
		f.mu.Unlock()
		defer close(awaited)
		b.open(url + "/?sort=name&x=3#api/https%3A%2F%2Fapi-0001.eu-west.example.net")
		b.wait(isLive + ` && ` + hasRows + ` && !document.querySelector('.detail .verdict')`)
	})
	step("and that comes", func() { b.wait(`document.querySelector('.detail .verdict')`) })
	step("nothing is found", func() {
		b.open(url + "/?q=nobody")
		b.wait(`!document.getElementById('empty').hidden && document.getElementById('empty').textContent === 'No target is like that.'`)
	})
	b.quiet()
	step("a target that is looked at is not watched any more", func() {
		b.open(url + "/?q=api-0001&x=2")
		b.wait(isLive + ` && ` + rows(".name b") + `.length === 1`)
		b.key("j")
		b.key("Enter")
		b.wait(`document.querySelector('.detail .verdict')`)
		f.mu.Lock()
		f.table.Remove(1)
		f.mu.Unlock()
		b.wait(`document.querySelector('.detail').textContent.includes('no target') && !document.querySelector('.detail .verdict') && !document.querySelector('.rows .row:not(.waiting)')`)
	})
	step("the server goes", func() {
		end()
		b.wait(`document.getElementById('live-text').textContent === 'connection lost, reconnecting' && document.title.startsWith('connection lost')`)
		b.shoot("lost")
	})
}
