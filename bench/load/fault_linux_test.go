package load

import (
	"bufio"
	"context"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"

	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/bench/talk"
	"sonde/engine"
	"sonde/internal/testpeer"
)

// A load against a faulty peer: all of them are short, and end at most drainLimit behind their time.
const (
	faultTime   = 400 * time.Millisecond
	longer      = 1200 * time.Millisecond
	faultWithin = faultTime + drainLimit + 5*time.Second // and what a loaded machine takes
	atOnce      = 8
)

func closedLoop(targets []plan.Target, what talk.Options) Spec {
	return Spec{Kind: result.Request, Targets: targets, Connections: atOnce, Duration: faultTime, Talk: what}
}

// openRate is such that each connection has a request each 20 ms.
const openRate = atOnce * 50

func openLoop(targets []plan.Target, what talk.Options) Spec {
	s := closedLoop(targets, what)
	s.Requests = openRate
	return s
}

// scheduled is how many requests an open loop's schedule has.
const scheduled = uint64(openRate * int64(faultTime) / int64(time.Second))

// TestRequestFaults asks peers that do not answer. In an open loop every request of the schedule fails, once: those that
// could not even be sent too.
func TestRequestFaults(t *testing.T) {
	t.Parallel()
	short := engine.Limits{Connect: 150 * time.Millisecond, Read: 150 * time.Millisecond}
	targets := targetsOf(t)
	for name, c := range map[string]struct {
		kind   testpeer.Kind
		talk   talk.Options
		limits engine.Limits
		status string
	}{
		"refused":                       {testpeer.Refuse, lines, engine.Limits{}, "connection-refused"},
		"black hole":                    {testpeer.DropSYN, lines, short, "connection-timeout"},
		"black hole, no time to tell":   {testpeer.DropSYN, lines, engine.Limits{}, "cancelled"},
		"never answers":                 {testpeer.Silent, lines, short, "io-timeout"},
		"never answers, no time to ask": {testpeer.Silent, lines, engine.Limits{}, "cancelled"},
		"closes at once":                {testpeer.CloseAtOnce, lines, engine.Limits{}, "connection-closed"},
		"resets at once":                {testpeer.Reset, lines, engine.Limits{}, "connection-reset"},
		"garbage":                       {testpeer.Garbage, web, engine.Limits{}, "protocol-error"},
	} {
		for loop, spec := range map[string]Spec{"closed": closedLoop(nil, c.talk), "open": openLoop(nil, c.talk)} {
			t.Run(name+"/"+loop, func(t *testing.T) {
				t.Parallel()
				tried(t, func(t testing.TB) {
					spec := spec
					spec.Targets, spec.Limits = targets(c.kind), c.limits
					p := do(t, context.Background(), spec, Hooks{}, faultWithin)
					least, most := uint64(1), uint64(math.MaxUint64)
					if loop == "open" {
						least, most = scheduled, scheduled
					}
					if c.kind == testpeer.CloseAtOnce { // what was sent behind the close is answered by a reset
						p.Failures = relabel(p.Failures, "connection-reset", c.status)
					}
					wantStatus(t, p, c.status, least, most)
					if p.Operations != 0 || p.BytesIn != 0 {
						t.Errorf("%d operations with %d bytes, want none", p.Operations, p.BytesIn)
					}
					// It is not dialled again without a pause.
					if tries := int(faultTime/redialAfter) + 2; p.Engine.Opened > uint64(atOnce*tries) {
						t.Errorf("%d connections opened, want at most %d each", p.Engine.Opened, tries)
					}
				})
			})
		}
	}
}

// relabel counts failures of one status as those of another.
func relabel(list result.Failures, from, to string) (all result.Failures) {
	for _, f := range list {
		if f.Status == from {
			f.Status = to
		}
		all.Add(f)
	}
	return all
}

