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

// person uses the page: step by step, until one fails.
type person struct {
	*chromium
	t    *testing.T
	fake *fake
	url  string
	end  func() // ends the server
}

func (p *person) step(name string, do func()) {
	p.t.Helper()
	if !p.t.Failed() {
		do()
		p.t.Log(name)
	}
}

// rows is an expression: the texts of what a selector finds in the rows.
func rows(selector string) string {
	return "[...document.querySelectorAll('.rows .row:not(.waiting) " + selector + "')].map((e) => e.textContent)"
}

// TestPageWorks uses the page as a person does.
func TestPageWorks(t *testing.T) {
	p := &person{chromium: newChromium(t), t: t, fake: newFake(t, 10000)}
	p.size(1280, 800, "light")
	p.url, p.end = serve(t, p.fake, web.Options{})
	p.looksAround()
	p.searches()
	p.watches()
	p.quiet()
	p.loses()
}

// looksAround moves among rows by keys.
func (p *person) looksAround() {
	p.step("few of the rows are in the page", func() {
		p.open(p.url)
		p.wait(isLive + " && " + hasRows)
		p.wait(`document.querySelectorAll('.rows .row').length < 60 && document.getElementById('table').getAttribute('aria-rowcount') === '10001'`)
		p.wait(`(() => { const top = (n) => document.querySelector('.rows [aria-rowindex="' + n + '"]').getBoundingClientRect().top; return top(3) - top(2) === 44 && top(9) - top(8) === 44 })()`)
		p.wait(`document.title.includes('down') && document.getElementById('icon').href.includes('d2401f')`)
	})
	p.step("the last row is asked for by its key", func() {
		p.key("G")
		p.wait(`document.querySelector('.rows [aria-rowindex="10001"]:not(.waiting)[aria-selected=true]')`)
		p.key("g")
		p.wait(`document.querySelector('.rows [aria-rowindex="2"]:not(.waiting)[aria-selected=true]')`)
	})
	p.step("a target is looked at, the next, and left", func() {
		p.key("j")
		p.key("Enter")
		p.wait(`document.querySelector('.detail h2')?.textContent === document.querySelector('.rows [aria-rowindex="3"] .name b').textContent && document.activeElement.tagName === 'H2'`)
		p.key("j")
		p.wait(`document.querySelector('.detail h2')?.textContent === document.querySelector('.rows [aria-rowindex="4"] .name b').textContent`)
		p.key("Escape")
		p.wait(`document.getElementById('detail').hidden && document.activeElement.id === 'table' && location.hash === ''`)
	})
}

// searches finds what is looked for, and only that.
func (p *person) searches() {
	p.step("a search is typed, and is in the address", func() {
		p.key("/")
		for _, letter := range "db-0002" {
			p.key(string(letter))
		}
		p.wait(`location.search === '?q=db-0002' && ` + rows(".name b") + `.join() === 'db-0002.internal.example.org:5432'`)
		p.wait(`document.getElementById('matched').textContent === '1 of 10,000 targets'`)
		p.key("Escape")
		p.wait(`location.search === '' && ` + rows(".name b") + `.length > 5`)
		p.key("Escape")
	})
	p.step("states by their keys", func() {
		p.key("2")
		p.wait(`location.search === '?state=down' && ` + hasRows + ` && ` + rows(".state b") + `.every((s) => s === 'down')`)
		p.key("6")
		p.wait(`location.search === '?state=breaker-open' && ` + rows(".link") + `.length > 5 && ` + rows(".link") + `.every((s) => s.includes('open'))`)
		p.wait(`document.querySelector('[data-state=breaker-open]').getAttribute('aria-pressed') === 'true'`)
		p.key("1")
		p.wait(`location.search === ''`)
	})
	p.step("what targets say is text", func() {
		p.open(p.url + "/?q=xss&x=1#mail/" + "xss.example.com%3A443%2F" + strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20", `"`, "%22", "/", "%2F").Replace(hostile))
		p.wait(`document.querySelector('.detail .why')?.textContent.includes('<script>') && document.querySelector('.rows .name b')?.textContent.includes('<img src=x')`)
		p.wait(`!document.querySelector('.detail img, .rows img, .detail script, .rows script') && !document.title.includes('owned')`)
		p.open(p.url + "/?view=failures&x=1")
		p.wait(`document.getElementById('failures').textContent.includes('<img src=x') && !document.querySelector('#failures img')`)
	})
	p.step("nothing is found", func() {
		p.open(p.url + "/?q=nobody")
		p.wait(`!document.getElementById('empty').hidden && document.getElementById('empty').textContent === 'No target is like that.'`)
	})
}

// watches has the page change while it is looked at.
func (p *person) watches() {
	p.step("a row changes while it is looked at", func() {
		p.open(p.url + "/?q=api-0001")
		p.wait(isLive + ` && ` + rows(".state b") + `.join() === 'up'`)
		p.fake.mu.Lock()
		for range 3 {
			p.fake.recordFailure(1)
		}
		p.fake.mu.Unlock()
		p.wait(rows(".state b") + `.join() === 'down' && ` + rows(".fail b") + `.join() === 'connection-refused'`)
	})
	p.step("what is live does not wait for the history of a target", func() {
		awaited := make(chan struct{})
		p.fake.mu.Lock()
		p.fake.awaited = awaited
		p.fake.mu.Unlock()
		defer close(awaited)
		p.open(p.url + "/?sort=name&x=3#api/https%3A%2F%2Fapi-0001.eu-west.example.net")
		p.wait(isLive + ` && ` + hasRows + ` && !document.querySelector('.detail .verdict')`)
	})
	p.step("and that comes", func() { p.wait(`document.querySelector('.detail .verdict')`) })
}

// loses has a target go, and the server.
func (p *person) loses() {
	p.step("a target that is looked at is not watched any more", func() {
		p.open(p.url + "/?q=api-0001&x=2")
		p.wait(isLive + ` && ` + rows(".name b") + `.length === 1`)
		p.key("j")
		p.key("Enter")
		p.wait(`document.querySelector('.detail .verdict')`)
		p.fake.mu.Lock()
		p.fake.table.Remove(1)
		p.fake.mu.Unlock()
		p.wait(`document.querySelector('.detail').textContent.includes('no target') && !document.querySelector('.detail .verdict') && !document.querySelector('.rows .row:not(.waiting)')`)
	})
	p.step("the server goes", func() {
		p.end()
		p.wait(`document.getElementById('live-text').textContent === 'connection lost, reconnecting' && document.title.startsWith('connection lost')`)
		p.shoot("lost")
	})
}
