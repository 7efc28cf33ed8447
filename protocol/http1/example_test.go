package http1_test

import (
	"fmt"

	"sonde/protocol/http1"
)

func ExampleParser() {
	stream := []byte("HTTP/1.1 200 OK\r\nServer: demo\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n")
	var p http1.Parser
	for len(stream) > 0 {
		f, n, err := p.ParseFrame(stream)
		if err != nil {
			fmt.Println(err)
			return
		}
		switch f.Kind {
		case http1.Head:
			fmt.Printf("%d %s from %s\n", p.Status(), p.Reason(), p.Header("server"))
		case http1.Body:
			fmt.Printf("body %q\n", f.Data)
		case http1.End:
			fmt.Println("end")
		}
		stream = stream[n:]
	}
	// Output:
	// 200 OK from demo
	// body "hello "
	// body "world"
	// end
}