// TestRequestClosedBeforeAsking has a peer close connections that have nothing to ask yet: they are failures, and not opened again
// without a pause.
func TestRequestClosedBeforeAsking(t *testing.T) {
	t.Parallel()
	tried(t, func(t testing.TB) {
		spec := openLoop(peer(t, testpeer.CloseAtOnce, testpeer.Options{}), lines)
		spec.Requests = atOnce / faultTime.Seconds() // one each
		p := do(t, context.Background(), spec, Hooks{}, faultWithin)
		if failed, _ := p.Failures.Total(); failed != atOnce || p.Engine.Opened > atOnce*6 {
			t.Errorf("%d failures %+v and %d connections, want %d and at most 6 each", failed, p.Failures, p.Engine.Opened, atOnce)
		}
	})
}

// TestRequestsOfATime: a rate that makes no whole nanoseconds between two requests of a connection brings none more into the time.
func TestRequestsOfATime(t *testing.T) {
	t.Parallel()
	spec := openLoop(peer(t, testpeer.Refuse, testpeer.Options{}), lines)
	spec.Connections, spec.Requests, spec.Duration = 5, 300, 100*time.Millisecond // 16,666,666.7 ns
	tried(t, func(t testing.TB) {
		p := do(t, context.Background(), spec, Hooks{}, faultWithin)
		if failed, _ := p.Failures.Total(); failed != 30 {
			t.Errorf("%d failures %+v, want 30", failed, p.Failures)
		}
	})
}

// TestRequestMortal loses its peer in the middle: what was scheduled is either answered or failed, and none is both.
func TestRequestMortal(t *testing.T) {
	t.Parallel()
	tried(t, func(t testing.TB) {
		spec := openLoop(peer(t, testpeer.Mortal, testpeer.Options{Life: 2 * faultTime}), lines)
		spec.Duration = 3 * faultTime
		p := do(t, context.Background(), spec, Hooks{}, 3*faultWithin)
		failed, lost := p.Failures.Total()
		if answered(p)+failed != 3*scheduled || p.Operations < scheduled/2 || failed < scheduled/2 {
			t.Errorf("%d answered and %d failed, want %d together and some of both", answered(p), failed, 3*scheduled)
		}
		by := p.Failures.ByStatus()
		if by["connection-refused"] < scheduled/4 || by["connection-refused"]+by["connection-closed"]+by["connection-reset"] != failed {
			t.Errorf("got failures %v, want refusals and connections that ended", by)
		}
		if p.HeldAtEnd != 0 || lost > failed {
			t.Errorf("%d connections at the end, %d requests lost with theirs", p.HeldAtEnd, lost)
		}
	})
}

// TestRequestBack has a peer go and come back: what waited for that is the peer's, not ours.
func TestRequestBack(t *testing.T) {
	t.Parallel()
	tried(t, func(t testing.TB) {
		// On an address of its own no other test takes the port in between, and no dial meets itself.
		own := testpeer.Options{Addr: netip.MustParseAddrPort("127.61.4.7:0")}
		first := testpeer.New(t, testpeer.Echo, own)
		own.Addr = first.Addr()
		back := make(chan struct{})
		time.AfterFunc(100*time.Millisecond, first.Close)
		time.AfterFunc(200*time.Millisecond, func() {
			defer close(back)
			first.Close() // waits if it is being closed
			if again, err := testpeer.Start(testpeer.Echo, own); err != nil {
				t.Error(err)
			} else {
				t.Cleanup(again.Close)
			}
		})
		p := do(t, context.Background(), openLoop(at(own.Addr), lines), Hooks{}, faultWithin)
		<-back
		if failed, _ := p.Failures.Total(); answered(p)+failed != scheduled {
			t.Fatalf("%d answered and %d failed, want %d together", answered(p), failed, scheduled)
		}
		if p.HeldAtEnd != atOnce {
			t.Errorf("%d connections at the end, want %d", p.HeldAtEnd, atOnce)
		}
		// A quarter of the requests came due while the connection was down, and waited for up to redialAfter.
		if lag, peer := p.Phases.Of(result.Lag).Quantile(0.9), p.Phases.Of(result.Peer).Quantile(0.99); lag > 30*time.Millisecond || peer < 40*time.Millisecond {
			t.Errorf("p90 of the lag is %v, p99 of the peer's part %v: want that of the time without a connection none is ours", lag, peer)
		}
	})
}

