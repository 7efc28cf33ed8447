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
	defer d.close()
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

// TestDecoderIsLeft ends decoders that wait for more, some of them before their first byte.
func TestDecoderIsLeft(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate"} {
		for n := range 20 {
			d := newDecoder(coding, func([]byte) bool { return true })
			if n > 0 {
				d.write([]byte(encoded(t, "gzip", "text"))[:n])
			}
			d.close()
			d.close()
		}
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
