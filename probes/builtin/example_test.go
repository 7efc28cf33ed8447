package builtin_test

import (
	"fmt"

	"sonde/probes/builtin"
)

func ExampleFind() {
	if p, ok := builtin.Find("redis"); ok {
		fmt.Println(p.About().Port, p.About().Summary)
	}
	// Output: 6379 sends PING and is content with PONG
}