// TestRequestFull asks a peer that takes half of the connections.
func TestRequestFull(t *testing.T) {
	t.Parallel()
	tried(t, func(t testing.TB) {
		spec := openLoop(peer(t, testpeer.Full, testpeer.Options{Accepts: atOnce / 2}), lines)
		p := do(t, context.Background(), spec, Hooks{}, faultWithin)
		failed, _ := p.Failures.Total()
		by := p.Failures.ByStatus()
		// A connection may be established in the moment before the peer's listener closes, and be reset then.
		if answered(p) != scheduled/2 || failed != scheduled/2 || by["connection-refused"]+by["connection-reset"] != failed {
			t.Errorf("%d answered, failures %+v, want %d each and refusals", p.Operations, p.Failures, scheduled/2)
		}
		if p.HeldAtEnd != atOnce/2 {
			t.Errorf("%d connections at the end, want %d", p.HeldAtEnd, atOnce/2)
		}
	})
}

// TestRequestStatus counts an answer that is not wanted as a failure of its own, and keeps the connection.
func TestRequestStatus(t *testing.T) {
	t.Parallel()
	tried(t, func(t testing.TB) {
		what := web
		what.HTTP.Path = "/status/503"
		p := do(t, context.Background(), openLoop(peer(t, testpeer.HTTP, testpeer.Options{}), what), Hooks{}, faultWithin)
		wantStatus(t, p, "application-error", scheduled, scheduled)
		if p.Engine.Opened != atOnce || p.Failures[0].Text != "status 503" {
			t.Errorf("%d connections, failures %+v", p.Engine.Opened, p.Failures)
		}
	})
}

const page = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"

// TestRequestConnectionClose asks web servers that close behind an answer, in words or without.
func TestRequestConnectionClose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer   func(c net.Conn, n int) bool
		each     uint64 // requests on a connection
		pipeline int
		failing  bool
	}{
		"each": {answer: func(c net.Conn, _ int) bool { return say(c, page+"Connection: close\r\n\r\nok") && false }, each: 1},
		"by the end of the stream": {answer: func(c net.Conn, _ int) bool {
			return say(c, "HTTP/1.1 200 OK\r\n\r\nok") && false
		}, each: 1},
		"the third": {answer: func(c net.Conn, n int) bool {
			if n < 3 {
				return say(c, page+"\r\nok")
			}
			return say(c, page+"Connection: close\r\n\r\nok") && false
		}, each: 3},
		// Two of three requests that went out together have no answer.
		"pipelined": {answer: func(c net.Conn, _ int) bool { return say(c, page+"Connection: close\r\n\r\nok") && false }, each: 1,
			pipeline: 3, failing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried(t, func(t testing.TB) {
				spec := closedLoop(http(t, c.answer), web)
				spec.Pipeline, spec.Duration = c.pipeline, longer
				p := do(t, context.Background(), spec, Hooks{}, longer+faultWithin)
				if p.Operations == 0 || p.Opened < p.Operations/c.each {
					t.Errorf("%d answers over %d connections, want %d each", p.Operations, p.Opened, c.each)
				}
				if !c.failing {
					if len(p.Failures) != 0 {
						t.Errorf("failures %+v, want none", p.Failures)
					}
					return
				}
				failed, _ := p.Failures.Total()
				if by := p.Failures.ByStatus(); by["connection-closed"] != failed || failed < 2*(p.Operations-atOnce) || failed > 2*(p.Operations+atOnce) {
					t.Errorf("%d answers and failures %+v, want two connection-closed for each answer", p.Operations, p.Failures)
				}
			})
		})
	}
}

