package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/jsonappend"
)

// stubResult is a Result of one member.
type stubResult struct{ text string }

func (s *stubResult) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	o.String("banner", s.text)
	return o.End()
}

func (s *stubResult) Brief() string { return s.text }

var testTime = time.Date(2026, 3, 4, 5, 6, 7, 89_012_999, time.UTC)

// fullRecord has every member.
func fullRecord() Record {
	return Record{
		Timestamp: testTime,
		IP:        netip.MustParseAddr("192.0.2.7"),
		Port:      443,
		Domain:    "www.example.com",
		Tag:       "web",
		Probe:     "http",
		Status:    ApplicationError,
		Side:      SideRemote,
		Error:     "status 503, want 200",
		Attempts:  2,
		Timing: Timing{
			SchedDelay: 11 * time.Microsecond, DNS: 1200 * time.Microsecond, Connect: 345 * time.Microsecond,
			KernelRTT: 340 * time.Microsecond, TLS: 5 * time.Millisecond, TLSCPU: 700 * time.Microsecond,
			TLSWait: 4300 * time.Microsecond, FirstByte: 2 * time.Millisecond,
			Total: 9*time.Millisecond + 999*time.Nanosecond,
		},
		Result: &stubResult{"503 Service Unavailable"},
	}
}

func ExampleAppendJSON() {
	r := Record{
		Timestamp: time.Date(2026, 3, 4, 5, 6, 7, 89_000, time.UTC), IP: netip.MustParseAddr("192.0.2.7"), Port: 22, Probe: "tcp",
		Attempts: 1, Timing: NoTiming,
	}
	r.Timing.Connect = 812 * time.Microsecond
	fmt.Println(string(AppendJSON(nil, &r)))
	// Output:
	// {"timestamp":"2026-03-04T05:06:07.000089Z","ip":"192.0.2.7","port":22,"probe":"tcp","status":"success","attempts":1,"timing":{"connect_us":812}}
}

