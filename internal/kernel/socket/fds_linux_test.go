package socket

import (
	"errors"
	"io"
	"os"
	"testing"
)

// TestReceiveFDsCutShort has a message that is larger than its buffer leave nothing behind.
func TestReceiveFDsCutShort(t *testing.T) {
	a, b := unixPair(t, "unixpacket")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := SendFDs(a, []byte("too long"), []int{int(w.Fd())}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, fds, err := ReceiveFDs(b, make([]byte, 3)); !errors.Is(err, ErrTruncated) || fds != nil {
		t.Errorf("got %v, %v; want the message refused", fds, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v; want the end, as nobody has the other end any more", n, err)
	}
}
