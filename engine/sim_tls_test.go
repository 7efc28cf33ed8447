package engine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"sonde/internal/simkernel"
	"sonde/protocol"
)

// simServer is a crypto/tls server as the application of a simulated peer: a coroutine that parks where the server waits for
// bytes. What crypto/tls draws at random is not of the seed, so that two runs of a seed differ in their ciphertext, and
// in nothing that the checks look at.
type simServer struct {
	net.Conn // nil: the methods that are needed are below
	resume   func() (struct{}, bool)
	stop     func()
	park     func(struct{}) bool
	in, out  []byte
	fin      bool
	sent     int
	hello    int                              // bytes of the first piece that came
	cut      int                              // above 0: the connection is closed after so many bytes of ours
	react    func(s *simServer, heard []byte) // hears what arrives while conn waits; nil: nobody does
	keys     bytes.Buffer                     // the key log
}

// serve makes the step of a server with this script. cut, if above 0, is after how many bytes it closes.
func (w *world) serve(cfg *tls.Config, cut int, script func(*simServer, *tls.Conn) error) simkernel.Step {
	return simkernel.Serve(func() simkernel.App {
		s := &simServer{cut: cut}
		cfg := cfg.Clone()
		cfg.KeyLogWriter = &s.keys
		s.resume, s.stop = iter.Pull(func(park func(struct{}) bool) {
			s.park = park
			// How the client ends is the engine's affair, and what it heard the exchange's.
			_ = script(s, tls.Server(s, cfg))
		})
		w.servers = append(w.servers, s)
		return s
	})
}

// Hear implements simkernel.App.
func (s *simServer) Hear(in []byte, fin bool) (out []byte, over bool) {
	s.in, s.fin = append(s.in, in...), fin
	if s.hello == 0 {
		s.hello = len(in)
	}
	if _, parked := s.resume(); !parked {
		over = true
	}
	if s.react != nil && len(in) > 0 && !over {
		s.react(s, in)
	}
	out, s.out = s.out, nil
	if s.cut > 0 && s.sent+len(out) >= s.cut {
		out, over = out[:max(s.cut-s.sent, 0)], true
	}
	s.sent += len(out)
	return out, over
}

// Read implements net.Conn.
func (s *simServer) Read(p []byte) (int, error) {
	for len(s.in) == 0 {
		if s.fin {
			return 0, io.EOF
		}
		if !s.park(struct{}{}) {
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (s *simServer) Write(p []byte) (int, error) {
	s.out = append(s.out, p...)
	return len(p), nil
}

// Close implements net.Conn.
func (s *simServer) Close() error { return nil }

// SetDeadline implements net.Conn.
func (s *simServer) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (s *simServer) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (s *simServer) SetWriteDeadline(time.Time) error { return nil }

// hold reads and forgets until our FIN.
func hold(c *tls.Conn) error {
	_, err := io.Copy(io.Discard, struct{ io.Reader }{c})
	return err
}

// simTLS are the two ends' configurations, for TLS 1.2 and 1.3. Ed25519 signatures are all of one length.
var simTLS = sync.OnceValue(func() (c struct{ client, server12, server13 *tls.Config }) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sim"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(nil, cert, cert, key.Public(), key)
	if err != nil {
		panic(err)
	}
	chain := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	c.client = &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}}
	c.server12 = &tls.Config{Certificates: chain, MaxVersion: tls.VersionTLS12}
	c.server13 = &tls.Config{Certificates: chain, MinVersion: tls.VersionTLS13}
	return c
})

// simConfig is a server's configuration by chance.
func simConfig(rng *rand.Rand) *tls.Config {
	if rng.IntN(3) == 0 {
		return simTLS().server12
	}
	return simTLS().server13
}

// tlsJob is a job over TLS, of one of the kinds below. Handshakes take their time: not every world has them.
func (w *world) tlsJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	if rng.IntN(2) != 0 {
		return w.talkJob(rng, id)
	}
	makers := []func(*rand.Rand, int) (simJob, simkernel.Script){w.secureJob, w.secureJob, w.cutJob, w.spoiltJob, w.secureBeatJob, w.updateJob}
	job, script := makers[rng.IntN(len(makers))](rng, id)
	job.handshaker, job.noLimit = true, true
	if job.tls == nil {
		job.tls = simTLS().client
	}
	script.RTT = time.Duration(1 + rng.Int64N(int64(100*time.Millisecond)))
	if want := job.want; job.keeps == 0 {
		job.want = func(o *Outcome) string {
			if w.stalled(o) {
				return ""
			}
			if problem := want(o); problem != "" {
				return problem
			}
			return w.differsHandshake(o, o.Connect)
		}
	}
	return job, script
}

