// Package tcp is the probe that connects and says nothing: whoever completes the TCP handshake (RFC 9293 s.3.5) is alive.
// With --tls the TLS handshake, which is the connection's business and not the probe's, must succeed too.
package tcp

import (
	"sonde/probes"
	"sonde/protocol"
	"sonde/target"
)

// Probe is content with an established connection. The zero value is ready.
type Probe struct{}

var _ probes.Probe = Probe{}

// About implements [probes.Probe].
func (Probe) About() probes.About {
	return probes.About{
		Name:    "tcp",
		Summary: "connects and says nothing; content when the connection is established",
		Schemes: []string{"tcp"},
	}
}

// Exchange implements [probes.Probe]. It returns nil: there is nothing to say and nothing to find.
func (Probe) Exchange(*target.Target) protocol.Exchange { return nil }
