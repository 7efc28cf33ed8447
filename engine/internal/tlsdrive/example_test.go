package tlsdrive_test

import (
	"crypto/tls"
	"fmt"

	"sonde/engine/internal/tlsdrive"
	"sonde/internal/tlsclient"
)

// The loop's part of a handshake: send what is outgoing, hand in what arrives. This server does not speak TLS 1.2 or
// above, and says so.
func ExampleDriver() {
	cfg, err := tlsclient.Offer{ServerName: "old.test", MinVersion: tls.VersionTLS12}.Config()
	if err != nil {
		fmt.Println(err)
		return
	}
	d := tlsdrive.New(cfg)
	defer d.Close()

	_, done, err := d.Handshake(nil)
	hello := d.Outgoing()
	fmt.Println(done, err, "a handshake record:", hello[0] == 22)
	d.Sent(len(hello)) // the kernel took it all

	// Half of the server's alert arrives, then the rest.
	_, done, err = d.Handshake([]byte{21, 3, 1})
	fmt.Println(done, err)
	_, done, err = d.Handshake([]byte{0, 2, 2, 70})
	fmt.Println(done, err)
	// Output:
	// false <nil> a handshake record: true
	// false <nil>
	// false remote error: tls: protocol version not supported
}
