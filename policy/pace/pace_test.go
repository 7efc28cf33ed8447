package pace

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const second = int64(time.Second)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// TestRate dials as fast as it may for ten seconds.
func TestRate(t *testing.T) {
	for _, s := range []Settings{{PerSecond: 100}, {PerSecond: 0.5}, {PerSecond: 100, Burst: 10}, {PerSecond: 3, Burst: 3}} {
		l, now, n := New(s), second, 0
		for end := now + 10*second; now < end; {
			wait, ok := l.Take(addr("192.0.2.7"), now)
			switch {
			case ok && wait != 0, !ok && wait <= 0:
				t.Fatalf("%+v: ok %v with a wait of %v", s, ok, wait)
			case ok:
				n++
			}
			now += int64(wait)
		}
		if want := 10 * s.PerSecond; float64(n) < want || float64(n) > want+float64(max(s.Burst, 1)) {
			t.Errorf("%+v: %d in 10 s, want %v and the burst", s, n, want)
		}
	}
}

// TestBurst has a burst go at once, however long nobody came, and no more.
func TestBurst(t *testing.T) {
	l, now := New(Settings{PerSecond: 10, Burst: 4}), second
	for range 3 {
		for n := range 4 {
			if _, ok := l.Take(addr("192.0.2.7"), now); !ok {
				t.Fatalf("%d of a burst of 4", n)
			}
		}
		if wait, ok := l.Take(addr("192.0.2.7"), now); ok || wait != 100*time.Millisecond {
			t.Fatalf("behind a burst: ok %v, a wait of %v, want 100 ms", ok, wait)
		}
		now += 60 * second
	}
}

func TestWhoShares(t *testing.T) {
	for _, tt := range []struct {
		bits4, bits6 int
		a, b         string
		share        bool
	}{
		{0, 0, "192.0.2.7", "192.0.2.7", true},
		{0, 0, "192.0.2.7", "192.0.2.8", false},
		{24, 0, "192.0.2.7", "192.0.2.200", true},
		{24, 0, "192.0.2.7", "192.0.3.7", false},
		{24, 0, "::ffff:192.0.2.7", "192.0.2.9", true},
		{24, 64, "2001:db8::1", "2001:db8::2", true},
		{24, 64, "2001:db8::1", "2001:db8:0:1::1", false},
		{24, 0, "fe80::1%eth0", "fe80::1%eth1", true},
	} {
		l := New(Settings{PerSecond: 1, Bits4: tt.bits4, Bits6: tt.bits6})
		l.Take(addr(tt.a), second)
		if _, ok := l.Take(addr(tt.b), second); ok == tt.share {
			t.Errorf("/%d, /%d: %s and %s share a bucket: %v, want %v", tt.bits4, tt.bits6, tt.a, tt.b, !ok, tt.share)
		}
	}
}

// TestMemory has more hosts than buckets: none is dialled too often, all are dialled in the end, and the buckets stay few.
func TestMemory(t *testing.T) {
	const buckets, hosts = 100, 1000
	l := New(Settings{PerSecond: 10, Buckets: buckets})
	rng := rand.New(rand.NewPCG(1, 1))
	now := second
	last := make(map[netip.Addr]int64)
	for rounds := 0; len(last) < hosts; rounds++ {
		if rounds > 1_000_000 {
			t.Fatalf("only %d hosts were dialled", len(last))
		}
		host := netip.AddrFrom4([4]byte{10, 0, byte(rng.IntN(hosts) >> 8), byte(rng.IntN(256))})
		if _, ok := l.Take(host, now); ok {
			if before, known := last[host]; known && now-before < second/10 {
				t.Fatalf("%v was dialled twice in %v", host, time.Duration(now-before))
			}
			last[host] = now
		}
		if l.Buckets() > buckets {
			t.Fatalf("%d buckets, want at most %d", l.Buckets(), buckets)
		}
		now += second / 5000
		if len(last) >= 900 { // what is left is rare in the draw
			break
		}
	}
}

// TestGive: a turn that is given back can be taken at once, by whom it was taken or by another of the bucket, and is one turn.
func TestGive(t *testing.T) {
	l := New(Settings{PerSecond: 10, Bits4: 24})
	l.Give(addr("192.0.2.7")) // of no bucket
	for range 3 {
		l.Take(addr("192.0.2.7"), second)
		l.Give(addr("192.0.2.7"))
	}
	if _, ok := l.Take(addr("192.0.2.8"), second); !ok {
		t.Error("the turn that was given back is gone")
	}
	if wait, ok := l.Take(addr("192.0.2.7"), second); ok || wait != 100*time.Millisecond {
		t.Errorf("ok %v, a wait of %v, want 100 ms", ok, wait)
	}
}

func TestParseSubnet(t *testing.T) {
	for text, perSecond := range map[string]float64{"100/24": 100, "0.5/24": 0.5, "2.5k/24": 2500} {
		got, err := ParseSubnet(text)
		if want := (Settings{PerSecond: perSecond, Bits4: 24, Bits6: 64}); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"100": "as in", "x/24": `"x": want a number`, "100/33": "from 1 to 32", "100/0": "from 1 to 32", "100/": "from 1 to 32", "0/24": "at least 0.01",
		"NaN/24": "want a number", "-1/24": "want a number", "1e3/24": "want a number", "2m/24": "at most a million",
	} {
		if _, err := ParseSubnet(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	l := New(Settings{PerSecond: 1e6})
	a := addr("192.0.2.7")
	now := second
	for b.Loop() {
		l.Take(a, now)
		now += 1000
	}
}

// TestReserve gives turns of their own to many that come at once, in order, and takes none where there is no room for a bucket.
func TestReserve(t *testing.T) {
	l, now := New(Settings{PerSecond: 10, Burst: 2, Buckets: 1}), second
	for i := range 20 {
		want := time.Duration(max(i-1, 0)) * 100 * time.Millisecond
		if wait, ok := l.Reserve(addr("192.0.2.7"), now); !ok || wait != want {
			t.Fatalf("the turn %d: ok %v, a wait of %v, want %v", i, ok, wait, want)
		}
	}
	if wait, ok := l.Reserve(addr("192.0.2.8"), now); ok || wait <= 0 || l.Buckets() != 1 {
		t.Errorf("another bucket than there may be: ok %v, a wait of %v, %d buckets", ok, wait, l.Buckets())
	}
	if wait, ok := l.Take(addr("192.0.2.7"), now); ok || wait != 1900*time.Millisecond {
		t.Errorf("behind those: ok %v, a wait of %v, want 1.9 s", ok, wait)
	}
}