// TestRequestResetInAnswer has each third answer cut off by a reset.
func TestRequestResetInAnswer(t *testing.T) {
	t.Parallel()
	tried(t, func(t testing.TB) {
		targets := http(t, func(c net.Conn, n int) bool {
			if n < 3 {
				return say(c, page+"\r\nok")
			}
			say(c, page+"\r\no")
			reset(c)
			return false
		})
		p := do(t, context.Background(), openLoop(targets, web), Hooks{}, faultWithin)
		failed, lost := p.Failures.Total()
		if answered(p)+failed != scheduled || answered(p) == 0 || p.Failures.ByStatus()["connection-reset"] != failed || failed < atOnce || lost != failed {
			t.Errorf("%d answers, failures %+v, want %d together and resets", p.Operations, p.Failures, scheduled)
		}
	})
}

// TestRequestTooSlow asks twice what the peer can do: what the schedule had and was not sent by the end is told.
func TestRequestTooSlow(t *testing.T) {
	t.Parallel()
	tried(t, func(t testing.TB) {
		targets := dialogueOf(t, func(c net.Conn, in *bufio.Reader) {
			pace := time.NewTicker(drainLimit)
			defer pace.Stop()
			for {
				line, err := in.ReadString('\n')
				if err != nil || !say(c, line) {
					return
				}
				<-pace.C
			}
		})
		p := do(t, context.Background(), openLoop(targets, lines), Hooks{}, faultWithin)
		wantStatus(t, p, "cancelled", scheduled-3*atOnce, scheduled-atOnce)
		if p.Operations == 0 || p.HeldAtEnd != atOnce {
			t.Errorf("%d answers, %d connections at the end, want some and %d", p.Operations, p.HeldAtEnd, atOnce)
		}
	})
}

// TestRequestStopped is stopped in the middle: nothing of what was not due yet fails.
func TestRequestStopped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		spec Spec
	}{{"closed", closedLoop(nil, lines)}, {"open", openLoop(nil, lines)}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tried(t, func(t testing.TB) {
				spec := c.spec
				spec.Targets, spec.Duration = peer(t, testpeer.Echo, testpeer.Options{}), time.Hour
				ctx, stop := context.WithCancel(context.Background())
				defer stop()
				p := do(t, ctx, spec, Hooks{Interval: func(*result.Interval) { stop() }}, faultWithin+time.Second)
				if len(p.Failures) != 0 || p.Operations == 0 || p.HeldAtEnd != atOnce {
					t.Errorf("%d answers, failures %+v, %d connections at the end", p.Operations, p.Failures, p.HeldAtEnd)
				}
				if p.Measured < 500*time.Millisecond || p.Measured > 5*time.Second {
					t.Errorf("measured %v, want what it was until it was stopped", p.Measured)
				}
			})
		})
	}
}

// TestHandshakeFaults shakes hands with peers that do not.
func TestHandshakeFaults(t *testing.T) {
	t.Parallel()
	short := engine.Limits{Connect: 150 * time.Millisecond, Handshake: 150 * time.Millisecond}
	targets := targetsOf(t)
	plain := func(s *Spec) {}
	tls := func(s *Spec) { s.TLS = &TLS{Insecure: true} }
	for name, c := range map[string]struct {
		kind   testpeer.Kind
		over   func(*Spec)
		limits engine.Limits
		status string
		least  uint64
	}{
		"refused":               {testpeer.Refuse, plain, engine.Limits{}, "connection-refused", atOnce},
		"black hole":            {testpeer.DropSYN, plain, short, "connection-timeout", atOnce},
		"black hole, no time":   {testpeer.DropSYN, plain, engine.Limits{}, "cancelled", atOnce},
		"TLS never answered":    {testpeer.TLSSilent, tls, short, "tls-timeout", atOnce},
		"TLS refused":           {testpeer.TLSAlert, tls, engine.Limits{}, "handshake-error", atOnce},
		"TLS garbage":           {testpeer.TLSGarbage, tls, engine.Limits{}, "protocol-error", atOnce},
		"TLS reset":             {testpeer.TLSResetHello, tls, engine.Limits{}, "connection-reset", atOnce},
		"TLS closed":            {testpeer.TLSCloseHello, tls, engine.Limits{}, "connection-closed", atOnce},
		"certificate untrusted": {testpeer.TLSSelfSigned, func(s *Spec) { s.TLS = &TLS{} }, engine.Limits{}, "certificate-error", atOnce},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried(t, func(t testing.TB) {
				spec := Spec{Kind: result.Handshake, Targets: targets(c.kind), Connections: atOnce, Duration: faultTime,
					Limits: c.limits, Dials: 40} // fewer than make all places wait for a limit
				c.over(&spec)
				p := do(t, context.Background(), spec, Hooks{}, faultWithin)
				wantStatus(t, p, c.status, c.least, math.MaxUint64)
				if p.Operations != 0 {
					t.Errorf("%d operations, want none", p.Operations)
				}
			})
		})
	}
}

