// Package talk knows what one operation of a load says over a kept connection and how its answer is read: a line to an
// echo server, a command to Redis, an HTTP/1.1 request, or a frame of the user's own. When a request goes out, how many are
// under way and what is counted is left to the caller; bytes in and out are the engine's.
//
// A [Talk] is what all connections of a load share, and immutable. A [Session] is one connection's part of it. It is taken
// while requests are under way and given back after; a connection that is held between two heartbeats needs none. Neither a
// request nor an answer allocates memory.
package talk

import (
	"errors"
	"fmt"
	"sync"

	"sonde/probes"
	"sonde/protocol"
	"sonde/protocol/delim"
	"sonde/protocol/framespec"
	"sonde/protocol/http1"
	"sonde/protocol/resp"
)

// Kind is what is spoken.
type Kind string

// The kinds.
const (
	// Echo sends a line and wants the same line back.
	Echo Kind = "echo"
	// Redis sends a command and wants a reply that is no error; PING, which is the default, wants PONG.
	Redis Kind = "redis"
	// HTTP sends an HTTP/1.1 request and wants a final response with a status below 400.
	HTTP Kind = "http"
	// Frame sends bytes of the user's and takes any frame of the user's format for the answer.
	Frame Kind = "frame"
)

// Options say what is spoken. They go from process to process as JSON.
type Options struct {
	Kind Kind `json:"kind"`
	// Payload is what is sent. Echo: one line with its LF; nil is a line of 32 bytes. Redis: one command, inline or as an array
	// of strings; nil is PING. Frame: must be there. HTTP has none: see HTTPOptions.Body.
	Payload []byte `json:"payload,omitempty"`
	// Frame is the format of the answer for the kind of that name, as package framespec has it.
	Frame string `json:"frame,omitempty"`
	// HTTP is for the kind of that name.
	HTTP HTTPOptions `json:"http,omitzero"`
}

// HTTPOptions say what is requested.
type HTTPOptions struct {
	Method  string   `json:"method,omitempty"`  // default GET, with a Body POST
	Path    string   `json:"path,omitempty"`    // default "/"
	Host    string   `json:"host,omitempty"`    // Host field; default what Open is told
	Headers []string `json:"headers,omitempty"` // "Name: value", in order; they replace ours of the same name
	Body    []byte   `json:"body,omitempty"`
	// Message is a whole request, head and body, that is sent as it is. All of the above must be empty then.
	Message []byte `json:"message,omitempty"`
	// Status are the codes that are wanted; empty: those below 400.
	Status []probes.StatusRange `json:"status,omitempty"`
}

// defaultLine is what an echo server is sent: 32 bytes with its LF.
const defaultLine = "sonde 0123456789 abcdefghijklmn\n"

// ping is an array of one string, as a client sends commands (the RESP specification on redis.io).
const ping = "*1\r\n$4\r\nPING\r\n"

// Talk is what the connections of a load say. It is safe for concurrent use.
type Talk struct {
	kind      Kind
	newParser func() protocol.FrameParser
	line      []byte // Echo: what must come back, without its LF
	pong      bool   // Redis: the answer must be PONG
	http      *request
	fixed     [][]byte // the request, if it does not depend on the host

	sessions sync.Pool // of *Session

	mu     sync.RWMutex
	byHost map[string][][]byte
}

// New makes what o says. The error tells what of o can't be, in words for whoever wrote it.
func New(o Options) (*Talk, error) {
	t := &Talk{kind: o.Kind}
	var err error
	switch o.Kind {
	case Echo:
		err = t.useEcho(o)
	case Redis:
		err = t.useRedis(o)
	case HTTP:
		err = t.useHTTP(o)
	case Frame:
		err = t.useFrame(o)
	case "":
		err = errors.New("what is spoken is missing: want echo, redis, http or frame")
	default:
		err = fmt.Errorf("%q is not spoken: want echo, redis, http or frame", string(o.Kind))
	}
	switch {
	case err != nil:
		return nil, err
	case o.Kind != Frame && o.Frame != "":
		return nil, fmt.Errorf("a format of frames is for the kind frame, not for %s", o.Kind)
	case o.Kind != HTTP && !o.HTTP.isZero():
		return nil, fmt.Errorf("settings of HTTP are for the kind http, not for %s", o.Kind)
	}
	return t, nil
}

