package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sonde/report/draw"
)

// sampleRecords is a short run with something of everything.
func sampleRecords() []Record {
	base := Record{Timestamp: testTime, IP: netip.MustParseAddr("192.0.2.7"), Port: 22, Probe: "ssh", Attempts: 1, Timing: NoTiming}
	ssh := base
	ssh.Timing.Connect, ssh.Timing.FirstByte, ssh.Timing.Total = 812*time.Microsecond, 12345*time.Microsecond, 13*time.Millisecond
	ssh.Result = &stubResult{"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3 with a long comment behind it"}
	refused := base
	refused.IP, refused.Status, refused.Side, refused.Error = netip.MustParseAddr("2001:db8::1:2"), ConnectionRefused, SideRemote, "connection refused"
	refused.Timing.Total = 99 * time.Microsecond
	silent := base
	silent.Status, silent.Side, silent.Error, silent.Attempts = ConnectionTimeout, SideRemote, "no answer within 3.5s", 3
	silent.Timing.Total = 3500 * time.Millisecond
	dns := base
	dns.IP, dns.Domain, dns.Status, dns.Side, dns.Error = netip.Addr{}, "nowhere.invalid", DNSError, SideRemote, "no such host"
	hostile := base
	hostile.Probe, hostile.Port = "banner", 2323
	hostile.Timing.Connect, hostile.Timing.Total = 3*time.Millisecond, 70*time.Second
	hostile.Result = &stubResult{"\x1b[2J\x1b]0;owned\x07\u202e日本\xff\n"}
	local := base
	local.Status, local.Side, local.Error = LocalPortExhausted, SideLocal, "no free local port for 1m0s"
	junk := Record{Timestamp: testTime, Status: InvalidInput, Side: SidePolicy, Error: `line 7: port "x" is not a number`, Domain: "bad\x1bline", Timing: NoTiming}
	long := base
	long.IP, long.Port, long.Timing.Connect = netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), 65535, time.Microsecond
	tls := base
	tls.Port, tls.Probe, tls.Domain = 443, "tls", "www.example.com"
	tls.Timing.Connect, tls.Timing.TLS, tls.Timing.Total = 9*time.Millisecond, 31*time.Millisecond, 41*time.Millisecond
	tls.Timing.TLSCPU, tls.Timing.TLSWait = 600*time.Microsecond, 30_400*time.Microsecond
	tls.Result = &stubResult{"tls13 AES_128_GCM_SHA256 x25519 www.example.com 89 days"}
	expired := tls
	expired.Domain, expired.Status, expired.Side = "", CertificateError, SideRemote
	expired.Error = "certificate is not to be believed: expired, name mismatch"
	return []Record{ssh, fullRecord(), refused, silent, dns, hostile, local, junk, long, tls, expired}
}

