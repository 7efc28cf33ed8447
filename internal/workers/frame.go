package workers

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxPayload is the most bytes that an assignment, a command or a message may have: what the histograms of a long run
// take, many times over, and little enough that a length that is none is told from one.
const MaxPayload = 16 << 20

// ErrMalformed says that the bytes on a pipe are no frames, or not those that may come now.
var ErrMalformed = errors.New("malformed frame")

// ErrTooLarge says that a payload has more than [MaxPayload] bytes. Nothing of it was sent.
var ErrTooLarge = fmt.Errorf("more than %d bytes", MaxPayload)

// kind says what a frame is for.
type kind byte

const (
	kindAssignment kind = iota + 1 // to the worker: what to do, the first frame
	kindCommand                    // to the worker: what the parent says meanwhile
	kindStop                       // to the worker: come to an end; the last frame
	kindMessage                    // from the worker: what it says meanwhile
	kindFinal                      // from the worker: its last frame
)

// headerBytes is the length of the payload in four bytes, big-endian, and the kind in one.
const headerBytes = 5

// frame is one message on a pipe between a parent and a worker.
type frame struct {
	kind    kind
	payload []byte
}

// readFrame reads one frame; the payload is the caller's. The error is io.EOF at the end of the stream, a wrapped
// io.ErrUnexpectedEOF in the middle of a frame, a wrapped ErrMalformed if what comes is no frame, or the reader's own.
// Nothing is allocated for a length above MaxPayload.
func readFrame(r io.Reader) (frame, error) {
	var header [headerBytes]byte
	if n, err := io.ReadFull(r, header[:]); err == io.ErrUnexpectedEOF {
		return frame{}, fmt.Errorf("frame cut off after %d bytes (%q): %w", n, header[:n], err)
	} else if err != nil {
		return frame{}, err
	}
	size, k := binary.BigEndian.Uint32(header[:4]), kind(header[4])
	// The bytes are shown because what is no frame is most likely a line that somebody printed.
	switch {
	case size > MaxPayload:
		return frame{}, fmt.Errorf("%w: %q would be the length of %d bytes", ErrMalformed, header[:4], size)
	case k < kindAssignment || k > kindFinal:
		return frame{}, fmt.Errorf("%w: kind %d in %q", ErrMalformed, k, header[:])
	case k == kindStop && size > 0:
		return frame{}, fmt.Errorf("%w: a stop with %d bytes", ErrMalformed, size)
	}
	payload := make([]byte, size)
	if n, err := io.ReadFull(r, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, fmt.Errorf("frame cut off after %d of %d bytes: %w", n, size, err)
	}
	return frame{k, payload}, nil
}

// writeFrame writes one frame and flushes it, a small one in one write.
func writeFrame(w *bufio.Writer, f frame) error {
	if len(f.payload) > MaxPayload {
		return fmt.Errorf("%w: %d", ErrTooLarge, len(f.payload))
	}
	var header [headerBytes]byte
	binary.BigEndian.PutUint32(header[:], uint32(len(f.payload)))
	header[4] = byte(f.kind)
	// A bufio.Writer keeps its first error and gives it back from Flush.
	w.Write(header[:])
	w.Write(f.payload)
	return w.Flush()
}
