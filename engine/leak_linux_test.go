package engine

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"sonde/internal/testpeer"
	"sonde/internal/tlsclient"
)

// leakRound is how many handshakes are made between two looks at the heap.
const leakRound = 5000

// TestHandshakeFaults breaks 5,000 handshakes in every way that a peer of internal/testpeer can: no coroutine is left, and
// the heap is back to where it was.
func TestHandshakeFaults(t *testing.T) { breakHandshakes(t, leakRound) }

// TestHandshakeFaultsSoak is TestHandshakeFaults for as many handshakes as SONDE_SOAK_SEEDS says.
func TestHandshakeFaultsSoak(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("SONDE_SOAK_SEEDS"))
	if err != nil {
		t.Skip("the long run is `make soak`")
	}
	breakHandshakes(t, count)
}

// faultyKinds are the peers that break a handshake, with how the connection ends and how many of 100 meet them. The
// timeouts take their limit each, and a certificate of 64 MiB is dear to its sender.
var faultyKinds = []struct {
	kind    testpeer.Kind
	cause   Cause
	percent int
}{
	{testpeer.TLSSilent, HandshakeTimeout, 8},
	{testpeer.TLSDrip, HandshakeTimeout, 8},
	{testpeer.TLSHugeCertificate, Answered, 1},
	{testpeer.TLSAlert, Answered, 14},
	{testpeer.TLSGarbage, Answered, 14},
	{testpeer.TLSHalfRecord, Answered, 14},
	{testpeer.TLSCloseHello, Answered, 13},
	{testpeer.TLSResetHello, Reset, 12},
	{testpeer.TLSResetCertificate, Reset, 12},
	{testpeer.TLSResetFinished, Reset, 4},
}

// breakHandshakes makes so many handshakes, and looks for what is left after each round. What the first, smaller round
// leaves is what a process has once it speaks TLS.
func breakHandshakes(t *testing.T, total int) {
	var peers [100]*testpeer.Peer
	var causes [100]Cause
	n := 0
	for _, f := range faultyKinds {
		peer := testpeer.New(t, f.kind, testpeer.Options{})
		for range f.percent {
			peers[n], causes[n] = peer, f.cause
			n++
		}
	}
	if n != len(peers) {
		t.Fatalf("%d percent of peers, want 100", n)
	}
	breakRound(t, &peers, &causes, 200)
	before := heapInUse(&peers)
	for left := total; left > 0; left -= leakRound {
		breakRound(t, &peers, &causes, min(left, leakRound))
		// A leak of one driver in a hundred would be more: it keeps 4 KiB at the least, and a coroutine its stack on top.
		if after := heapInUse(&peers); after > before+2<<20 {
			t.Fatalf("the heap went from %d to %d KiB", before>>10, after>>10)
		}
	}
}

// breakRound makes count handshakes; runSecure looks for coroutines.
func breakRound(t *testing.T, peers *[100]*testpeer.Peer, causes *[100]Cause, count int) {
	t.Helper()
	cfg := offer(t, tlsclient.Offer{ServerName: "sonde.test"})
	met := make([]*testpeer.Peer, count)
	talks := make([]*securing, count)
	for i := range talks {
		met[i], talks[i] = peers[i%100], &securing{cfg: cfg, request: httpRequest, want: "\r\n\r\n"}
		if causes[i%100] == HandshakeTimeout {
			talks[i].profile = 1
		}
	}
	short := patient
	short.Handshake = 1500 * time.Millisecond
	run := Config{Loops: 2, Connections: 600, Profiles: []Profile{{Reset: true, Limits: patient}, {Reset: true, Limits: short}}}
	for i, o := range runSecure(t, run, met, talks) {
		if want := causes[i%100]; o.Cause != want || o.State != Handshaking {
			t.Errorf("%s: got cause %d in %v (%v), want %d in HANDSHAKING", met[i].Kind(), o.Cause, o.State, o.Errno, want)
		}
		if talks[i].handshake.Err == nil {
			t.Errorf("%s: the handshake has no error", met[i].Kind())
		}
	}
}

// heapInUse is the heap's bytes that something still holds, once the peers have ended their part of each connection. What
// lives on for a moment behind that is seen to go: it waits for the figure to stand still.
func heapInUse(peers *[100]*testpeer.Peer) uint64 {
	for _, p := range peers {
		for p.Clients() > 0 {
			runtime.Gosched()
		}
	}
	var s runtime.MemStats
	least := ^uint64(0)
	for range 20 {
		runtime.GC()
		runtime.ReadMemStats(&s)
		if s.HeapAlloc+16<<10 >= least { // it falls no more
			break
		}
		least = s.HeapAlloc
		runtime.Gosched()
	}
	return s.HeapAlloc
}
