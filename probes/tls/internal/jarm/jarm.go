// Package jarm takes the JARM fingerprint of a TLS server: ten ClientHellos of fixed forms, each on a connection of its
// own, and a hash of what the server answers to them. Servers of one build and one configuration answer alike, so that
// equal fingerprints point to equal software.
//
// The method is Salesforce's (J. Althouse, "Easily Identify Malicious Servers on the Internet with JARM", 2020;
// github.com/salesforce/jarm). Its forms, its order and its hash are kept to the byte, so that fingerprints can be looked
// up in what others publish; testdata/README.md says what they are held against. Three things differ, and none of them
// shows with a server whose answers are well formed:
//
//   - a timeout stands for no answer to that one hello as soon as another one was answered, where the first implementation
//     gives up the whole fingerprint at any; before that it ends the fingerprint here too, so that a host which is silent
//     costs one wait and not ten;
//   - the extensions are those of the ServerHello as its lengths say, where the first implementation also looks for the
//     sizes of some certificates at fixed places to learn that there are none;
//   - the whole first record is read, where the first implementation takes what one recv(2) of 1,484 bytes returns.
//
// Nothing here does cryptography: the key shares are random bytes, and a connection ends with the server's first record.
package jarm

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"strconv"

	"sonde/probes"
	"sonde/probes/internal/conclude"
	"sonde/probes/internal/tlsfacts"
	"sonde/protocol"
	"sonde/protocol/tlswire"
)

// Exchange is a fingerprint in the making. It is used once.
type Exchange struct {
	name   string
	render func(*tlsfacts.Facts) protocol.Finding

	parser  tlswire.RecordParser
	random  [randomSize]byte
	hello   []byte
	asking  bool // a hello was sent and is not answered
	ended   bool // its connection ended first, with partial before that; see Next
	partial answer
	asked   int // how many hellos have their answer
	answers [helloCount]answer

	alert      string // the name of the first alert
	spoken     bool   // a record of TLS came
	stop       bool   // no further connection is wanted
	firstBytes []byte // what came that is not TLS
	verdict    protocol.Verdict
	reason     string
}

var _ interface {
	protocol.Handshaker
	protocol.Series
} = (*Exchange)(nil)

// New returns an exchange that asks with name in the hellos. The published implementations always send one, an address
// too if that is what they were given, although RFC 6066 s.3 does not allow it; to get their fingerprint of a server that
// is known by its address alone, pass the address. An empty name leaves the extension out. render makes the finding
// of the facts, which it may keep; of these JARM, SNI, Alert and FirstBytes are set.
func New(name string, render func(*tlsfacts.Facts) protocol.Finding) *Exchange {
	return &Exchange{name: name, render: render}
}

// Handshake implements [protocol.Handshaker]: the hellos are the exchange's own.
func (e *Exchange) Handshake() (protocol.Security, *tls.Config) { return protocol.TLSOwn, nil }

// OnHandshake implements [protocol.Handshaker]; it is never called.
func (e *Exchange) OnHandshake(*protocol.Handshake) bool { return false }

// OnControl implements [protocol.Handshaker]; it is never called.
func (e *Exchange) OnControl() protocol.Step { return protocol.Step{} }

// Begin implements [protocol.Exchange]: it sends the next hello.
func (e *Exchange) Begin() protocol.Step {
	e.parser.Reset()
	_, _ = rand.Read(e.random[:]) // never fails, see its doc
	hello, err := appendHello(e.hello[:0], e.asked, e.name, &e.random)
	if err != nil {
		e.stop, e.verdict, e.reason = true, protocol.Incapable, err.Error()
		return protocol.Step{Then: protocol.Done}
	}
	e.hello, e.asking = hello, true
	return protocol.Step{Send: [][]byte{e.hello}}
}

// Parser implements [protocol.Exchange].
func (e *Exchange) Parser() protocol.FrameParser { return &e.parser }

