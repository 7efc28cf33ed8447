package page

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"sonde/bench/result"
	"sonde/internal/histogram"
)

// The samples are reports with figures as loads have them, the same in each run of the tests.

// start is when they began.
var start = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

func machineOfSamples() result.Machine {
	return result.Machine{OS: "linux/amd64", Kernel: "6.1.0-31-amd64", CPUs: 2, CPUModel: "Example CPU 2.8 GHz", Memory: 24 << 30, Go: "go1.26.8", Hostname: "bench-1"}
}

// sampleRequest is an open loop of so many seconds at rate against a peer that stalls for a moment now and then, and resets
// some connections in the middle.
func sampleRequest(length, perSecond int) *result.Report {
	rnd := rand.New(rand.NewPCG(1, 2))
	p := &result.Part{Start: start, End: start.Add(time.Duration(length) * time.Second), Wanted: 100, Opened: 100, Held: 100, HeldAtEnd: 100, Ramp: 11 * time.Millisecond}
	warm := max(length/20, 1)
	for i := range length {
		n := perSecond
		if i == length/2 {
			n = perSecond * 3 / 5
		}
		in := result.Interval{Index: i, Held: 100, Operations: uint64(n), WarmUp: i < warm && length > 1, CPU: time.Duration(610+rnd.IntN(60)) * time.Millisecond,
			Resident: 14<<20 + int64(math.Sqrt(float64(i))*40_000)}
		if i == 0 {
			in.Opened = 100
		}
		h := histogram.New()
		for range n {
			service := time.Duration(220+60*rnd.NormFloat64()+rnd.ExpFloat64()*90) * time.Microsecond
			if rnd.IntN(400) == 0 {
				service += time.Duration(rnd.ExpFloat64() * float64(9*time.Millisecond))
			}
			latency := service + time.Duration(rnd.ExpFloat64()*14)*time.Microsecond
			if i%17 > 14 && rnd.IntN(6) == 0 {
				latency += time.Duration(rnd.IntN(200_000)) * time.Microsecond
			}
			ours := min(time.Duration(18+rnd.ExpFloat64()*25)*time.Microsecond, latency/3)
			latency = max(latency, 30*time.Microsecond)
			h.Record(latency)
			if !in.WarmUp {
				p.Phases.Of(result.Latency).Record(latency)
				p.Phases.Of(result.Peer).Record(latency - ours)
				p.Phases.Of(result.Lag).Record(ours)
				p.Phases.Of(result.Service).Record(max(service-ours/2, 20*time.Microsecond))
				p.Phases.Of(result.FirstByte).Record(max(service-ours/2, 20*time.Microsecond) - 5*time.Microsecond)
			}
		}
		in.Latency = h.Compact()
		if i == length/2 {
			in.Failed, in.Lost = 24, 6
		}
		if in.WarmUp {
			p.WarmUp += in.Operations
		} else {
			p.Operations += in.Operations
			p.Usage.MeasuredCPU += in.CPU
			p.Measured += time.Second
		}
		p.Usage.CPU += in.CPU
		p.AddInterval(&in)
	}
	for range 100 {
		rtt := time.Duration(22+rnd.ExpFloat64()*12) * time.Microsecond
		ours := time.Duration(14+rnd.ExpFloat64()*30) * time.Microsecond
		p.Phases.Of(result.KernelRTT).Record(rtt)
		p.Phases.Of(result.Ours).Record(ours)
		p.Phases.Of(result.Connect).Record(rtt + ours)
	}
	p.BytesIn = p.Operations * 612
	p.Usage.Processes, p.Usage.ResidentBefore, p.Usage.ResidentHeld, p.Usage.ResidentMax, p.Usage.Descriptors = 1, 13<<20, 14<<20, 15<<20, 112
	p.Failures.Add(result.Failure{Status: "connection-reset", Side: "remote", State: "ACTIVE", Text: "read: connection reset by peer", Example: "127.0.0.1:8080", Lost: true, Count: 6})
	p.Failures.Add(result.Failure{Status: "io-timeout", Side: "remote", State: "ACTIVE", Text: "no answer in 5s", Example: "127.0.0.1:8080", Count: 18})
	lag := histogram.New()
	for range 5000 {
		lag.Record(time.Duration(rnd.ExpFloat64()*30) * time.Microsecond)
	}
	p.Engine = result.Engine{Loops: 1, Opened: 106, Closed: 106, LoopLag: lag}
	return &result.Report{
		Schema: result.Schema, Kind: result.Request, Version: "v0.4.0",
		Command: []string{"bench", "request", "--rate", "2k", "-c", "100", "--duration", "60s", "-H", "Accept: text/html", "http://127.0.0.1:8080/"},
		Config: map[string]any{"rate": float64(perSecond), "connections": float64(100), "duration": "1m0s", "warm_up": "3s", "loop": "open", "kernel_timestamps": true,
			"probe": "http", "method": "GET", "headers": []any{"Accept: text/html"}, "read_timeout": "5s"},
		Machine: machineOfSamples(), Total: p, Kernel: result.Kernel{Sockets: 200, Memory: 0, Slab: 1 << 20},
		Searched: []result.Trial{{Rate: 1000, Achieved: 1000, Value: 2 * time.Millisecond, Kept: true}, {Rate: 4000, Achieved: 3120, Value: 41 * time.Millisecond}},
	}
}

