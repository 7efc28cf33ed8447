package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// maxFuncLines is how long a function may be, from its first line to its last. Tests are free: a table is long.
const maxFuncLines = 70

// checkParsers wants of each folder that declares a frame parser (a method ParseFrame) a fuzz target and a test that uses
// protocoltest.
func checkParsers(c *checker) {
	for dir, files := range c.byDir() {
		if !within(dir, "protocol/...") || within(dir, testSupport...) || !slices.ContainsFunc(files, hasMethod("ParseFrame")) {
			continue
		}
		fuzz, suite := false, false
		for _, f := range files {
			if !f.test {
				continue
			}
			for p := range f.imports {
				suite = suite || p == modulePath+"/protocol/protocoltest"
			}
			for _, d := range f.ast.Decls {
				fn, ok := d.(*ast.FuncDecl)
				fuzz = fuzz || ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz")
			}
		}
		if !fuzz {
			c.reportDir(dir, "a frame parser without a fuzz target")
		}
		if !suite {
			c.reportDir(dir, "a frame parser without a test that runs protocoltest")
		}
	}
}

// checkProbes wants of each folder of a probe (an exported type with the methods About and Exchange) a test and a line in
// builtin. A type that is not exported wraps probes that others list.
func checkProbes(c *checker) {
	dirs := c.byDir()
	listed := map[string]bool{}
	for _, f := range dirs["probes/builtin"] {
		for p := range f.imports {
			listed[p] = listed[p] || !f.test
		}
	}
	for dir, files := range dirs {
		if !within(dir, "probes/*") || !slices.ContainsFunc(files, hasExportedMethod("About")) || !slices.ContainsFunc(files, hasExportedMethod("Exchange")) {
			continue
		}
		if !listed[modulePath+"/"+dir] {
			c.reportDir(dir, "a probe that probes/builtin does not list")
		}
		if !slices.ContainsFunc(files, func(f *file) bool { return f.test }) {
			c.reportDir(dir, "a probe without a test")
		}
	}
}

// byDir groups the files by folder.
func (c *checker) byDir() map[string][]*file {
	dirs := map[string][]*file{}
	for _, f := range c.files {
		dirs[f.dir] = append(dirs[f.dir], f)
	}
	return dirs
}

// hasMethod tells the files, tests aside, that declare a method of that name.
func hasMethod(name string) func(*file) bool {
	return declares(func(fn *ast.FuncDecl) bool { return fn.Recv != nil && fn.Name.Name == name })
}

// hasExportedMethod tells those whose method is of an exported type.
func hasExportedMethod(name string) func(*file) bool {
	return declares(func(fn *ast.FuncDecl) bool { return fn.Recv != nil && fn.Name.Name == name && exportedReceiver(fn) })
}

// declares tells the files, tests aside, that declare such a function.
func declares(such func(*ast.FuncDecl) bool) func(*file) bool {
	return func(f *file) bool {
		return !f.test && slices.ContainsFunc(f.ast.Decls, func(d ast.Decl) bool {
			fn, ok := d.(*ast.FuncDecl)
			return ok && such(fn)
		})
	}
}

// checkDocs wants a doc comment on each package, and on each exported name that can be used from outside its package.
func checkDocs(c *checker) {
	for dir, files := range c.byDir() {
		documented, code := false, false
		for _, f := range files {
			if f.test {
				continue
			}
			code = true
			documented = documented || f.ast.Doc != nil
			for _, d := range f.ast.Decls {
				checkDoc(c, f, d)
			}
		}
		if code && !documented {
			c.reportDir(dir, "no package comment")
		}
	}
}

func checkDoc(c *checker, f *file, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
			c.report(f, d.Pos(), "%s has no doc comment", d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			// One comment may stand over a whole group.
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					c.report(f, s.Pos(), "%s has no doc comment", s.Name.Name)
				}
			case *ast.ValueSpec:
				if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					c.report(f, s.Pos(), "%s has no doc comment", s.Names[0].Name)
				}
			}
		}
	}
}

// exportedReceiver reports whether a function is no method, or the method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func checkSize(c *checker) {
	for _, f := range c.files {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			line := func(p token.Pos) int { return c.fset.Position(p).Line }
			if n := line(fn.End()) - line(fn.Pos()) + 1; n > maxFuncLines {
				c.report(f, fn.Pos(), "%s has %d lines, at most %d fit a screen", fn.Name.Name, n, maxFuncLines)
			}
		}
	}
}
