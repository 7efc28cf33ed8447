package simkernel

import (
	"math"
	"syscall"
)

// never is a moment that does not come.
const never = math.MaxInt64

// occurrenceKind says what an occurrence is.
type occurrenceKind uint8

const (
	synAnswered     occurrenceKind = iota // the SYN-ACK arrives
	dataArrives                           // a segment of data arrives
	finArrives                            // the peer's FIN arrives
	resetArrives                          // a RST arrives
	connectionFails                       // the connect or the connection fails with errno
	connectionDies                        // the same, out of the blue (Errnos)
	ackArrives                            // the peer's kernel has taken n bytes
	windowOpens                           // the peer learns that the receive buffer has room
	readsAgain                            // what a surprise EAGAIN hid from reads shows
	writesAgain                           // the same for writes
	portExpires                           // TIME_WAIT or FIN_WAIT2 is over
	peerHears                             // n bytes reach the peer
	peerHearsFin                          // our FIN reaches the peer
	peerHearsReset                        // our RST reaches the peer
	peerRested                            // the peer's script has waited long enough
	callBack                              // a function given to At
)

// occurrence is something that is going to happen.
type occurrence struct {
	at    int64
	seq   uint64 // order of arrival in the agenda: breaks ties, so that a run follows from its seed
	c     *conn
	data  []byte
	f     func()
	n     int
	errno syscall.Errno
	kind  occurrenceKind
}

func (o *occurrence) before(p *occurrence) bool {
	return o.at < p.at || o.at == p.at && o.seq < p.seq
}

// agenda is a binary heap of occurrences, the soonest first.
type agenda struct {
	heap []occurrence
	seq  uint64
}

// next is the moment of the soonest occurrence, or never.
func (a *agenda) next() int64 {
	if len(a.heap) == 0 {
		return never
	}
	return a.heap[0].at
}

func (a *agenda) add(o occurrence) {
	a.seq++
	o.seq = a.seq
	a.heap = append(a.heap, o)
	i := len(a.heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !o.before(&a.heap[parent]) {
			break
		}
		a.heap[i] = a.heap[parent]
		i = parent
	}
	a.heap[i] = o
}

// pop takes the soonest occurrence out. There must be one.
func (a *agenda) pop() occurrence {
	top := a.heap[0]
	end := len(a.heap) - 1
	last := a.heap[end]
	a.heap[end] = occurrence{}
	a.heap = a.heap[:end]
	if end == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= end {
			break
		}
		if child+1 < end && a.heap[child+1].before(&a.heap[child]) {
			child++
		}
		if !a.heap[child].before(&last) {
			break
		}
		a.heap[i] = a.heap[child]
		i = child
	}
	a.heap[i] = last
	return top
}
