package otlp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"sonde/probes"
	"sonde/report"
	"sonde/target"
	"sonde/watch/track"
)

const ms = time.Millisecond

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// timed is a Timing in milliseconds; -1: the phase did not happen.
func timed(dns, connect, tls, firstByte, total float64) report.Timing {
	of := func(n float64) time.Duration {
		if n < 0 {
			return report.Absent
		}
		return time.Duration(n * float64(ms))
	}
	timing := report.NoTiming
	timing.DNS, timing.Connect, timing.TLS, timing.FirstByte, timing.Total = of(dns), of(connect), of(tls), of(firstByte), of(total)
	return timing
}

func hop(at time.Duration, timing report.Timing) track.Hop {
	return track.Hop{At: noon.Add(at), DNS: timing.DNS, Connect: timing.Connect, TLS: timing.TLS, FirstByte: timing.FirstByte, Total: timing.Total}
}

// drawn are spans as lines: depth, name, from and to in milliseconds since noon, and what failed it.
func drawn(t *testing.T, spans []*tracepb.Span) (lines []string) {
	t.Helper()
	depth := map[string]int{"": -1}
	for _, s := range spans {
		above, ok := depth[string(s.ParentSpanId)]
		if !ok || len(s.SpanId) != 8 || len(s.TraceId) != 16 || !bytes.Equal(s.TraceId, spans[0].TraceId) {
			t.Errorf("span %v has no parent, or a bad number", s)
		}
		depth[string(s.SpanId)] = above + 1
		since := func(ns uint64) float64 { return float64(int64(ns)-noon.UnixNano()) / 1e6 }
		line := fmt.Sprintf("%*s%s %v..%v", 2*above+2, "", s.Name, since(s.StartTimeUnixNano), since(s.EndTimeUnixNano))
		if s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			line += " error: " + s.Status.Message
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSpans(t *testing.T) {
	redirected := []track.Hop{hop(0, timed(2, 1, -1, 3, 5)), hop(8*ms, timed(1, 1, 4, 3, 9))}
	tests := []struct {
		name string
		res  track.Result
		want []string
	}{
		{"over TLS", track.Result{Timing: timed(5, 10, 20, 30, 75)}, []string{
			"probe -5..75", "  dns -5..0", "  connect 0..10", "  tls 10..30", "  first_byte 30..60", "  transfer 60..75",
		}},
		{"a connection is all", track.Result{Timing: timed(-1, 2, -1, -1, 2)}, []string{"probe 0..2", "  connect 0..2"}},
		{"a redirect", track.Result{Timing: timed(3, 2, 4, 6, 14), Hops: redirected}, []string{
			"probe -2..17",
			"  hop -2..5", "    dns -2..0", "    connect 0..1", "    first_byte 1..4", "    transfer 4..5",
			"  hop 7..17", "    dns 7..8", "    connect 8..9", "    tls 9..13", "    first_byte 13..16", "    transfer 16..17",
		}},
		{"the third attempt", track.Result{Attempts: 3, Dialed: noon.Add(200 * ms), Timing: timed(-1, 2, -1, -1, 2)}, []string{
			"probe 0..202", "  connect 200..202",
		}},
		{"a name that is not found", track.Result{Status: report.DNSError, Error: "no such host", Timing: timed(7, -1, -1, -1, -1)}, []string{
			"probe -7..0 error: no such host", "  dns -7..0 error: no such host",
		}},
		{"a redirect to a name that is not found", track.Result{
			Status: report.DNSError, Error: "no such host", Dialed: noon.Add(20 * ms), Timing: timed(9, 1, -1, 3, 5),
			Hops: []track.Hop{redirected[0], hop(20*ms, timed(7, -1, -1, -1, -1))},
		}, []string{
			"probe -2..20 error: no such host",
			"  hop -2..5", "    dns -2..0", "    connect 0..1", "    first_byte 1..4", "    transfer 4..5",
			"  hop 13..20", "    dns 13..20 error: no such host",
		}},
		{"silence", track.Result{Status: report.ConnectionTimeout, Error: "silence", Timing: timed(1, -1, -1, -1, 3000)}, []string{
			"probe -1..3000 error: silence", "  dns -1..0", "  connect 0..3000 error: silence",
		}},
		{"a handshake that fails", track.Result{Status: report.HandshakeError, Error: "alert", Timing: timed(-1, 2, -1, -1, 9)}, []string{
			"probe 0..9 error: alert", "  connect 0..2", "  tls 2..9 error: alert",
		}},
		{"a certificate that is not believed", track.Result{Status: report.CertificateError, Error: "expired", Timing: timed(-1, 2, 6, -1, 8)}, []string{
			"probe 0..8 error: expired", "  connect 0..2", "  tls 2..8 error: expired",
		}},
		{"a handshake that fails after talk in the clear", track.Result{Status: report.TLSTimeout, Error: "late", Timing: timed(-1, 2, -1, 3, 9)}, []string{
			"probe 0..9 error: late", "  connect 0..2", "  first_byte 2..5", "  tls 5..9 error: late",
		}},
		{"no answer", track.Result{Status: report.IOTimeout, Error: "late", Timing: timed(-1, 2, 3, -1, 90)}, []string{
			"probe 0..90 error: late", "  connect 0..2", "  tls 2..5", "  first_byte 5..90 error: late",
		}},
		{"an answer that breaks off", track.Result{Status: report.ConnectionReset, Error: "reset", Timing: timed(-1, 2, -1, 3, 9)}, []string{
			"probe 0..9 error: reset", "  connect 0..2", "  first_byte 2..5", "  transfer 5..9",
		}},
		{"a kept connection that ends", track.Result{Status: report.ConnectionReset, Error: "reset", Timing: report.NoTiming}, []string{"probe 0..0 error: reset"}},
		{"never dialled", track.Result{Status: report.InvalidInput, Error: "no peer", Timing: report.NoTiming}, []string{"probe 0..0 error: no peer"}},
	}
	e, _ := exporter(t, "http://127.0.0.1:1", Options{Settings: all})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := Probe{Target: &track.Target{Job: "j"}, Result: test.res}
			p.Result.At = noon
			if p.Result.Dialed.IsZero() {
				p.Result.Dialed = noon
			}
			if diff := cmp.Diff(test.want, drawn(t, e.spans(&p))); diff != "" {
				t.Errorf("got other spans than wanted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAddKeepsNothing: the owner uses its memory again.
func TestAddKeepsNothing(t *testing.T) {
	e, _ := exporter(t, "http://127.0.0.1:1", Options{Settings: all})
	hops := []track.Hop{hop(0, timed(-1, 1, -1, -1, 2)), hop(3*ms, timed(-1, 1, -1, -1, 2))}
	e.Add(Probe{Target: &track.Target{}, Result: track.Result{At: noon, Hops: hops}})
	hops[1] = track.Hop{}
	if p := <-e.queue; p.Result.Hops[1].At != noon.Add(3*ms) {
		t.Errorf("a hop was changed to %+v behind Add", p.Result.Hops[1])
	}
}

// texts are attributes by name.
func texts(all []*commonpb.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, kv := range all {
		if v, ok := kv.Value.Value.(*commonpb.AnyValue_IntValue); ok {
			m[kv.Key] = fmt.Sprint(v.IntValue)
			continue
		}
		m[kv.Key] = kv.Value.GetStringValue()
	}
	return m
}

func TestAttributes(t *testing.T) {
	p := Probe{
		Probing: "http",
		Target: &track.Target{
			Job: "shop", Module: "front", Instance: "https://shop.example/pay?x=1", Labels: []track.Label{{Name: "team", Value: "blue"}},
		},
		Entry: target.Target{Domain: "shop.example", Port: 443, TLS: true, Path: "/pay?token=secret"},
		Result: track.Result{
			At: noon, Dialed: noon, Addr: netip.MustParseAddrPort("192.0.2.7:443"), Status: report.ApplicationError, Side: report.SideRemote,
			Error: "status 503", Attempts: 2, Timing: timed(-1, 1, 1, 1, 4), Fallback: "plain",
			Figures: &probes.Figures{
				HTTP: &probes.HTTPFigures{StatusCode: 503}, TLS: &probes.TLSFigures{Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256"},
			},
		},
	}
	want := map[string]string{
		"sonde.job": "shop", "sonde.module": "front", "sonde.instance": "https://shop.example/pay?x=1", "sonde.probe": "http",
		"sonde.status": "application-error", "sonde.error_side": "remote", "sonde.fallback": "plain", "sonde.attempts": "2",
		"sonde.label.team": "blue", "server.address": "shop.example", "server.port": "443", "network.transport": "tcp",
		"network.peer.address": "192.0.2.7", "network.peer.port": "443", "error.type": "application-error",
		"url.scheme": "https", "url.path": "/pay", "http.response.status_code": "503",
		"tls.protocol.name": "tls", "tls.protocol.version": "1.3", "tls.cipher": "TLS_AES_128_GCM_SHA256",
	}
	if diff := cmp.Diff(want, texts(rootAttributes(&p))); diff != "" {
		t.Errorf("got other attributes than wanted (-want +got):\n%s", diff)
	}
	p = Probe{
		Target: &track.Target{Job: "j", Module: "m", Instance: "192.0.2.7:22"}, Probing: "ssh",
		Entry:  target.Target{Addr: netip.MustParseAddr("192.0.2.7"), Port: 22},
		Result: track.Result{Addr: netip.MustParseAddrPort("192.0.2.7:22"), Attempts: 1},
	}
	want = map[string]string{
		"sonde.job": "j", "sonde.module": "m", "sonde.instance": "192.0.2.7:22", "sonde.probe": "ssh", "sonde.status": "success",
		"sonde.attempts": "1", "server.address": "192.0.2.7", "server.port": "22", "network.transport": "tcp",
		"network.peer.address": "192.0.2.7", "network.peer.port": "22",
	}
	if diff := cmp.Diff(want, texts(rootAttributes(&p))); diff != "" {
		t.Errorf("got other attributes than wanted (-want +got):\n%s", diff)
	}
}
