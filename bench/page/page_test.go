package page

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// write is for looking at the pages in a browser: go test ./bench/page -run TestWrite -write DIR
var writeTo = flag.String("write", "", "a folder to write the sample pages to")

func TestWrite(t *testing.T) {
	for name, r := range samples(t) {
		var out bytes.Buffer
		if err := Write(&out, r); err != nil {
			t.Fatal(err)
		}
		keep(t, name+".html", out.Bytes())
	}
	var out bytes.Buffer
	if err := Compare(&out, sampleComparison()); err != nil {
		t.Fatal(err)
	}
	keep(t, "compare.svg", out.Bytes())
}

func keep(t *testing.T, name string, data []byte) {
	t.Helper()
	t.Logf("%s: %d bytes", name, len(data))
	if *writeTo == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*writeTo, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}
