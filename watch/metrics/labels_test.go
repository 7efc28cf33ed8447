package metrics

import (
	"bytes"
	"strings"
	"testing"

	"sonde/watch/track"
)

func TestLabels(t *testing.T) {
	for name, tt := range map[string]struct {
		labels []track.Label
		want   string
	}{
		"none":        {nil, `job="j",instance="i",module="m"`},
		"plain":       {[]track.Label{{Name: "a", Value: "b"}, {Name: "Z_9", Value: ""}}, `job="j",instance="i",module="m",a="b",Z_9=""`},
		"escapes":     {[]track.Label{{Name: "a", Value: "\\\"\n\t\x00"}}, `job="j",instance="i",module="m",a="\\\"\n` + "\t\x00\""},
		"not UTF-8":   {[]track.Label{{Name: "a", Value: "x\xff\xfey\"ö"}}, `job="j",instance="i",module="m",a="x` + "\uFFFD" + `y\"ö"`},
		"names":       {[]track.Label{{Name: "9a", Value: "1"}, {Name: "", Value: "2"}, {Name: "ä.b", Value: "3"}}, `job="j",instance="i",module="m",_9a="1",_="2",___b="3"`},
		"taken names": {[]track.Label{{Name: "job", Value: "1"}, {Name: "le", Value: "2"}, {Name: "side", Value: "3"}}, `job="j",instance="i",module="m",exported_job="1",le="2",exported_side="3"`},
		"same names":  {[]track.Label{{Name: "a-", Value: "1"}, {Name: "a.", Value: "2"}, {Name: "exported_a_", Value: "3"}}, `job="j",instance="i",module="m",a_="1",exported_a_="2",exported_exported_a_="3"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(appendLabels(nil, &track.Target{Job: "j", Instance: "i", Module: "m", Labels: tt.labels}))
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// FuzzLabels has any names and values come out of Prometheus' own parser as one series, with the values that went in.
func FuzzLabels(f *testing.F) {
	f.Add("a", "b", "c", "d", "e")
	f.Add("a-", "\\n\n\"", "a.", "\xff\xc3", "job\r")
	f.Add("exported_job", "x", "job", "y", "}")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, instance string) {
		target := &track.Target{Job: "j", Instance: instance, Module: "m", Labels: []track.Label{{Name: name1, Value: value1}, {Name: name2, Value: value2}}}
		e := &encoder{w: &bytes.Buffer{}}
		e.begin("x", gauge, "Help.")
		e.sample(appendLabels(nil, target))
		e.int(1)
		families := parse(t, e.buf)
		series := families["x"].GetMetric()
		if len(series) != 1 || len(series[0].Label) != 5 {
			t.Fatalf("got %v", families)
		}
		for i, want := range []string{"j", instance, "m", value1, value2} {
			if got := series[0].Label[i].GetValue(); got != strings.ToValidUTF8(want, "\uFFFD") {
				t.Errorf("label %d: got %q, want %q", i, got, want)
			}
		}
	})
}
