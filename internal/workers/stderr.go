package workers

import (
	"bufio"
	"io"
	"sync"
)

// maxLine is how long a line on stderr may be, in bytes, before it is cut: what a pipe holds (pipe(7)).
const maxLine = 64 << 10

// lines merges the lines of several writers. A nil w throws them away.
type lines struct {
	mu sync.Mutex // guards w and line
	w  io.Writer
	// line is what is written next, kept for its memory.
	line []byte
}

// copy writes each line of r behind the prefix until r ends.
func (l *lines) copy(r io.Reader, prefix string) {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		// Of a line that is too long a piece comes, with bufio.ErrBufferFull.
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			l.write(prefix, line)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func (l *lines) write(prefix string, line []byte) {
	if l.w == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = append(append(l.line[:0], prefix...), line...)
	if l.line[len(l.line)-1] != '\n' {
		l.line = append(l.line, '\n')
	}
	l.w.Write(l.line)
}
