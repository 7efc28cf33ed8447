package target

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseBlock(t *testing.T) {
	cases := []struct {
		text string
		want []string // the entries of its addresses; nil: not a block
	}{
		{"10.0.0.0/30", []string{"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"}},
		{" 10.0.0.9/31:443 ", []string{"10.0.0.8:443", "10.0.0.9:443"}},
		{"10.0.0.1-2", []string{"10.0.0.1", "10.0.0.2"}},
		{"[2001:db8::/127]:80", []string{"[2001:db8::]:80", "[2001:db8::1]:80"}},
		{"10.0.0.1/32", []string{"10.0.0.1"}},
		{"10.0.0.0/31,example.com,web,443", []string{"10.0.0.0,example.com,web,443", "10.0.0.1,example.com,web,443"}},
		{"10.0.0.0/31,,web", []string{"10.0.0.0,,web,", "10.0.0.1,,web,"}},
		{"255.255.255.254-255.255.255.255", []string{"255.255.255.254"}}, // the last can be no peer, and has no next
		{"0.255.255.255-1.0.0.0", []string{"1.0.0.0"}},
		{"", nil},
		{"10.0.0.1", nil},
		{"10.0.0.1:80", nil},
		{"10.0.0.0/33", nil},
		{"10.0.0.1-dsl.example.net", nil},
		{"https://10.0.0.0/8", nil},
		{"http://10.0.0.1/24/x", nil},
		{"10.0.0.2-10.0.0.1", nil},
	}
	for _, c := range cases {
		t.Run(c.text, func(t *testing.T) {
			block, ok := ParseBlock(c.text)
			if ok != (c.want != nil) {
				t.Fatalf("got a block: %v, want %v", ok, c.want != nil)
			}
			if !ok {
				return
			}
			got := []string{}
			for addr := range block.Addrs() {
				text := block.Entry(addr)
				got = append(got, text)
				if refused := new(entry).parse([]byte(text)); refused != nil {
					t.Errorf("the entry %q is refused: %s", text, refused.reason)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBlockSize(t *testing.T) {
	for text, want := range map[string]uint64{"10.0.0.0/8": 1 << 24, "::/2": 0, "2001:db8::/66": 1 << 62, "0.0.0.0/0": 1 << 32} {
		block, _ := ParseBlock(text)
		if size, ok := block.Size(); ok != (want != 0) || ok && size != want {
			t.Errorf("%s: got %d, %v, want %d", text, size, ok, want)
		}
	}
}

func TestTrimLine(t *testing.T) {
	for line, want := range map[string]string{
		"": "", " \t": "", "# all": "", " a:80\t# x": "a:80", "http://a/#b": "http://a/#b", "10.0.0.0/8\r": "10.0.0.0/8",
	} {
		if got := string(TrimLine([]byte(line))); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
