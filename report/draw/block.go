package draw

import (
	"io"
	"strings"
	"sync"
)

// Block is text at the bottom of a terminal that is drawn over and over. Whatever else is written to the terminal must go
// through Above, which puts it where the block stood and draws the block anew below. All methods are safe for concurrent use;
// errors of the terminal have nobody to be told. Make one with [NewBlock].
type Block struct {
	terminal io.Writer
	mu       sync.Mutex
	text     string // what stands there: lines without a newline at the end; "" for nothing
}

// NewBlock returns a Block of that terminal, with nothing in it.
func NewBlock(terminal io.Writer) *Block { return &Block{terminal: terminal} }

// Control sequences (ECMA-48 s.8.3.39, s.8.3.41, s.8.3.22).
const (
	eraseBelow = "\r\x1b[J"
	eraseRight = "\x1b[K"
	lineUp     = "\x1b[A"
)

// Show draws text, lines without a newline at the end, which replaces what stood there. It must be narrower than the terminal.
func (b *Block) Show(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = text
	b.draw()
}

// draw writes the block in one write and leaves the cursor where the block begins.
func (b *Block) draw() {
	lines := strings.Split(b.text, "\n")
	text := "\r" + strings.Join(lines, eraseRight+"\r\n") + eraseRight + "\r" + strings.Repeat(lineUp, len(lines)-1)
	io.WriteString(b.terminal, text)
}

// Clear takes the block away.
func (b *Block) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.text != "" {
		io.WriteString(b.terminal, eraseBelow)
		b.text = ""
	}
}

// Above returns a Writer of whole lines to w, which ends at the same terminal.
func (b *Block) Above(w io.Writer) io.Writer { return aboveBlock{b, w} }

type aboveBlock struct {
	block *Block
	w     io.Writer
}

// Write implements io.Writer.
func (a aboveBlock) Write(p []byte) (int, error) {
	a.block.mu.Lock()
	defer a.block.mu.Unlock()
	if a.block.text == "" {
		return a.w.Write(p)
	}
	io.WriteString(a.block.terminal, eraseBelow)
	n, err := a.w.Write(p)
	a.block.draw()
	return n, err
}
