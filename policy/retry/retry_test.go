package retry

import (
	"math/rand/v2"
	"testing"
	"time"

	"sonde/report"
)

func TestTransient(t *testing.T) {
	want := map[string]bool{
		"connection-timeout": true, "connection-reset": true, "connection-closed": true, "tls-timeout": true, "io-timeout": true,
		"host-unreachable": true, "network-unreachable": true, "dns-error": true, "local-fd-limit": true, "local-port-exhausted": true,
	}
	found := 0
	for s := report.Status(0); s < report.NumStatuses; s++ {
		if Transient(s) != want[s.String()] {
			t.Errorf("%v is transient: %v", s, Transient(s))
		}
		if want[s.String()] {
			found++
		}
	}
	if found != len(want) {
		t.Errorf("%d of %d words are statuses", found, len(want))
	}
}

func TestNext(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := Settings{Retries: 3, Delay: 100 * time.Millisecond, MaxDelay: 250 * time.Millisecond}
	for asked, mean := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 250 * time.Millisecond} {
		var sum, most time.Duration
		const draws = 10_000
		for range draws {
			wait, again := s.Next(rng, report.IOTimeout, asked, time.Hour)
			if !again || wait < 0 || wait > 2*mean {
				t.Fatalf("asked %d times: again %v behind %v", asked, again, wait)
			}
			sum, most = sum+wait, max(most, wait)
		}
		if got := sum / draws; got < mean*95/100 || got > mean*105/100 || most < mean*19/10 {
			t.Errorf("asked %d times: waits of %v in the mean and %v at most, want %v and nearly twice that", asked, got, most, mean)
		}
	}
	if _, again := s.Next(rng, report.IOTimeout, 4, 0); again {
		t.Error("a fourth retry of three")
	}
	if _, again := s.Next(rng, report.ConnectionRefused, 1, 0); again {
		t.Error("a refusal is asked again")
	}
	var none Settings
	if _, again := none.Next(rng, report.IOTimeout, 1, 0); again {
		t.Error("the zero value asks again")
	}
}

func TestBudget(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := Settings{Retries: Max, Budget: time.Second}
	for range 1000 {
		if wait, again := s.Next(rng, report.IOTimeout, 5, 900*time.Millisecond); again && wait >= 100*time.Millisecond {
			t.Fatalf("begins %v behind the first dial, want within a second", 900*time.Millisecond+wait)
		}
		if _, again := s.Next(rng, report.IOTimeout, 5, time.Second); again {
			t.Fatal("begins behind its budget")
		}
	}
}

// TestDelayedForEver does not overflow, however often it has failed.
func TestDelayedForEver(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range []Settings{{}, {Delay: time.Hour}, {Delay: 1, MaxDelay: 1 << 60}} {
		for _, failed := range []int{0, 1, 63, 64, 1 << 30} {
			if wait := s.Delayed(rng, failed); wait < 0 {
				t.Errorf("%+v, %d: %v", s, failed, wait)
			}
			most := time.Duration(0)
			for range 1000 {
				most = max(most, s.Delayed(rng, failed))
			}
			if failed > 62 && most < DefaultMaxDelay {
				t.Errorf("%+v, %d failures: waits of at most %v", s, failed, most)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for s, ok := range map[Settings]bool{{}: true, {Retries: Max}: true, {Retries: -1}: false, {Retries: Max + 1}: false, {Delay: -1}: false, {Budget: -1}: false} {
		if err := s.Check(); (err == nil) != ok {
			t.Errorf("%+v: got %v", s, err)
		}
	}
}
