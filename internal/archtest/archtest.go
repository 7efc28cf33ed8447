// Package archtest keeps the structure of the module: which layer may import which, where the clock and the kernel may be
// called, what every parser and probe must bring. Its own test runs the rules over the module's sources, and over small
// fake trees that prove that each rule bites.
//
// It parses every Go file of every platform and build tag from the disk, itself, so neither a build cache nor a tag can
// hide one. It does not compile them: names are resolved with go/types, but imported packages are not loaded. What it
// can't see for that reason stands with the rule.
package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// modulePath is the module's name in go.mod: the beginning of its import paths.
const modulePath = "sonde"

// Violation is one place where the sources break a rule.
type Violation struct {
	File string // relative to the module's root
	Line int    // 1-based; 0 when it is about a folder
	Rule string // the rule's name in [Rules]
	Text string // what is wrong there
}

// String returns the violation as a line for an editor to jump to.
func (v Violation) String() string {
	if v.Line == 0 {
		return fmt.Sprintf("%s: %s (%s)", v.File, v.Text, v.Rule)
	}
	return fmt.Sprintf("%s:%d: %s (%s)", v.File, v.Line, v.Text, v.Rule)
}

// Rule is one thing that the sources must keep to.
type Rule struct {
	Name  string
	Doc   string // what it asks, one line
	check func(*checker)
}

// Rules returns all rules in the order in which they are checked.
func Rules() []Rule {
	return []Rule{
		{"layers", "imports within the module run downward, as the table in layers.go says", checkLayers},
		{"cycles", "no package imports itself, by whatever way and on whatever platform", checkCycles},
		{"libraries", "a library from outside is used where the table in layers.go says", checkLibraries},
		{"names", "no package is called utils, common, pkg, lib, helpers or misc", checkNames},
		{"no-init", "no init functions below cmd", checkInit},
		{"state", "no package-level variable below cmd is written after its declaration, or made to be written", checkState},
		{"time", "the time is read in internal/clock only; tests never sleep", checkTime},
		{"kernel", "system calls are made in internal/kernel only; constants such as syscall.EPIPE are free", checkKernel},
		{"process", "os.Exit, log.Fatal and signals stand in cmd only", checkProcess},
		{"pure", "protocol and probes do no I/O and start no goroutine", checkPure},
		{"parsers", "each frame parser has a fuzz target and runs protocoltest", checkParsers},
		{"probes", "each probe has a test and stands in probes/builtin", checkProbes},
		{"docs", "each package and each exported name has a doc comment", checkDocs},
		{"size", "a function has at most 70 lines", checkSize},
	}
}

// Check runs all rules over the module below root and returns what breaks them, in order of file and line. An error means
// that a file could not be read or parsed.
func Check(root fs.FS) ([]Violation, error) {
	c := &checker{fset: token.NewFileSet()}
	if err := c.load(root); err != nil {
		return nil, err
	}
	for _, r := range Rules() {
		c.rule = r.Name
		r.check(c)
	}
	slices.SortStableFunc(c.found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return slices.Compact(c.found), nil
}

// checker holds the parsed module and gathers violations.
type checker struct {
	fset  *token.FileSet
	files []*file
	rule  string // the rule being checked
	found []Violation
}

// file is one parsed file.
type file struct {
	name string // relative to the root: "engine/loop.go"
	dir  string // "engine", "." for the root
	test bool   // a _test.go file
	ast  *ast.File
	info *types.Info // of its whole package; shared
	pkg  *types.Package
}

// report notes a violation at a position of f.
func (c *checker) report(f *file, pos token.Pos, format string, args ...any) {
	c.found = append(c.found, Violation{f.name, c.fset.Position(pos).Line, c.rule, fmt.Sprintf(format, args...)})
}

// reportDir notes a violation of a folder as a whole.
func (c *checker) reportDir(dir, format string, args ...any) {
	c.found = append(c.found, Violation{dir, 0, c.rule, fmt.Sprintf(format, args...)})
}

// load parses every Go file below root. As the go command does it passes over testdata, vendor, hidden folders and
// modules inside this one.
func (c *checker) load(root fs.FS) error {
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skipDir(root, name)
		case !strings.HasSuffix(name, ".go"):
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(c.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		c.files = append(c.files, &file{
			name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), ast: tree,
		})
		return nil
	})
	if err != nil {
		return err
	}
	c.resolve()
	return nil
}

// skipDir returns fs.SkipDir for a folder that holds no code of the module.
func skipDir(root fs.FS, name string) error {
	if name == "." {
		return nil
	}
	base := path.Base(name)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// resolve finds out what each name refers to, package by package. Type errors are of no interest: imports are not loaded,
// and files of several platforms declare the same names.
func (c *checker) resolve() {
	packages := map[[2]string][]*file{}
	for _, f := range c.files {
		key := [2]string{f.dir, f.ast.Name.Name}
		packages[key] = append(packages[key], f)
	}
	for key, files := range packages {
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
		conf := types.Config{Error: func(error) {}}
		var trees []*ast.File
		for _, f := range files {
			trees = append(trees, f.ast)
		}
		pkg, _ := conf.Check(path.Join(modulePath, key[0]), c.fset, trees, info)
		for _, f := range files {
			f.info, f.pkg = info, pkg
		}
	}
}

// imports yields the path of each import of f, with its position.
func (f *file) imports(yield func(string, token.Pos) bool) {
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has refused it already
		}
		if !yield(p, spec.Pos()) {
			return
		}
	}
}

// use is a name of an imported package: time.Now.
type use struct{ pkg, name string }

// uses yields each use of a name of an imported package, with its position.
func (f *file) uses(yield func(use, token.Pos) bool) {
	for n := range ast.Preorder(f.ast) {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok {
			continue
		}
		if p, ok := f.info.Uses[id].(*types.PkgName); ok && !yield(use{p.Imported().Path(), sel.Sel.Name}, sel.Pos()) {
			return
		}
	}
}

// within reports whether dir is one of the patterns: a folder ("engine"), a folder and all below it ("engine/..."), or
// the folders directly below one ("probes/*").
func within(dir string, patterns ...string) bool {
	for _, p := range patterns {
		if base, ok := strings.CutSuffix(p, "/..."); ok && (dir == base || strings.HasPrefix(dir, base+"/")) {
			return true
		}
		if ok, _ := path.Match(p, dir); ok {
			return true
		}
	}
	return false
}

// inModule returns the folder of an import path of this module.
func inModule(importPath string) (dir string, ok bool) {
	return strings.CutPrefix(importPath, modulePath+"/")
}
