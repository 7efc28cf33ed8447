package scan

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sonde/policy/pace"
)

// lobbyDial is when a target was let go, in nanoseconds from the start.
type lobbyDial struct {
	id uint32
	at int64
}

// playLobby has the targets come at the given moments and lets go whom the lobby lets go, as a dialer would that wakes up late by
// what lag says. It ends when nobody is left.
func playLobby(t *testing.T, l *lobby, come []int64, lag func() int64) []lobbyDial {
	t.Helper()
	var dials []lobbyDial
	next := uint32(0)
	for now := int64(0); len(dials) < len(come); {
		for ; int(next) < len(come) && come[next] <= now; next++ {
			l.add(next)
		}
		for {
			id, ok := l.next(now)
			if !ok {
				break
			}
			dials = append(dials, lobbyDial{id, now})
		}
		at, ok := l.wakeAt()
		if int(next) < len(come) && (!ok || come[next] < at) {
			at, ok = come[next], true
		}
		if !ok {
			break
		}
		now = max(now, at) + lag()
	}
	ids := make([]bool, len(come))
	for _, d := range dials {
		if ids[d.id] {
			t.Fatalf("target %d was let go twice", d.id)
		}
		ids[d.id] = true
	}
	if len(dials) != len(come) {
		t.Fatalf("got %d of %d let go", len(dials), len(come))
	}
	if left := slices.Collect(l.waiting()); len(left) != 0 || len(l.unused) != len(l.all) {
		t.Fatalf("at the end %d targets are left, and %d of %d queues in use", len(left), len(l.all)-len(l.unused), len(l.all))
	}
	return dials
}

func inTime() int64 { return 0 }

// holdsRate has no window of time have more dials of a bucket than its rate allows.
func holdsRate(t *testing.T, dials []lobbyDial, perSecond float64, bucket func(id uint32) string) {
	t.Helper()
	moments := map[string][]int64{}
	for _, d := range dials {
		moments[bucket(d.id)] = append(moments[bucket(d.id)], d.at)
	}
	gap := int64(float64(time.Second) / perSecond)
	for name, at := range moments {
		for i := range at {
			for _, n := range []int{1, 2, 5, 20, 100} {
				if i+n < len(at) && at[i+n]-at[i] < int64(n)*gap-grace {
					t.Fatalf("bucket %s: dials %d and %d are %v apart, at %v a second", name, i, i+n, time.Duration(at[i+n]-at[i]), perSecond)
				}
			}
		}
	}
}

