package tlsfacts

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sonde/internal/testcert"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

func authority(t testing.TB) *testcert.Authority {
	t.Helper()
	a, err := testcert.NewAuthority("test", epoch)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t testing.TB, a *testcert.Authority, l testcert.Leaf) tls.Certificate {
	t.Helper()
	c, err := a.Issue(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// judgeOf trusts a, and its time is epoch until it is moved.
func judgeOf(a *testcert.Authority) (j *Judge, move func(time.Duration)) {
	now := epoch
	return NewJudge(JudgeOptions{Roots: a.Pool(), Now: func() time.Time { return now }}),
		func(d time.Duration) { now = now.Add(d) }
}

func TestJudge(t *testing.T) {
	a, stranger := authority(t), authority(t)
	j, _ := judgeOf(a)
	names := []string{"a.test", "b.test", "c.test", "d.test", "127.0.0.1", "::1"}
	leaf := func(l testcert.Leaf) [][]byte {
		if l.Names == nil {
			l.Names = names
		}
		return issue(t, a, l).Certificate
	}
	good := leaf(testcert.Leaf{})
	spoilt := good[1][:len(good[1])-1]
	foreign := issue(t, stranger, testcert.Leaf{Names: names}).Certificate
	tests := []struct {
		name   string
		chain  [][]byte
		host   string
		want   Faults
		days   int
		reason string
	}{
		{"good", good, "a.test", 0, 89, ""},
		{"good address", good, "127.0.0.1", 0, 89, ""},
		{"good address of IPv6", good, "::1", 0, 89, ""},
		{"name not asked", good, "", 0, 89, ""},
		{"other name", good, "x.test", NameMismatch, 89, "is for a.test, b.test, c.test and 1 more, not x.test"},
		{"other address", leaf(testcert.Leaf{Names: []string{"10.0.0.1"}}), "10.0.0.2", NameMismatch, 89, "is for 10.0.0.1, not 10.0.0.2"},
		{"no name", leaf(testcert.Leaf{Names: []string{}}), "a.test", NameMismatch, 89, "is for no name, not a.test"},
		{"name that would act on a terminal", leaf(testcert.Leaf{Names: []string{"a\x1b[2J"}}), "a.test", NameMismatch, 89, "is for a.[2J, not a.test"},
		{"expired", leaf(testcert.Leaf{Validity: testcert.Expired}), "a.test", Expired, -1, "expired 1 day ago (2026-05-16)"},
		{"not yet valid", leaf(testcert.Leaf{Validity: testcert.NotYetValid}), "a.test", NotYetValid, 89, "not valid before 2026-05-18, 1 day from now"},
		{"self-signed", leaf(testcert.Leaf{SelfSigned: true}), "a.test", SelfSigned, 89, "self-signed"},
		{"of a stranger", foreign, "a.test", UnknownAuthority, 89, `issuer "test intermediate" is not trusted`},
		{"issuer not sent", leaf(testcert.Leaf{OmitChain: true}), "a.test", UnknownAuthority, 89, `issuer "test intermediate" is not trusted`},
		{"for clients", leaf(testcert.Leaf{Client: true}), "a.test", WrongUsage, 89, "may not be used for a server"},
		{"three at once", leaf(testcert.Leaf{SelfSigned: true, Validity: testcert.Expired}), "x.test", Expired | NameMismatch | SelfSigned, -1,
			"expired 1 day ago (2026-05-16); is for a.test, b.test, c.test and 1 more, not x.test; self-signed"},
		{"unparsable leaf", [][]byte{[]byte("rubbish"), good[1]}, "a.test", Unparsable, 0, "can't be read: malformed certificate"},
		{"unparsable issuer", [][]byte{good[0], spoilt}, "a.test", UnknownAuthority | Unparsable, 89, `issuer "test intermediate" is not trusted; certificate 2`},
		{"unparsable stray", [][]byte{good[0], good[1], {1}}, "a.test", Unparsable, 89, "certificate 3 of the chain can't be read"},
		{"empty certificate", [][]byte{{}}, "a.test", Unparsable, 0, "can't be read"},
		{"no certificate", nil, "a.test", NoCertificate, 0, "no certificate was sent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, from := range []string{"a miss", "a hit"} {
				got := j.Judge(tt.chain, tt.host)
				if got.Faults != tt.want || got.Verified != (tt.want == 0) || got.DaysLeft != tt.days {
					t.Errorf("%s: got %v, verified %v, %d days, want %v, %d days", from, got.Faults, got.Verified, got.DaysLeft, tt.want, tt.days)
				}
				if !strings.HasPrefix(got.Reason, tt.reason) || tt.want == 0 && got.Reason != "" {
					t.Errorf("%s: got reason %q, want %q", from, got.Reason, tt.reason)
				}
				if len(got.chain) != len(tt.chain) {
					t.Errorf("%s: got %d certificates, want %d", from, len(got.chain), len(tt.chain))
				}
			}
		})
	}
}