// sampleHold is a million connections of 56 processes with a heartbeat each minute; one process dies.
func sampleHold() *result.Report {
	rnd := rand.New(rand.NewPCG(3, 4))
	const wanted, ramp, hold, share = 1_000_000, 46, 180, 17857
	p := &result.Part{Start: start, End: start.Add((ramp + hold) * time.Second), Wanted: wanted, Opened: wanted, Held: wanted, HeldAtEnd: wanted - share,
		Ramp: ramp * time.Second, Measured: hold * time.Second}
	held := uint64(0)
	for i := range ramp + hold {
		in := result.Interval{Index: i, Resident: 420<<20 + int64(held)*148, CPU: time.Duration(60+rnd.IntN(30)) * time.Millisecond}
		if i < ramp {
			in.Opened = min(wanted-held, uint64(21_600+rnd.IntN(600)))
			held += in.Opened
			in.InFlight = 400
			in.CPU = 1500 * time.Millisecond
		} else {
			h := histogram.New()
			for range 1000 {
				d := time.Duration(70+rnd.ExpFloat64()*120) * time.Microsecond
				h.Record(d)
				p.Phases.Of(result.Latency).Record(d)
				p.Phases.Of(result.Peer).Record(d * 3 / 4)
			}
			in.Operations, in.Latency = 16_400, h.Compact()
			p.Operations += in.Operations
			p.Usage.MeasuredCPU += in.CPU
		}
		if i == 150 {
			in.Lost, in.Failed = share, share
			held -= share
		}
		in.Held = held
		p.AddInterval(&in)
	}
	for range 20_000 {
		rtt := time.Duration(5+rnd.ExpFloat64()*8) * time.Microsecond
		p.Phases.Of(result.KernelRTT).Record(rtt)
		p.Phases.Of(result.Connect).Record(rtt + time.Duration(40+rnd.ExpFloat64()*300)*time.Microsecond)
	}
	p.Usage.Processes, p.Usage.ResidentBefore, p.Usage.ResidentHeld, p.Usage.ResidentMax, p.Usage.Descriptors = 56, 420<<20, 420<<20+148*wanted, 570<<20, wanted+560
	p.Usage.CPU = p.Usage.MeasuredCPU + ramp*1500*time.Millisecond
	p.Failures.Add(result.Failure{Status: "local-error", Side: "local", State: "IDLE", Text: "worker 12 died: signal: killed", Lost: true, Count: share})
	p.Engine = result.Engine{Loops: 56, Opened: wanted, Closed: wanted}
	r := &result.Report{Schema: result.Schema, Kind: result.Hold, Version: "v0.4.0",
		Command: []string{"bench", "hold", "-c", "1000000", "--rate", "22k", "--ping-interval", "60s", "--duration", "3m", "--workers", "auto", "127.1.0.0/26:9000"},
		Config:  map[string]any{"connections": float64(wanted), "rate": float64(22000), "ping_interval": "1m0s", "duration": "3m0s", "workers": float64(56)},
		Machine: machineOfSamples(), Total: p, Kernel: result.Kernel{Sockets: 2 * wanted, Memory: 0, Slab: 7900 << 20}, Stopped: "interrupted"}
	for i := range 56 {
		w := result.Worker{Number: i, PID: 4100 + i, Connections: share, CPU: 1600 * time.Millisecond}
		if i == 12 {
			w.Error = "signal: killed"
		}
		r.Workers = append(r.Workers, w)
	}
	return r
}