// address4 is address i of 10.0.0.0/8, counted from 10.0.0.0.
func address4(i uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// TestLobbyRates plays lists of many shapes under both limits: no bucket is ever ahead of its rate, though we wake up late, and the
// run takes no longer than its busiest bucket makes it.
func TestLobbyRates(t *testing.T) {
	const subnets, hosts, ports = 10, 16, 8
	const n = subnets * hosts * ports
	orders := map[string]func(i int) int{ // of all targets, numbered by subnet, host, port
		"by host":   func(i int) int { return i },
		"by port":   func(i int) int { return i%(subnets*hosts)*ports + i/(subnets*hosts) },
		"scattered": func(i int) int { return i * 7919 % n },
	}
	for name, order := range orders {
		for _, rates := range [][2]float64{{10, 0}, {0, 100}, {10, 100}, {50, 100}, {7, 2000}, {1000, 20_000}} {
			t.Run(fmt.Sprintf("%s, %v a host, %v a subnet", name, rates[0], rates[1]), func(t *testing.T) {
				addr := func(id uint32) netip.Addr {
					place := uint32(order(int(id)))
					return address4(place/(hosts*ports)<<8 | place/ports%hosts)
				}
				var settings []pace.Settings
				longest := 0.0
				if rates[0] > 0 {
					settings = append(settings, pace.Settings{PerSecond: rates[0]})
					longest = (ports - 1) / rates[0]
				}
				if rates[1] > 0 {
					settings = append(settings, pace.Settings{PerSecond: rates[1], Bits4: 24})
					longest = max(longest, (hosts*ports-1)/rates[1])
				}
				rng := rand.New(rand.NewPCG(1, 2))
				late := func() int64 { return rng.Int64N(int64(3 * time.Millisecond)) }
				dials := playLobby(t, newLobby(n, 0, addr, settings...), make([]int64, n), late)
				for i, perSecond := range rates {
					if perSecond > 0 {
						holdsRate(t, dials, perSecond, func(id uint32) string {
							if i == 0 {
								return addr(id).String()
							}
							prefix, _ := addr(id).Prefix(24)
							return prefix.String()
						})
					}
				}
				took := time.Duration(dials[len(dials)-1].at).Seconds()
				if took > longest*1.25+0.05 {
					t.Errorf("took %.2f s, want about %.2f", took, longest)
				}
			})
		}
	}
}

// TestLobbyAfterStalls: the turns that went by while nobody asked are gone, but for those of a moment.
func TestLobbyAfterStalls(t *testing.T) {
	const n, perSecond = 2000, 500
	rng := rand.New(rand.NewPCG(1, 4))
	lag := func() int64 {
		if rng.IntN(100) == 0 {
			return int64(300 * time.Millisecond)
		}
		return 0
	}
	l := newLobby(n, 0, func(id uint32) netip.Addr { return address4(id % 2) }, pace.Settings{PerSecond: perSecond})
	dials := playLobby(t, l, make([]int64, n), lag)
	holdsRate(t, dials, perSecond, func(id uint32) string { return fmt.Sprint(id % 2) })
}

// TestLobbyOthersGoOn: a subnet for which thousands wait keeps nobody else waiting.
func TestLobbyOthersGoOn(t *testing.T) {
	const slow, others = 5000, 5000
	addr := func(id uint32) netip.Addr {
		if id < slow {
			return address4(id % 256)
		}
		return address4(id << 8)
	}
	come := make([]int64, slow+others)
	for i := slow; i < len(come); i++ { // one a millisecond
		come[i] = int64(i-slow) * int64(time.Millisecond)
	}
	dials := playLobby(t, newLobby(len(come), 0, addr, pace.Settings{PerSecond: 100, Bits4: 24}), come, inTime)
	for _, d := range dials {
		if d.id >= slow && d.at != come[d.id] {
			t.Fatalf("target %d of another subnet waited %v", d.id, time.Duration(d.at-come[d.id]))
		}
	}
	if took := dials[len(dials)-1].at; took < slow*int64(10*time.Millisecond)-grace-int64(10*time.Millisecond) {
		t.Errorf("%d of one subnet took %v at 100 a second", slow, time.Duration(took))
	}
}

// TestLobbyFirstComeFirst: who waits for a bucket is served in the order of coming, and before those who come later.
func TestLobbyFirstComeFirst(t *testing.T) {
	come := make([]int64, 300)
	for i := range come {
		come[i] = int64(i) * int64(3*time.Millisecond) // three times the rate
	}
	l := newLobby(len(come), 0, func(uint32) netip.Addr { return address4(1) }, pace.Settings{PerSecond: 100})
	var got, want []uint32
	for i, d := range playLobby(t, l, come, inTime) {
		got, want = append(got, d.id), append(want, uint32(i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// TestLobbyHolds: nobody is let go before its moment, nobody much later, and waiting knows whom it has.
func TestLobbyHolds(t *testing.T) {
	const n = 1000
	rng := rand.New(rand.NewPCG(1, 3))
	l := newLobby(n, 0, address4, pace.Settings{PerSecond: 1000})
	until := make([]int64, n)
	for id := range uint32(n) {
		until[id] = rng.Int64N(int64(20 * time.Second))
		l.hold(id, until[id])
	}
	gone := 0
	for now, ok := int64(0), true; ok; now, ok = l.wakeAt() {
		for {
			id, ok := l.next(now)
			if !ok {
				break
			}
			gone++
			if late := now - until[id]; late < 0 || late > int64(2*time.Millisecond) {
				t.Fatalf("target %d was let go %v behind its moment", id, time.Duration(late))
			}
		}
		if left := len(slices.Collect(l.waiting())); left != n-gone {
			t.Fatalf("got %d waiting, want %d", left, n-gone)
		}
	}
	if gone != n {
		t.Errorf("got %d let go, want %d", gone, n)
	}
}

// TestLobbyFullOfBuckets: with more hosts than buckets all are dialled in the end.
func TestLobbyFullOfBuckets(t *testing.T) {
	const n = 2000
	l := newLobby(n, 0, address4, pace.Settings{PerSecond: 10, Buckets: 100})
	dials := playLobby(t, l, make([]int64, n), inTime)
	if took := dials[len(dials)-1].at; took > int64(4*time.Second) {
		t.Errorf("took %v for %d hosts in lots of 100 each 100 ms", time.Duration(took), n)
	}
}

// TestLobbyWaiting tells all of those that wait apart: until a moment, in a queue, and with their turn come.
func TestLobbyWaiting(t *testing.T) {
	l := newLobby(10, 0, func(uint32) netip.Addr { return address4(1) }, pace.Settings{PerSecond: 1})
	l.hold(7, int64(time.Hour))
	for _, id := range []uint32{1, 2, 3} {
		l.add(id)
	}
	if id, ok := l.next(0); !ok || id != 1 {
		t.Fatalf("got %d, %v; want the first", id, ok)
	}
	if _, ok := l.next(0); ok {
		t.Fatal("got a second within the second")
	}
	l.add(4)
	got := slices.Sorted(l.waiting())
	if diff := cmp.Diff([]uint32{2, 3, 4, 7}, got); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
}
