package scan

import (
	"errors"
	"testing"

	"sonde/engine"
	"sonde/internal/workers"
	"sonde/policy/pace"
	"sonde/report"
)

// TestDivide: the parts make up the whole, and together the shards of the parts are the shard of the whole.
func TestDivide(t *testing.T) {
	whole := Config{
		Connections: 1001, Rate: 7, HostRate: 3, SubnetRate: pace.Settings{PerSecond: 5, Bits4: 24}, Retries: 2, MaxTargets: 11, Shards: 3, Shard: 2,
	}
	const n = 4
	connections, rates, most := 0, [3]float64{}, uint64(0)
	shards := map[int]bool{}
	for worker := range n {
		part := whole.Divide(n, worker)
		connections += part.Connections
		rates[0] += part.Rate
		rates[1] += part.HostRate
		rates[2] += part.SubnetRate.PerSecond
		most += part.MaxTargets
		if part.Retries != whole.Retries || part.SubnetRate.Bits4 != whole.SubnetRate.Bits4 {
			t.Errorf("worker %d: got %d retries and subnets of /%d", worker, part.Retries, part.SubnetRate.Bits4)
		}
		if part.Shards != 12 || part.Shard%3 != 2 || part.Shard >= 12 || shards[part.Shard] {
			t.Errorf("worker %d: got shard %d of %d", worker, part.Shard, part.Shards)
		}
		shards[part.Shard] = true
	}
	if connections != whole.Connections || rates != [3]float64{7, 3, 5} || most != whole.MaxTargets {
		t.Errorf("got %d connections, rates of %v, %d targets; want those of %+v", connections, rates, most, whole)
	}
	if part := (Config{}).Divide(2, 1); part.Connections != defaultConnections/2 || part.Shards != 2 || part.Shard != 1 || part.MaxTargets != 0 {
		t.Errorf("of the defaults: got %+v", part)
	}
}

// TestProgressOfWorkers: a total is told once every worker knows its own.
func TestProgressOfWorkers(t *testing.T) {
	tests := []struct {
		name   string
		states []state
		total  uint64
		exact  bool
	}{
		{"nobody has told yet", []state{{}, {}}, 0, false},
		{"one does not know", []state{{Total: 5, Exact: true}, {}}, 0, false},
		{"one estimates", []state{{Total: 5, Exact: true}, {Total: 7}}, 12, false},
		{"all know, one has none", []state{{Exact: true}, {Total: 7, Exact: true}}, 7, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := crew{scan: &Scan{}, states: tt.states}
			c.sumUp()
			p := &c.scan.progress
			if p.total.Load() != tt.total || p.exact.Load() != tt.exact {
				t.Errorf("got %d, exact %v; want %d, %v", p.total.Load(), p.exact.Load(), tt.total, tt.exact)
			}
		})
	}
}

// TestCountMissing: of a dead worker's share, what has no record is local-error.
func TestCountMissing(t *testing.T) {
	c := &crew{
		scan: &Scan{}, cfg: WorkersConfig{Count: 4}, summary: report.NewSummary(),
		states:   []state{{Targets: 10, Total: 10, Exact: true}, {Targets: 8, Total: 20, Exact: true}, {Targets: 6, Total: 20, Exact: true}, {}},
		received: []uint64{10, 5, 6, 0},
		// The second had 20 and told of 5; the third had read 6 when the scan was stopped, and told of all.
		deaths: []death{{worker: 1}, {worker: 2, stopped: true}},
	}
	err := c.countMissing(t.Context())
	want := "2 of 4 workers died: 15 targets have no record and count as local-error"
	if err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	if got := c.summary.Counts()[report.LocalError]; got != 15 || c.summary.Records() != 0 || c.summary.Missing() != 15 {
		t.Errorf("got %d local-error, %d records, %d missing", got, c.summary.Records(), c.summary.Missing())
	}
	if c.states[1].Targets != 20 || c.states[2].Targets != 6 {
		t.Errorf("got targets %d and %d, want 20 and 6", c.states[1].Targets, c.states[2].Targets)
	}
}

// TestDeadWorkerLeaksNothing: the kernel closes the sockets of a process that is gone, and none of its targets is in flight.
func TestDeadWorkerLeaksNothing(t *testing.T) {
	var told []int
	c := &crew{
		scan: &Scan{}, states: []state{{}, {InFlight: 3, Engine: engine.Stats{Opened: 5, Closed: 2}}},
		cfg: WorkersConfig{OnDeath: func(worker int, _ error) { told = append(told, worker) }},
	}
	c.take(t.Context(), workers.Death{Worker: 1})
	if st := &c.states[1]; st.InFlight != 0 || st.Engine.Closed != 5 || c.inFlight.Load() != 0 {
		t.Errorf("got %d in flight (%d in all), %d closed; want 0, 0, 5", st.InFlight, c.inFlight.Load(), st.Engine.Closed)
	}
	if len(c.deaths) != 1 || c.deaths[0] != (death{worker: 1}) || len(told) != 1 || told[0] != 1 {
		t.Errorf("got deaths %v, told %v", c.deaths, told)
	}
}

// TestForeignMessage: what is no message of ours ends the scan with an error that names the worker.
func TestForeignMessage(t *testing.T) {
	for _, data := range []string{"", "x", "r\x00", "s{"} {
		c := &crew{scan: &Scan{}, states: make([]state, 1), received: make([]uint64, 1), summary: report.NewSummary()}
		c.take(t.Context(), workers.Message{Data: []byte(data)})
		if !errors.Is(c.err, errWire) {
			t.Errorf("%q: got error %v, want %v", data, c.err, errWire)
		}
	}
}
