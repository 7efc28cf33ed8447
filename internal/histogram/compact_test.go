package histogram

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

func TestCompact(t *testing.T) {
	for _, n := range []int{0, 1, 2, 10_000} {
		want := filled(uint64(n), n)
		if n > 2 {
			want.Record(Max)
			want.Record(0)
		}
		c := want.Compact()
		if (c == nil) != (n == 0) || c.Count() != want.Count() {
			t.Fatalf("%d durations: got %v with %d", n, c, c.Count())
		}
		got, err := c.Histogram()
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, want)
		if n == 0 {
			continue
		}
		if len(c.cells) > 4*n+4 {
			t.Errorf("%d durations take %d bytes", n, len(c.cells))
		}
		for name, again := range map[string]func(*Compact) error{
			"JSON": func(c2 *Compact) error {
				data, err := json.Marshal(c)
				if err != nil {
					return err
				}
				return json.Unmarshal(data, c2)
			},
			"binary": func(c2 *Compact) error {
				data, err := c.AppendBinary([]byte("before"))
				if err != nil {
					return err
				}
				return c2.UnmarshalBinary(bytes.TrimPrefix(data, []byte("before")))
			},
		} {
			var c2 Compact
			if err := again(&c2); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := c2.Histogram()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			same(t, got, want)
		}
	}
}

// TestCompactJSON has a Compact's JSON be the Histogram's, byte for byte.
func TestCompactJSON(t *testing.T) {
	h := filled(3, 700)
	want, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(h.Compact())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	var empty Compact
	if err := json.Unmarshal([]byte(`{"count": 0}`), &empty); err != nil || empty.Count() != 0 {
		t.Errorf("nothing is %d, error %v", empty.Count(), err)
	}
}

func TestCompactRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":          {},
		"half a head":      {3, 1, 1},
		"an endless sum":   {3, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"no cells":         {3, 1, 1, 3},
		"half a cell":      {3, 1, 1, 3, 1},
		"a cell of none":   {3, 1, 1, 3, 1, 0},
		"one of none too":  {3, 1, 1, 3, 1, 0, 1, 3},
		"a cell twice":     {3, 1, 1, 3, 1, 1, 0, 2},
		"too few":          {3, 1, 1, 3, 1, 2},
		"beyond the range": {3, 1, 1, 3, 0xff, 0xff, 0xff, 1, 3},
		"cells overflow":   {3, 1, 1, 3, 2, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2},
		"counts overflow":  {3, 1, 1, 3, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 4},
	} {
		var c Compact
		err := c.UnmarshalBinary(data)
		if err == nil {
			_, err = c.Histogram()
		}
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	var c Compact
	if err := json.Unmarshal([]byte(`{"count": 3, "histogram": "***"}`), &c); err == nil {
		t.Error("JSON without counts: got no error")
	}
}

// FuzzCompact never panics, and what it takes it gives.
func FuzzCompact(f *testing.F) {
	data, _ := filled(1, 50).Compact().AppendBinary(nil)
	f.Add(data)
	f.Add([]byte{3, 1, 1, 3, 1, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Compact
		if c.UnmarshalBinary(data) != nil {
			return
		}
		h, err := c.Histogram()
		if err != nil || h.Count() == 0 {
			return
		}
		if h.Count() != c.Count() {
			t.Fatalf("got %d durations, want %d", h.Count(), c.Count())
		}
		_ = h.Quantile(0.5) > time.Hour
	})
}
