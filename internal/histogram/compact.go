package histogram

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Compact is a histogram that no longer counts, in some hundred bytes. Its JSON is a Histogram's, which takes a compressor and a
// megabyte to make; its binary form is for another process of the same binary. It is immutable.
type Compact struct {
	count         uint64
	min, max, sum int64
	cells         []byte // of each cell that is not empty, as uvarints: how many cells after the one before, and its count
}

// Compact returns what h has counted, nil if that is nothing.
func (h *Histogram) Compact() *Compact {
	if h.Count() == 0 {
		return nil
	}
	c := &Compact{count: h.Count(), min: h.min, max: h.max, sum: h.sum}
	last := -1
	for i, n := range h.counts.Export().Counts {
		if n > 0 {
			c.cells = binary.AppendUvarint(c.cells, uint64(i-last))
			c.cells = binary.AppendUvarint(c.cells, uint64(n))
			last = i
		}
	}
	return c
}

var errCells = errors.New("decode a histogram: its cells do not fit the range")

// Histogram returns the counts of c, which may be nil. It fails if c was decoded from what was no Compact's.
func (c *Compact) Histogram() (*Histogram, error) {
	h := New()
	if c == nil || c.count == 0 && len(c.cells) == 0 {
		return h, nil
	}
	snapshot := h.counts.Export()
	counts, at, total := snapshot.Counts, uint64(math.MaxUint64), uint64(0)
	for left := c.cells; len(left) > 0; {
		step, n := binary.Uvarint(left)
		if n <= 0 {
			return nil, errCells
		}
		count, m := binary.Uvarint(left[n:])
		at += step
		if m <= 0 || step == 0 || step > uint64(len(counts)) || at >= uint64(len(counts)) || count == 0 || count > math.MaxInt64-total {
			return nil, errCells
		}
		counts[at], total, left = int64(count), total+count, left[n+m:]
	}
	if total != c.count || total == 0 {
		return nil, errCells
	}
	h.counts = hdr.Import(snapshot)
	h.min, h.max, h.sum = c.min, c.max, c.sum
	return h, nil
}

// Count is the number of durations recorded; c may be nil.
func (c *Compact) Count() uint64 {
	if c == nil {
		return 0
	}
	return c.count
}

// MarshalJSON implements [json.Marshaler], as Histogram does.
func (c *Compact) MarshalJSON() ([]byte, error) {
	h, err := c.Histogram()
	if err != nil {
		return nil, err
	}
	return h.MarshalJSON()
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Compact) UnmarshalJSON(data []byte) error {
	var h Histogram
	if err := json.Unmarshal(data, &h); err != nil {
		return err
	}
	*c = Compact{}
	if packed := h.Compact(); packed != nil {
		*c = *packed
	}
	return nil
}

// AppendBinary implements [encoding.BinaryAppender]. c may be nil.
func (c *Compact) AppendBinary(dst []byte) ([]byte, error) {
	if c == nil {
		return dst, nil
	}
	dst = binary.AppendUvarint(dst, c.count)
	for _, v := range [...]int64{c.min, c.max, c.sum} {
		dst = binary.AppendUvarint(dst, uint64(v))
	}
	return append(dst, c.cells...), nil
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. Whether the cells are those of a histogram, Histogram tells.
func (c *Compact) UnmarshalBinary(data []byte) error {
	var head [4]uint64
	for i := range head {
		v, n := binary.Uvarint(data)
		if n <= 0 || i > 0 && v > math.MaxInt64 {
			return errCells
		}
		head[i], data = v, data[n:]
	}
	*c = Compact{count: head[0], min: int64(head[1]), max: int64(head[2]), sum: int64(head[3]), cells: append([]byte(nil), data...)}
	return nil
}
