package config

import "testing"

// TestLeast is the smallest file that does something.
func TestLeast(t *testing.T) {
	c, err := Parse("f.yml", []byte("modules: {web: {probe: http}}\njobs: [{name: fleet, module: web, targets: [127.0.0.1]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Module("web") == nil || len(c.Jobs) != 1 || c.Jobs[0].Interval != defaultInterval {
		t.Errorf("got %+v", c)
	}
}
