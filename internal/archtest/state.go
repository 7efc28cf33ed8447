package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// checkInit forbids init functions: order that nobody wrote down.
func checkInit(c *checker) {
	for _, f := range c.files {
		if within(f.dir, "cmd/...") {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				c.report(f, fn.Pos(), "init function")
			}
		}
	}
}

// checkState forbids state that a package keeps for itself. A package-level variable may hold what never changes: an
// error, a regular expression, a table. It may not
//
//   - be assigned, in whole or in part, deleted from, or have its address taken by any function;
//   - be a channel, or hold anything of sync or sync/atomic but the results of sync.OnceValue and its kin.
//
// A variable of a type whose own methods change it is not seen. Tests may keep state.
func checkState(c *checker) {
	for _, f := range c.files {
		if f.test || within(f.dir, "cmd/...") {
			continue
		}
		for _, d := range f.ast.Decls {
			if gen, ok := d.(*ast.GenDecl); ok && gen.Tok == token.VAR {
				checkDeclared(c, f, gen)
			}
		}
		for n := range ast.Preorder(f.ast) {
			for _, e := range written(n) {
				if name := packageVar(f, e); name != "" && !within(f.dir, settings[name]...) {
					c.report(f, e.Pos(), "package-level variable %s is written here", name)
				}
			}
		}
	}
}

// settings are variables of libraries that are a setting with no function to set it, and where that is done.
var settings = map[string][]string{
	"netpoll.LinkBufferCap": {"bench/transport/netpoll"},
}

// checkDeclared looks at what package-level variables are made of.
func checkDeclared(c *checker, f *file, gen *ast.GenDecl) {
	ast.Inspect(gen, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // its own variables are its business
		case *ast.FuncType:
			return false // a function that takes a channel holds none
		case *ast.ChanType:
			c.report(f, n.Pos(), "package-level channel")
		case *ast.SelectorExpr:
			id, _ := n.X.(*ast.Ident)
			p, ok := f.info.Uses[id].(*types.PkgName)
			once := slices.Contains([]string{"OnceFunc", "OnceValue", "OnceValues"}, n.Sel.Name)
			if ok && (p.Imported().Path() == "sync" || p.Imported().Path() == "sync/atomic") && !once {
				c.report(f, n.Pos(), "package-level %s.%s", id.Name, n.Sel.Name)
			}
		}
		return true
	})
}

// written returns the expressions that a statement or call may write to.
func written(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		id, ok := n.Fun.(*ast.Ident)
		if ok && slices.Contains([]string{"clear", "copy", "delete"}, id.Name) && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// packageVar returns the name of the package-level variable, of this package or another, that e is or is a part of; ""
// if it is none.
func packageVar(f *file, e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok {
				if p, ok := f.info.Uses[id].(*types.PkgName); ok {
					return p.Name() + "." + x.Sel.Name
				}
			}
			e = x.X
		case *ast.Ident:
			v, ok := f.info.Uses[x].(*types.Var)
			if ok && f.pkg != nil && v.Parent() == f.pkg.Scope() {
				return v.Name()
			}
			return ""
		default:
			return ""
		}
	}
}
