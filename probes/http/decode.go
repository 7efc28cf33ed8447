package http

import (
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
)

// decoder undoes the coding of a body that is handed to it in parts: the standard library's decoders pull what they read. Nothing of
// the body is kept but what deflate needs (32 KiB, RFC 1951 s.2), and no more is decoded than emit takes.
type decoder struct {
	feed         // over when nothing more is decoded
	opened bool  // the coding's own header was read
	err    error // why it is over, unless the coding's end was reached or emit had enough
}

// newDecoder returns a decoder for "gzip" or "deflate". emit gets what was decoded, valid during the call, and returns false
// when it wants no more.
func newDecoder(coding string, emit func([]byte) bool) *decoder {
	d := &decoder{}
	d.begin(func() { d.err = d.run(coding, emit) })
	return d
}

// run is the coroutine.
func (d *decoder) run(coding string, emit func([]byte) bool) error {
	r, err := d.open(coding)
	if err != nil {
		return err
	}
	d.opened = true
	buf := make([]byte, 4<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 && !emit(buf[:n]) || err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// open returns the reader of a coding. What is called deflate is zlib's format (RFC 9110 s.8.4.1.2) or, as much software has
// it, the bare one: its first block can't begin as the header of zlib does (RFC 1950 s.2.2), whose low bits would be those of
// a stored block with a bit set in its padding.
func (d *decoder) open(coding string) (io.Reader, error) {
	if coding == "gzip" {
		return gzip.NewReader(d)
	}
	if !d.await(2) || d.part[0]&0x0f != 8 || (int(d.part[0])<<8|int(d.part[1]))%31 != 0 {
		return flate.NewReader(d), nil
	}
	return zlib.NewReader(d)
}

// Read implements [io.Reader] for the coroutine.
func (d *decoder) Read(p []byte) (int, error) {
	if !d.await(1) {
		return 0, io.EOF
	}
	n := copy(p, d.part)
	d.part = d.part[n:]
	return n, nil
}

// ReadByte implements [io.ByteReader]: without it the decoders would put a buffer of their own in front.
func (d *decoder) ReadByte() (byte, error) {
	if !d.await(1) {
		return 0, io.EOF
	}
	c := d.part[0]
	d.part = d.part[1:]
	return c, nil
}
