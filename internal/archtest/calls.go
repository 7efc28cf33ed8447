package archtest

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// checkTime forbids reading the clock and sleeping. Timers are not covered: they wake, they do not tell.
func checkTime(c *checker) {
	for _, f := range c.files {
		free := within(f.dir, "internal/clock", "internal/testlag", "internal/testpeer/...", "internal/testserver/...", "serve/...", "cmd/...")
		// In a bubble of testing/synctest sleeping costs no time and is exact.
		bubble := false
		for p := range f.imports {
			bubble = bubble || p == "testing/synctest"
		}
		for use, pos := range f.uses {
			switch {
			case use.pkg != "time":
			case f.test && use.name == "Sleep" && !bubble:
				c.report(f, pos, "time.Sleep in a test: wait for what happens, or use testing/synctest")
			case !f.test && !free && slices.Contains([]string{"Now", "Since", "Until", "Sleep"}, use.name):
				c.report(f, pos, "time.%s outside internal/clock: take the time as an argument", use.name)
			}
		}
	}
}

// freeKernelNames are the names of syscall and x/sys/unix that are no calls: types and constants of errnos and signals,
// and the tables of their names.
var freeKernelNames = regexp.MustCompile(`^(Errno|Signal|E[A-Z0-9]+|SIG[A-Z0-9]+|ErrnoName|SignalName)$`)

// checkKernel forbids system calls. The peers, servers and networks of tests make some that package net does not offer.
func checkKernel(c *checker) {
	for _, f := range c.files {
		if f.test || within(f.dir, "internal/kernel/...", "internal/testnet", "internal/testpeer/...", "internal/testserver/...") {
			continue
		}
		for use, pos := range f.uses {
			if (use.pkg == "syscall" || strings.HasPrefix(use.pkg, "golang.org/x/sys/")) && !freeKernelNames.MatchString(use.name) {
				c.report(f, pos, "%s.%s outside internal/kernel", use.pkg, use.name)
			}
		}
	}
}

// checkProcess keeps what concerns the whole process to cmd. Tests may exit (TestMain) and send signals.
func checkProcess(c *checker) {
	for _, f := range c.files {
		if f.test || within(f.dir, "cmd/...") {
			continue
		}
		for p, pos := range f.imports {
			if p == "os/signal" {
				c.report(f, pos, "os/signal outside cmd")
			}
		}
		for use, pos := range f.uses {
			if use.pkg == "os" && use.name == "Exit" ||
				use.pkg == "log" && (strings.HasPrefix(use.name, "Fatal") || strings.HasPrefix(use.name, "Panic")) {
				c.report(f, pos, "%s.%s outside cmd: return an error", use.pkg, use.name)
			}
		}
	}
}

// impure are the packages that do I/O. net/netip does none; io is for its errors and interfaces, crypto/tls for its
// configurations: it reads and writes only what it is handed, which takes net.
var impure = []string{"bufio", "log", "log/slog", "net", "net/http", "os", "os/exec", "syscall"}

// checkPure keeps wire formats and probes to bytes in and frames out.
func checkPure(c *checker) {
	for _, f := range c.files {
		if f.test || !within(f.dir, "protocol/...", "probes/...") || within(f.dir, testSupport...) {
			continue
		}
		for p, pos := range f.imports {
			if slices.Contains(impure, p) {
				c.report(f, pos, "%s may not import %s: it does no I/O", f.dir, p)
			}
		}
		for n := range ast.Preorder(f.ast) {
			if g, ok := n.(*ast.GoStmt); ok {
				c.report(f, g.Pos(), "%s may not start a goroutine", f.dir)
			}
		}
	}
}