// secureJob talks over TLS, now and then begun by a StartTLS step. What somebody puts behind the agreement in the clear
// must end the handshake, and nobody may hear of it.
func (w *world) secureJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	job := simJob{kind: "secure", profile: talks}
	var script simkernel.Script
	injected := false
	if rng.IntN(3) == 0 {
		greeting := simText(rng, id, "greet")
		job.talk = simTalk{turns: []turn{{hear: greeting}}, secureAt: 1, plea: simText(rng, id, "plea")}
		if injected = rng.IntN(2) == 0; injected {
			greeting = append(bytes.Clone(greeting), "injected"...)
		}
		script.Steps = []simkernel.Step{simkernel.Send(greeting), simkernel.Expect(job.talk.plea)}
	}
	var asks, says [][]byte
	for range 1 + rng.IntN(3) {
		asks, says = append(asks, longText(rng, id, "ask", w.options.SendBuffer)), append(says, longAnswer(rng, id))
		job.talk.turns = append(job.talk.turns, turn{send: asks[len(asks)-1], hear: says[len(says)-1]})
	}
	atOnce := rng.IntN(3) == 0
	switch {
	case atOnce: // says it all before it has read anything
		says = [][]byte{bytes.Join(says, nil)}
	case rng.IntN(2) == 0: // rests before it asks, and has the server's tickets come meanwhile
		job.talk.turns[job.talk.secureAt].pause = time.Duration(rng.Int64N(int64(10 * simPause)))
		job.tls = simTLS().client.Clone()
		job.tls.ServerName, job.tls.ClientSessionCache = "sim", tls.NewLRUClientSessionCache(1)
	}
	script.Steps = append(script.Steps, w.serve(simConfig(rng), 0, func(_ *simServer, c *tls.Conn) error {
		if atOnce {
			if _, err := c.Write(says[0]); err != nil {
				return err
			}
		}
		for i, ask := range asks {
			heard := make([]byte, len(ask))
			if _, err := io.ReadFull(c, heard); err != nil {
				return err
			}
			if !bytes.Equal(heard, ask) {
				w.problem("job %d: the server heard %.40q, want %.40q", id, heard, ask)
			}
			if !atOnce {
				if _, err := c.Write(says[i]); err != nil {
					return err
				}
			}
		}
		return errors.Join(hold(c), c.CloseWrite())
	}))
	job.want = func(o *Outcome) string {
		x := w.jobs[id].exchanges
		var record tls.RecordHeaderError
		if injected {
			if o.Cause != Answered || o.State != Handshaking || len(x) != 1 || !errors.As(x[0].handshakeErr, &record) {
				return fmt.Sprintf("got cause %d in %v, want a handshake that fails for what was injected", o.Cause, o.State)
			}
			return ""
		}
		return wantAnswer(o)
	}
	return job, script
}

// cutJob has a server that ends in its handshake: by its FIN after some bytes, by silence, by a reset.
func (w *world) cutJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	job := simJob{kind: "cut", profile: talks, talk: simTalk{turns: []turn{{send: simText(rng, id, "ask"), hear: simText(rng, id, "say")}}}}
	end := rng.IntN(3)
	script := simkernel.Script{Steps: [][]simkernel.Step{
		{w.serve(simConfig(rng), 1+rng.IntN(200), func(_ *simServer, c *tls.Conn) error { return errors.Join(c.Handshake(), hold(c)) })},
		{simkernel.Send([]byte("\x16\x03\x03")[:rng.IntN(4)]), simkernel.Hold()},
		{simkernel.Read(50), simkernel.Reset()},
	}[end]}
	job.want = func(o *Outcome) string {
		x := w.jobs[id].exchanges
		if len(x) != 1 || x[0].handshakes != 1 || !errors.Is(x[0].handshakeErr, protocol.ErrHandshakeCut) || o.State != Handshaking || o.TLS != Absent {
			return fmt.Sprintf("got cause %d in %v, TLS %v; want a handshake that was cut off", o.Cause, o.State, o.TLS)
		}
		if want := []Cause{Answered, HandshakeTimeout, Reset}[end]; o.Cause != want && (end != 0 || o.Cause != Reset) {
			return fmt.Sprintf("got cause %d, want %d", o.Cause, want)
		}
		return ""
	}
	return job, script
}

