package report

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sonde/internal/histogram"
)

// sampleRun is a scan of 100,000 targets with every kind of trouble.
func sampleRun() *Run {
	s := NewSummary()
	add := func(n int, r Record) {
		for range n {
			s.Add(&r)
		}
	}
	for i := range 91_203 {
		r := Record{Probe: "http", Timing: NoTiming, Attempts: 1}
		rtt := time.Duration(120+(i*i)%90+(i*7919)%(1+i%400)) * time.Microsecond
		r.Timing.KernelRTT, r.Timing.Connect = rtt, rtt+time.Duration(5+i%37)*time.Microsecond
		r.Timing.FirstByte = r.Timing.Connect*3 + time.Duration(i%1000)*time.Microsecond
		if i%1009 == 0 {
			r.Timing.Connect += 20 * time.Millisecond
		}
		r.Timing.Total = r.Timing.Connect + r.Timing.FirstByte
		s.Add(&r)
	}
	silent := failed(ConnectionTimeout, SideRemote, "no answer within 3.5s")
	silent.Timing.Total = 3500 * time.Millisecond
	add(3_776, silent)
	add(4_800, failed(ConnectionRefused, SideRemote, "connection refused"))
	for _, text := range []string{"status 503, want 200-399", "status 404, want 200-399", "status 500, want 200-399", "status 418, want 200-399"} {
		add(len(text)*2, failed(ApplicationError, SideRemote, text))
	}
	dns := failed(DNSError, SideRemote, "lookup nowhere.invalid: no such host")
	dns.Domain = "nowhere.invalid"
	add(20, dns)
	add(7, failed(LocalPortExhausted, SideLocal, "no free local port for 1m0s"))
	add(2, failed(Blocked, SidePolicy, "\x1b[2Jon the blocklist (192.0.2.0/24)"))
	lag := histogram.New()
	lag.Record(80 * time.Microsecond)
	lag.Record(900 * time.Microsecond)
	return &Run{
		Version: "1.2.3", Start: testTime, End: testTime.Add(12_345_678 * time.Microsecond), Targets: 100_000, Excluded: 512, Summary: s,
		Engine: Engine{Loops: 2, InFlightMax: 1000, Opened: 99_980, Closed: 99_980, Established: 91_403, FDWaits: 12, PortWaits: 3,
			LoopLag: DistributionOf(lag), Buffers: Buffers{HighWaterBytes: 4 << 20, BlockBytes: 8 << 20}},
		Config: map[string]any{"connections": 1000, "probe": []string{"http"}},
	}
}

func TestMetadataGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.json")
	m := sampleRun().Metadata()
	if err := WriteMetadata(path, &m); err != nil {
		t.Fatal(err)
	}
	golden(t, "metadata.json", readFile(t, path))
}

// TestMetadataOfNothing: a run without a record has every key of the contract and divides nothing by zero.
func TestMetadataOfNothing(t *testing.T) {
	m := (&Run{Start: testTime, End: testTime.Add(-time.Second), Summary: NewSummary()}).Metadata()
	text, err := json.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"duration_s": "0", "rate_per_s": "0", "records": "0", "statuses": `{"success":0}`, "latency": "{}", "config": "{}",
		"targets": "0", "excluded": "0", "version": `""`, "start": `"2026-03-04T05:06:07.089012Z"`, "end": `"2026-03-04T05:06:06.089012Z"`}
	for key, value := range want {
		if string(got[key]) != value {
			t.Errorf("%s: got %s, want %s", key, got[key], value)
		}
	}
	if _, ok := got["engine"]; !ok || len(got) != len(want)+1 {
		t.Errorf("got %s, want the keys of the contract only", text)
	}
}

func TestEngineLeaked(t *testing.T) {
	for _, tt := range []struct {
		opened, closed uint64
		want           string
	}{{5, 5, `"leaked":0`}, {5, 3, `"leaked":2`}, {3, 5, `"leaked":-2`}} {
		text, err := json.Marshal(Engine{Opened: tt.opened, Closed: tt.closed})
		if err != nil || !strings.Contains(string(text), tt.want) {
			t.Errorf("got %s, %v, want %s in it", text, err, tt.want)
		}
	}
}

func TestWriteMetadataReplaces(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "meta.json"), filepath.Join(dir, "link.json")
	writeFile(t, path, "old")
	if err := errors.Join(os.Chmod(path, 0o600), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path) // reads the old file to its end, whatever happens
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	m := sampleRun().Metadata()
	if err := WriteMetadata(link, &m); err != nil {
		t.Fatal(err)
	}
	old := make([]byte, 10)
	if n, _ := reader.Read(old); string(old[:n]) != "old" {
		t.Errorf("an open reader got %q, want the old file whole: it was not replaced but written to", old[:n])
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("got mode %v, %v, want the link still there", info.Mode(), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() < 100 {
		t.Errorf("got %v of %d bytes, %v, want the new text under the old mode", info.Mode(), info.Size(), err)
	}
	if names := listDir(t, dir); !slices.Equal(names, []string{"link.json", "meta.json"}) {
		t.Errorf("the folder holds %v, want no temporary file left", names)
	}
}

// TestWriteMetadataToAPipe: what is no regular file is written to and stays what it is. A pipe of our own stands for every
// device: if the code is wrong, it is the test's file that is lost.
func TestWriteMetadataToAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // does not wait for the writer
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	m := sampleRun().Metadata()
	if err := WriteMetadata(path, &m); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Fatalf("got mode %v, %v, want the pipe still there", info.Mode(), err)
	}
	if text, err := io.ReadAll(reader); err != nil || !json.Valid(text) {
		t.Errorf("got %q, %v from the pipe, want the object", text, err)
	}
}

func TestWriteMetadataElsewhere(t *testing.T) {
	m := sampleRun().Metadata()
	if err := WriteMetadata(filepath.Join(t.TempDir(), "no", "such"), &m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want a folder that does not exist", err)
	}
	// A name so long that only the temporary file's is above the limit of 255 bytes (NAME_MAX): written in place.
	path := filepath.Join(t.TempDir(), strings.Repeat("m", 250))
	if err := WriteMetadata(path, &m); err != nil || len(readFile(t, path)) < 100 {
		t.Errorf("got %v, want the text written in place", err)
	}
	m.Config = func() {}
	if err := WriteMetadata(path, &m); err == nil || len(readFile(t, path)) < 100 {
		t.Errorf("got %v for a config that is no JSON, want an error and the old file", err)
	}
}

func listDir(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
