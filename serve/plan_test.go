package serve

import (
	"net/netip"
	"testing"

	"sonde/internal/testpeer"
)

func TestWeights(t *testing.T) {
	for name, weights := range map[string][]weight{"plain": plainWeights[:], "TLS": tlsWeights[:]} {
		sum, named := 0, map[testpeer.Kind]bool{}
		for _, w := range weights {
			sum += w.part
			named[w.kind] = true
		}
		if sum != 1000 {
			t.Errorf("%s: the parts add up to %d, want 1000", name, sum)
		}
		for _, m := range (Config{TLS: name == "TLS", Demo: 1000}).members() {
			if !named[m.about.Kind] {
				t.Errorf("%s has no weight in the %s fleet", m.about.Kind, name)
			}
		}
	}
}

func TestApportion(t *testing.T) {
	for _, total := range []int{1, 2, 20, 21, 22, 99, 1000, 12_345, MaxTargets} {
		members := Config{}.members()
		kinds := len(members)
		apportion(members, total)
		sum, present := 0, 0
		for _, m := range members {
			sum += m.targets
			if m.targets > 0 {
				present++
			}
		}
		if sum != total || present != min(kinds, total) {
			t.Errorf("%d targets: got %d of %d kinds, want %d kinds", total, sum, present, min(kinds, total))
		}
	}
}

func TestFit(t *testing.T) {
	tests := []struct {
		name        string
		cfg         Config
		minHTTP     int
		wantFailure bool
	}{
		{"enough for all", Config{Demo: 1000, Loops: 1, Descriptors: 20_000}, 250, false},
		{"a share", Config{Demo: 1000, Loops: 1, Descriptors: 256}, 5, false},
		{"one of each", Config{Demo: 1000, Loops: 1, Descriptors: 48}, 1, false},
		{"too few", Config{Demo: 1000, Loops: 1, Descriptors: 40}, 0, true},
		{"loops cost more", Config{Demo: 1000, Loops: 4, Descriptors: 20_000}, 250, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			members := tt.cfg.members()
			err := fit(members, tt.cfg)
			if (err != nil) != tt.wantFailure {
				t.Fatalf("got error %v, want one: %v", err, tt.wantFailure)
			}
			if err != nil {
				return
			}
			cost := 0
			for _, m := range members {
				cost += m.sites * siteCost(m.about.Kind, tt.cfg.Loops)
				if m.sites < 1 || m.about.Kind == testpeer.HTTP && m.sites < tt.minHTTP {
					t.Errorf("%s has %d sites", m.about.Kind, m.sites)
				}
			}
			if cost > tt.cfg.Descriptors/2 {
				t.Errorf("sites cost %d of %d descriptors", cost, tt.cfg.Descriptors)
			}
		})
	}
}

func TestReplicaAddr(t *testing.T) {
	seen := map[netip.Addr]bool{}
	for i := range MaxTargets {
		a := replicaAddr(netip.MustParseAddr("127.0.0.1"), i)
		if seen[a] || !a.IsLoopback() {
			t.Fatalf("replica %d: %v is there already or not loopback", i, a)
		}
		seen[a] = true
	}
}
