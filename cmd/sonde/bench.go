package main

// newBenchCommand is the group of commands that measure under a load.
func newBenchCommand(p *program) *command {
	return &command{
		name:    "bench",
		summary: "measure under a load",
		usage:   "COMMAND [flags] [TARGET ...]",
		subs: []*command{
			{name: "hold", summary: "open connections and keep them", later: true},
			{name: "handshake", summary: "connect, or make TLS handshakes", later: true},
			{name: "request", summary: "ask and be answered over kept connections", later: true},
			newBenchCompareCommand(p),
		},
	}
}
