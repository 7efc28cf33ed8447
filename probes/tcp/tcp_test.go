package tcp_test

import (
	"testing"

	"sonde/probes"
	"sonde/probes/tcp"
	"sonde/target"
)

// The engine takes a nil Exchange for "done once established"; a nil pointer in an interface would not be one.
func TestSaysNothing(t *testing.T) {
	var p probes.Probe = tcp.Probe{}
	if x := p.Exchange(&target.Target{Port: 80}); x != nil {
		t.Errorf("Exchange: got %v, want nil", x)
	}
}

func TestAbout(t *testing.T) {
	about := tcp.Probe{}.About()
	if about.Name != "tcp" || about.Summary == "" {
		t.Errorf("got name %q, summary %q", about.Name, about.Summary)
	}
	if len(about.Options) > 0 || len(about.Reports) > 0 || about.Port != 0 {
		t.Errorf("got options %v, reports %v, port %d; the probe has none", about.Options, about.Reports, about.Port)
	}
	if _, ok := any(tcp.Probe{}).(probes.Configurable); ok {
		t.Error("the probe takes options, but heeds none")
	}
}
