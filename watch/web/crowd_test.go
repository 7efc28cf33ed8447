package web

import (
	"errors"
	"net"
	"testing"
)

// TestCrowd has two listeners share a place: who comes second is heard when the first has left, and nobody after the end.
func TestCrowd(t *testing.T) {
	places := make(chan struct{}, 1)
	var crowds [2]*crowd
	for i := range crowds {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		crowds[i] = newCrowd(l, places)
		defer crowds[i].Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first, err := crowds[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	if len(places) != 1 {
		t.Errorf("got %d places taken, want 1", len(places))
	}
	second := make(chan error)
	go func() {
		_, err := crowds[1].Accept()
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("one more was accepted than there are places, with %v", err)
	default:
	}
	first.Close()
	first.Close() // which gives no second place back
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	third := make(chan error)
	go func() {
		_, err := crowds[0].Accept()
		third <- err
	}()
	crowds[0].Close()
	if err := <-third; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept while all places are taken, and Close: got %v, want %v", err, net.ErrClosed)
	}
	if len(places) != 1 {
		t.Errorf("got %d places taken in the end, want the second's", len(places))
	}
}
