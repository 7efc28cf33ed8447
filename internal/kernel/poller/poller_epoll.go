//go:build linux

package poller

import (
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// nudge is an eventfd (eventfd(2)). It is registered edge-triggered: each write is an edge, so it is never read.
type nudge struct{ fd int }

var nudgeValue = [8]byte{1} // a host-order uint64 that is not zero on any machine

func (p *Gnet) openNudge() error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return err
	}
	p.nudge.fd = fd
	if err := p.np.AddRead(&netpoll.PollAttachment{FD: fd}, true); err != nil {
		unix.Close(fd)
		return err
	}
	return nil
}

// nudgeSelf can't fail while the eventfd is open: its counter would have to overflow first, after 2^55 nudges.
func (p *Gnet) nudgeSelf() { _, _ = unix.Write(p.nudge.fd, nudgeValue[:]) }

func (p *Gnet) closeNudge() { unix.Close(p.nudge.fd) }

// timer is a timerfd (timerfd_create(2)), one-shot and, like the eventfd, never read: setting it anew clears it.
type timer struct{ fd int }

func (p *Gnet) openTimer() error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return err
	}
	p.timer.fd = fd
	if err := p.np.AddRead(&netpoll.PollAttachment{FD: fd}, true); err != nil {
		unix.Close(fd)
		return err
	}
	return nil
}

func (p *Gnet) setTimer(at int64) {
	var spec unix.ItimerSpec // zero disarms
	if at != 0 {
		spec.Value = unix.NsecToTimespec(max(at-p.clk.Now(), 1))
	}
	_ = unix.TimerfdSettime(p.timer.fd, 0, &spec, nil) // can't fail: the descriptor and the value are valid
}

func (p *Gnet) closeTimer() { unix.Close(p.timer.fd) }

func (p *Gnet) isOwn(fd int) bool { return fd == p.nudge.fd || fd == p.timer.fd }

// readiness translates epoll_ctl(2)'s event bits.
func readiness(event netpoll.IOEvent, _ netpoll.IOFlags) Ready {
	var r Ready
	if event&(unix.EPOLLIN|unix.EPOLLPRI) != 0 {
		r |= Readable
	}
	if event&unix.EPOLLOUT != 0 {
		r |= Writable
	}
	if event&(unix.EPOLLRDHUP|unix.EPOLLHUP) != 0 {
		r |= Hangup
	}
	if event&unix.EPOLLERR != 0 {
		r |= Failed
	}
	return r
}
