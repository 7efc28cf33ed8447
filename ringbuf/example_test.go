package ringbuf_test

import (
	"bytes"
	"fmt"

	"sonde/ringbuf"
)

// A connection's use of a ring: borrowed when bytes are there to be read, returned when nothing is in flight.
func Example() {
	pool := ringbuf.New(ringbuf.Options{})
	var ring ringbuf.Ring // lives in the connection's row
	if !pool.Borrow(&ring, ringbuf.MinSize) {
		return // at the cap: reads pause until a ring comes back
	}
	a, _ := pool.Free(&ring)
	n := copy(a, "220 mail ready\r\n250 o") // readv(2) would fill both pieces
	pool.Commit(&ring, n)

	line := pool.Bytes(&ring)
	end := bytes.IndexByte(line, '\n') + 1
	fmt.Printf("%q\n", line[:end])
	pool.Consume(&ring, end)
	fmt.Printf("%q is not whole yet\n", pool.Bytes(&ring))

	pool.Return(&ring)
	fmt.Println(pool.Stats().InUseBytes, "bytes lent")
	// Output:
	// "220 mail ready\r\n"
	// "250 o" is not whole yet
	// 0 bytes lent
}