func TestJudgeTime(t *testing.T) {
	a := authority(t)
	j, move := judgeOf(a)
	chain := issue(t, a, testcert.Leaf{Names: []string{"a.test"}}).Certificate
	last := j.Judge(chain, "a.test")
	move(last.Expires.Sub(epoch)) // its last moment
	if got := j.Judge(chain, "a.test"); !got.Verified || got.DaysLeft != 0 {
		t.Errorf("in its last moment: got %v, %d days", got.Faults, got.DaysLeft)
	}
	move(staleAfter - 1)
	if got := j.Judge(chain, "a.test"); !got.Verified {
		t.Error("a verdict was made again before its time")
	}
	move(1)
	if got := j.Judge(chain, "a.test"); got.Faults != Expired || got.DaysLeft != -1 || got.Reason != "expired a minute ago (2026-08-14)" {
		t.Errorf("a minute later: got %v, %d days, %q", got.Faults, got.DaysLeft, got.Reason)
	}
	move(-time.Hour)
	if got := j.Judge(chain, "a.test"); !got.Verified {
		t.Error("a verdict of the future was believed: the clock was set back")
	}
}

// TestJudgeApart: what is kept for one chain and name serves no other.
func TestJudgeApart(t *testing.T) {
	a := authority(t)
	j, _ := judgeOf(a)
	one := issue(t, a, testcert.Leaf{Names: []string{"a.test"}}).Certificate
	two := issue(t, a, testcert.Leaf{Names: []string{"b.test"}}).Certificate
	for range 2 {
		for _, tt := range []struct {
			chain [][]byte
			name  string
			want  Faults
		}{
			{one, "a.test", 0}, {one, "b.test", NameMismatch}, {two, "b.test", 0}, {two, "a.test", NameMismatch},
			{one[:1], "a.test", UnknownAuthority}, {[][]byte{one[0], two[1]}, "a.test", 0},
		} {
			if got := j.Judge(tt.chain, tt.name); got.Faults != tt.want {
				t.Errorf("%s: got %v, want %v", tt.name, got.Faults, tt.want)
			}
		}
	}
}

func TestJudgeConcurrent(t *testing.T) {
	a := authority(t)
	j, _ := judgeOf(a)
	var chains [][][]byte
	for i := range 4 {
		chains = append(chains, issue(t, a, testcert.Leaf{Names: []string{fmt.Sprintf("%d.test", i)}, Staple: testcert.StapleGood}).Certificate)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 40 {
				n := i % len(chains)
				judged := j.Judge(chains[n], fmt.Sprintf("%d.test", n))
				f := Facts{Chain: chains[n], OCSP: []byte{1}}
				if !judged.Verified || len(f.Finding(judged).AppendJSON(nil)) == 0 {
					t.Errorf("got %v", judged.Faults)
				}
			}
		})
	}
	wg.Wait()
}

func TestGenerations(t *testing.T) {
	g := newGenerations[int](20)
	key := func(i int) digest { return digest{byte(i), byte(i >> 8)} }
	for i := range 1000 {
		g.put(key(i), i, 1)
		if v, young, ok := g.get(key(7)); i >= 7 && (!ok || v != 7) {
			t.Fatalf("after %d: what is asked for was forgotten", i)
		} else if ok && !young {
			g.put(key(7), 7, 1)
		}
		if n := len(g.young) + len(g.old); n > 20 {
			t.Fatalf("after %d: got %d entries, want at most 20", i, n)
		}
	}
	if _, _, ok := g.get(key(3)); ok {
		t.Error("what was not asked for is still there")
	}
	g.put(key(1), 1, 11)
	if _, _, ok := g.get(key(1)); ok {
		t.Error("what costs more than half of the budget was kept")
	}
}

func TestFaultWords(t *testing.T) {
	if diff := cmp.Diff([]string{"expired", "self-signed", "no certificate"}, (NoCertificate | SelfSigned | Expired).Words()); diff != "" {
		t.Errorf("want to got:\n%s", diff)
	}
	if got := Faults(0).String(); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"abcdef", 5, "ab..."}, {"aéé", 4, "a..."}, {"ééé", 5, "é..."}} {
		if got := cut(tt.in, tt.limit); got != tt.want || len(got) > tt.limit {
			t.Errorf("cut(%q, %d): got %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	a := authority(b)
	c := issue(b, a, testcert.Leaf{Names: []string{"a.test"}, Key: testcert.RSA2048, ChainBytes: 2 << 10})
	b.Run("hit", func(b *testing.B) {
		j, _ := judgeOf(a)
		j.Judge(c.Certificate, "a.test")
		b.ReportAllocs()
		for b.Loop() {
			j.Judge(c.Certificate, "a.test")
		}
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			j, _ := judgeOf(a)
			j.Judge(c.Certificate, "a.test")
		}
	})
	b.Run("json", func(b *testing.B) {
		j, _ := judgeOf(a)
		f := Facts{Chain: c.Certificate}
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf = f.Finding(j.Judge(c.Certificate, "a.test")).AppendJSON(buf[:0])
		}
	})
}
