package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sonde/internal/testpeer"
	"sonde/serve"
)

// TestMain lets the scripts run this binary as sonde.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sonde": main})
}

// TestScripts runs testdata/script: each is a session with the whole program.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		// All scripts together take a minute on a quiet machine: a program that does not stop when it should is told by its
		// name, before go test gives up on the package, and a busy machine is not taken for one.
		Deadline: time.Now().Add(10 * time.Minute),
		Setup: func(env *testscript.Env) error {
			// A terminal is one that can do all, unless a script says otherwise.
			env.Setenv("TERM", "xterm")
			env.Setenv("LC_ALL", "C.UTF-8")
			// Under -race each program would wait a second before it ends, for reports of others.
			env.Setenv("GORACE", "atexit_sleep_ms=10 "+os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   scriptExits,
			"peers":   scriptPeers,
			"lines":   scriptLines,
			"await":   scriptAwait,
			"members": scriptMembers,
			"holds":   scriptHolds,
			"fetch":   scriptFetch,
		},
	})
}

// scriptExits is `exits CODE PROGRAM [ARG ...]`: exec with the exit code that it must give.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG ...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code of %s: got %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// scriptPeers is `peers [KIND ...]`: it starts peers and sets for each a variable with its address: $banner_reset. Without
// arguments they are all kinds that need nothing else to be scanned: a TLS peer wants to be trusted, and one that begins TLS
// on request to be told so. Their target lines go to the file fleet, the kind as the tag, and the authority of their
// certificates to ca.pem.
func scriptPeers(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: peers [KIND ...]")
	}
	if len(args) == 0 {
		for _, about := range testpeer.Kinds() {
			if !about.TLS {
				args = append(args, string(about.Kind))
			}
		}
	}
	creds, err := testpeer.NewCredentials()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), creds.RootPEM(), 0o644))
	var fleet strings.Builder
	for _, kind := range args {
		peer, err := testpeer.Start(testpeer.Kind(kind), testpeer.Options{Credentials: creds})
		ts.Check(err)
		ts.Defer(peer.Close)
		ts.Setenv(strings.ReplaceAll(kind, "-", "_"), peer.Addr().String())
		about, _ := testpeer.Lookup(peer.Kind())
		endpoint := serve.Endpoint{Addr: peer.Addr(), Kind: about.Kind}
		if about.TLS {
			endpoint.Name = kind + ".sonde.test"
		}
		fmt.Fprintln(&fleet, endpoint.Line())
	}
	ts.Check(os.WriteFile(ts.MkAbs("fleet"), []byte(fleet.String()), 0o644))
}

// scriptLines is `lines FILE N`: the file has N lines, all whole.
func scriptLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	if got := strings.Count(text, "\n"); got != want {
		ts.Fatalf("%s: got %d lines, want %d", args[0], got, want)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		ts.Fatalf("%s: its last line is torn", args[0])
	}
}

// scriptAwait is `await FILE REGEXP`: it waits until the file is there and matches, a minute at most.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var text []byte
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-ticker.C {
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && want.Match(text) {
			return
		}
	}
	ts.Fatalf("%s does not match %q after a minute: %v\n%s", args[0], args[1], err, text)
}

// scriptMembers is `members FILE PATH[=VALUE] ...`: the JSON object in the file has the member at each path, as in
// engine.loops, and it is VALUE in JSON.
func scriptMembers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: members FILE PATH[=VALUE] ...")
	}
	var object any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &object))
	for _, arg := range args[1:] {
		path, want, compare := strings.Cut(arg, "=")
		at := object
		for _, name := range strings.Split(path, ".") {
			members, _ := at.(map[string]any)
			value, ok := members[name]
			if !ok {
				ts.Fatalf("%s: no member %q of %q", args[0], name, path)
			}
			at = value
		}
		got, err := json.Marshal(at)
		ts.Check(err)
		if compare && string(got) != want {
			ts.Fatalf("%s: %s: got %s, want %s", args[0], path, got, want)
		}
	}
}

// scriptHolds is `holds FILE WORD ...`: a profile, packed by gzip or not, is there to its end and has these words.
func scriptHolds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: holds FILE WORD ...")
	}
	content := []byte(ts.ReadFile(args[0]))
	if packed, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
		content, err = io.ReadAll(packed)
		ts.Check(err)
	}
	for _, word := range args[1:] {
		if !bytes.Contains(content, []byte(word)) {
			ts.Fatalf("%s does not hold %q", args[0], word)
		}
	}
}
