package watch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sonde/watch/track"
)

// TestCopyIsOfOneList copies all the time while one list takes the place of another, in several steps: it is this or that.
func TestCopyIsOfOneList(t *testing.T) {
	const n = 2000
	list := func(round int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("127.0.%d.1:%d", round, i+1))
		}
		return connects + "jobs:\n" + job("a", "connect", 24*time.Hour, "", all...)
	}
	p := start(t, list(0))
	of := func(round int) string { return fmt.Sprintf("127.0.%d.1:", round) }
	var c track.Copy
	for round := range 4 {
		if round > 0 {
			p.write(list(round))
			go func() { _ = p.Reload(context.Background()) }() // the end of the test may come before its own
		}
		for is := false; !is; {
			if err := p.backend().Copy(context.Background(), &c); err != nil {
				t.Fatal(err)
			}
			found := make(map[string]int)
			for i := range c.Views {
				host, _, _ := strings.Cut(c.Views[i].Target.Instance, ":")
				found[host+":"]++
			}
			is = found[of(round)] == n
			if was := of(round - 1); len(found) > 1 || !is && round > 0 && found[was] != n {
				t.Fatalf("round %d: a copy has targets %v", round, found)
			}
		}
	}
}