// sampleHandshake is full and resumed TLS handshakes in a closed loop, run three times.
func sampleHandshake() *result.Report {
	rnd := rand.New(rand.NewPCG(5, 6))
	p := &result.Part{Start: start, End: start.Add(20 * time.Second), Wanted: 64, Measured: 20 * time.Second}
	for i := range 20 {
		h := histogram.New()
		in := result.Interval{Index: i, InFlight: 64, Opened: 2100, Operations: 2100, CPU: 980 * time.Millisecond, Resident: 31 << 20}
		for range 2100 {
			full := time.Duration(19_000+1800*rnd.NormFloat64()+rnd.ExpFloat64()*2500) * time.Microsecond
			h.Record(full)
			p.Phases.Of(result.TLS).Record(full)
			p.Phases.Of(result.TLSResumed).Record(full / 4)
			p.Phases.Of(result.TLSWait).Record(full / 3)
			rtt := time.Duration(20+rnd.ExpFloat64()*10) * time.Microsecond
			p.Phases.Of(result.KernelRTT).Record(rtt)
			p.Phases.Of(result.Connect).Record(rtt + time.Duration(rnd.ExpFloat64()*700)*time.Microsecond)
		}
		in.Latency = h.Compact()
		p.Operations += in.Operations
		p.Usage.MeasuredCPU += in.CPU
		p.AddInterval(&in)
	}
	p.Usage.CPU, p.Usage.Processes, p.Usage.ResidentBefore, p.Usage.ResidentHeld, p.Usage.ResidentMax = p.Usage.MeasuredCPU, 1, 14<<20, -1, 33<<20
	p.Engine = result.Engine{Loops: 1, Opened: p.Operations, Closed: p.Operations}
	r := &result.Report{Schema: result.Schema, Kind: result.Handshake, Version: "v0.4.0", Command: []string{"bench", "handshake", "--tls", "-c", "64", "127.0.0.1:8443"},
		Config: map[string]any{"tls": true, "connections": float64(64)}, Machine: machineOfSamples(), Total: p, Kernel: result.Kernel{Sockets: -1, Memory: -1, Slab: -1}}
	for i := range 3 {
		r.Runs = append(r.Runs, result.Run{Figures: map[string]float64{"operations_per_s": 2100 + float64(i*13), "tls_us_p99": 27_400 - float64(i*310)}})
	}
	return r
}

// sampleComparison is four transports of which two can't do the workload.
func sampleComparison() *Comparison {
	return &Comparison{
		Title: "10,000 connections held, an echo each second", Subtitle: "2 CPUs, linux/amd64, go1.26.8; both ends on one machine",
		Rows: []Row{
			{Name: "loop", Ours: true, Figures: map[string]float64{MemoryPerConnection: 148, CPUPerOperation: 5.31, P99: 412}},
			{Name: "netpoll", Missing: "no TLS"},
			{Name: "gnet", Figures: map[string]float64{MemoryPerConnection: 1210, CPUPerOperation: 6.02, P99: 530}},
			{Name: "std", Figures: map[string]float64{MemoryPerConnection: 9320, CPUPerOperation: 9.87, P99: math.NaN()}},
		},
	}
}

// samples are all reports that the tests draw, by name. They are made once: no test may change them.
var samples = sync.OnceValue(func() map[string]*result.Report {
	bare := &result.Report{Schema: result.Schema, Kind: result.Hold, Total: new(result.Part)}
	one := sampleRequest(1, 40)
	one.Searched = nil
	return map[string]*result.Report{"request": sampleRequest(60, 1000), "hold": sampleHold(), "handshake": sampleHandshake(), "empty": bare, "one": one}
})
