package target

import "testing"

// loop reads the same text again and again.
type loop struct {
	text string
	at   int
}

func (l *loop) Read(p []byte) (int, error) {
	n := copy(p, l.text[l.at:])
	l.at = (l.at + n) % len(l.text)
	return n, nil
}

func TestListDoesNotAllocate(t *testing.T) {
	o := testOptions()
	o.Ports = append(o.Ports, PortRange{443, 443})
	o.Triggers = map[string]Choice{"web": web}
	o.Exclude = newSet(t, "192.0.2.0/24", "2001:db8:1::/48")
	o.Files, o.Stdin = []string{"-"}, &loop{text: "10.0.0.1\n10.0.0.2:80 # c\n2001:db8::1\n[2001:db8::2]:443\n10.0.0.1,,web,80\n10.0.0.1,,db,\n"}
	in := open(t, o)
	checkNoAllocs(t, in)
}

func TestWalkDoesNotAllocate(t *testing.T) {
	o := testOptions("10.0.0.0/8", "2001:db8::/96", "10.1.0.0-10.2.0.9,,tag,99")
	o.Exclude = newSet(t, "10.7.0.0/16", "2001:db8::1")
	checkNoAllocs(t, open(t, o))
}

func checkNoAllocs(t *testing.T, in *Inputs) {
	t.Helper()
	var target Target
	const many = 1000 // a run of several, as AllocsPerRun rounds down
	next := func() {
		for range many {
			if err := in.Next(&target); err != nil {
				t.Fatal(err)
			}
		}
	}
	next() // buffers, labels and the walk are made here
	if got := testing.AllocsPerRun(10, next); got != 0 {
		t.Errorf("Next: got %v allocations for %d targets, want 0", got, many)
	}
}

func benchmarkNext(b *testing.B, o Options) {
	in := open(b, o)
	var target Target
	b.ReportAllocs()
	for b.Loop() {
		if err := in.Next(&target); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListIPv4(b *testing.B) {
	o := testOptions()
	o.Files, o.Stdin = []string{"-"}, &loop{text: "10.0.0.1\n192.168.100.200:8080\n172.16.254.3\n"}
	benchmarkNext(b, o)
}

func BenchmarkListIPv6(b *testing.B) {
	o := testOptions()
	o.Files, o.Stdin = []string{"-"}, &loop{text: "2001:db8::1\n[2001:db8:1:2:3:4:5:6]:8080\n"}
	benchmarkNext(b, o)
}

func BenchmarkListNames(b *testing.B) {
	o := testOptions()
	o.Files, o.Stdin = []string{"-"}, &loop{text: "www.example.com\n,mail.example.org,mx,25\n"}
	benchmarkNext(b, o)
}

func BenchmarkWalk(b *testing.B) {
	o := testOptions("0.0.0.0/0")
	o.Exclude = new(Set)
	o.Exclude.AddReserved()
	benchmarkNext(b, o)
}