func TestAppendJSON(t *testing.T) {
	tests := []struct {
		name string
		edit func(r *Record)
		want string
	}{
		{"full", func(*Record) {}, `{"timestamp":"2026-03-04T05:06:07.089012Z","ip":"192.0.2.7","port":443,"domain":"www.example.com","tag":"web",` +
			`"probe":"http","status":"application-error","error_side":"remote","error":"status 503, want 200","attempts":2,` +
			`"timing":{"sched_delay_us":11,"dns_us":1200,"connect_us":345,"kernel_rtt_us":340,"tls_us":5000,"tls_cpu_us":700,"tls_wait_us":4300,"first_byte_us":2000,"total_us":9000},` +
			`"result":{"banner":"503 Service Unavailable"}}`},
		{"empty", func(r *Record) { *r = Record{Timing: NoTiming} },
			`{"timestamp":"0001-01-01T00:00:00.000000Z","ip":"","port":0,"probe":"","status":"success","attempts":0,"timing":{}}`},
		{"a phase of no length is not an absent one", func(r *Record) { *r = Record{Timing: NoTiming}; r.Timing.DNS = 0; r.Timing.Total = 0 },
			`{"timestamp":"0001-01-01T00:00:00.000000Z","ip":"","port":0,"probe":"","status":"success","attempts":0,"timing":{"dns_us":0,"total_us":0}}`},
		{"hostile strings", func(r *Record) {
			*r = Record{IP: netip.MustParseAddr(`fe80::1%a"b`), Domain: "a\nb", Tag: "\"\\\x1b", Probe: "\xff", Status: DNSError, Side: SideLocal,
				Error: "\u2028", Timing: NoTiming, Timestamp: testTime}
		}, `{"timestamp":"2026-03-04T05:06:07.089012Z","ip":"fe80::1%a\"b","port":0,"domain":"a\nb","tag":"\"\\\u001b","probe":"\ufffd",` +
			`"status":"dns-error","error_side":"local","error":"\u2028","attempts":0,"timing":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := fullRecord()
			tt.edit(&r)
			got := string(AppendJSON([]byte("before"), &r))
			if diff := cmp.Diff("before"+tt.want, got); diff != "" {
				t.Errorf("line differs (-want +got):\n%s", diff)
			}
			if !json.Valid([]byte(strings.TrimPrefix(got, "before"))) {
				t.Errorf("got %s, want valid JSON", got)
			}
		})
	}
}

// TestAppendTimestamp walks over days and odd moments and holds the text against package time.
func TestAppendTimestamp(t *testing.T) {
	times := []time.Time{
		{}, time.Unix(0, 0), time.Unix(-1, 999_999_999), time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2026, 7, 1, 0, 30, 0, 0, time.FixedZone("", 2*3600)),
	}
	for day := range 3000 {
		times = append(times, time.Date(1999, 12, 30+day, day%24, day%60, day%59, day*331_777, time.UTC))
	}
	for _, at := range times {
		got := string(appendTimestamp(nil, at))
		if want := at.UTC().Format("2006-01-02T15:04:05.000000Z"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, year := range []int{-5, 12_345} {
		got := string(appendTimestamp(nil, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)))
		if len(got) != len("2006-01-02T15:04:05.000000Z") {
			t.Errorf("year %d: got %s, want a year of four digits", year, got)
		}
	}
}

func TestStatusWords(t *testing.T) {
	want := strings.Fields("success connection-refused connection-timeout connection-reset connection-closed host-unreachable " +
		"network-unreachable tls-timeout handshake-error certificate-error protocol-error application-error io-timeout byte-limit " +
		"dns-error invalid-input blocked local-fd-limit local-port-exhausted local-error cancelled")
	var got []string
	for s := range NumStatuses {
		got = append(got, s.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the closed set differs (-want +got):\n%s", diff)
	}
}

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	r := fullRecord()
	dst := make([]byte, 0, 4096)
	v6 := r
	v6.IP = netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(200, func() { dst = AppendJSON(dst[:0], &r); dst = AppendJSON(dst[:0], &v6) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// decodedRecord is what a reader of the line sees.
type decodedRecord struct {
	Timestamp time.Time         `json:"timestamp"`
	IP        string            `json:"ip"`
	Port      uint16            `json:"port"`
	Domain    string            `json:"domain"`
	Tag       string            `json:"tag"`
	Probe     string            `json:"probe"`
	Status    string            `json:"status"`
	Side      string            `json:"error_side"`
	Error     string            `json:"error"`
	Attempts  int               `json:"attempts"`
	Timing    map[string]int64  `json:"timing"`
	Result    map[string]string `json:"result"`
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("example.com", "tag", "http", "error", "banner", "192.0.2.1", int64(1_700_000_000_123_456), int64(77_000), uint8(3), uint16(80))
	f.Add("\xff", "\u2028\n", "", "\"\\", "\x00", "fe80::1%\"\n", int64(-1), int64(-1), uint8(255), uint16(0))
	f.Fuzz(func(t *testing.T, domain, tag, probe, text, banner, ip string, micros, phase int64, status uint8, port uint16) {
		addr, _ := netip.ParseAddr(ip)
		micros %= 200_000_000_000_000_000 // years 0 to 9999
		if micros < -62_000_000_000_000_000 {
			micros = 0
		}
		r := Record{Timestamp: time.UnixMicro(micros), IP: addr, Port: port, Domain: domain, Tag: tag, Probe: probe, Error: text,
			Status: Status(status % uint8(NumStatuses)), Side: Side(status % 4), Attempts: int(port), Timing: NoTiming, Result: &stubResult{banner}}
		r.Timing.Connect, r.Timing.Total = time.Duration(phase), time.Duration(phase)
		line := AppendJSON(nil, &r)
		var got decodedRecord
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if bytes.ContainsAny(line, "\n\r") || !utf8.Valid(line) {
			t.Fatalf("got %q, want one line of UTF-8", line)
		}
		want := decodedRecord{Timestamp: r.Timestamp.UTC(), Port: port, Domain: mended(domain), Tag: mended(tag), Probe: mended(probe), Error: mended(text),
			Status: r.Status.String(), Side: r.Side.String(), Attempts: int(port), Timing: map[string]int64{}, Result: map[string]string{"banner": mended(banner)}}
		if addr.IsValid() {
			want.IP = mended(addr.String())
		}
		if phase >= 0 {
			want.Timing["connect_us"], want.Timing["total_us"] = phase/1000, phase/1000
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("record differs (-want +got):\n%s", diff)
		}
	})
}

// mended is s with each byte that is not UTF-8 replaced, as jsonappend documents.
func mended(s string) string {
	var b strings.Builder
	for _, r := range s { // ranging gives U+FFFD for each bad byte
		b.WriteRune(r)
	}
	return b.String()
}

func BenchmarkAppendJSON(b *testing.B) {
	plain := Record{Timestamp: testTime, IP: netip.MustParseAddr("192.168.12.34"), Port: 8080, Probe: "tcp", Attempts: 1, Timing: NoTiming}
	plain.Timing.SchedDelay, plain.Timing.Connect, plain.Timing.KernelRTT, plain.Timing.Total = 0, 345*time.Microsecond, 340*time.Microsecond, 400*time.Microsecond
	full := fullRecord()
	for _, bb := range []struct {
		name string
		r    *Record
	}{{"plain", &plain}, {"full", &full}} {
		b.Run(bb.name, func(b *testing.B) {
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendJSON(dst[:0], bb.r)
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}
