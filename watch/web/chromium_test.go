package web_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// chromium is a browser without a window, told what to do by the DevTools protocol over a pipe: JSON messages, each with a zero
// byte behind it, on its descriptors 3 and 4 (chromium --remote-debugging-pipe).
type chromium struct {
	t       *testing.T
	to      io.Writer
	session string

	mu      sync.Mutex
	next    int
	waiting map[int]chan message
	errors  []string // what the page has written to the console as an error, or thrown
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// browserLimit is how long a busy machine may take for what takes a second.
const browserLimit = 90 * time.Second

// newChromium starts a browser with one empty page.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium here")
	}
	toRead, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromRead, fromWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// Not a TempDir of the test's: its removal fails while one of the browser's processes still writes there.
	profile, err := os.MkdirTemp("", "sonde")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	c := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	c.ExtraFiles = []*os.File{toRead, fromWrite}
	c.WaitDelay = 5 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	fromWrite.Close()
	b := &chromium{t: t, to: toWrite, waiting: map[int]chan message{}}
	go b.read(fromRead)
	t.Cleanup(func() {
		b.session = ""
		_ = b.call("Browser.close", nil, nil)
		_ = c.Wait() // killed or not, it is over
		toWrite.Close()
		fromRead.Close()
	})
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	b.must("Target.getTargets", nil, &targets)
	for _, target := range targets.TargetInfos {
		if target.Type == "page" {
			var attached struct{ SessionID string }
			b.must("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
			b.session = attached.SessionID
		}
	}
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.must(domain+".enable", nil, nil)
	}
	return b
}

func (b *chromium) read(from io.Reader) {
	in := bufio.NewReader(from)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if wait := b.waiting[m.ID]; wait != nil && m.ID != 0 {
			delete(b.waiting, m.ID)
			wait <- m
		}
		if m.Method == "Runtime.exceptionThrown" || m.Method == "Log.entryAdded" && strings.Contains(string(m.Params), `"level":"error"`) ||
			m.Method == "Runtime.consoleAPICalled" && strings.Contains(string(m.Params), `"type":"error"`) {
			b.errors = append(b.errors, string(m.Params))
		}
		b.mu.Unlock()
	}
}

// call calls a method of the protocol and waits for its result.
func (b *chromium) call(method string, params map[string]any, result any) error {
	b.mu.Lock()
	b.next++
	wait := make(chan message, 1)
	b.waiting[b.next] = wait
	request := map[string]any{"id": b.next, "method": method}
	if params != nil {
		request["params"] = params
	}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	text, err := json.Marshal(request)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m := <-wait:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-time.After(browserLimit):
		return fmt.Errorf("%s: no answer", method)
	}
}

func (b *chromium) must(method string, params map[string]any, result any) {
	b.t.Helper()
	if err := b.call(method, params, result); err != nil {
		b.t.Fatal(err)
	}
}

// size is that of the window, in CSS pixels; scheme is "light" or "dark".
func (b *chromium) size(width, height int, scheme string) {
	b.t.Helper()
	b.must("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.must("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// open goes to a page.
func (b *chromium) open(url string) {
	b.t.Helper()
	b.must("Page.navigate", map[string]any{"url": url}, nil)
}

// eval evaluates an expression, which may be a promise, and stores its value in to.
func (b *chromium) eval(expression string, to any) error {
	var result struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &result)
	switch {
	case err != nil:
		return err
	case result.ExceptionDetails != nil:
		return fmt.Errorf("%s: %s %s", expression, result.ExceptionDetails.Text, result.ExceptionDetails.Exception.Description)
	case to == nil || result.Result.Value == nil:
		return nil
	}
	return json.Unmarshal(result.Result.Value, to)
}

// wait waits until an expression is true on the page.
func (b *chromium) wait(condition string) {
	b.t.Helper()
	// A page that is being left loses its promises, so it is asked again.
	var is bool
	over := time.After(browserLimit)
	for !is {
		err := b.eval(`new Promise((done) => { let n = 0; const look = () => { try { if (`+condition+`) return done(true) } catch {} if (++n > 200) return done(false); setTimeout(look, 20) }; look() })`, &is)
		select {
		case <-over:
			var body string
			_ = b.eval("document.body.innerText", &body)
			b.t.Fatalf("waited for %s: %v; the page says %.600q, errors %v", condition, err, body, b.problems())
		default:
		}
	}
}

// key presses a key: "j", "Enter".
func (b *chromium) key(key string) {
	b.t.Helper()
	params := map[string]any{"type": "keyDown", "key": key}
	if len(key) == 1 {
		params["text"] = key
	}
	if key == "Enter" {
		params["text"], params["windowsVirtualKeyCode"] = "\r", 13
	}
	b.must("Input.dispatchKeyEvent", params, nil)
	params["type"] = "keyUp"
	delete(params, "text")
	b.must("Input.dispatchKeyEvent", params, nil)
}

// screenshot is what the window shows, as PNG.
func (b *chromium) screenshot() []byte {
	b.t.Helper()
	var shot struct{ Data string }
	b.must("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}

// problems are the errors that the page has had so far.
func (b *chromium) problems() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.errors...)
}