// spoiltJob has a server that sends what is no record of TLS behind its answer, or its alert.
func (w *world) spoiltJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	ask, say := simText(rng, id, "ask"), longAnswer(rng, id)
	job := simJob{kind: "spoilt", profile: talks, talk: simTalk{turns: []turn{{send: ask, hear: say, endless: true}}}}
	alert := rng.IntN(2) == 0
	script := simkernel.Script{Steps: []simkernel.Step{w.serve(simConfig(rng), 0, func(s *simServer, c *tls.Conn) error {
		if _, err := io.ReadFull(c, make([]byte, len(ask))); err != nil {
			return err
		}
		if _, err := c.Write(say); err != nil {
			return err
		}
		if alert {
			return c.CloseWrite()
		}
		s.out = append(s.out, "\x17\x03\x03\x00\x20no record of this connection, no."...)
		s.park(struct{}{})
		return nil
	})}}
	if len(say) == protocol.MaxFrameSize { // the frame would be larger than the largest ring
		job.talk.turns[0].hear = say[:len(say)-1]
		say = say[:len(say)-1]
	}
	job.want = func(o *Outcome) string {
		x := w.jobs[id].exchanges
		want := protocol.EndMalformed
		if alert {
			want = protocol.EndOfStream
		}
		if o.Cause != Answered || len(x) != 1 || x[0].end != want || len(x[0].heard) != len(say) {
			return fmt.Sprintf("got cause %d, errno %v, %d bytes heard; want all %d and then end %d", o.Cause, o.Errno, w.heard(o.ID), len(say), want)
		}
		return ""
	}
	return job, script
}

// secureBeatJob keeps its connection over TLS: each heartbeat goes over the first one's session.
func (w *world) secureBeatJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	t := turn{send: simText(rng, id, "beat"), hear: simText(rng, id, "alive")}
	job := simJob{kind: "secure beat", profile: beats, talk: simTalk{turns: []turn{t}}, keeps: -1}
	answered := 1 + rng.IntN(5)
	end := []keptEnd{keptSilent, keptClosed, keptDone}[rng.IntN(3)]
	if end == keptDone {
		job.keeps = answered - 1
	}
	script := simkernel.Script{Steps: []simkernel.Step{w.serve(simConfig(rng), 0, func(_ *simServer, c *tls.Conn) error {
		for range answered {
			if _, err := io.ReadFull(c, make([]byte, len(t.send))); err != nil {
				return err
			}
			if _, err := c.Write(t.hear); err != nil {
				return err
			}
		}
		if end == keptClosed {
			return c.CloseWrite()
		}
		return hold(c)
	})}}
	job.want = func(o *Outcome) string { return w.differsKept(o, answered, end) }
	return job, script
}

// updateJob is kept without heartbeats. Its server asks for key updates (RFC 8446 s.4.6.3), the next with each answer.
func (w *world) updateJob(rng *rand.Rand, id int) (simJob, simkernel.Script) {
	t := turn{hear: simText(rng, id, "alive")}
	job := simJob{kind: "update", profile: idles, talk: simTalk{turns: []turn{t}}, keeps: -1}
	updates := rng.IntN(5)
	cfg := simTLS().server13.Clone()
	cfg.SessionTicketsDisabled = true
	script := simkernel.Script{Steps: []simkernel.Step{w.serve(cfg, 0, func(s *simServer, c *tls.Conn) error {
		if err := c.Handshake(); err != nil {
			return err
		}
		before := len(s.out)
		if _, err := c.Write(t.hear); err != nil {
			return err
		}
		if k := newUpdater(s.keys.Bytes(), c.ConnectionState().CipherSuite, countRecords(s.out[before:])); k != nil {
			left := updates
			s.react = func(s *simServer, _ []byte) {
				if left--; left >= 0 {
					s.out = append(s.out, k.update()...)
				}
			}
		}
		return hold(c)
	})}}
	job.want = func(o *Outcome) string { return w.differsKept(o, 1, keptExpired) }
	return job, script
}
