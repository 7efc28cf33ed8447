package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestPaths gives every field that names a file a relative name, and sees that each is found beside the configuration.
func TestPaths(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "watch.yml")
	text := `
modules:
  own: {probe: tls, tls: {ca_file: rel, cert_file: rel, key_file: rel}}
  page:
    prober: http
    http:
      bearer_token_file: rel
      body_file: rel
      http_headers: {X: {files: [rel]}}
      tls_config: {ca_file: rel, cert_file: rel, key_file: rel}
  page2: {prober: http, http: {basic_auth: {username_file: rel, password_file: rel}}}
  page3: {prober: http, http: {authorization: {credentials_file: rel}}}
  talk: {prober: tcp, tcp: {tls_config: {ca_file: rel, cert_file: rel, key_file: rel}}}
jobs:
- {name: j, module: own, files: [rel, /abs], file_sd: [rel.json]}
events: {url: "http://127.0.0.1/", spool: rel}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() && v.Elem().Kind() == reflect.Struct {
				walk(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.String:
			switch s := v.String(); {
			case strings.HasPrefix(s, dir+"/rel"):
				n++
			case strings.HasPrefix(s, "rel"):
				t.Errorf("a name is left as it is: %s", s)
			}
		}
	}
	walk(reflect.ValueOf(c))
	if want := strings.Count(text, "rel"); n != want {
		t.Errorf("%d names are beside the file, want %d", n, want)
	}
	if got := c.Jobs[0].Files[1]; got != "/abs" {
		t.Errorf("an absolute name became %s", got)
	}
}
