package ssh_test

import (
	"fmt"

	"sonde/protocol/ssh"
)

func ExampleParser() {
	stream := []byte("Authorised use only.\r\nSSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
	var p ssh.Parser
	for len(stream) > 0 {
		f, n, err := p.ParseFrame(stream)
		if err != nil {
			fmt.Println(err)
			return
		}
		if f.Kind == ssh.Preamble {
			fmt.Printf("preamble: %s\n", f.Data)
		} else {
			fmt.Printf("version %s, software %s, comments %s\n", p.ProtoVersion(), p.Software(), p.Comments())
		}
		stream = stream[n:]
	}
	// Output:
	// preamble: Authorised use only.
	// version 2.0, software OpenSSH_9.2p1, comments Debian-2
}
