package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// namedFile is a file and the flag that names it.
type namedFile struct{ flag, name string }

// checkOutputs refuses an output that is an input or another output: one would be lost. An empty name is none, and "-" is a
// standard stream.
func checkOutputs(inputs, outputs []namedFile) error {
	uses := inputs
	for _, out := range outputs {
		if out.name == "" || out.name == "-" {
			continue
		}
		for _, u := range uses {
			if sameFile(out.name, u.name) {
				return &usageError{text: fmt.Sprintf("%s and %s name the same file, %s", u.flag, out.flag, quoteWord(out.name))}
			}
		}
		uses = append(uses, out)
	}
	return nil
}

// sameFile reports whether two names stand for one regular file, there already or not.
func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	switch {
	case errA == nil && errB == nil:
		return infoA.Mode().IsRegular() && os.SameFile(infoA, infoB)
	case errA == nil || errB == nil:
		return false
	}
	folderA, errA := os.Stat(filepath.Dir(a))
	folderB, errB := os.Stat(filepath.Dir(b))
	if errA != nil || errB != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return os.SameFile(folderA, folderB) && filepath.Base(a) == filepath.Base(b)
}
