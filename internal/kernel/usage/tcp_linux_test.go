package usage

import "testing"

func TestTCPOf(t *testing.T) {
	const text = "sockets: used 290\nTCP: inuse 5 orphan 0 tw 2 alloc 7 mem 3\nUDP: inuse 4 mem 9\n"
	if got, want := tcpOf([]byte(text), 4096), (TCP{Sockets: 5, Memory: 3 * 4096}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := tcpOf([]byte("TCP: inuse x\n"), 4096), (TCP{Sockets: Unknown, Memory: Unknown}); got != want {
		t.Errorf("a line that is not known: got %+v, want %+v", got, want)
	}
}