// TestHandshakePartly loses its peer in the middle, or has one that takes so many.
func TestHandshakePartly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    testpeer.Kind
		options testpeer.Options
		least   uint64
	}{
		"mortal": {testpeer.Mortal, testpeer.Options{Life: longer / 3}, 1},
		"full":   {testpeer.Full, testpeer.Options{Accepts: 20}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried(t, func(t testing.TB) {
				spec := Spec{Kind: result.Handshake, Targets: peer(t, c.kind, c.options), Connections: atOnce, Duration: longer, Dials: 200}
				p := do(t, context.Background(), spec, Hooks{}, longer+faultWithin)
				by := p.Failures.ByStatus()
				failed, lost := p.Failures.Total()
				if answered(p) < c.least || by["connection-refused"] == 0 || by["connection-refused"]+by["connection-reset"] != failed || lost != 0 {
					t.Errorf("%d operations, failures %+v, want at least %d and then refusals", answered(p), p.Failures, c.least)
				}
			})
		})
	}
}

// TestHoldFaults holds what can be held of peers that are faulty.
func TestHoldFaults(t *testing.T) {
	t.Parallel()
	short := engine.Limits{Connect: 150 * time.Millisecond, Read: longer / 3}
	for name, c := range map[string]struct {
		kind            testpeer.Kind
		options         testpeer.Options
		ping            time.Duration
		talk            talk.Options
		held, heldAtEnd uint64
		statuses        map[string]bool
		lost            uint64
	}{
		"refused":      {kind: testpeer.Refuse, statuses: map[string]bool{"connection-refused": true}},
		"black hole":   {kind: testpeer.DropSYN, statuses: map[string]bool{"connection-timeout": true}},
		"full":         {kind: testpeer.Full, options: testpeer.Options{Accepts: 5}, held: 5, heldAtEnd: 5, statuses: map[string]bool{"connection-refused": true, "connection-reset": true}},
		"mortal":       {kind: testpeer.Mortal, options: testpeer.Options{Life: longer / 3}, held: atOnce, statuses: map[string]bool{"connection-closed": true, "connection-reset": true}, lost: atOnce},
		"silent":       {kind: testpeer.Silent, held: atOnce, heldAtEnd: atOnce},
		"silent, asks": {kind: testpeer.Silent, ping: longer / 6, talk: lines, held: atOnce, statuses: map[string]bool{"io-timeout": true}, lost: atOnce},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried(t, func(t testing.TB) {
				spec := Spec{Kind: result.Hold, Targets: peer(t, c.kind, c.options), Connections: atOnce, Duration: longer, Limits: short,
					Ping: c.ping, Talk: c.talk}
				if c.heldAtEnd == 0 {
					spec.Duration = time.Minute // it ends when there is nothing left to hold
				}
				ramps := 0
				p := do(t, context.Background(), spec, Hooks{Ramped: func(held, failed uint64) {
					ramps++
					if held != c.held && c.kind != testpeer.Full || held+failed > atOnce { // one that stood and was lost is neither
						t.Errorf("%d connections stand and %d have failed, want %d of %d to stand", held, failed, c.held, atOnce)
					}
				}}, longer+faultWithin)
				failed, lost := p.Failures.Total()
				by := p.Failures.ByStatus()
				for status := range by {
					if !c.statuses[status] {
						t.Errorf("got failures %+v, want none but of %v", p.Failures, c.statuses)
					}
				}
				if c.kind == testpeer.Full {
					c.lost, c.held = lost, p.Held // the kernel may have established some more when the listener closed
				}
				if p.Held != c.held || p.HeldAtEnd != c.heldAtEnd || failed != atOnce-c.heldAtEnd || lost != c.lost || ramps != 1 {
					t.Errorf("held %d, at the end %d, failed %d, lost %d, ramped %d times; want %d, %d, %d, %d and once",
						p.Held, p.HeldAtEnd, failed, lost, ramps, c.held, c.heldAtEnd, atOnce-c.heldAtEnd, c.lost)
				}
			})
		})
	}
}

