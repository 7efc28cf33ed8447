//go:build darwin || freebsd

package poller

import (
	"time"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// nudge is a pipe; netpoll does not offer EVFILT_USER for others' use.
type nudge struct{ read, write int }

func (p *Gnet) openNudge() error {
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		return err
	}
	p.nudge = nudge{read: fds[0], write: fds[1]}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			p.closeNudge()
			return err
		}
	}
	if err := p.np.AddRead(&netpoll.PollAttachment{FD: p.nudge.read}, true); err != nil {
		p.closeNudge()
		return err
	}
	return nil
}

// nudgeSelf may find the pipe full; then a nudge is on its way already.
func (p *Gnet) nudgeSelf() { _, _ = unix.Write(p.nudge.write, []byte{1}) }

func (p *Gnet) closeNudge() {
	unix.Close(p.nudge.read)
	unix.Close(p.nudge.write)
}

// timer is a runtime timer that wakes the poller.
type timer struct{ t *time.Timer }

func (p *Gnet) openTimer() error {
	p.timer.t = time.AfterFunc(time.Hour, p.Wake)
	p.timer.t.Stop()
	return nil
}

func (p *Gnet) setTimer(at int64) {
	if at == 0 {
		p.timer.t.Stop()
		return
	}
	p.timer.t.Reset(time.Duration(max(at-p.clk.Now(), 1)))
}

func (p *Gnet) closeTimer() { p.timer.t.Stop() }

// isOwn also empties the pipe.
func (p *Gnet) isOwn(fd int) bool {
	if fd != p.nudge.read {
		return false
	}
	var buf [64]byte
	for {
		if n, err := unix.Read(fd, buf[:]); n < len(buf) || err != nil {
			return true
		}
	}
}

// readiness translates kevent(2)'s filter and flags.
func readiness(event netpoll.IOEvent, flags netpoll.IOFlags) Ready {
	var r Ready
	switch event {
	case unix.EVFILT_READ:
		r |= Readable
	case unix.EVFILT_WRITE:
		r |= Writable
	}
	if flags&unix.EV_EOF != 0 {
		r |= Hangup
	}
	if flags&unix.EV_ERROR != 0 {
		r |= Failed
	}
	return r
}
