package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"

	"sonde/bench/plan"
	"sonde/bench/result"
	"sonde/bench/talk"
)

// speaks is what is spoken, by the flag or the first target.
func (o *benchOptions) speaks(first plan.Target) talk.Kind {
	switch {
	case o.talk.Kind != "":
		return o.talk.Kind
	case o.talk.Frame != "":
		return talk.Frame
	case first.Redis:
		return talk.Redis
	case first.Path != "" || o.kind == result.Request:
		return talk.HTTP
	}
	return talk.Echo
}

// talkDigest says of what is sent as much as a report may hold: it may be long, or a secret.
type talkDigest struct{ request, body, message digest }

// digest is of bytes; the zero value is of none.
type digest struct {
	sha256 string
	bytes  int
}

func digestOf(data []byte) digest {
	sum := sha256.Sum256(data)
	return digest{hex.EncodeToString(sum[:]), len(data)}
}

// completeTalk fills in what the flags leave open of what is said, and tries it.
func (o *benchOptions) completeTalk(p *plan.Plan) error {
	t := &o.talk
	t.Kind = o.speaks(p.Targets()[0])
	if err := o.checkSaid(); err != nil {
		return err
	}
	if t.Kind == talk.HTTP {
		if err := o.completeHTTP(p); err != nil {
			return err
		}
	}
	said, err := talk.New(*t)
	if err != nil {
		return o.usageOfTalk(err)
	}
	if t.Kind != talk.HTTP { // the same to all hosts
		session := said.Open("")
		o.said.request = digestOf(slices.Concat(session.Request()...))
		session.Close()
	}
	return nil
}

// checkSaid refuses flags that are of no use to what is spoken.
func (o *benchOptions) checkSaid() error {
	given := func(name string) bool { return o.p.parsed.given[name] }
	kind := o.talk.Kind
	hint := fmt.Sprintf("what is spoken here is %s: --talk says what, or leave it out", kind)
	if i := slices.IndexFunc(httpFlagNames, given); i >= 0 && kind != talk.HTTP {
		return &usageError{"--" + httpFlagNames[i] + " is for --talk http", hint}
	}
	switch {
	case given("frame") && kind != talk.Frame:
		return &usageError{"--frame is for --talk frame", hint}
	case given("send") && kind == talk.HTTP:
		return &usageError{"--send is for --talk echo, redis or frame", "--http-body gives the body of an HTTP request, --message a whole one"}
	case kind == talk.Frame && !given("send"):
		return &usageError{"--talk frame without --send: there is nothing to send", "--send gives the bytes of one request"}
	case kind == talk.Frame && !given("frame"):
		return &usageError{"--talk frame without --frame: the format of the answer is missing", "as in --frame line or --frame len:size=4"}
	}
	return nil
}

// completeHTTP reads the files of a request and fills in its method and path.
func (o *benchOptions) completeHTTP(p *plan.Plan) error {
	h := &o.talk.HTTP
	for _, f := range []struct {
		flag, name string
		into       *[]byte
		digest     *digest
	}{{"--http-body", o.body, &h.Body, &o.said.body}, {"--message", o.message, &h.Message, &o.said.message}} {
		if f.name == "" {
			continue
		}
		data, err := os.ReadFile(f.name)
		if err != nil {
			return fileError(f.flag, err)
		}
		*f.into, *f.digest = data, digestOf(data)
	}
	if o.message != "" {
		return o.checkMessage(p)
	}
	if h.Path == "" {
		h.Path = p.Targets()[0].Path
	}
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Method == "" {
		switch {
		case len(h.Body) > 0:
			h.Method = "POST"
		case o.kind == result.Hold:
			h.Method = "HEAD"
		default:
			h.Method = "GET"
		}
	}
	return nil
}

// checkMessage refuses what else would say how a request is, beside a whole one.
func (o *benchOptions) checkMessage(p *plan.Plan) error {
	for _, name := range []string{"http-method", "http-host", "http-path", "http-header", "http-body"} {
		if o.p.parsed.given[name] {
			return &usageError{"--" + name + " has no effect with --message", "a message is the whole request, head and body: leave one out"}
		}
	}
	for _, t := range p.Targets() {
		if t.Path != "" && t.Path != "/" {
			return &usageError{fmt.Sprintf("the path %s of %v has no effect with --message", t.Path, t.Addr), "a message has its own: name the target without a path"}
		}
	}
	return nil
}

// usageOfTalk says which flag it was that can't be said. What a request has is tried a part at a time; what is left is a fault of
// two together.
func (o *benchOptions) usageOfTalk(err error) error {
	h := &o.talk.HTTP
	if o.talk.Kind != talk.HTTP {
		return &usageError{text: "--send: " + err.Error()}
	}
	if o.message != "" {
		return &usageError{text: "--message: " + err.Error()}
	}
	type part struct {
		flag string
		http talk.HTTPOptions
	}
	parts := []part{
		{"--http-method", talk.HTTPOptions{Method: h.Method}}, {"--http-host", talk.HTTPOptions{Host: h.Host}},
		{"--http-path", talk.HTTPOptions{Method: h.Method, Path: h.Path}},
	}
	for _, header := range h.Headers {
		parts = append(parts, part{"--http-header", talk.HTTPOptions{Headers: []string{header}}})
	}
	for _, p := range parts {
		if _, err := talk.New(talk.Options{Kind: talk.HTTP, HTTP: p.http}); err != nil {
			return &usageError{text: p.flag + ": " + err.Error()}
		}
	}
	return &usageError{text: "--http-host and --http-header: " + err.Error()}
}

// secretWords are in the names of headers whose values are nobody else's business.
var secretWords = []string{"auth", "cookie", "token", "secret", "key", "password"}

// maskHeader is a header as a report has it: without its value, if that may be a secret.
func maskHeader(header string) string {
	name, _, found := strings.Cut(header, ":")
	is := func(word string) bool { return strings.Contains(strings.ToLower(name), word) }
	if !found || !slices.ContainsFunc(secretWords, is) {
		return header
	}
	return name + ": ***"
}

// maskArgs is a command line without the values of such headers.
func (o *benchOptions) maskArgs(args []string) []string {
	masked := slices.Clone(args)
	for _, header := range o.talk.HTTP.Headers {
		for i := range masked {
			masked[i] = strings.ReplaceAll(masked[i], header, maskHeader(header))
		}
	}
	return masked
}