// written is what a sink of that format makes of the records.
func written(t *testing.T, f Format, style Style, records []Record) string {
	t.Helper()
	var out bytes.Buffer
	s := NewSink(NewLineWriter(&out), f, style)
	for i := range records {
		if err := s.Write(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Records() != uint64(len(records)) {
		t.Errorf("got %d records counted, want %d", s.Records(), len(records))
	}
	return out.String()
}

func ExampleLineSink() {
	s := NewSink(NewLineWriter(os.Stdout), CSV, Style{})
	r := Record{IP: netip.MustParseAddr("192.0.2.7"), Port: 22, Probe: "tcp", Timing: NoTiming}
	_ = s.Write(&r)
	_ = s.Close()
	fmt.Println(s.Records(), "record")
	// Output:
	// timestamp,ip,port,domain,tag,probe,status,error_side,error,attempts,sched_delay_us,dns_us,connect_us,kernel_rtt_us,tls_us,tls_cpu_us,tls_wait_us,first_byte_us,total_us,result
	// 0001-01-01T00:00:00.000000Z,192.0.2.7,22,,,tcp,success,,,0,,,,,,,,,,
	// 1 record
}

func TestFormats(t *testing.T) {
	for _, f := range []Format{JSONL, CSV, Text} {
		got, err := ParseFormat(f.String())
		if err != nil || got != f {
			t.Errorf("%v: got %v, %v", f, got, err)
		}
	}
	for _, word := range []string{"", "JSONL", "xml"} {
		if _, err := ParseFormat(word); err == nil || !strings.Contains(err.Error(), "jsonl, csv or text") {
			t.Errorf("%q: got %v, want an error that names the formats", word, err)
		}
	}
}

func TestSinksGolden(t *testing.T) {
	tests := []struct {
		file   string
		format Format
		style  Style
	}{
		{"records.jsonl", JSONL, Style{}},
		{"records.csv", CSV, Style{}},
		{"records-80.txt", Text, Style{}},
		{"records-120.txt", Text, Style{Width: 120}},
		{"records-200.txt", Text, Style{Width: 200}},
		{"records-80-ascii.txt", Text, Style{ASCII: true}},
		{"records-40.txt", Text, Style{Width: 40}},
		{"records-pipe.txt", Text, Style{Width: Unbounded}},
		{"records-100-color.txt", Text, Style{Width: 100, Color: true}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got := written(t, tt.format, tt.style, sampleRecords())
			golden(t, tt.file, got)
			if lines := strings.Count(got, "\n"); tt.format == JSONL && lines != len(sampleRecords()) || tt.format != JSONL && lines != len(sampleRecords())+1 {
				t.Errorf("got %d lines, want one a record and a header", lines)
			}
			if again := written(t, tt.format, tt.style, sampleRecords()); again != got {
				t.Error("a second run gives another text")
			}
		})
	}
}

// TestTableFits: whatever the names and the terminal, no line is wider than it, columns stand below one another, and the end
// of a target, its port, is there.
func TestTableFits(t *testing.T) {
	var records []Record
	for _, r := range sampleRecords() {
		records = append(records, r)
		r.Domain, r.Port = "tls-reset-certificate.sonde.test", 10050
		records = append(records, r)
		r.Domain = "日本語日本語日本語日本語日本語日本語日本語日本語日本語.example"
		records = append(records, r)
	}
	color := regexp.MustCompile("\x1b[^m]*m")
	for width := narrowest; width <= 160; width++ {
		for _, style := range []Style{{Width: width}, {Width: width, ASCII: true, Color: true}} {
			lines := strings.Split(color.ReplaceAllString(written(t, Text, style, records), ""), "\n")
			status := draw.Width(lines[0][:strings.Index(lines[0], "STATUS")])
			for i, line := range lines[:len(lines)-1] {
				if n := draw.Width(line); n > width {
					t.Errorf("line %d: got %d columns, want at most %d: %q", i, n, width, line)
				}
				if i == 0 {
					continue
				}
				r := &records[i-1]
				if at := strings.Index(line, " "+r.Status.String()); at < 0 || draw.Width(line[:at+1]) != status {
					t.Errorf("width %d: got %q, want the status at column %d", width, line, status)
				}
				if target, _, _ := strings.Cut(line, " "); r.Port != 0 && !strings.HasSuffix(target, fmt.Sprint(":", r.Port)) {
					t.Errorf("width %d: got the target %q, want its port %d at the end", width, target, r.Port)
				}
			}
		}
	}
}

// TestTableSaysOnce: a result that says no more than the error is not said twice.
func TestTableSaysOnce(t *testing.T) {
	r := fullRecord()
	r.Domain, r.Error, r.Result = "", "not TLS", &stubResult{"not TLS"}
	line := string(newTextEncoder(Style{}).appendRecord(nil, &r))
	if strings.Count(line, "not TLS") != 1 {
		t.Errorf("got %q, want \"not TLS\" once", line)
	}
}

func TestCutMiddle(t *testing.T) {
	tests := []struct {
		s     string
		width int
		want  string
	}{
		{"a.test:1", 8, "a.test:1"},
		{"tls-reset-certificate.sonde.test:9781", 25, "tls-reset-certifica…:9781"},
		{"[2001:db8:ffff::1:2:3:4]:443", 21, "[2001:db8:…2:3:4]:443"},
		{"a-name-without-a-port.test", 11, "a-na…t.test"},
		{"日本語日本語.test:443", 10, "日本…t:443"},
	}
	for _, tt := range tests {
		if got := draw.CutMiddle(tt.s, tt.width, "…"); got != tt.want {
			t.Errorf("%q in %d columns: got %q, want %q", tt.s, tt.width, got, tt.want)
		}
	}
}

// TestTableGrows: a longer target than those of the first screen widens its column where there is room, and is cut where not.
func TestTableGrows(t *testing.T) {
	r := sampleRecords()[0]
	r.Domain = "a-name-of-two-and-thirty-columns"
	for _, tt := range []struct {
		width, status int // the column where STATUS begins
	}{{Unbounded, 35 + gap + probeWidth + gap}, {120, 35 + gap + probeWidth + gap}, {80, 25 + gap}} {
		var out bytes.Buffer
		s := NewSink(NewLineWriter(&out), Text, Style{Width: tt.width})
		short := sampleRecords()[0]
		if err := errors.Join(s.Write(&short), s.Flush(), s.Write(&r), s.Write(&short), s.Close()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		for _, line := range lines[2:4] {
			if at := draw.Width(line[:strings.Index(line, "success")]); at != tt.status {
				t.Errorf("width %d: got %q, want the status at column %d", tt.width, line, tt.status)
			}
		}
	}
}

// TestTableHoldsFirstRecords: until a flush the records wait for their columns, a screen of them at most; none is lost.
func TestTableHoldsFirstRecords(t *testing.T) {
	var out bytes.Buffer
	s := NewSink(NewLineWriter(&out), Text, Style{})
	r := fullRecord()
	for range heldRows + 3 {
		if err := s.Write(&r); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.held) != 0 {
		t.Errorf("got %d records held, want none after %d", len(s.held), heldRows)
	}
	if err := s.Close(); err != nil || s.Records() != heldRows+3 {
		t.Errorf("got %v and %d records, want %d", err, s.Records(), heldRows+3)
	}
	s = NewSink(NewLineWriter(&failingWriter{}), Text, Style{})
	if err := errors.Join(s.Write(&r), s.Flush()); err == nil {
		t.Error("got no error of a flush, want that of the output")
	}
}

// failingWriter takes nothing.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestCSVReadsBack gives the CSV to a reader that is not ours.
func TestCSVReadsBack(t *testing.T) {
	r := fullRecord()
	r.Tag, r.Error, r.Domain = `a "quoted", tag`, "=cmd|'/c calc'!A1", " line\nbreak"
	rows, err := csv.NewReader(strings.NewReader(written(t, CSV, Style{}, []Record{r}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{strings.Split(csvHeader, ","), {
		"2026-03-04T05:06:07.089012Z", "192.0.2.7", "443", ` line\nbreak`, `a "quoted", tag`, "http", "application-error", "remote",
		"'=cmd|'/c calc'!A1", "2", "11", "1200", "345", "340", "5000", "700", "4300", "2000", "9000", `{"banner":"503 Service Unavailable"}`,
	}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestCSVFormulas(t *testing.T) {
	for _, s := range []string{"=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"} {
		r := Record{Domain: s, Tag: s, Probe: "tcp", Error: s, Timing: NoTiming}
		line := string((&csvEncoder{}).appendRecord(nil, &r))
		for _, field := range []int{3, 4, 8} {
			if got := strings.Split(line, ",")[field]; !strings.HasPrefix(got, "'") {
				t.Errorf("%q: got field %q, want an apostrophe in front", s, got)
			}
		}
	}
}

// TestNewSinkHeader: the header is written to a new output only.
func TestNewSinkHeader(t *testing.T) {
	path := t.TempDir() + "/out.csv"
	for range 2 {
		w, err := Create(path, true)
		if err != nil {
			t.Fatal(err)
		}
		s := NewSink(w, CSV, Style{})
		r := fullRecord()
		if err := errors.Join(s.Write(&r), s.Close()); err != nil || s.Records() != 1 {
			t.Fatalf("got %v and %d records, want 1", err, s.Records())
		}
	}
	if lines := strings.Split(readFile(t, path), "\n"); len(lines) != 4 || lines[0] != csvHeader || lines[1] != lines[2] || lines[3] != "" {
		t.Errorf("got %q, want one header and two rows", lines)
	}
}

func TestSinksDoNotAllocate(t *testing.T) {
	for _, f := range []Format{JSONL, CSV} {
		s := NewFanOut(NewSink(NewLineWriter(io.Discard), f, Style{}))
		r := fullRecord()
		_ = s.Write(&r) // makes its scratch
		if n := testing.AllocsPerRun(2000, func() { _ = s.Write(&r) }); n != 0 {
			t.Errorf("%v: got %v allocations a record, want 0", f, n)
		}
	}
}

// FuzzText gives peers' text to the formats for eyes and spreadsheets: nothing in it may act, and a record is one line.
func FuzzText(f *testing.F) {
	f.Add("example.com", "\x1b[31m", "\u202e\u0085\x9b", uint8(80))
	f.Add("", "", "日本語日本語日本語日本語日本語", uint8(20))
	f.Fuzz(func(t *testing.T, domain, text, brief string, width uint8) {
		r := fullRecord()
		r.Domain, r.Tag, r.Probe, r.Error, r.Result = domain, text, brief, text, &stubResult{brief}
		style := Style{Width: int(width)}
		table, row := newTextEncoder(style).appendRecord(nil, &r), (&csvEncoder{}).appendRecord(nil, &r)
		if n := draw.Width(string(table)); n > max(style.Columns(), narrowest) {
			t.Fatalf("got %d columns, want at most %d: %q", n, style.Columns(), table)
		}
		if !utf8.Valid(table) || !utf8.Valid(row) {
			t.Fatalf("%q or %q is not UTF-8", table, row)
		}
		for _, c := range string(table) {
			if !unicode.IsPrint(c) {
				t.Fatalf("table row %q holds %U", table, c)
			}
		}
		if i := bytes.IndexFunc(row, unicode.IsControl); i >= 0 { // the result, as JSON, may hold any letter
			t.Fatalf("CSV row %q holds a control character at %d", row, i)
		}
		cell, used := draw.AppendFitted(nil, brief, int(width), "…")
		if used > int(width) || used != draw.Width(string(cell)) {
			t.Fatalf("got %q in %d columns, said to be %d, want at most %d", cell, draw.Width(string(cell)), used, width)
		}
		if full := draw.AppendVisible(nil, brief); draw.Width(string(full)) <= int(width) && !bytes.Equal(full, cell) {
			t.Fatalf("got %q, want %q: it fits", cell, full)
		}
	})
}

// failingSink fails from its n-th record on.
type failingSink struct {
	n, writes, flushes, closes int
	err                        error
}

func (s *failingSink) Write(*Record) error {
	s.writes++
	if s.writes > s.n {
		return s.err
	}
	return nil
}
func (s *failingSink) Flush() error { s.flushes++; return nil }
func (s *failingSink) Close() error { s.closes++; return nil }

func TestFanOut(t *testing.T) {
	first := &failingSink{n: 1, err: errors.New("first")}
	second := &failingSink{n: 3, err: errors.New("second")}
	f := NewFanOut(first, second)
	r := fullRecord()
	for i := range 3 {
		if err := f.Write(&r); err != nil {
			t.Fatalf("record %d: got %v, want none while a sink takes it", i, err)
		}
	}
	if !errors.Is(f.Err(), first.err) || errors.Is(f.Err(), second.err) {
		t.Errorf("got %v, want the first sink's error only", f.Err())
	}
	if err := f.Flush(); err != nil || first.flushes != 0 || second.flushes != 1 {
		t.Errorf("got %v, %d and %d flushes, want 0 of the failed sink and 1", err, first.flushes, second.flushes)
	}
	if err := f.Write(&r); !errors.Is(err, first.err) || !errors.Is(err, second.err) {
		t.Errorf("got %v with no sink left, want both errors", err)
	}
	if err := f.Flush(); err == nil {
		t.Error("got no error from Flush with no sink left")
	}
	if first.writes != 2 || second.writes != 4 || f.Records() != 3 {
		t.Errorf("got %d and %d writes, %d records, want 2, 4 and 3: a failed sink is left alone", first.writes, second.writes, f.Records())
	}
	if err := errors.Join(f.Close(), f.Close()); !errors.Is(err, second.err) || first.closes != 1 || second.closes != 1 {
		t.Errorf("got %v, %d and %d closes, want one each", err, first.closes, second.closes)
	}
}

func TestFanOutOfNone(t *testing.T) {
	f := NewFanOut()
	r := fullRecord()
	if err := errors.Join(f.Write(&r), f.Flush(), f.Close()); err != nil || f.Records() != 1 {
		t.Errorf("got %v and %d records, want none and 1", err, f.Records())
	}
}

func BenchmarkSinks(b *testing.B) {
	for _, f := range []Format{JSONL, CSV, Text} {
		b.Run(f.String(), func(b *testing.B) {
			s := NewSink(NewLineWriter(io.Discard), f, Style{})
			r := fullRecord()
			b.ReportAllocs()
			for b.Loop() {
				_ = s.Write(&r)
			}
		})
	}
}
