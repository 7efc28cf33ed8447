package main

import (
	"sonde/bench/result"
)

// newBenchCommand is the group of commands that measure under a load.
func newBenchCommand(p *program) *command {
	return &command{
		name:    "bench",
		summary: "measure under a load",
		usage:   "COMMAND [flags] [TARGET ...]",
		subs:    []*command{newBenchHoldCommand(p), newBenchHandshakeCommand(p), newBenchRequestCommand(p), newBenchCompareCommand(p)},
	}
}

func newBenchHoldCommand(p *program) *command {
	o := newBenchOptions(p, result.Hold)
	return &command{
		name: "hold", summary: "open connections and keep them", usage: "[flags] TARGET ...", flags: o.flags(), files: true, run: o.run,
		about: []string{
			"Opens --connections connections, spread over the targets in turn, and keeps them for --duration from the moment when all of them stand; with " +
				"--ping-interval it asks over each of them now and then. It tells how long opening took, which connections were lost and why, " +
				"how long heartbeats took, and what a connection costs: memory of sonde's and of the kernel's, descriptors, CPU.",
			"More connections than a process may have files open are shared among worker processes of sonde.",
		},
		examples: []example{
			{"sonde bench hold 127.0.0.0/27 -p 9000 -c 18000 --duration 1m --ping-interval 10s", "what 18,000 connections cost"},
			{"sonde bench hold https://192.0.2.7/ -c 500 -r 100 --ping-interval 5s", "how a web server keeps 500 idle clients"},
			{"sonde bench hold 127.0.0.0/24 -p 9000 -c 1000000 --dryrun", "whether this machine could hold a million"},
		},
	}
}

func newBenchHandshakeCommand(p *program) *command {
	o := newBenchOptions(p, result.Handshake)
	return &command{
		name: "handshake", summary: "connect, or make TLS handshakes", usage: "[flags] TARGET ...", flags: o.flags(), files: true, run: o.run,
		about: []string{
			"Opens connections and resets them, with --tls behind a full TLS handshake, again and again: as many at once as --connections says, or with " +
				"--rate so many a second. With --session-reuse each is followed by a second one that resumes the session, and the two are told apart.",
		},
		examples: []example{
			{"sonde bench handshake 192.0.2.7:443 --tls -c 50", "how many TLS handshakes a second a server makes"},
			{"sonde bench handshake 192.0.2.7:443 --tls --session-reuse -r 200", "full against resumed, at an even 200 a second"},
		},
	}
}

func newBenchRequestCommand(p *program) *command {
	o := newBenchOptions(p, result.Request)
	return &command{
		name: "request", summary: "ask and be answered over kept connections", usage: "[flags] TARGET ...", flags: o.flags(), files: true, run: o.run,
		about: []string{
			"Asks over --connections kept connections. Without --rate each asks again as soon as it has its answer (a closed loop); with it requests go " +
				"out by a schedule that waits for nobody (an open loop), and a latency counts from the moment when its request should have gone out, so that a " +
				"server that stalls hides nothing. What of a latency was sonde's own queueing is told beside it.",
		},
		examples: []example{
			{"sonde bench request http://127.0.0.1:8080/", "how much a web server can do over 100 connections"},
			{"sonde bench request http://127.0.0.1:8080/ -r 5k --duration 1m --html report.html", "its latencies at 5,000 a second, as a page"},
			{"sonde bench request http://127.0.0.1:8080/ --find-rate 'p99<10ms'", "the highest rate at which 99 % are answered within 10 ms"},
			{"sonde bench request redis://127.0.0.1 --pipeline 16", "PING over RESP, 16 at a time"},
		},
	}
}
