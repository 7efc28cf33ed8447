// Package page is what a browser is sent: one page, its style, its script and its icons, all of them part of the program. What it
// shows it asks of the API that package web answers.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"time"
)

//go:embed static
var static embed.FS

// types are the kinds of file that there are.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// file is one of static.
type file struct {
	content []byte
	kind    string
	tag     string
}

// Handler answers / and the files that the page is made of. A browser asks each time whether they are still those it has, which
// their tag tells: a new program may have others.
func Handler() http.Handler {
	files := map[string]file{}
	entries, err := static.ReadDir("static")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, e := range entries {
		content, err := static.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		files["/"+e.Name()] = file{content, types[path.Ext(e.Name())], fmt.Sprintf(`"%x"`, sha256.Sum256(content))}
	}
	files["/"] = files["/index.html"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", f.kind)
		w.Header().Set("Etag", f.tag)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
	})
}
