package histogram

import (
	"encoding/json"
	"fmt"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// form is a histogram's JSON. counts is HdrHistogram's compressed encoding, version 2, in base64, which its other
// implementations read.
type form struct {
	Count  uint64 `json:"count"`
	Min    int64  `json:"min"`
	Mean   int64  `json:"mean"`
	P50    int64  `json:"p50"`
	P90    int64  `json:"p90"`
	P99    int64  `json:"p99"`
	P999   int64  `json:"p999"`
	Max    int64  `json:"max"`
	Sum    int64  `json:"sum"`
	Counts string `json:"histogram"`
}

// MarshalJSON implements [json.Marshaler]: an object with what people want to read, in microseconds, and all counts in
// HdrHistogram's own encoding. Nothing is lost by it.
func (h *Histogram) MarshalJSON() ([]byte, error) { return json.Marshal(h.form()) }

func (h *Histogram) form() form {
	f := form{
		Count: h.Count(), Min: h.min, Mean: int64(h.Mean() / Unit), Max: h.max, Sum: h.sum,
		P50: int64(h.Quantile(0.5) / Unit), P90: int64(h.Quantile(0.9) / Unit), P99: int64(h.Quantile(0.99) / Unit),
		P999: int64(h.Quantile(0.999) / Unit),
	}
	if f.Count > 0 {
		counts, err := h.counts.Encode(hdr.V2CompressedEncodingCookieBase)
		if err != nil { // it writes to memory alone
			panic("histogram: " + err.Error())
		}
		f.Counts = string(counts)
	}
	return f
}

// UnmarshalJSON implements [json.Unmarshaler]. It takes what MarshalJSON gave, and nothing that another range or precision
// made.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var f form
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("decode a histogram: %w", err)
	}
	return h.take(&f)
}

// take makes h that of f.
func (h *Histogram) take(f *form) error {
	*h = *New()
	if f.Count == 0 {
		return nil
	}
	counts, err := hdr.Decode([]byte(f.Counts))
	if err != nil {
		return fmt.Errorf("decode a histogram: %w", err)
	}
	if dropped := h.counts.Merge(counts); dropped != 0 || h.Count() != f.Count {
		return fmt.Errorf("decode a histogram: %d of %d counts fit the range", h.Count(), f.Count)
	}
	h.min, h.max, h.sum = f.Min, f.Max, f.Sum
	return nil
}
