package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"sonde/report"
)

// console is where everything for a person goes that is not a result: standard error.
type console struct {
	io.Writer           // what is written to; a bar may stand between it and stream
	stream    io.Writer // standard error itself
	terminal  bool
	color     bool
}

func newConsole(w io.Writer) *console {
	terminal := isTerminal(w)
	return &console{Writer: w, stream: w, terminal: terminal, color: terminal && colorWanted()}
}

// colorWanted reports whether the environment wants colours on a terminal (no-color.org; terminfo's "dumb").
func colorWanted() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// widthOf is the width of the terminal w in columns; 80 for what is none or does not tell.
func widthOf(w any) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// asciiOnly reports whether the locale says that the terminal shows ASCII only. Where nothing is set, as in most
// containers, the terminal is some emulator of today, which shows UTF-8.
func asciiOnly() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(os.Getenv(name)); v != "" {
			return !strings.Contains(v, "UTF-8") && !strings.Contains(v, "UTF8")
		}
	}
	return false
}

// style is how a text for a person looks on this console.
func (c *console) style() report.Style {
	return report.Style{Width: widthOf(c.stream), Color: c.color, ASCII: asciiOnly()}
}

// SGR sequences (ECMA-48 s.8.3.117).
const (
	sgrRed    = "\x1b[31m"
	sgrYellow = "\x1b[33m"
	sgrCyan   = "\x1b[36m"
	sgrBold   = "\x1b[1m"
	sgrReset  = "\x1b[0m"
)

func (c *console) paint(sgr, text string) string {
	if !c.color {
		return text
	}
	return sgr + text + sgrReset
}

// failure tells why sonde ends without having done what it was asked to, and how to mend it.
func (c *console) failure(text, hint string) {
	c.say(sgrRed, "error:", text)
	if hint != "" {
		c.hint(hint)
	}
}

// warn tells of something that is likely not what was meant; sonde goes on.
func (c *console) warn(format string, args ...any) {
	c.say(sgrYellow, "warning:", fmt.Sprintf(format, args...))
}

func (c *console) hint(text string) { c.say(sgrCyan, "hint:", text) }

// note tells what sonde is doing.
func (c *console) note(format string, args ...any) { c.say("", "", fmt.Sprintf(format, args...)) }

// say writes one message in one write. An error has nowhere to go.
func (c *console) say(sgr, word, text string) {
	if word != "" {
		word = c.paint(sgr, word) + " "
	}
	fmt.Fprintf(c.Writer, "sonde: %s%s\n", word, text)
}