// TestHoldHeartbeatFaults holds connections whose heartbeats fail in the ways that a peer has.
func TestHoldHeartbeatFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		talk   talk.Options
		answer func(c net.Conn, n int) bool
		status string
	}{
		"closes behind the answer": {web, func(c net.Conn, _ int) bool { return say(c, page+"Connection: close\r\n\r\n") && false }, "connection-closed"},
		"resets in the answer": {web, func(c net.Conn, _ int) bool {
			say(c, "HTTP/1.1 2")
			reset(c)
			return false
		}, "connection-reset"},
		"not wanted": {web, func(c net.Conn, _ int) bool { return say(c, "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n") }, "application-error"},
		"no HTTP":    {web, func(c net.Conn, _ int) bool { return say(c, "what?\r\n\r\n") }, "protocol-error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried(t, func(t testing.TB) {
				spec := Spec{Kind: result.Hold, Targets: http(t, c.answer), Connections: atOnce, Duration: faultTime, Ping: 50 * time.Millisecond, Talk: c.talk}
				spec.Talk.HTTP.Method = "HEAD"
				p := do(t, context.Background(), spec, Hooks{}, faultWithin)
				wantStatus(t, p, c.status, atOnce, atOnce)
				if _, lost := p.Failures.Total(); lost != atOnce || p.HeldAtEnd != 0 {
					t.Errorf("lost %d, %d at the end, want all lost", lost, p.HeldAtEnd)
				}
			})
		})
	}
}

// TestHoldStopped is stopped while it opens and while it holds: what stood is told.
func TestHoldStopped(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"ramp", "barrier", "hold"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			tried(t, func(t testing.TB) {
				ctx, stop := context.WithCancel(context.Background())
				defer stop()
				spec := Spec{Kind: result.Hold, Targets: peer(t, testpeer.Echo, testpeer.Options{}), Connections: 100, Duration: time.Hour}
				hooks := Hooks{Interval: func(*result.Interval) { stop() }}
				least, most := uint64(100), uint64(100)
				switch when {
				case "ramp":
					spec.Dials, least, most = 20, 5, 60
				case "barrier":
					hooks.Hold = make(chan struct{})
				}
				p := do(t, ctx, spec, hooks, faultWithin+time.Second)
				if p.Held < least || p.Held > most || p.HeldAtEnd != p.Held || len(p.Failures) != 0 {
					t.Errorf("held %d, at the end %d, failures %+v; want %d to %d and none", p.Held, p.HeldAtEnd, p.Failures, least, most)
				}
				if u := p.Usage; u.ResidentHeld <= 0 || u.Descriptors < int(p.Held) {
					t.Errorf("memory %d and %d descriptors with %d connections", u.ResidentHeld, u.Descriptors, p.Held)
				}
				if when == "hold" && p.Measured > 10*time.Second {
					t.Errorf("measured %v", p.Measured)
				}
			})
		})
	}
}
