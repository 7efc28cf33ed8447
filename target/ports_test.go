package target

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePorts(t *testing.T) {
	for _, c := range []struct {
		list string
		want []PortRange
	}{
		{"80", []PortRange{{80, 80}}},
		{"80,443,8000-8100", []PortRange{{80, 80}, {443, 443}, {8000, 8100}}},
		{" 443 , 80 - 90 ", []PortRange{{80, 90}, {443, 443}}},
		{"80,80,79-81,82", []PortRange{{79, 82}}},
		{"1-65535,65535", []PortRange{{1, 65535}}},
	} {
		got, err := ParsePorts(c.list)
		if err != nil {
			t.Errorf("ParsePorts(%q): %v", c.list, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("ParsePorts(%q) (-want +got):\n%s", c.list, diff)
		}
	}
}

func TestParsePortsRefuses(t *testing.T) {
	for list, reason := range map[string]string{
		"": "empty part", "80,": "empty part", ",": "empty part", "0": `"0" is not a port`, "65536": "not a port",
		"http": `"http" is not a port`, "80-": "not a port", "-80": "not a port", "90-80": "backwards", "1-2-3": "not a port",
		"+80": "not a port", "080": "not a port", "80,443;8080": `"443;8080" is not a port`,
	} {
		if got, err := ParsePorts(list); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("ParsePorts(%q): got %v, %v, want an error with %q", list, got, err, reason)
		}
	}
}

func TestPortRangeString(t *testing.T) {
	if got := (PortRange{80, 80}).String() + " " + (PortRange{1, 2}).String(); got != "80 1-2" {
		t.Errorf("String: got %q, want %q", got, "80 1-2")
	}
}

// FuzzParsePorts: what is understood is sorted, without overlap, and reads the same again.
func FuzzParsePorts(f *testing.F) {
	f.Add("80,443,8000-8100")
	f.Add("1-65535")
	f.Fuzz(func(t *testing.T, list string) {
		got, err := ParsePorts(list)
		if err != nil {
			return
		}
		var texts []string
		for i, r := range got {
			if r.From == 0 || r.To < r.From || i > 0 && int(r.From) <= int(got[i-1].To)+1 {
				t.Fatalf("ParsePorts(%q): got %v, out of order", list, got)
			}
			texts = append(texts, r.String())
		}
		rand.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
		again, err := ParsePorts(strings.Join(texts, ","))
		if err != nil || !cmp.Equal(got, again) {
			t.Fatalf("ParsePorts(%q): got %v, and of that %v, %v", list, got, again, err)
		}
	})
}
