package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// servedAt is where a watch says that it answers.
var servedAt = regexp.MustCompile(`watching; (http://\S+)/\n`)

// scriptFetch is `fetch LOG METHOD PATH STATUS REGEXP`: it asks the watch that writes LOG until it answers with that status and a page
// that matches, a minute at most.
func scriptFetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: fetch LOG METHOD PATH STATUS REGEXP")
	}
	want, err := regexp.Compile("(?m)" + args[4])
	ts.Check(err)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	answer := "nothing"
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-ticker.C {
		answer = ask(ts, args[0], args[1], args[2])
		if status, page, _ := strings.Cut(answer, "\n"); status == args[3] && want.MatchString(page) {
			return
		}
	}
	ts.Fatalf("%s is not %s with %q after a minute: %s", args[2], args[3], args[4], answer)
}

// ask is the status and the page of one request, or what went wrong.
func ask(ts *testscript.TestScript, log, method, path string) string {
	text, err := os.ReadFile(ts.MkAbs(log))
	if err != nil {
		return err.Error()
	}
	at := servedAt.FindSubmatch(text)
	if at == nil {
		return "it does not say where it answers: " + string(text)
	}
	request, err := http.NewRequest(method, string(at[1])+path, nil)
	ts.Check(err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d\n%s", response.StatusCode, page)
}
