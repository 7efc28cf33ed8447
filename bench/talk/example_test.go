package talk_test

import (
	"fmt"

	"sonde/bench/talk"
)

// A connection sends what Request returns and gives what it reads to Parser, as the engine does, and each frame to Hear.
func Example() {
	t, err := talk.New(talk.Options{Kind: talk.HTTP})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := t.Open("192.0.2.1:8080")
	defer s.Close()
	fmt.Printf("%q\n", s.Request()[0])

	answer := []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry")
	for len(answer) > 0 {
		frame, n, err := s.Parser().ParseFrame(answer)
		if err != nil {
			fmt.Println(err)
			return
		}
		if heard := s.Hear(frame); heard.Done {
			fmt.Println(heard.Reason, "and the connection ends:", heard.Last)
		}
		answer = answer[n:]
	}
	// Output:
	// "GET / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nUser-Agent: sonde\r\n\r\n"
	// status 503 and the connection ends: false
}
