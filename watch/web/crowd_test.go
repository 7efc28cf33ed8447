package web

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// queue is a listener to which somebody comes whenever it is asked.
type queue struct {
	net.Listener
	closed chan struct{}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case <-q.closed:
		return nil, net.ErrClosed
	default:
	}
	ours, theirs := net.Pipe()
	_ = theirs.Close()
	return ours, nil
}

func (q *queue) Close() error {
	close(q.closed)
	return nil
}

// TestCrowd has two listeners share a place: who comes second is heard when the first has left, and nobody after the end.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := make(chan struct{}, 1)
		var crowds [2]*crowd
		for i := range crowds {
			crowds[i] = newCrowd(&queue{closed: make(chan struct{})}, places)
		}
		defer crowds[1].Close()
		first, err := crowds[0].Accept()
		if err != nil || len(places) != 1 {
			t.Fatalf("got %v, %d places taken, want 1", err, len(places))
		}
		accept := func(c *crowd) (result *error) {
			result = new(error)
			*result = errWaits
			go func() { _, *result = c.Accept() }()
			synctest.Wait()
			return result
		}
		second := accept(crowds[1])
		if *second != errWaits {
			t.Fatalf("one more was accepted than there are places, with %v", *second)
		}
		first.Close()
		first.Close() // which gives no second place back
		if synctest.Wait(); *second != nil {
			t.Fatalf("the second: got %v", *second)
		}
		third := accept(crowds[0])
		if *third != errWaits {
			t.Errorf("the third was accepted, with %v", *third)
		}
		crowds[0].Close()
		if synctest.Wait(); !errors.Is(*third, net.ErrClosed) {
			t.Errorf("Accept while all places are taken, and Close: got %v, want %v", *third, net.ErrClosed)
		}
		if len(places) != 1 {
			t.Errorf("got %d places taken in the end, want the second's", len(places))
		}
	})
}

var errWaits = errors.New("it waits")
