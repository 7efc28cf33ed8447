package resp_test

import (
	"fmt"

	"sonde/protocol/resp"
)

func ExampleParser() {
	var p resp.Parser
	stream := []byte("-NOAUTH Authentication required.\r\n*2\r\n$3\r\nfoo\r\n:42\r\n")
	for len(stream) > 0 {
		f, n, err := p.ParseFrame(stream)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%c %q\n", f.Kind, f.Data)
		for e := range resp.Elements(f) {
			fmt.Printf("  %c %q\n", e.Kind, e.Data)
		}
		stream = stream[n:]
	}
	// Output:
	// - "NOAUTH Authentication required."
	// * "$3\r\nfoo\r\n:42\r\n"
	//   $ "foo"
	//   : "42"
}
