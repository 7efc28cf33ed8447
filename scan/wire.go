package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"sonde/report"
)

// Records on their way from a worker to its parent, one after the other: numbers as varints (encoding/binary), texts and
// results behind their lengths. Both sides are one program, so there is no version.

// errWire says that bytes are no records.
var errWire = errors.New("malformed records")

// appendWire appends r, with its result as JSON and in brief.
func appendWire(dst []byte, r *report.Record) []byte {
	dst = binary.AppendVarint(dst, r.Timestamp.UnixNano())
	ip, _ := r.IP.MarshalBinary() // never fails
	dst = appendBytes(dst, ip)
	dst = binary.AppendUvarint(dst, uint64(r.Port))
	for _, text := range [...]string{r.Domain, r.Tag, r.Probe, r.Error} {
		dst = appendBytes(dst, text)
	}
	dst = append(dst, byte(r.Status), byte(r.Side))
	dst = binary.AppendUvarint(dst, uint64(r.Attempts))
	for _, d := range timings(&r.Timing) {
		dst = binary.AppendVarint(dst, int64(*d))
	}
	if r.Result == nil {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	dst = appendSized(dst, r.Result.AppendJSON)
	dst = appendBytes(dst, r.Result.Brief())
	resumer, ok := r.Result.(report.Resumer)
	if !ok {
		return append(dst, 0)
	}
	full, resumed, method, ok := resumer.Resumption()
	if !ok {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(append(dst, 1), full)
	return appendBytes(binary.AppendVarint(dst, resumed), method)
}

func appendBytes[T []byte | string](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// appendSized appends what write appends behind its length in four bytes, which is not known before.
func appendSized(dst []byte, write func([]byte) []byte) []byte {
	at := len(dst)
	dst = write(append(dst, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// timings are the phases in the order of the wire.
func timings(t *report.Timing) [9]*time.Duration {
	return [...]*time.Duration{&t.SchedDelay, &t.DNS, &t.Connect, &t.KernelRTT, &t.TLS, &t.TLSCPU, &t.TLSWait, &t.FirstByte, &t.Total}
}

// wireResult is a result that another process found.
type wireResult struct {
	json, brief string
	isResumed   bool // the rest holds
	full        int64
	resumed     int64
	method      string
}

var _ report.Resumer = (*wireResult)(nil)

// AppendJSON implements report.Result.
func (w *wireResult) AppendJSON(dst []byte) []byte { return append(dst, w.json...) }

// Brief implements report.Result.
func (w *wireResult) Brief() string { return w.brief }

// Resumption implements report.Resumer.
func (w *wireResult) Resumption() (fullUS, resumedUS int64, method string, ok bool) {
	return w.full, w.resumed, w.method, w.isResumed
}

// wireReader reads records. Its record is used again for each.
type wireReader struct {
	left   []byte
	failed bool
	result wireResult
}

// next reads one record into r, which borrows the reader's result until the next call.
func (w *wireReader) next(r *report.Record) error {
	*r = report.Record{Timestamp: time.Unix(0, w.varint()).UTC()}
	if err := r.IP.UnmarshalBinary(w.bytes(w.uvarint())); err != nil {
		return fmt.Errorf("%w: %w", errWire, err)
	}
	r.Port = uint16(w.uvarint())
	for _, text := range [...]*string{&r.Domain, &r.Tag, &r.Probe, &r.Error} {
		*text = w.text()
	}
	r.Status, r.Side = report.Status(w.byte()), report.Side(w.byte())
	r.Attempts = int(w.uvarint())
	for _, d := range timings(&r.Timing) {
		*d = time.Duration(w.varint())
	}
	if w.byte() == 1 {
		w.result = wireResult{json: w.sized(), brief: w.text()}
		if w.byte() == 1 {
			w.result.isResumed, w.result.full, w.result.resumed, w.result.method = true, w.varint(), w.varint(), w.text()
		}
		r.Result = &w.result
	}
	if w.failed || r.Status >= report.NumStatuses || r.Side > report.SidePolicy {
		return errWire
	}
	return nil
}

// The methods below give nothing once the bytes have turned out to be too few.

func (w *wireReader) bytes(n uint64) []byte {
	if n > uint64(len(w.left)) {
		w.failed, w.left = true, nil
		return nil
	}
	b := w.left[:n]
	w.left = w.left[n:]
	return b
}

func (w *wireReader) byte() byte {
	if b := w.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (w *wireReader) text() string { return string(w.bytes(w.uvarint())) }

func (w *wireReader) sized() string {
	if size := w.bytes(4); len(size) == 4 {
		return string(w.bytes(uint64(binary.BigEndian.Uint32(size))))
	}
	return ""
}

func (w *wireReader) varint() int64 {
	v, n := binary.Varint(w.left)
	w.skip(n)
	return v
}

func (w *wireReader) uvarint() uint64 {
	v, n := binary.Uvarint(w.left)
	w.skip(n)
	return v
}

func (w *wireReader) skip(n int) {
	if n <= 0 {
		w.failed, w.left = true, nil
		return
	}
	w.left = w.left[n:]
}
