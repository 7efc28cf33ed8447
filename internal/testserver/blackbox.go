package testserver

import (
	"fmt"
	"net/netip"
	"testing"
)

// BlackboxExporter starts Prometheus' blackbox_exporter with a configuration file, and returns where it answers HTTP. It
// dials whatever it is asked to.
func BlackboxExporter(t testing.TB, config string) netip.AddrPort {
	t.Helper()
	prepare := func(_ testing.TB, _ string, addrs []netip.AddrPort) []string {
		return []string{"--config.file=" + config, fmt.Sprintf("--web.listen-address=%v", addrs[0]), "--log.level=warn"}
	}
	return start(t, spec{
		program: "prometheus-blackbox-exporter", pkg: "prometheus-blackbox-exporter", ports: 1, prepare: prepare,
	})[0]
}
