// Package resulttest makes reports of loads by hand, for the tests of what shows, writes and compares them. The same call
// always gives the same report. Their figures are made up, but such as a load could have.
package resulttest

import (
	"math"
	"time"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// Start is when all of the loads began.
func Start() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// spread is a distribution with a long tail: n durations of which the quarter is typical and one in a thousand twenty times it.
func spread(n int, typical time.Duration) *histogram.Histogram {
	h := histogram.New()
	for i := range n {
		q := (float64(i) + 0.5) / float64(n)
		h.Record(time.Duration(float64(typical) * (0.4 - 0.9*math.Log(1-q) + 15*math.Pow(q, 400))))
	}
	return h
}

func machine() result.Machine {
	return result.Machine{OS: "linux/amd64", Kernel: "6.12.5", CPUs: 2, CPUModel: "Example CPU @ 2.0GHz", Memory: 24 << 30, Go: "go1.26.8", Hostname: "example"}
}

func report(kind string, config map[string]any) *result.Report {
	return &result.Report{
		Schema: result.Schema, Kind: kind, Version: "0.4.0", Command: []string{"bench", kind, "127.0.0.1:7000"}, Config: config,
		Machine: machine(), Kernel: result.Kernel{Sockets: -1, Memory: -1, Slab: -1},
		Total: &result.Part{Start: Start()},
	}
}

// seconds gives the load n intervals, each with what of says.
func seconds(p *result.Part, n int, of func(second int, i *result.Interval)) {
	for second := range n {
		i := result.Interval{Index: second, CPU: 40 * time.Millisecond, Resident: 64 << 20}
		of(second, &i)
		p.AddInterval(&i)
	}
	p.End = p.Start.Add(time.Duration(n) * result.IntervalLength)
}

// Hold is of 100,000 connections held by three worker processes for three minutes, one of which died.
func Hold() *result.Report {
	r := report(result.Hold, map[string]any{"connections": 100_000, "rate_per_s": 10_000.0, "tls": false, "duration_s": 180.0})
	t := r.Total
	t.Wanted, t.Opened, t.Held, t.HeldAtEnd = 100_000, 99_997, 99_997, 66_500
	t.Ramp, t.Measured, t.Operations = 10200*time.Millisecond, 180*time.Second, 250_000
	t.Failures.Add(result.Failure{Status: "connection-timeout", Side: "remote", State: "CONNECTING", Text: "no answer within 3.5s", Example: "127.0.0.1:7000", Count: 3})
	t.Failures.Add(result.Failure{Status: "connection-reset", Side: "remote", State: "IDLE", Text: "connection reset by peer", Example: "127.0.0.2:7000", Lost: true, Count: 164})
	t.Failures.Add(result.Failure{Status: "local-error", Side: "local", State: "IDLE", Text: "worker 3 died: signal: killed", Lost: true, Count: 33_333})
	t.Phases[result.Connect], t.Phases[result.KernelRTT], t.Phases[result.Ours] = spread(5000, 90*time.Microsecond), spread(5000, 40*time.Microsecond), spread(5000, 50*time.Microsecond)
	t.Phases[result.Latency], t.Phases[result.FirstByte], t.Phases[result.Lag] = spread(5000, 300*time.Microsecond), spread(5000, 290*time.Microsecond), spread(5000, 700*time.Microsecond)
	t.Usage = result.Usage{Processes: 3, CPU: 4 * time.Second, MeasuredCPU: 2900 * time.Millisecond, ResidentBefore: 30 << 20, ResidentHeld: 150 << 20, ResidentMax: 161 << 20, Descriptors: 100_024}
	t.Engine = result.Engine{Loops: 6, Opened: 100_000, Closed: 100_000, FDWaits: 2, LoopLag: spread(1000, 60*time.Microsecond)}
	r.Kernel = result.Kernel{Sockets: 200_010, Memory: 4 << 20, Slab: 790 << 20}
	for i, err := range []string{"", "", "signal: killed"} {
		r.Workers = append(r.Workers, result.Worker{Number: i + 1, PID: 4001 + i, Connections: 33_333, CPU: 1300 * time.Millisecond, Error: err})
	}
	seconds(t, 190, func(second int, i *result.Interval) {
		i.Held = uint64(min(10_000*(second+1), 99_997))
		if second < 10 {
			i.Opened = 9999
		} else {
			i.Operations, i.Latency = 1380, spread(20, 300*time.Microsecond).Compact()
		}
	})
	return r
}

// Handshake is of full and resumed TLS handshakes in a closed loop, by one process.
func Handshake() *result.Report {
	r := report(result.Handshake, map[string]any{"connections": 64, "tls": true, "resume": true})
	t := r.Total
	t.Wanted, t.Opened, t.Held, t.Measured, t.Operations, t.WarmUp = 64, 44_000, 64, 10*time.Second, 40_000, 4000
	t.Phases[result.Connect], t.Phases[result.KernelRTT], t.Phases[result.Ours] = spread(4000, 90*time.Microsecond), spread(4000, 40*time.Microsecond), spread(4000, 50*time.Microsecond)
	t.Phases[result.TLS], t.Phases[result.TLSResumed], t.Phases[result.TLSWait] = spread(1000, 2*time.Millisecond), spread(3000, 700*time.Microsecond), spread(4000, 500*time.Microsecond)
	t.Usage = result.Usage{Processes: 1, CPU: 15 * time.Second, MeasuredCPU: 13500 * time.Millisecond, ResidentBefore: -1, ResidentHeld: -1, ResidentMax: -1, Descriptors: -1}
	t.Engine = result.Engine{Loops: 2, Opened: 44_000, Closed: 44_000, LoopLag: spread(1000, 900*time.Microsecond)}
	seconds(t, 11, func(second int, i *result.Interval) {
		i.Held, i.InFlight, i.Opened, i.Operations, i.WarmUp = 40, 64, 4000, 4000, second == 0
		i.Latency = spread(40, 2*time.Millisecond).Compact()
	})
	return r
}

// Request is of requests in an open loop that fell short of its rate, run five times, after a search for the rate.
func Request() *result.Report {
	r := report(result.Request, map[string]any{"connections": 100, "rate_per_s": 50_000.0, "find_rate": "p99<10ms", "method": "GET", "tls": false})
	t := r.Total
	t.Wanted, t.Opened, t.Held, t.HeldAtEnd = 100, 104, 100, 100
	t.Ramp, t.Measured, t.Operations, t.WarmUp, t.BytesIn = 12*time.Millisecond, 30*time.Second, 1_234_567, 41_000, 1_234_567*612
	t.Failures.Add(result.Failure{Status: "application-error", Side: "remote", State: "ACTIVE", Text: "status 503, want 200-399", Example: "127.0.0.1:7000", Count: 1200})
	t.Failures.Add(result.Failure{Status: "connection-closed", Side: "remote", State: "ACTIVE", Text: "closed by peer", Example: "127.0.0.1:7000", Lost: true, Count: 4})
	t.Phases[result.Connect], t.Phases[result.KernelRTT], t.Phases[result.Ours] = spread(104, 90*time.Microsecond), spread(104, 40*time.Microsecond), spread(104, 50*time.Microsecond)
	t.Phases[result.Latency], t.Phases[result.Peer] = spread(20_000, 1200*time.Microsecond), spread(20_000, 900*time.Microsecond)
	t.Phases[result.Service], t.Phases[result.FirstByte] = spread(20_000, 850*time.Microsecond), spread(20_000, 800*time.Microsecond)
	t.Phases[result.Lag] = spread(20_000, 300*time.Microsecond)
	t.Usage = result.Usage{Processes: 1, CPU: 31 * time.Second, MeasuredCPU: 30 * time.Second, ResidentBefore: 12 << 20, ResidentHeld: 13 << 20, ResidentMax: 19 << 20, Descriptors: 112}
	t.Engine = result.Engine{Loops: 2, Opened: 104, Closed: 104, LoopLag: spread(1000, 300*time.Microsecond)}
	seconds(t, 31, func(second int, i *result.Interval) {
		i.Held, i.InFlight, i.Operations, i.WarmUp = 100, 100, uint64(41_000+500*(second%7)), second == 0
		i.Failed, i.Latency = 40, spread(400, 1200*time.Microsecond).Compact()
	})
	for i := range 5 {
		figures := t.Figures()
		figures["operations_per_s"] += float64(i)
		r.Runs = append(r.Runs, result.Run{Figures: figures})
	}
	for i, rate := range []float64{25_000, 100_000, 41_500} {
		r.Searched = append(r.Searched, result.Trial{Rate: rate, Achieved: min(rate, 41_152), Value: time.Duration(rate) * 190, Kept: i != 1})
	}
	return r
}
