package http1

import (
	"fmt"
	"testing"
)

func TestPreferences(t *testing.T) {
	for field, want := range map[string]string{
		"": "", " , ,": "",
		"gzip":                            "gzip 1,",
		"GZIP;q=0.5, identity ; Q=0 ,\t*": "gzip 0.5,identity 0,* 1,",
		"a/b;version=1.0.0;q=0.25;x=y,a/c;level=0":     "a/b 0.25,a/c 1,",
		"a;q=,b;q=x,c;q=NaN,d;q=-1,e;q=2,f;q=1e-1,g;q": "a 0,b 0,c 0,d 0,e 0,f 0.1,g 0,",
	} {
		got := ""
		for name, weight := range Preferences(field) {
			got += fmt.Sprintf("%s %v,", name, weight)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", field, got, want)
		}
	}
	for name := range Preferences("a,b") {
		if name != "a" {
			t.Errorf("got %q after the end", name)
		}
		break
	}
}
