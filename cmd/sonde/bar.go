package main

import (
	"io"
	"strings"
	"sync"
)

// bar is text at the bottom of a terminal that is drawn over and over. Whatever else is written to the terminal must go
// through above, which puts it where the bar stood and draws the bar anew below. All methods are safe for concurrent use;
// errors of the terminal have nobody to be told.
type bar struct {
	mu       sync.Mutex
	terminal io.Writer
	text     string // what stands there: lines without a newline at the end; "" for nothing
}

// Control sequences (ECMA-48 s.8.3.39, s.8.3.41, s.8.3.22).
const (
	eraseBelow = "\r\x1b[J"
	eraseRight = "\x1b[K"
	lineUp     = "\x1b[A"
)

// show draws text, which replaces what stood there. It must be narrower than the terminal.
func (b *bar) show(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = text
	b.draw()
}

// draw writes the bar in one write and leaves the cursor where the bar begins.
func (b *bar) draw() {
	lines := strings.Split(b.text, "\n")
	text := "\r" + strings.Join(lines, eraseRight+"\r\n") + eraseRight + "\r" + strings.Repeat(lineUp, len(lines)-1)
	io.WriteString(b.terminal, text)
}

// clear takes the bar away.
func (b *bar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.text != "" {
		io.WriteString(b.terminal, eraseBelow)
		b.text = ""
	}
}

// above returns a Writer of whole lines to w, which ends at the same terminal.
func (b *bar) above(w io.Writer) io.Writer { return aboveBar{b, w} }

type aboveBar struct {
	bar *bar
	w   io.Writer
}

// Write implements io.Writer.
func (a aboveBar) Write(p []byte) (int, error) {
	a.bar.mu.Lock()
	defer a.bar.mu.Unlock()
	if a.bar.text == "" {
		return a.w.Write(p)
	}
	io.WriteString(a.bar.terminal, eraseBelow)
	n, err := a.w.Write(p)
	a.bar.draw()
	return n, err
}
