package simkernel_test

import (
	"fmt"
	"net/netip"

	"sonde/internal/kernel/poller"
	"sonde/internal/kernel/socket"
	"sonde/internal/simkernel"
)

// A peer that answers and closes, and a loop that reads what it says.
func Example() {
	k := simkernel.New(simkernel.Options{Seed: 1})
	remote := socket.AddrFrom(netip.MustParseAddrPort("10.0.0.1:22"), 0)
	k.Peer(remote, simkernel.Script{Steps: []simkernel.Step{simkernel.Send([]byte("SSH-2.0-x\r\n")), simkernel.Close()}})

	s := k.Sockets()
	fd, _, _ := s.Connect(remote, socket.Addr{})
	if err := k.Add(fd, poller.MakeToken(0, 1)); err != nil {
		fmt.Println(err)
	}
	err := k.Run(func(now int64, events []poller.Event) bool {
		b := make([]byte, 100)
		n, _ := s.Readv(fd, b, nil)
		if n > 0 {
			fmt.Printf("%q\n", b[:n])
		}
		return n == 0
	})
	k.Remove(fd)
	s.Close(fd, true)
	fmt.Println(err, k.OpenFDs(), k.Violations())
	// Output:
	// "SSH-2.0-x\r\n"
	// <nil> [] []
}
