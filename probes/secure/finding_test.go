package secure

import (
	"net/netip"
	"testing"

	"sonde/probes"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/target"
)

// leads is what an inner exchange found that leads elsewhere.
type leads struct{ answer }

func (leads) Follow() (target.Target, probes.Probe, bool) {
	return target.Target{Addr: netip.MustParseAddr("192.0.2.7"), Port: 8443}, ask{}, true
}

// Where an inner finding leads, TLS leads too, and nowhere by itself.
func TestFollow(t *testing.T) {
	facts := (&tlsfacts.Facts{}).Finding(tlsfacts.Judgement{})
	for _, tt := range []struct {
		name  string
		inner protocol.Finding
		want  uint16
	}{{"inner leads", leads{}, 8443}, {"inner does not", answer("x"), 0}, {"no inner", nil, 0}} {
		var follower probes.Follower = &finding{inner: tt.inner, tls: facts}
		to, p, ok := follower.Follow()
		if to.Port != tt.want || (p != nil) != ok || ok != (tt.want != 0) {
			t.Errorf("%s: got %v, %v, %v", tt.name, to, p, ok)
		}
	}
}