// OnFrame implements [protocol.Exchange]: the first record is the answer.
func (e *Exchange) OnFrame(f protocol.Frame) protocol.Step {
	e.spoken = true
	switch tlswire.ContentType(f.Kind) {
	case tlswire.RecordHandshake:
		e.took(readAnswer(f.Data))
	case tlswire.RecordAlert:
		if a, err := tlswire.ParseAlert(f.Data); err == nil && e.alert == "" {
			e.alert = a.Description.String()
		}
		e.took(answer{})
	default:
		e.took(answer{})
	}
	if !e.anyAnswer() {
		e.verdict, e.reason = protocol.HandshakeRefused, "no hello was taken"
		if e.alert != "" {
			e.reason = "alert " + e.alert
		}
	}
	return protocol.Step{Then: protocol.Done}
}

// OnEnd implements [protocol.Exchange]. The start of a record counts as far as it goes: the first implementation takes
// what has come as well. A connection that was not had, or not as far as TLS (STARTTLS), says nothing of how its hello would
// have been answered: there is no fingerprint then.
func (e *Exchange) OnEnd(end protocol.End, rest []byte, err error) {
	got := answer{}
	if len(rest) > tlswire.RecordHeaderSize && tlswire.ContentType(rest[0]) == tlswire.RecordHandshake {
		got = readAnswer(rest[tlswire.RecordHeaderSize:])
	}
	switch end {
	case protocol.EndCancelled, protocol.EndNoConnection:
		e.stop = true
	case protocol.EndTimeout:
		e.stop = !e.spoken && !got.known && !e.anyAnswer()
	case protocol.EndMalformed:
		if !e.spoken && !tlsfacts.IsTLS(err) { // nor will it be to another hello
			e.stop = true
			e.firstBytes = bytes.Clone(rest[:min(len(rest), conclude.MaxReceived)])
		}
	}
	if !e.spoken {
		e.verdict, e.reason = tlsfacts.Ended(end, err)
		if end == protocol.EndNoConnection {
			e.verdict, e.reason = protocol.Unfinished, "no connection for the next hello"
		}
	}
	e.spoken = e.spoken || tlsfacts.IsTLS(err)
	e.ended, e.partial = true, got
}

// Next implements [protocol.Series]. Only here the end of a connection becomes the answer to its hello: it is not asked
// after an end of our making (the run's, the target's budget's, want of descriptors), which says nothing of the server.
func (e *Exchange) Next() bool {
	if e.ended && !e.stop {
		e.took(e.partial)
	}
	e.ended = false
	return !e.stop && e.asked < helloCount
}

// Conclusion implements [protocol.Exchange]. The verdict is Success if any hello was answered by a ServerHello,
// HandshakeRefused if the server spoke TLS and took none, and else what the last connection's end says; Unfinished, and no
// fingerprint, if not every hello was sent.
func (e *Exchange) Conclusion() protocol.Conclusion {
	facts := &tlsfacts.Facts{Depth: probes.DepthHello, SNI: e.name, FirstBytes: e.firstBytes}
	if !e.anyAnswer() { // else it ended nothing: servers refuse some of the hellos
		facts.Alert = e.alert
	}
	c := protocol.Conclusion{Verdict: e.verdict, Reason: e.reason}
	switch {
	case e.asked < helloCount:
		if e.spoken {
			c.Verdict, c.Reason = protocol.Unfinished, "answers to "+strconv.Itoa(e.asked)+" of "+strconv.Itoa(helloCount)+" hellos"
		}
	case e.anyAnswer():
		facts.JARM = hash(&e.answers)
		c.Verdict, c.Reason = protocol.Success, ""
	default:
		facts.JARM = hash(&e.answers)
	}
	c.Finding = e.render(facts)
	return c
}

// took keeps the answer to the hello that was sent, if one was.
func (e *Exchange) took(a answer) {
	if !e.asking || e.asked == helloCount {
		return
	}
	e.answers[e.asked] = a
	e.asked++
	e.asking = false
}

func (e *Exchange) anyAnswer() bool {
	for i := range e.answers {
		if e.answers[i].known {
			return true
		}
	}
	return false
}
