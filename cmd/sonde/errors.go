package main

import (
	"strconv"

	"sonde/report"
)

// usageError is a command line that can't be meant: exit code 2.
type usageError struct {
	text string
	hint string // how to mend it; may be empty
}

// Error implements error.
func (e *usageError) Error() string { return e.text }

// exitStatus ends the program with this code; whatever there was to say has been said.
type exitStatus int

// Error implements error.
func (e exitStatus) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// notYet refuses a part of the contract that is not built. It is never taken and ignored.
func notYet(what string) error {
	return &usageError{text: what + " is not built yet in this version of sonde", hint: notYetHint}
}

// quoteWord quotes what the user gave, so that nothing in it can steer a terminal.
func quoteWord(word string) string { return strconv.Quote(word) }

// isClosedPipe reports whether err says that the reader of our output has gone.
func isClosedPipe(err error) bool { return report.IsClosedPipe(err) }

const notYetHint = "sonde --help and sonde scan --help list what is"