// Kind is what is spoken.
func (t *Talk) Kind() Kind { return t.kind }

func (t *Talk) useEcho(o Options) error {
	payload := o.Payload
	if payload == nil {
		payload = []byte(defaultLine)
	}
	if err := checkLine(payload); err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	t.fix(payload)
	payload = t.fixed[0]
	t.line = payload[:len(payload)-1]
	t.newParser = func() protocol.FrameParser { return delim.New(delim.Options{Delimiter: payload[len(payload)-1:]}) }
	return nil
}

// checkLine wants one line: it is by its LF that the answer's end is known.
func checkLine(payload []byte) error {
	for i, c := range payload {
		if c == '\n' && i < len(payload)-1 {
			return errors.New("what is sent has several lines; give one line, with LF at its end only")
		}
	}
	switch n := len(payload); {
	case n == 0 || payload[n-1] != '\n':
		return errors.New(`what is sent does not end in LF, by which the answer's end is known; write \n behind it`)
	case n > protocol.MaxFrameSize:
		return fmt.Errorf("what is sent has %d bytes; give at most %d", n, protocol.MaxFrameSize)
	}
	return nil
}

func (t *Talk) useRedis(o Options) error {
	payload := o.Payload
	if payload == nil {
		payload = []byte(ping)
		t.pong = true
	}
	if n := len(payload); n == 0 || payload[n-1] != '\n' {
		return errors.New(`redis: the command does not end in CRLF, so that no answer would come; write \r\n behind it`)
	}
	t.fix(payload)
	t.newParser = func() protocol.FrameParser { return new(resp.Parser) }
	return nil
}

func (t *Talk) useFrame(o Options) error {
	switch {
	case len(o.Payload) == 0:
		return errors.New("frame: there is nothing to send; give the bytes of one request")
	case o.Frame == "":
		return errors.New("frame: the format of the answer is missing; give one such as line or len:size=4")
	}
	var err error
	if t.newParser, err = framespec.Parse(o.Frame); err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	t.fix(o.Payload)
	return nil
}

func (t *Talk) useHTTP(o Options) error {
	if len(o.Payload) > 0 {
		return errors.New("http: bytes to send are for the other kinds; give a body or a message")
	}
	r, err := newRequest(o.HTTP)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	t.http = r
	if r.fixed() {
		t.fix(r.bytes(""))
	}
	t.newParser = func() protocol.FrameParser { return &http1.Parser{HeadRequest: r.method == "HEAD"} }
	return nil
}

// fix sets the one request for all hosts, as a copy.
func (t *Talk) fix(payload []byte) { t.fixed = [][]byte{append([]byte(nil), payload...)} }

// Open returns a session for a connection to host: a name or an address, with ":port" unless that is the scheme's own, as
// it stands in a Host field (RFC 9110 s.7.2). What can't stand there makes the field empty. The bytes of a request are made
// once for each host.
func (t *Talk) Open(host string) *Session {
	s, _ := t.sessions.Get().(*Session)
	if s == nil {
		s = newSession(t)
	}
	s.request = t.fixed
	if s.request == nil {
		s.request = t.requestFor(host)
	}
	return s
}

func (t *Talk) requestFor(host string) [][]byte {
	t.mu.RLock()
	r := t.byHost[host]
	t.mu.RUnlock()
	if r != nil {
		return r
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if r = t.byHost[host]; r == nil {
		if t.byHost == nil {
			t.byHost = make(map[string][][]byte)
		}
		r = [][]byte{t.http.bytes(host)}
		t.byHost[host] = r
	}
	return r
}
