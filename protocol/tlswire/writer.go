package tlswire

import "fmt"

// writer appends vectors with their lengths (RFC 8446 s.3.4) and keeps the first fault.
type writer struct {
	buf   []byte
	fault *FieldError
}

// fail notes a fault, if it is the first.
func (w *writer) fail(field, reason string) {
	if w.fault == nil {
		w.fault = &FieldError{field, reason}
	}
}

func (w *writer) uint8(v uint8)   { w.buf = append(w.buf, v) }
func (w *writer) uint16(v uint16) { w.buf = append(w.buf, byte(v>>8), byte(v)) }

// open leaves room for a length of size bytes and returns where what it counts begins.
func (w *writer) open(size int) int {
	w.buf = append(w.buf, make([]byte, size)...)
	return len(w.buf)
}

// close writes the length of what was appended since open.
func (w *writer) close(size, begin int, field string) {
	n := len(w.buf) - begin
	if n >= 1<<(8*size) {
		w.fail(field, fmt.Sprintf("%d bytes, at most %d", n, 1<<(8*size)-1))
	}
	for i := range size {
		w.buf[begin-1-i] = byte(n >> (8 * i))
	}
}

// opaque appends b with its length, for which the caller has checked that it fits.
func (w *writer) opaque(size int, b []byte) {
	begin := w.open(size)
	w.buf = append(w.buf, b...)
	w.close(size, begin, "")
}

// pairsOf appends a list of numbers of two bytes with its length, which has size bytes; the list must not be empty.
func pairsOf[T ~uint16](w *writer, size int, list []T, t ExtensionType) {
	if len(list) == 0 {
		w.fail(t.String(), "empty list")
	}
	begin := w.open(size)
	for _, v := range list {
		w.uint16(uint16(v))
	}
	w.close(size, begin, t.String())
}
