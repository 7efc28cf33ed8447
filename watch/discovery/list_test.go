package discovery

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/target"
	"sonde/watch/track"
)

// listed puts the list of one job together from lists of Prometheus' form.
func listed(t *testing.T, jobs []track.Label, texts ...string) *list {
	t.Helper()
	j := &job{Job: Job{Name: "web", Labels: jobs, Read: readPlace}, most: MaxTargets}
	for i, text := range texts {
		doc, err := parseJSON(fmt.Sprintf("%c.json", 'a'+i), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		j.add(source{kind: kindFileSD}).docs = []*document{doc}
	}
	return j.list()
}

func TestLabelsOfTargets(t *testing.T) {
	job := []track.Label{{Name: "env", Value: "prod"}, {Name: "team", Value: "net"}}
	l := listed(t, job, `[
		{"targets": ["a:80"]},
		{"targets": ["b:80"], "labels": {"team": "web", "zone": "z", "__meta_x": "y", "__address__": "c:80", "__param_module": "m"}},
		{"targets": ["c:80"], "labels": {"team": "", "bad-name": "x", "job": "mine", "0": "x", "": "x"}}
	]`)
	want := [][]track.Label{
		job,
		{{Name: "env", Value: "prod"}, {Name: "team", Value: "web"}, {Name: "zone", Value: "z"}},
		{{Name: "env", Value: "prod"}},
	}
	for i, labels := range want {
		if diff := cmp.Diff(labels, l.targets[i].Labels); diff != "" {
			t.Errorf("target %d: %s", i, diff)
		}
	}
	if len(l.faults) != 4 || !strings.HasPrefix(l.faults[3], `a.json: group 3: label "job"`) {
		t.Errorf("got the faults %q", l.faults)
	}
}

func TestDuplicatesAreToldWithBothPlaces(t *testing.T) {
	l := listed(t, nil, `[{"targets": ["a:80", "b:80"]}, {"targets": ["b:80"]}]`, `[{"targets": ["b:80"], "labels": {"x": "1"}}, {"targets": ["b:80"], "labels": {"x": "1"}}]`)
	want := []string{
		`a.json: group 2, target 1: "b:80": b:80 is listed already (a.json: group 1, target 2); it counts once`,
		`b.json: group 2, target 1: "b:80": b:80 is listed already (b.json: group 1, target 1); it counts once`,
	}
	if diff := cmp.Diff(want, l.faults); diff != "" {
		t.Error(diff)
	}
	if len(l.targets) != 3 {
		t.Errorf("got %d targets, want 3", len(l.targets))
	}
}

// TestManyDuplicatesHideNothing: entries that are there already are no faults, and crowd none out.
func TestManyDuplicatesHideNothing(t *testing.T) {
	j := &job{Job: Job{Name: "web", Read: readPlace}, most: MaxTargets}
	s := j.add(source{kind: kindFiles})
	s.docs = []*document{parseList("list", []byte(strings.Repeat("a:80\n", 1000)+"nonsense\n"))}
	l := j.list()
	want := []string{
		`list:1001: "nonsense": not a host and a port`,
		`list:2: "a:80": a:80 is listed already (list:1); it counts once`,
		`list:3: "a:80": a:80 is listed already (list:1); it counts once`,
		`list:4: "a:80": a:80 is listed already (list:1); it counts once`,
		"and 996 more entries that are listed already",
	}
	if diff := cmp.Diff(want, l.faults); diff != "" {
		t.Error(diff)
	}
	if len(l.targets) != 1 || s.refused != 1 {
		t.Errorf("got %d targets and %d refused, want 1 and 1", len(l.targets), s.refused)
	}
}

// TestKeys: identity is job and text; other labels change it only where one text stands several times, and not for the first of
// those, in whatever order they come.
func TestKeys(t *testing.T) {
	group := func(label string) string {
		if label == "" {
			return `{"targets": ["a:80"]}`
		}
		return `{"targets": ["a:80"], "labels": {"x": "` + label + `"}}`
	}
	keys := func(labels ...string) map[string]uint64 {
		t.Helper()
		var groups []string
		for _, label := range labels {
			groups = append(groups, group(label))
		}
		l := listed(t, nil, "["+strings.Join(groups, ",")+"]")
		all := map[string]uint64{}
		for _, target := range l.targets {
			label := ""
			if len(target.Labels) > 0 {
				label = target.Labels[0].Value
			}
			all[label] = target.Key
			if l.targets[l.byKey[target.Key]].Key != target.Key {
				t.Errorf("%q: the key of %q leads to another target", labels, label)
			}
		}
		return all
	}
	plain := keyOf("web", "a:80")
	for _, alone := range []string{"", "1", "2"} {
		if got := keys(alone)[alone]; got != plain {
			t.Errorf("alone with the label %q: got the key %x, want %x", alone, got, plain)
		}
	}
	want := keys("", "1", "2")
	if want[""] != plain || len(want) != 3 || want["1"] == want["2"] || want["1"] == plain {
		t.Errorf("got the keys %x", want)
	}
	for _, order := range [][]string{{"", "2", "1"}, {"1", "", "2"}, {"1", "2", ""}, {"2", "1", ""}, {"2", "", "1"}, {"2", "1", "", "1", "2", ""}} {
		if diff := cmp.Diff(want, keys(order...)); diff != "" {
			t.Errorf("in the order %q: %s", order, diff)
		}
	}
	if keyOf("we", "ba:80") == plain || keyOf("other", "a:80") == plain {
		t.Error("another job has the same key")
	}
	// An upgrade must not change it: every phase would move and every history be lost.
	hash := fnv.New64a()
	hash.Write([]byte("web\xffa:80\xff"))
	if hash.Sum64() != plain {
		t.Errorf("got the key %x, want FNV-1a of the parts, %x", plain, hash.Sum64())
	}
}

func TestTooManyTargets(t *testing.T) {
	read := func(text string) (target.Target, error) { return target.Target{}, nil }
	j, err := newJob(Job{Name: "web", Read: read})
	if err != nil || j.most != MaxTargets {
		t.Fatalf("a job has room for %d targets, %v", j.most, err)
	}
	j.most = 10_000
	j.add(source{kind: kindFiles}).docs = []*document{
		parseList("list", []byte("10.0.0.0/18 # 16,384\n10.0.0.0/19\n10.16.0.0/22\n11.0.0.0/20\n::/1\n2001:db8::/64\n")),
	}
	l := j.list()
	if got := len(l.targets); got != 1<<13+1<<10 {
		t.Errorf("got %d targets, want two blocks whole", got)
	}
	for i, line := range []int{1, 4, 5, 6} {
		if !strings.HasPrefix(l.faults[i], fmt.Sprintf("list:%d: ", line)) || !strings.Contains(l.faults[i], "10000 targets") {
			t.Errorf("got the fault %q, want one of line %d", l.faults[i], line)
		}
	}
	var names group
	for i := range j.most + 100 {
		names.texts = append(names.texts, fmt.Sprint(i))
	}
	j.sources[0].docs = []*document{{name: "names.json", groups: []group{names}}}
	l = j.list()
	if len(l.targets) != j.most || j.sources[0].refused != 100 || len(l.faults) != maxFaults+1 || !slices.Contains(l.faults, "and 80 more such entries") {
		t.Errorf("got %d targets, %d refused, faults %q", len(l.targets), j.sources[0].refused, l.faults)
	}
}

// BenchmarkList puts a list of 100,000 targets together.
func BenchmarkList(b *testing.B) {
	doc, err := parseJSON("a.json", manyTargets(100_000))
	if err != nil {
		b.Fatal(err)
	}
	j := &job{Job: Job{Name: "web", Read: readPlace}, most: MaxTargets}
	j.add(source{kind: kindFileSD}).docs = []*document{doc}
	b.ReportAllocs()
	for b.Loop() {
		if got := len(j.list().targets); got != 100_000 {
			b.Fatal(got)
		}
	}
}

// manyTargets is a list of count targets in groups of 100, each with labels.
func manyTargets(count int) []byte {
	text := []byte{'['}
	for i := range count {
		if i%100 == 0 {
			if i > 0 {
				text = append(text, "]},\n"...)
			}
			text = fmt.Appendf(text, `{"labels": {"rack": "r%d", "zone": "z"}, "targets": [`, i/100)
		} else {
			text = append(text, ", "...)
		}
		text = fmt.Appendf(text, `"10.%d.%d.%d:443"`, i>>16, i>>8&0xff, i&0xff)
	}
	return append(text, "]}]"...)
}
