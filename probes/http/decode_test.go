package http

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
)

// decode hands body to a decoder in parts of that size, and returns what came out up to limit bytes.
func decode(coding string, body []byte, size, limit int) (out []byte, opened bool, err error) {
	d := newDecoder(coding, func(part []byte) bool {
		out = append(out, part...)
		return len(out) <= limit
	})
	for len(body) > 0 && !d.over {
		n := min(size, len(body))
		part := bytes.Clone(body[:n])
		d.write(part)
		for i := range part {
			part[i] = 0xA5 // the buffer is somebody else's again
		}
		body = body[n:]
	}
	d.finish()
	return out, d.opened, d.err
}

func TestDecoderInParts(t *testing.T) {
	text := bytes.Repeat([]byte("some text, "), 9999)
	for _, coding := range []string{"gzip", "flate", "zlib"} {
		body, name := []byte(encoded(t, coding, string(text))), coding
		if coding != "gzip" {
			name = "deflate"
		}
		for _, size := range []int{1, 2, 3, 100, 1 << 20} {
			if out, opened, err := decode(name, body, size, 1<<20); !bytes.Equal(out, text) || !opened || err != nil {
				t.Errorf("%s by %d: got %d bytes, %v, %v, want %d", coding, size, len(out), opened, err, len(text))
			}
		}
	}
}

// TestDecoderEnds cuts bodies off, some of them before their first byte.
func TestDecoderEnds(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate"} {
		for n := range 20 {
			d := newDecoder(coding, func([]byte) bool { return true })
			if n > 0 {
				d.write([]byte(encoded(t, "gzip", "text"))[:n])
			}
			if d.finish(); !d.over || d.err == nil {
				t.Errorf("%s after %d bytes: over %v, %v, want an error", coding, n, d.over, d.err)
			}
			d.write([]byte("more"))
			d.finish()
		}
	}
}

// TestDecoderStops has the reader want no more.
func TestDecoderStops(t *testing.T) {
	body := []byte(encoded(t, "gzip", string(make([]byte, 1<<20))))
	if out, _, err := decode("gzip", body, len(body), 100); len(out) > 100+4<<10 || err != nil {
		t.Errorf("got %d bytes, %v, want hardly more than 100", len(out), err)
	}
}

// TestBareDeflate looks like zlib's format in its first byte: a stored block, with a bit set in the padding behind its type.
func TestBareDeflate(t *testing.T) {
	body := "\x08\x05\x00\xfa\xffhello\x01\x00\x00\xff\xff"
	if out, _, err := decode("deflate", []byte(body), 1, 100); string(out) != "hello" || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
}

// FuzzDecoder holds the decoder against the library's on the whole body: in parts of any size the same comes out, and never
// more than was asked for and a buffer.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte(encoded(f, "gzip", "hello")), uint8(1))
	f.Add([]byte(encoded(f, "zlib", "hello")), uint8(3))
	f.Add([]byte(encoded(f, "flate", "hello")), uint8(200))
	f.Add(bytes.Repeat([]byte{0}, 99), uint8(7))
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		const limit = 1 << 16
		for _, coding := range []string{"gzip", "deflate"} {
			whole, _, wholeErr := decode(coding, body, len(body)+1, limit)
			parts, _, partsErr := decode(coding, body, int(size)+1, limit)
			if !bytes.Equal(whole, parts) || (wholeErr == nil) != (partsErr == nil) || len(whole) > limit+4<<10 {
				t.Fatalf("%s: got %d bytes, %v in parts, %d, %v at once", coding, len(parts), partsErr, len(whole), wholeErr)
			}
		}
		r, err := gzip.NewReader(bytes.NewReader(body))
		var want []byte
		if err == nil {
			want, err = io.ReadAll(io.LimitReader(r, limit))
		}
		got, _, gotErr := decode("gzip", body, int(size)+1, limit)
		if !bytes.Equal(got[:min(len(got), limit)], want) || len(want) < limit && (err == nil) != (gotErr == nil) {
			t.Fatalf("got %d bytes, %v, want %d, %v", len(got), gotErr, len(want), err)
		}
	})
}
