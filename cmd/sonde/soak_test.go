package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// soakRSS is the most memory that a scan of any size may take at -c 2000, in KiB.
const soakRSS = 64 << 10

// TestSoakMillionTargets scans a million of the four million addresses of 127.0.0.0/10 and holds the records against the
// dry run: the same set, none twice, in bounded memory. A dry run of ten million targets stays within the same memory.
func TestSoakMillionTargets(t *testing.T) {
	if os.Getenv("SONDE_SOAK_SEEDS") == "" {
		t.Skip("takes minutes; run by make soak")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "sonde")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	port := startResponder(t, bin, dir)
	flags := []string{"scan", "127.0.0.0/10", "-p", port, "-c", "2000", "-q", "--seed", "7", "--max-targets", "1000000"}

	records, dry := filepath.Join(dir, "records.jsonl"), filepath.Join(dir, "dry.txt")
	rss, took := soakRun(t, bin, append(slices.Clone(flags), "-o", records))
	t.Logf("scan: 1,000,000 targets in %v, peak %d MiB", took.Round(time.Second), rss>>10)
	if rss > soakRSS {
		t.Errorf("the scan took %d KiB, want at most %d", rss, soakRSS)
	}
	// Before this process grows: a child's peak counts that of its parent at the fork (getrusage(2), ru_maxrss).
	rss, took = soakRun(t, bin, []string{"scan", "0.0.0.0/0", "-p", "80", "-c", "2000", "-q", "--dryrun", "--max-targets", "10000000", "-o", dry})
	t.Logf("dry run: 10,000,000 targets in %v, peak %d MiB", took.Round(time.Second), rss>>10)
	if rss > soakRSS {
		t.Errorf("the dry run took %d KiB, want at most %d", rss, soakRSS)
	}
	soakRun(t, bin, append(slices.Clone(flags), "--dryrun", "-o", dry))
	want := readAddrs(t, dry, func(line []byte) string { ip, _, _ := strings.Cut(string(line), ","); return ip })
	got := readAddrs(t, records, func(line []byte) string {
		var r struct{ IP, Status string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		if r.Status != "success" {
			t.Errorf("%s: got %s from a healthy peer", r.IP, r.Status)
		}
		return r.IP
	})
	if len(want) != 1_000_000 || !slices.Equal(got, want) {
		t.Errorf("%d records, %d targets of the dry run, and they are not the same", len(got), len(want))
	}
	if n := len(slices.Compact(got)); n != len(want) {
		t.Errorf("%d addresses stand in the records more than once", len(want)-n)
	}
}

// startResponder serves all of 127.0.0.0/8 at one port, and returns the port.
func startResponder(t *testing.T, bin, dir string) (port string) {
	t.Helper()
	list := filepath.Join(dir, "targets")
	serve := exec.Command(bin, "serve", "-q", "--all-loopback", "--kinds", "sink", "--targets", list)
	serve.Stderr = os.Stderr
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		serve.Process.Signal(syscall.SIGTERM)
		serve.Wait()
	})
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-poll.C {
		if line, err := os.ReadFile(list); err == nil {
			fields := strings.Split(strings.TrimSpace(string(line)), ",")
			return fields[len(fields)-1]
		}
	}
	t.Fatal("sonde serve did not start")
	return ""
}

// soakRun runs sonde and returns its peak memory in KiB.
func soakRun(t *testing.T, bin string, args []string) (rss int64, took time.Duration) {
	t.Helper()
	cmd := exec.Command(bin, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("sonde %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss), time.Since(start)
}

// readAddrs returns the addresses of a file, sorted.
func readAddrs(t *testing.T, name string, addr func(line []byte) string) []netip.Addr {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var addrs []netip.Addr
	for lines := bufio.NewScanner(f); lines.Scan(); {
		a, err := netip.ParseAddr(addr(lines.Bytes()))
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", name, err))
		}
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}
