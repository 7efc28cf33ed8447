package simkernel

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
)

// traceLine is one line of the trace before it is text: most traces are never read.
type traceLine struct {
	at       int64 // 0: now
	what     string
	fd       int // 0: none
	addr     socket.Addr
	token    poller.Token
	n        int64
	call     socket.Call
	errno    syscall.Errno
	events   []poller.Event
	hasToken bool
	counted  bool // n is a number of bytes
	moment   bool // n is a moment
	answered bool // errno is worth a word
}

func (k *Kernel) note(l traceLine) {
	if !k.opts.Trace {
		return
	}
	if l.at == 0 {
		l.at = k.now
	}
	k.trace = append(k.trace, l)
}

func (k *Kernel) noteBatch(events []poller.Event) {
	if k.opts.Trace {
		k.note(traceLine{what: "batch", events: append([]poller.Event(nil), events...)})
	}
}

// Trace returns what happened, a line each with its moment: calls and what they gave, batches, and as "net" what arrived
// over the network. It is empty unless Options.Trace was set.
//
//	1ms connect fd=7 10.0.0.1:80 -> EINPROGRESS
//	2ms net established fd=7 10.0.0.1:80
//	2.001ms batch 3/1=W
//
// An event is written as slot/generation=readiness: R is Readable, W Writable, H Hangup, F Failed.
func (k *Kernel) Trace() []string {
	lines := make([]string, len(k.trace))
	for i := range k.trace {
		lines[i] = k.trace[i].String()
	}
	return lines
}

// String writes the line as Trace shows it.
func (l *traceLine) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", time.Duration(l.at), l.what)
	if l.fd != 0 {
		fmt.Fprintf(&b, " fd=%d", l.fd)
	}
	if l.addr.IsValid() {
		fmt.Fprintf(&b, " %v", l.addr.AddrPort())
	}
	if l.hasToken {
		fmt.Fprintf(&b, " token=%d/%d", l.token.Slot(), l.token.Generation())
	}
	for _, e := range l.events {
		fmt.Fprintf(&b, " %d/%d=%s", e.Token.Slot(), e.Token.Generation(), readyLetters(e.Ready))
	}
	if l.counted {
		fmt.Fprintf(&b, " %d bytes", l.n)
	}
	if l.moment {
		fmt.Fprintf(&b, " %v", time.Duration(l.n))
	}
	if l.answered {
		b.WriteString(" -> ")
		if l.call != socket.CallNone {
			fmt.Fprintf(&b, "%v: ", l.call)
		}
		b.WriteString(errnoName(l.errno))
	}
	return b.String()
}

func readyLetters(r poller.Ready) string {
	letters := make([]byte, 0, 4)
	for i, letter := range []byte("RWHF") {
		if r&(1<<i) != 0 {
			letters = append(letters, letter)
		}
	}
	return string(letters)
}

// errnoName is the errno as manual pages write it, "ok" for none.
func errnoName(e syscall.Errno) string {
	if e == 0 {
		return "ok"
	}
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return "errno " + strconv.Itoa(int(e))
}

// String tells the state of a connection for a DeadlockError.
func (c *conn) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fd=%d %v %s", c.fd, c.remote.AddrPort(), [...]string{"connecting", "established", "closed"}[c.state])
	if c.watch == nil {
		b.WriteString(", not watched")
	}
	if n := len(c.received); n > 0 {
		fmt.Fprintf(&b, ", %d bytes unread", n)
	}
	if c.finSeen {
		b.WriteString(", fin seen")
	}
	if c.unsent > 0 {
		fmt.Fprintf(&b, ", %d bytes unsent", c.unsent)
	}
	if c.err != 0 {
		fmt.Fprintf(&b, ", %s pending", errnoName(c.err))
	}
	if p := c.peer; c.state == established && p.at < len(p.script.Steps) {
		fmt.Fprintf(&b, ", its peer is to %v", p.script.Steps[p.at])
	}
	return b.String()
}
